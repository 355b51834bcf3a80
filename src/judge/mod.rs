//! Decides for workloads, and files what is to be done about them.
//!
//! Whatever becomes known goes through [`Judge`]: watches tell it what the API server shows, [`live`] what the API server
//! answered. It takes that into the index, decides by the core, and files what follows in one [`Docket`]: an intent to
//! restart, a write of `observed`, or the reason why a workload is held. Who restarts and writes takes it from there.
//!
//! Invariant: from a decision until what follows is filed the docket is locked. Else an older decision, of another
//! thread, could take back what a newer one filed. The docket is locked before the index, never after.

pub mod bucket;
pub mod claims;
pub mod docket;
pub mod held;
pub mod intents;
pub mod live;
mod reconcile;
mod taking;
#[cfg(test)]
pub(crate) mod testing;
pub mod tidying;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use self::{bucket::Bounds, docket::Docket};
use crate::{
    cluster::history::History,
    model::{
        Decision, SourceName, Version, WorkloadKey,
        decide::{Doubt, Undecided},
        held::Held,
        index::{Judged, Overlay, Tick},
        workload::Stays,
    },
    ops::{metrics::labels::IntentOutcome, teller::Teller},
    state::State,
};

/// How restarts are gathered and paced, and how workloads are looked after.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The quiet period after a change before its restart.
    pub settle: Duration,
    /// The longest that further changes can put a restart off; at least `settle`.
    pub settle_max: Duration,
    /// What bounds restarts.
    pub bounds: Bounds,
    /// The most writes per second that adopt workloads; `None` means no limit but the pace of their controllers.
    pub adopt_rate: Option<f64>,
    /// The time between two sweeps over all workloads.
    pub sweep_interval: Duration,
}

/// Decides, and files what follows. Shared by everything that learns or acts.
pub struct Judge {
    /// What is known, shared with the webhook.
    pub state: Arc<State>,
    /// Tells people, and counts.
    pub teller: Teller,
    /// What is known of etcd's history.
    pub history: Arc<History>,
    /// Rung when an intent was filed, or one may be due sooner.
    pub intents_changed: Notify,
    /// Rung when a write of `observed` was filed, or one may be due sooner.
    pub tidying_changed: Notify,
    /// Rung when a workload is gone that another one may be created in the place of.
    pub replaceable_gone: Notify,
    docket: Mutex<Docket>,
    settings: Settings,
    /// Until every first list is complete nothing is judged: absence would mean nothing.
    listed: AtomicBool,
}

/// Why a workload is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// This source, which it uses, changed: its quiet period begins anew.
    Change(&'a SourceName),
    /// Anything else.
    Look,
}

impl Judge {
    /// Makes one that has seen nothing yet.
    pub fn new(
        state: Arc<State>,
        teller: Teller,
        history: Arc<History>,
        settings: Settings,
    ) -> Self {
        let docket = Docket::new(settings.bounds, settings.adopt_rate, Instant::now());
        Self {
            state,
            teller,
            history,
            intents_changed: Notify::new(),
            tidying_changed: Notify::new(),
            replaceable_gone: Notify::new(),
            docket: Mutex::new(docket),
            settings,
            listed: AtomicBool::new(false),
        }
    }

    /// Returns what is filed. Do not hold it across an await, and do not lock the index before.
    pub fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock()
    }

    /// Whether every first list is complete.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Decides for a workload with what is known, and files what follows. Returns the decision.
    pub fn judge(&self, key: &WorkloadKey, occasion: Occasion<'_>) -> Option<Decision> {
        if !self.is_listed() {
            return None;
        }
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge(key, &Overlay::new());
        self.file(&mut docket, key, &judged, occasion);
        judged.decision
    }

    /// Decides once more for a workload whose intent was taken: files everything but an intent.
    pub fn judge_taken(&self, key: &WorkloadKey) -> Judged {
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge(key, &Overlay::new());
        self.file_held(&mut docket, key, &judged);
        judged
    }

    /// The same, with sources as the API server answered to what was asked at that moment.
    pub fn judge_read(
        &self,
        key: &WorkloadKey,
        asked: Tick,
        reads: &[(SourceName, Option<Version>)],
    ) -> Judged {
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge_read(key, asked, reads);
        self.file_held(&mut docket, key, &judged);
        judged
    }

    fn file(
        &self,
        docket: &mut Docket,
        key: &WorkloadKey,
        judged: &Judged,
        occasion: Occasion<'_>,
    ) {
        self.file_held(docket, key, judged);
        let Some(decision) = &judged.decision else {
            return;
        };
        self.teller.metrics.decided(decision.as_str());
        if matches!(decision, Decision::Undecided(Undecided::UnknownKey)) {
            self.state.key_doubted.notify_one();
        }
        let doubt = decision.doubt().map(|(doubt, _)| doubt);
        let due = matches!(decision, Decision::Restart(_))
            || matches!(doubt, Some(Doubt::Behind | Doubt::AskPods | Doubt::AskAges));
        // What is suspended is looked at all the same, so that it is seen to be pending.
        let asks = doubt == Some(Doubt::AskAges);
        if !due {
            // Data was restored, or another replica was faster.
            if docket.intents.settled(key) {
                self.teller.metrics.intent_ended(IntentOutcome::Void);
            }
        } else if asks || !judged.suspended {
            self.file_intent(docket, key, judged, occasion);
        }
    }

    fn file_intent(
        &self,
        docket: &mut Docket,
        key: &WorkloadKey,
        judged: &Judged,
        occasion: Occasion<'_>,
    ) {
        let (settle, longest) = self.quiet_period(judged);
        let now = Instant::now();
        match occasion {
            Occasion::Change(source) => docket.intents.changed(key, source, now, settle, longest),
            Occasion::Look => docket.intents.noticed(key, now, settle),
        }
        if let Some(wait) = docket.intents.newly_limited(key, now) {
            self.teller.limited(key, wait);
        }
        self.intents_changed.notify_one();
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

    /// Files what a decision holds against the workload, and what is to be written of it.
    fn file_held(&self, docket: &mut Docket, key: &WorkloadKey, judged: &Judged) {
        let held = held_by(judged);
        let restarts = judged
            .decision
            .as_ref()
            .is_some_and(|decision| matches!(decision, Decision::Restart(_)));
        // Whether there is room by now, or a place, shows when it is written; until then it is no news.
        let stays = held.is_none()
            && (restarts || judged.unwritten)
            && docket.held.of(key).is_some_and(Held::shows_at_a_write);
        let news = !stays && docket.held.hold(key, held);
        if let (Some(held), true) = (held, news) {
            self.teller.held(key, held, judged);
        }
        if docket.held.complain(key, &judged.complaints) {
            self.teller.complaints(key, &judged.complaints);
        }
        if judged.unwritten {
            self.tidy_later(docket, key);
        }
    }
}

/// Why no intent can help a workload, by this decision.
fn held_by(judged: &Judged) -> Option<Held> {
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

#[cfg(test)]
mod tests;
