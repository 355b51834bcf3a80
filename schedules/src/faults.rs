//! What goes wrong, as values, and how it is made to.
//!
//! Faults last for a while, and [`Cluster::heal`] ends them all.

mod drawn;
mod words;

use std::{rc::Rc, sync::Arc, time::Duration};

use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use reroll_simulation::{
    api_server::{ApiServer, User},
    controllers::{Controller, Controllers},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

pub(crate) use self::drawn::fault;
use crate::{
    cluster::Cluster,
    line::{How, Silence},
    operation::Name,
};

/// After how long, at most, an installation tries a namespace again that another one held.
const TRIES_AGAIN: Duration = Duration::from_mins(16);

/// A write of reroll's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Of a workload.
    Workload,
    /// Of the Lease.
    Lease,
    /// Of the Secret with the digest key.
    DigestKey,
    /// Of an Event.
    Event,
    /// A Job that is made again.
    Job,
}

/// Some of reroll's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All.
    All,
    /// All that change something.
    Writes,
    /// One kind of write.
    Write(Write),
    /// Reads of one object.
    Reads,
    /// Lists and watches.
    Lists,
}

/// What a request meets.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// It is refused, by this code, and to be tried again after so many seconds.
    Refused(u16, Option<u8>),
    /// It never arrives.
    Unsent,
    /// It is done, and its answer never seen.
    Lost,
    /// It arrives late, by so much at most, if the process still waits for it.
    Late(Duration),
    /// Its answer comes late, by so much at most.
    AnsweredLate(Duration),
    /// It arrives late, by so much at most, whether or not a process still waits for it.
    Held(Duration),
}

/// How long something is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Lasts {
    /// For a time.
    For(Duration),
    /// For so many requests.
    Next(u8),
}

/// What goes wrong with watches.
#[derive(Clone, Copy, Debug)]
pub enum Watches {
    /// They bring nothing for so long.
    Stall(Duration),
    /// They bring only bookmarks for so long.
    Bookmarks(Duration),
    /// They end now.
    End,
    /// Their connections break off now.
    Break,
    /// They are too old now.
    Expire,
}

/// What goes wrong with the webhook.
#[derive(Clone, Copy, Debug)]
pub enum Hook {
    /// There is no connection to it.
    Away,
    /// It is asked late, by so much at most.
    AskedLate(Duration),
    /// It answers late, by so much at most.
    AnswersLate(Duration),
    /// Its answer is lost.
    Lost,
}

/// A replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that has the Lease; where none has, the first.
    Leader,
    /// By any number.
    Number(u8),
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// All processes of reroll are killed, and started again. Sources change meanwhile.
    Crash {
        /// How long they are away.
        away: Duration,
        /// What changes meanwhile.
        updates: Vec<Name>,
    },
    /// One process is killed.
    CrashOne(Which, Duration),
    /// A process is killed at one of its next writes. That of the digest key comes at its first start.
    CrashAt {
        /// Which replica.
        which: Which,
        /// At which kind of write.
        write: Write,
        /// How many of them come before.
        before: u8,
        /// Whether this one is made.
        made: bool,
        /// How long the process is away.
        away: Duration,
    },
    /// Requests of a replica are disturbed.
    Line(Which, Requests, Effect, Lasts),
    /// Watches of a replica, of one resource or all.
    Watches(Which, Option<Name>, Watches),
    /// An API server that a replica is connected with, or the other one, sees nothing new for a while.
    Lag {
        /// Which replica.
        which: Which,
        /// Whether it is the one that it is not connected with.
        other: bool,
        /// How long.
        lasts: Duration,
    },
    /// A replica's connections break off, and go to the other API server.
    Move(Which),
    /// The webhook.
    Hook(Hook, Duration),
    /// A stranger takes the Lease.
    LeaseTaken,
    /// The Lease is deleted.
    LeaseDeleted,
    /// Nothing reaches the leader or comes from it for a while. What it sends meanwhile arrives then.
    LeaderSleeps(Duration),
    /// reroll has so many replicas from now on.
    Scale(u8),
    /// A new replica takes the place of the oldest, which ends so much later.
    Upgrade(Duration),
    /// The clock of a replica is wrong by so many seconds from now on.
    Clock(Which, i8),
    /// etcd is compacted.
    Compact,
    /// The controller manager is away for a while.
    ControllersAway(Duration),
    /// Another installation works on the same namespaces for a while.
    Second(Duration),
}

impl Fault {
    fn ends_processes(&self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::CrashOne(..)
                | Self::CrashAt { .. }
                | Self::Scale(_)
                | Self::Upgrade(_)
        )
    }
}

impl Cluster {
    /// Lets something go wrong.
    pub(crate) async fn fail(&mut self, fault: &Fault) {
        if self.spares() && fault.ends_processes() {
            return;
        }
        match fault {
            Fault::Crash { away, updates } => self.crash(*away, updates).await,
            Fault::LeaseTaken => self.take_lease().await,
            Fault::LeaseDeleted => {
                drop(
                    self.leases()
                        .delete("reroll", &DeleteParams::default())
                        .await,
                );
            }
            Fault::LeaderSleeps(time) => {
                if let Some(leader) = self.reroll.holder() {
                    leader.line.sleep(*time);
                }
            }
            Fault::Scale(replicas) => self.reroll.scale(usize::from(*replicas)),
            Fault::Upgrade(overlap) => self.reroll.replace(*overlap),
            Fault::Hook(hook, lasts) => self.reroll.webhook.fail(*hook, *lasts),
            Fault::Compact => self.server.compact(),
            Fault::ControllersAway(lasts) => self.let_controllers_be_away(*lasts),
            Fault::Second(lasts) => self.second(*lasts).await,
            Fault::CrashOne(which, _)
            | Fault::CrashAt { which, .. }
            | Fault::Line(which, ..)
            | Fault::Watches(which, ..)
            | Fault::Lag { which, .. }
            | Fault::Move(which)
            | Fault::Clock(which, _) => self.fail_one(*which, fault),
        }
    }

    /// Whether processes of the first installation are left alone: there was a second one. What changes while that one has
    /// the namespace is restarted for only by who saw it before it changed, as docs/limits.md says.
    pub(crate) fn spares(&self) -> bool {
        self.calm >= TRIES_AGAIN
    }

    fn fail_one(&self, which: Which, fault: &Fault) {
        let found = match which {
            Which::Leader => self.reroll.holder().or_else(|| self.reroll.replica(0)),
            Which::Number(number) => self.reroll.replica(number),
        };
        let Some(replica) = found else { return };
        let line = &replica.line;
        match fault {
            Fault::CrashOne(_, away) => replica.kill(*away),
            Fault::CrashAt {
                write,
                before,
                made,
                away,
                ..
            } => line.crash_at(*write, *before, *made, *away),
            Fault::Line(_, requests, effect, lasts) => line.disturb(*requests, *effect, *lasts),
            Fault::Watches(_, resource, watches) => match watches {
                Watches::Stall(time) | Watches::Bookmarks(time) => line.silence(Silence {
                    resource: *resource,
                    until: Instant::now() + *time,
                    bookmarks: matches!(watches, Watches::Bookmarks(_)),
                }),
                Watches::End => line.cut(*resource, How::Ended),
                Watches::Break => line.cut(*resource, How::Broken),
                Watches::Expire => line.cut(*resource, How::Expired),
            },
            Fault::Lag { other, lasts, .. } => keep_up_after(line.fall_behind(*other), *lasts),
            Fault::Move(_) => line.change_over(),
            Fault::Clock(_, seconds) => {
                replica.set_clock(SignedDuration::from_secs(i64::from(*seconds)));
            }
            _ => {}
        }
    }

    async fn crash(&mut self, away: Duration, updates: &[Name]) {
        for replica in self.reroll.replicas() {
            replica.kill(away);
        }
        for source in updates {
            self.update(source).await;
        }
    }

    fn leases(&self) -> Api<Lease> {
        let client = self.server.client(User::new("administrator"));
        Api::namespaced(client, "reroll")
    }

    async fn take_lease(&self) {
        let spec = json!({ "spec": { "holderIdentity": "a stranger", "leaseDurationSeconds": 8 } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(spec));
        drop(self.leases().patch("reroll", &params, &patch).await);
    }

    fn let_controllers_be_away(&self, lasts: Duration) {
        set_away(&self.controllers, true);
        let controllers = Arc::clone(&self.controllers);
        tokio::task::spawn_local(async move {
            sleep(lasts).await;
            set_away(&controllers, false);
        });
    }

    async fn second(&mut self, lasts: Duration) {
        if self.is_rotating() || self.second.borrow().is_some() || !self.reroll.is_whole() {
            return;
        }
        for replica in self.reroll.replicas() {
            replica.line.crash_no_more();
        }
        let second = self.install("other").await;
        second.scale(1);
        *self.second.borrow_mut() = Some(second);
        self.calm = TRIES_AGAIN;
        let place = Rc::clone(&self.second);
        tokio::task::spawn_local(async move {
            sleep(lasts).await;
            let second = place.borrow_mut().take();
            if let Some(second) = second {
                second.remove().await;
            }
        });
    }

    /// Lets a process crash at the first writes that it ever makes, where the schedule says so.
    pub(crate) fn fail_first<'a>(&self, faults: impl Iterator<Item = &'a Fault>) {
        for fault in faults {
            if let Fault::CrashAt {
                which,
                write: Write::DigestKey,
                ..
            } = fault
            {
                self.fail_one(*which, fault);
            }
        }
    }

    /// Ends all faults.
    pub(crate) async fn heal(&mut self) {
        let second = self.second.borrow_mut().take();
        if let Some(second) = second {
            second.remove().await;
        }
        set_away(&self.controllers, false);
        if self.server.outlives() {
            self.say(|| "the API servers are restarted".to_owned());
            self.server.restart();
        }
        self.reroll.webhook.heal();
        if self.reroll.upgrade() {
            self.note();
            self.observer.is_disturbed();
        }
        for replica in self.reroll.replicas() {
            replica.line.heal();
            replica.set_clock(SignedDuration::ZERO);
        }
    }
}

fn set_away(controllers: &Controllers, away: bool) {
    for controller in Controller::ALL {
        controllers.set_away(controller, away);
    }
}

fn keep_up_after(view: ApiServer, lasts: Duration) {
    tokio::task::spawn_local(async move {
        sleep(lasts).await;
        view.keep_up();
    });
}
