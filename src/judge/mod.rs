//! Decides for workloads, and files what is to be done about them.
//!
//! Everything that becomes known goes through [`Judge`]: the watches tell it what the API server shows, [`live`] what the API server
//! answers. The judge takes that into the index, decides by the model, and files the result in one [`Docket`]: an intent to restart,
//! a write of `observed`, or the reason why a workload is held. The restarter and the housekeeper take it from there.
//!
//! Invariants:
//! - The docket stays locked from a decision until its result is filed. Otherwise a thread with an older decision could
//!   undo what a newer one filed.
//! - The docket is locked before the index, never after it.

pub mod absences;
pub mod brakes;
pub mod braking;
pub mod bucket;
mod by_namespace;
mod by_time;
pub mod claims;
pub mod contradictions;
pub mod convergence;
pub mod docket;
pub mod held;
pub mod intents;
pub mod live;
pub mod missing;
mod opting;
pub mod others;
pub mod reads;
mod reconcile;
mod settings;
pub mod stopped;
mod taking;
#[cfg(test)]
pub(crate) mod testing;
pub mod tidying;
mod turns;
pub mod unshown;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, task::yield_now, time::Instant};

pub use self::settings::Settings;
use self::{docket::Docket, turns::Turns, unshown::Unshown};
use crate::{
    cluster::history::History,
    model::{
        Decision, SourceName, Version, WorkloadKey,
        decide::{Doubt, Undecided},
        held::Held,
        index::{Judged, Overlay, Tick},
        peer::{May, Peers},
        version::key_of,
    },
    ops::{metrics::labels::IntentOutcome, teller::Teller},
    state::State,
};

/// Decides, and files the result. Shared by everything that learns or acts.
pub struct Judge {
    /// The index and the setup, shared with the webhook.
    pub state: Arc<State>,
    /// Tells people, and counts.
    pub teller: Teller,
    /// What is known of etcd's history: whether it went back.
    pub history: Arc<History>,
    /// Notified when an intent was filed, or one may be due sooner.
    pub intents_changed: Notify,
    /// Notified when a restart that a brake holds may be made sooner.
    pub brakes_changed: Notify,
    /// Notified when a write of `observed` was filed, or one may be due sooner.
    pub tidying_changed: Notify,
    /// Notified when something is absent, or is back.
    pub absences_changed: Notify,
    /// Notified when everything is held, or is held no more.
    pub stop_changed: Notify,
    /// Notified when a workload is gone that is restarted by re-creation (a Job).
    pub replaceable_gone: Notify,
    /// What is to be read because no watch shows it, or not all of it is kept.
    pub unshown: Unshown,
    docket: Mutex<Docket>,
    turns: Mutex<Turns>,
    /// Notified when a decision begins to wait for its turn.
    turns_changed: Notify,
    /// Whether [`Self::take_turns`] is at work. Before that nothing waits.
    takes_turns: AtomicBool,
    settings: Settings,
    /// Whether every first list is complete. Before that nothing is judged, because absence would mean nothing.
    listed: AtomicBool,
}

/// Why a workload is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A source that it uses has changed: its quiet period begins anew.
    Change(&'a SourceName),
    /// Anything else.
    Look,
}

impl Judge {
    /// Makes a judge that has seen nothing yet.
    pub fn new(
        state: Arc<State>,
        teller: Teller,
        history: Arc<History>,
        settings: Settings,
    ) -> Self {
        let docket = Docket::new(
            settings.bounds,
            settings.adopt_rate,
            settings.brakes,
            Instant::now(),
        );
        Self {
            state,
            teller,
            history,
            intents_changed: Notify::new(),
            brakes_changed: Notify::new(),
            tidying_changed: Notify::new(),
            absences_changed: Notify::new(),
            stop_changed: Notify::new(),
            replaceable_gone: Notify::new(),
            unshown: Unshown::default(),
            docket: Mutex::new(docket),
            turns: Mutex::default(),
            turns_changed: Notify::new(),
            takes_turns: AtomicBool::new(false),
            settings,
            listed: AtomicBool::new(false),
        }
    }

    /// Locks the docket. Do not hold the lock across an await, and do not lock the index before it.
    pub fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock()
    }

    /// Whether every first list is complete.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Decides for a workload by what is known, and files the result. Returns the decision; `None` before every first
    /// list is complete, or where there is nothing to decide ([`Judged::decision`]).
    pub fn judge(&self, key: &WorkloadKey, occasion: Occasion<'_>) -> Option<Decision> {
        if !self.is_listed() {
            return None;
        }
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge(key, &Overlay::new());
        self.file(&mut docket, key, &judged, occasion);
        judged.decision
    }

    /// Decides for a workload like [`Self::judge`], now or when it is the turn of its namespace.
    pub fn judge_in_turn(&self, key: &WorkloadKey, occasion: Occasion<'_>) {
        let mut turns = self.turns.lock();
        let may = || turns.may(&key.namespace, Instant::now());
        if self.takes_turns.load(Ordering::Acquire) && !may() {
            let change = match occasion {
                Occasion::Change(source) => Some(source),
                Occasion::Look => None,
            };
            turns.wait(key, change);
            self.turns_changed.notify_one();
            return;
        }
        drop(turns);
        self.judge_timed(key, occasion);
    }

    /// Makes the decisions that wait, by turns of namespaces, until it is dropped.
    pub async fn take_turns(self: Arc<Self>) {
        self.takes_turns.store(true, Ordering::Release);
        loop {
            let next = self.turns.lock().next();
            let Some((key, change)) = next else {
                self.turns_changed.notified().await;
                continue;
            };
            let occasion = change.as_ref().map_or(Occasion::Look, Occasion::Change);
            self.judge_timed(&key, occasion);
            // Watches go on, and calls.
            yield_now().await;
        }
    }

    /// Returns the namespace of each workload that waits for a decision.
    pub fn waiting(&self) -> Vec<String> {
        self.turns.lock().waiting()
    }

    fn judge_timed(&self, key: &WorkloadKey, occasion: Occasion<'_>) {
        let began = Instant::now();
        self.judge(key, occasion);
        let now = Instant::now();
        let mut turns = self.turns.lock();
        turns.took(&key.namespace, now.saturating_duration_since(began), now);
    }

    /// Returns what may be done with a workload: another installation may work in its namespace.
    pub fn may(&self, key: &WorkloadKey) -> May {
        let other = self.other_key(key);
        let ask = |peers: &mut Peers, now| peers.may(&key.namespace, other.as_deref(), now);
        self.state.peers(ask)
    }

    /// Returns the digest key that a workload's `observed` is under, where another installation may have written that.
    pub fn other_key(&self, key: &WorkloadKey) -> Option<String> {
        let index = self.state.index();
        let other = index.workload(key)?.other_installation();
        other.map(ToOwned::to_owned)
    }

    /// Decides again for a workload whose intent was taken. Files everything but an intent.
    pub fn judge_taken(&self, key: &WorkloadKey) -> Judged {
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge(key, &Overlay::new());
        self.file_held(&mut docket, key, &judged, self.may(key));
        judged
    }

    /// Decides again like [`Self::judge_taken`], with `reads` of sources that were sent at `asked`.
    pub fn judge_read(
        &self,
        key: &WorkloadKey,
        asked: Tick,
        reads: &[(SourceName, Option<Version>)],
    ) -> Judged {
        let mut docket = self.docket();
        let judged = self.state.index_mut().judge_read(key, asked, reads);
        self.file_held(&mut docket, key, &judged, self.may(key));
        judged
    }

    fn file(
        &self,
        docket: &mut Docket,
        key: &WorkloadKey,
        judged: &Judged,
        occasion: Occasion<'_>,
    ) {
        let may = self.may(key);
        self.file_held(docket, key, judged, may);
        let Some(decision) = &judged.decision else {
            // It has not opted in any more. Only a leader would find that out by taking the intent.
            return self.settle(docket, key);
        };
        self.teller.metrics.decided(decision.as_str());
        if matches!(decision, Decision::Undecided(Undecided::UnknownKey)) {
            self.state.key_doubted.notify_one();
        }
        let doubt = decision.doubt();
        let waits_for_read = match doubt {
            Some((Doubt::Behind, sources)) => self.read_if_unread(key, sources),
            _ => false,
        };
        let doubt = doubt.map(|(doubt, _)| doubt);
        let restarts = matches!(decision, Decision::Restart(_)) && may == May::Work;
        // Where another installation may work it is asked all the same: that one may be gone, and nobody else knows what the pods
        // of a workload have that was made meanwhile.
        let asks_first = matches!(doubt, Some(Doubt::Behind | Doubt::AskPods | Doubt::AskAges))
            && !waits_for_read;
        let due = restarts || asks_first;
        // The pods of a suspended workload are looked at all the same: what they have counts from now on, and its restart is
        // seen to be pending.
        let asks = matches!(doubt, Some(Doubt::AskAges | Doubt::AskPods));
        if !due {
            // The data was restored, or another replica was faster.
            self.settle(docket, key);
        } else if asks || !judged.is_held_back() {
            self.file_intent(docket, key, judged, occasion);
        } else if docket.brakes.waits(key).is_some() {
            // It waits for nobody but the one who holds it.
            self.settle(docket, key);
        }
    }

    /// Has those read of which single keys are not known. Returns whether that is all of them: the workload is judged again
    /// then.
    fn read_if_unread(&self, key: &WorkloadKey, sources: &[SourceName]) -> bool {
        let index = self.state.index();
        let (mut all, mut unread) = (true, Vec::new());
        for source in sources {
            let known = index.source(&key.namespace, source).version();
            if known.is_some_and(|version| !version.tells_all()) {
                unread.push(key_of(&key.namespace, source));
            } else {
                all = false;
            }
        }
        drop(index);
        self.unshown.read_now(unread, Instant::now());
        all
    }

    fn settle(&self, docket: &mut Docket, key: &WorkloadKey) {
        if docket.brakes.settled(key) {
            self.brakes_changed.notify_one();
        }
        if docket.intents.settled(key) {
            self.teller.metrics.intent_ended(IntentOutcome::Void);
        }
    }

    fn file_intent(
        &self,
        docket: &mut Docket,
        key: &WorkloadKey,
        judged: &Judged,
        occasion: Occasion<'_>,
    ) {
        let (settle, longest) = self.settings.quiet_period(judged, self.state.now());
        let now = Instant::now();
        if judged.released {
            docket.intents.let_past(key);
        }
        match occasion {
            Occasion::Change(source) => docket.intents.changed(key, source, now, settle, longest),
            Occasion::Look => docket.intents.noticed(key, now, settle),
        }
        self.intents_changed.notify_one();
    }

    /// Files who holds the workload. Returns whether that is somebody else now, or for another reason.
    fn file_stopped(
        &self,
        docket: &mut Docket,
        key: &WorkloadKey,
        judged: &Judged,
        held: Option<Held>,
    ) -> bool {
        match (&judged.stop, &judged.decision) {
            (Some(stop), Some(Decision::Restart(restart))) if held == Some(Held::Suspended) => {
                let now = self.state.time();
                let index = self.state.index();
                docket.stopped.hold(&index, key, (stop, restart), now)
            }
            _ => {
                docket.stopped.let_go(key);
                false
            }
        }
    }

    /// Files why a decision holds the workload, and that its `observed` is to be written.
    fn file_held(&self, docket: &mut Docket, key: &WorkloadKey, judged: &Judged, may: May) {
        let held = Held::of(judged, may);
        let restarts = matches!(judged.decision, Some(Decision::Restart(_)));
        // Only the next write shows whether such a reason still holds (no room, a dropped mark, an active run, a
        // refusal). Until then it stays, and is no news. What was refused is a restart, and nothing else.
        let stands = docket.held.of(key);
        let stays = held.is_none()
            && (restarts || (judged.unwritten && stands != Some(Held::Refused)))
            && stands.is_some_and(Held::shows_at_a_write);
        let other = self.file_stopped(docket, key, judged, held);
        let news = !stays && (docket.held.hold(key, held) || other);
        if let (Some(held), true) = (held, news && held != Some(Held::Missing)) {
            self.teller.held(key, held, judged);
        }
        let (settle, now) = (self.settings.settle, Instant::now());
        if docket.absences.file(key, (judged, held), settle, now) {
            self.absences_changed.notify_one();
        }
        if docket.held.complain(key, &judged.complaints) {
            self.teller.complaints(key, &judged.complaints);
        }
        if judged.unwritten && may != May::Hold {
            self.tidy_later(docket, key);
        }
    }
}

#[cfg(test)]
mod tests;
