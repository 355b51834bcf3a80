//! The controller: watches, intents and restarts.
//!
//! Watches ([`watch`]) feed the index; every change is judged at once ([`Controller::judge`]), and what may need a
//! restart becomes an intent ([`intents`]). When an intent is due it is judged again, against the API where the watches
//! are behind, and carried out by one compare-and-swap patch ([`restart`]). What is only to be recorded is written at
//! leisure ([`housekeeping`]). At start-up, and every now and then, every workload is judged ([`reconcile`]).

mod adopted;
pub mod adoption;
mod ages;
mod confirm;
pub mod digest_key;
mod failure;
pub mod history;
pub mod housekeeping;
pub mod intents;
pub mod kept;
pub mod key_watch;
pub mod kinds;
pub mod lease;
mod provided;
pub mod pulse;
pub mod reconcile;
mod recreate;
pub mod report;
pub mod restart;
pub mod restored;
mod run_now;
pub mod selection;
mod sources;
pub mod watch;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::Client;
use tokio::{sync::Notify, time::Instant};

use self::{
    history::History,
    housekeeping::Housekeeping,
    intents::{Bounds, Held, Intents, Pacing},
    kept::Store,
    kinds::Served,
    lease::Leadership,
    recreate::Recreations,
    restart::Probe,
    selection::Selection,
};
use crate::{
    config::RestartSettings,
    model::{
        Conventions, Decision, DigestKey, SourceName, WorkloadKey,
        decide::{Doubt, Undecided},
        index::{Bared, By, Overlay, Tick},
        workload::{Rollout, Stays, Workload},
    },
    ops::{
        alerts::AlertSink, events::EventSink, health::Heartbeat, metrics::labels::IntentOutcome,
    },
    state::State,
};

/// Everything that decides and restarts. Shared by its tasks.
pub struct Controller {
    /// Shared with the webhook.
    pub state: Arc<State>,
    /// The digest key, outside of any lock.
    pub digest_key: DigestKey,
    /// What was agreed on, outside of any lock.
    pub conventions: Arc<Conventions>,
    client: Client,
    settings: RestartSettings,
    request_timeout: Duration,
    events: EventSink,
    alerts: AlertSink,
    /// Held from a decision until what follows from it is filed: else an older decision, of another watch's task, could
    /// take back what a newer one filed.
    judging: Mutex<()>,
    intents: Mutex<Intents>,
    intents_changed: Notify,
    housekeeping: Mutex<Housekeeping>,
    housekeeping_changed: Notify,
    leadership: Leadership,
    history: Arc<History>,
    /// What the kinds that not every cluster has are called.
    served: Mutex<Served>,
    selection: Selection,
    /// Where Jobs are kept that are being re-created, if any may be.
    kept: Option<Store>,
    recreations: Mutex<Recreations>,
    recreations_changed: Notify,
    /// Shows that the restart loop is alive.
    heartbeat: Heartbeat,
    probe: Probe,
    /// Until every first list is complete nothing is judged: absence would mean nothing.
    listed: AtomicBool,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(
        state: Arc<State>,
        client: Client,
        settings: RestartSettings,
        request_timeout: Duration,
        events: EventSink,
        leadership: Leadership,
        heartbeat: Heartbeat,
    ) -> Self {
        let digest_key = state.index().key().clone();
        let conventions = Arc::clone(state.index().conventions());
        let bounds = Bounds {
            all: Pacing {
                rate: settings.rate,
                burst: settings.burst,
            },
            each: Pacing {
                rate: settings.workload_rate(),
                burst: settings.workload_burst,
            },
            rolling: settings.rolling,
        };
        Self {
            state,
            digest_key,
            conventions,
            client,
            request_timeout,
            events,
            alerts: AlertSink::default(),
            judging: Mutex::new(()),
            intents: Mutex::new(Intents::new(bounds, Instant::now())),
            intents_changed: Notify::new(),
            housekeeping: Mutex::new(Housekeeping::new(settings.adopt_rate, Instant::now())),
            housekeeping_changed: Notify::new(),
            leadership,
            history: Arc::default(),
            served: Mutex::default(),
            selection: Selection::default(),
            kept: None,
            recreations: Mutex::default(),
            recreations_changed: Notify::new(),
            heartbeat,
            probe: Arc::new(|_| {}),
            listed: AtomicBool::new(false),
            settings,
        }
    }

    /// The same, telling of moments of restarts.
    #[must_use]
    pub fn with_probe(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// The same, sharing what is known of etcd's history.
    #[must_use]
    pub fn with_history(self, history: Arc<History>) -> Self {
        Self { history, ..self }
    }

    /// The same, telling people outside of the cluster.
    #[must_use]
    pub fn with_alerts(self, alerts: AlertSink) -> Self {
        Self { alerts, ..self }
    }

    /// Whether this replica leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// The intents.
    pub fn intents(&self) -> MutexGuard<'_, Intents> {
        self.intents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn housekeeping(&self) -> MutexGuard<'_, Housekeeping> {
        self.housekeeping
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    // === what the watches bring ===

    /// The time, by what was taken in, for a read that is sent now.
    pub fn tick(&self) -> Tick {
        self.state.index().tick()
    }

    /// A workload looks like this now.
    pub fn workload_applied(&self, key: &WorkloadKey, workload: Workload, by: By) {
        self.take_in(key, workload, by);
        self.judge(key, Occasion::Look);
    }

    fn take_in(&self, key: &WorkloadKey, workload: Workload, by: By) {
        if workload.is_left_alone() {
            return self.forget(key);
        }
        let rolling = workload.rollout == Rollout::Rolling && !workload.restarted_for.is_empty();
        if self.intents().rolls(key, rolling, Instant::now()) {
            self.intents_changed.notify_one();
        }
        let seen = self.state.index_mut().take_workload(key, workload, by);
        if seen.older {
            self.history.shown_older();
        }
        self.look_after(key, &seen);
        if seen.lost_opt_in {
            self.report_lost_opt_in(key);
        }
        for borrower in &seen.borrowers {
            self.judge(borrower, Occasion::Look);
        }
    }

    /// A workload is gone.
    pub fn workload_deleted(&self, key: &WorkloadKey) {
        self.forget(key);
        self.recreate_next(key);
    }

    /// A workload that was asked for is not there.
    pub fn workload_missed(&self, key: &WorkloadKey, asked: Tick) {
        if !self.state.index().came_meanwhile(key, asked) {
            self.workload_deleted(key);
        }
    }

    fn forget(&self, key: &WorkloadKey) {
        self.state.index_mut().delete_workload(key);
        self.intents().forget(key);
        if self.housekeeping().forget(key) {
            self.housekeeping_changed.notify_one();
        }
    }

    fn namespace_default(&self, name: &str, default: Option<String>) {
        let affected = self.state.index_mut().apply_namespace(name, default);
        for workload in affected {
            if self.is_listed() && self.is_bare(&workload) {
                self.housekeeping().bared(&workload, Bared::Afresh);
            }
            self.judge(&workload, Occasion::Look);
        }
    }

    // === judging ===

    fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Decides for a workload with what is known, and files what follows: an intent, a write of `observed`, or the
    /// reason why it is held. Gives the decision.
    pub fn judge(&self, key: &WorkloadKey, occasion: Occasion<'_>) -> Option<Decision> {
        if !self.is_listed() {
            return None;
        }
        let _filed = self.judging.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = self.state.index_mut().judge(key, &Overlay::new());
        self.file(key, &judged, occasion);
        judged.decision
    }

    /// How long a restart waits for further changes, and how long they can put it off.
    fn quiet_period(&self, judged: &Judged) -> (Duration, Duration) {
        match (judged.settle, judged.gather) {
            (Some(settle), _) => (settle, self.settings.settle_max),
            // What is left of it: the process may have started in the middle.
            (None, Some((period, began))) => {
                let gone = began.map_or(0, |began| self.state.now() - began);
                let gone = Duration::from_secs(gone.try_into().unwrap_or(0));
                (period.saturating_sub(gone), period)
            }
            (None, None) => (self.settings.settle, self.settings.settle_max),
        }
    }

    fn file(&self, key: &WorkloadKey, judged: &Judged, occasion: Occasion<'_>) {
        self.settle_held(key, judged);
        let Some(decision) = &judged.decision else {
            return;
        };
        self.state.metrics.decided(decision.as_str());
        if matches!(decision, Decision::Undecided(Undecided::UnknownKey)) {
            self.state.key_doubted.notify_one();
        }
        let doubt = decision.doubt().map(|(doubt, _)| doubt);
        let due = matches!(decision, Decision::Restart(_))
            || matches!(doubt, Some(Doubt::Behind | Doubt::AskPods | Doubt::AskAges));
        // What is suspended is looked at all the same, so that it is seen to be pending.
        let asks = doubt == Some(Doubt::AskAges);
        if !due {
            // Data was put back, or another replica was faster.
            if self.intents().settled(key) {
                self.state.metrics.intent_ended(IntentOutcome::Void);
            }
        } else if asks || !judged.suspended {
            let (settle, longest) = self.quiet_period(judged);
            let now = Instant::now();
            match occasion {
                Occasion::Change(source) => {
                    self.intents().changed(key, source, now, settle, longest);
                }
                Occasion::Look => self.intents().noticed(key, now, settle),
            }
            let limited = self.intents().newly_limited(key, now);
            if let Some(wait) = limited {
                self.report_limited(key, wait);
            }
            self.intents_changed.notify_one();
        }
    }
}

/// Why a workload is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// This source, which it uses, changed: its quiet period begins anew.
    Change(&'a SourceName),
    /// Anything else.
    Look,
}

pub use crate::model::index::Judged;

fn held(judged: &Judged) -> Option<Held> {
    let Some(decision) = &judged.decision else {
        return judged.owner.is_some().then_some(Held::Owned);
    };
    match decision {
        Decision::Undecided(Undecided::Unreadable) => Some(Held::Unreadable),
        Decision::Undecided(Undecided::NewerFormat) => Some(Held::NewerFormat),
        Decision::Undecided(Undecided::UnknownKey) => Some(Held::UnknownKey),
        Decision::Restart(_) if judged.suspended => Some(Held::Suspended),
        Decision::Wait { causes, .. } if !causes.is_empty() => Some(Held::Missing),
        Decision::Keep(_) | Decision::Record(_) => judged.stays.map(|stays| match stays {
            Stays::Paused => Held::Paused,
            Stays::OnDelete => Held::OnDelete,
            Stays::Partitioned => Held::Partitioned,
        }),
        _ => None,
    }
}
