//! reroll itself, in this process: the replicas of an installation.
//!
//! A replica has a [`Line`], a clock of its own, and one process after the other. A process that was killed is started
//! again after a while, as by a kubelet. So is one that ends because its first requests failed, or because the digest key was
//! rotated; no other may end unasked.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::Router;
use clap::Parser as _;
use fastrand::Rng;
use jiff::SignedDuration;
use parking_lot::Mutex;
use reroll::{
    clock::Clock,
    config::{Cli, Command, Settings},
    run::{Doors, InProcess, Surroundings, run_until},
};
use reroll_simulation::api_server::{ApiServer, User};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    bad::brakes,
    line::{Leader, Life, Line},
    oracle::Wrongs,
    register,
    webhook::Webhook,
};

/// How long a process may take to end when it is asked to.
const ENDS: Duration = Duration::from_secs(40);
/// How long a process that nothing disturbs takes to read all that there is, with room to spare.
const READS: Duration = Duration::from_secs(10);
/// After how long a process is started again that could not start.
const AGAIN: Duration = Duration::from_secs(2);

/// The format of `observed` of a release that there is not yet.
const LATER: u64 = 9;

/// How long the Lease counts where a schedule does not keep the default, in words of the command line. Renewals of the
/// default are most of all requests.
const LEASE: &str = "40s";
/// Of so many schedules there is one where the Lease has the duration that it has by default.
const DEFAULT_LEASE: u64 = 4;

/// How long the Lease of the installations of a schedule counts; `None` for the default. Tests of single operations have
/// the seed 1.
pub(crate) fn lease_of(seed: u64) -> Option<&'static str> {
    (seed % DEFAULT_LEASE != 1).then_some(LEASE)
}

/// How the replicas of a schedule run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// How long the Lease counts, if not as by default.
    pub(crate) lease: Option<&'static str>,
    /// Whether restarts wait for what becomes of others.
    pub(crate) braked: bool,
    /// All replicas but the first are of a later release, until all are.
    pub(crate) upgraded: bool,
    /// Its digest key is rotated at some time.
    pub(crate) rotating: bool,
}

/// One installation: its replicas have a namespace, a Lease and a digest key of their own.
pub(crate) struct Installation {
    /// Its name is that of its namespace and of its webhook configurations.
    name: &'static str,
    server: ApiServer,
    clock: Clock,
    rng: RefCell<Rng>,
    wrongs: Wrongs,
    pub(crate) webhook: Arc<Webhook>,
    pub(crate) leader: Arc<Leader>,
    how: How,
    /// When its digest key was rotated.
    pub(crate) rotated: Cell<Option<Instant>>,
    /// All replicas are of the later release from now on.
    later: Cell<bool>,
    replicas: RefCell<Vec<Rc<Replica>>>,
    /// How many replicas there have been: each has a name of its own.
    count: Cell<u32>,
}

/// A place for a process.
pub(crate) struct Replica {
    pub(crate) name: String,
    /// It is of a later release.
    is_later: bool,
    pub(crate) line: Arc<Line>,
    /// How far its clock is from the right time, in milliseconds.
    skew: Arc<AtomicI64>,
    process: RefCell<Option<Process>>,
    /// What its process says of itself.
    pub(crate) health: Arc<Mutex<Option<Router>>>,
    /// When its process was started.
    pub(crate) started: Cell<Instant>,
}

struct Process {
    life: Arc<Life>,
    stop: Option<oneshot::Sender<()>>,
    supervisor: JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.life.end(Duration::ZERO);
        self.supervisor.abort();
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.webhook.close();
    }
}

impl Replica {
    /// Kills the process, as by SIGKILL. It is started again after a while.
    pub(crate) fn kill(&self, away: Duration) {
        if let Some(process) = &*self.process.borrow() {
            process.life.end(away);
        }
    }

    pub(crate) fn set_clock(&self, off: SignedDuration) {
        let millis = i64::try_from(off.as_millis()).unwrap_or_default();
        self.skew.store(millis, Relaxed);
    }
}

fn user_of(installation: &str) -> String {
    format!("system:serviceaccount:{installation}:reroll")
}

impl Installation {
    pub(crate) fn new(
        name: &'static str,
        server: &ApiServer,
        clock: Clock,
        mut rng: Rng,
        wrongs: &Wrongs,
        how: How,
    ) -> Rc<Self> {
        let user = user_of(name);
        Rc::new(Self {
            webhook: Webhook::new(user, rng.fork(), wrongs),
            leader: Leader::new(server, name, wrongs, how.rotating),
            how,
            rotated: Cell::default(),
            later: Cell::default(),
            name,
            server: server.clone(),
            clock,
            rng: RefCell::new(rng),
            wrongs: Arc::clone(wrongs),
            replicas: RefCell::default(),
            count: Cell::new(0),
        })
    }

    fn user(&self) -> String {
        user_of(self.name)
    }

    /// Registers its webhooks. `spares`: a match condition keeps its own writes away from them.
    pub(crate) async fn register(&self, spares: bool) {
        self.webhook.answer(&self.server, self.name);
        if !spares {
            self.webhook.sees_own_writes();
        }
        register::register(&self.server, self.name, &self.user(), spares).await;
    }

    /// Ends all its replicas at once, and takes its webhooks away.
    pub(crate) async fn remove(&self) {
        for replica in self.replicas.take() {
            self.webhook.serve_no_more(&replica.name);
            replica.process.take();
        }
        register::unregister(&self.server, self.name).await;
    }

    /// Whether each of its replicas runs.
    pub(crate) fn is_whole(&self) -> bool {
        let runs = |replica: &Rc<Replica>| self.webhook.is_served_by(&replica.name);
        self.replicas.borrow().iter().all(runs)
    }

    /// Whether each of its replicas has had the time to read all that there is.
    pub(crate) fn has_read_all(&self) -> bool {
        let has = |replica: &Rc<Replica>| replica.started.get().elapsed() > READS;
        self.is_whole() && self.replicas.borrow().iter().all(has)
    }

    /// Whether a process of it began later than this, or has yet to begin.
    pub(crate) fn begins_anew(&self, since: Instant) -> bool {
        let runs = |replica: &Rc<Replica>| self.webhook.is_served_by(&replica.name);
        let knows = |replica: &Rc<Replica>| runs(replica) && replica.started.get() < since;
        !self.replicas.borrow().iter().all(knows)
    }

    /// Has all replicas be of the later release, where there are two. Returns whether processes end for that.
    pub(crate) fn upgrade(&self) -> bool {
        if !self.how.upgraded || self.later.replace(true) {
            return false;
        }
        let older: Vec<_> = self
            .replicas()
            .into_iter()
            .filter(|one| !one.is_later)
            .collect();
        for replica in &older {
            replica.kill(AGAIN);
        }
        !older.is_empty()
    }

    /// Looks whether each process began after the digest key was rotated.
    pub(crate) fn expect_new_key(&self) {
        let Some(rotated) = self.rotated.get() else {
            return;
        };
        for replica in self.replicas() {
            if replica.started.get() < rotated {
                self.wrong(&replica, "goes on with the digest key before");
            }
        }
    }

    /// Returns a replica by any number.
    pub(crate) fn replica(&self, number: u8) -> Option<Rc<Replica>> {
        let replicas = self.replicas.borrow();
        let at = usize::from(number).checked_rem(replicas.len())?;
        replicas.get(at).cloned()
    }

    /// Returns the replica that has the Lease.
    pub(crate) fn holder(&self) -> Option<Rc<Replica>> {
        let holder = self.leader.holder()?;
        let replicas = self.replicas.borrow();
        replicas.iter().find(|one| one.name == holder).cloned()
    }

    pub(crate) fn replicas(&self) -> Vec<Rc<Replica>> {
        self.replicas.borrow().clone()
    }

    /// Makes a replica that does not run yet.
    pub(crate) fn place(&self) -> Rc<Replica> {
        let number = self.count.get();
        self.count.set(number + 1);
        let rng = self.rng.borrow_mut().fork();
        let name = format!("{}-{number}", self.name);
        let own = (name.clone(), Arc::clone(&self.leader));
        let replica = Rc::new(Replica {
            line: Line::new(&self.server, User::new(self.user()), rng, own),
            name,
            is_later: self.how.upgraded && number > 0,
            skew: Arc::default(),
            process: RefCell::default(),
            health: Arc::default(),
            started: Cell::new(Instant::now()),
        });
        self.replicas.borrow_mut().push(Rc::clone(&replica));
        replica
    }

    pub(crate) fn start(self: &Rc<Self>, replica: &Rc<Replica>) {
        let life = Life::new();
        let (stop, stopped) = oneshot::channel();
        let (own, place) = (Rc::clone(self), Rc::clone(replica));
        let supervised = Box::pin(own.supervise(place, Arc::clone(&life), stopped));
        let process = Process {
            life,
            stop: Some(stop),
            supervisor: tokio::task::spawn_local(supervised),
        };
        *replica.process.borrow_mut() = Some(process);
    }

    /// Has so many replicas from now on.
    pub(crate) fn scale(self: &Rc<Self>, replicas: usize) {
        while self.replicas.borrow().len() < replicas {
            let replica = self.place();
            self.start(&replica);
        }
        while self.replicas.borrow().len() > replicas {
            let replica = self.replicas.borrow_mut().remove(0);
            self.end(replica);
        }
    }

    /// Starts a new replica, and ends the oldest after a while, as a rolling update does.
    pub(crate) fn replace(self: &Rc<Self>, overlap: Duration) {
        let replica = self.place();
        self.start(&replica);
        let own = Rc::clone(self);
        tokio::task::spawn_local(async move {
            sleep(overlap).await;
            if own.replicas.borrow().len() > 1 {
                let replica = own.replicas.borrow_mut().remove(0);
                own.end(replica);
            }
        });
    }

    /// Lets a replica end, as by SIGTERM.
    fn end(self: &Rc<Self>, replica: Rc<Replica>) {
        let own = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let Some(mut process) = replica.process.take() else {
                return;
            };
            if let Some(stop) = process.stop.take() {
                // It may have ended already.
                let _ended = stop.send(());
            }
            if timeout(ENDS, &mut process.supervisor).await.is_err() {
                own.wrong(&replica, "does not end when it is asked to");
            }
            own.webhook.serve_no_more(&replica.name);
        });
    }

    fn wrong(&self, replica: &Replica, what: &str) {
        let name = &replica.name;
        self.wrongs.lock().push(format!("{name} {what}"));
    }

    /// Runs one process after the other.
    async fn supervise(
        self: Rc<Self>,
        replica: Rc<Replica>,
        mut life: Arc<Life>,
        mut stop: oneshot::Receiver<()>,
    ) {
        loop {
            let began = Instant::now();
            replica.started.set(began);
            let (serves, mut asked) = (Rc::new(Cell::new(false)), false);
            let running = {
                let asked = async {
                    drop((&mut stop).await);
                    asked = true;
                };
                let running = self.run(&replica, &life, &serves, asked);
                tokio::select! {
                    biased;
                    away = life.ended() => Err(away),
                    ended = running => Ok(ended),
                }
            };
            self.webhook.serve_no_more(&replica.name);
            replica.health.lock().take();
            let away = match running {
                _ if asked => return,
                Err(away) => away,
                Ok(ended) => {
                    life.end(AGAIN);
                    let rotated = self.rotated.get().is_some_and(|at| at >= began);
                    let for_that = rotated && ended.is_ok();
                    if !for_that && (serves.get() || !replica.line.was_disturbed(began)) {
                        let why = format!("ended unasked: {ended:?}");
                        self.wrong(&replica, &why);
                    }
                    AGAIN
                }
            };
            tokio::select! {
                biased;
                _ = &mut stop => return,
                () = sleep(away) => {}
            }
            life = Life::new();
            if let Some(process) = &mut *replica.process.borrow_mut() {
                process.life = Arc::clone(&life);
            }
        }
    }

    async fn run(
        &self,
        replica: &Replica,
        life: &Arc<Life>,
        serves: &Rc<Cell<bool>>,
        asked: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let flags = [
            ["reroll", "run"],
            ["--tls-cert", "none"],
            ["--tls-key", "none"],
            ["--own-namespace", self.name],
            ["--instance", &replica.name],
            ["--adopt-rate", "0"],
            ["--restart-rate", "0"],
        ];
        let lease = self.how.lease.map(|lease| ["--lease-duration", lease]);
        let flags = flags.into_iter().chain(lease);
        let flags: Vec<_> = flags
            .chain(brakes(self.how.braked).iter().copied())
            .flatten()
            .collect();
        let Command::Run(args) = Cli::try_parse_from(flags)?.command else {
            anyhow::bail!("not the flags of run");
        };
        let settings = Settings::try_from(*args)?;
        let (line, served) = (Arc::clone(&replica.line), Arc::clone(life));
        let webhook = Arc::clone(&self.webhook);
        let (name, started) = (replica.name.clone(), Arc::new(AtomicI64::new(0)));
        let (begun, own) = (Arc::clone(&started), Arc::clone(life));
        let (api_server, health) = (Arc::clone(&replica.line), Arc::clone(&replica.health));
        let doors = InProcess {
            api_server: Arc::new(move || api_server.service(&own)),
            webhook: Arc::new(move |router| {
                begun.store(1, Relaxed);
                webhook.serve(&name, router, &served, &line);
            }),
            health: Arc::new(move |router| *health.lock() = Some(router)),
        };
        let (clock, skew) = (Arc::clone(&self.clock), Arc::clone(&replica.skew));
        let surroundings = Surroundings {
            clock: Arc::new(move || clock() + SignedDuration::from_millis(skew.load(Relaxed))),
            chance: crate::chance::chance(),
            doors: Doors::InProcess(doors),
            ..Surroundings::default()
        };
        let surroundings = if replica.is_later || self.later.get() {
            Surroundings {
                format: LATER,
                ..surroundings
            }
        } else {
            surroundings
        };
        let ended = Box::pin(run_until(settings, surroundings, asked)).await;
        serves.set(started.load(Relaxed) > 0);
        ended
    }
}
