//! Writes of `observed` that restart nothing: adoption, and bringing annotations up to date.
//!
//! What was observed counts in memory at once, so these writes can wait, and they are not free: the deployment
//! controller answers every annotation write with writes of its own. So each kind has a pace that follows from how its
//! controller keeps up (`pace`), what changed last goes first (`queue`), and the webhook makes these writes for
//! nothing wherever somebody writes the workload anyway.

mod notice;
mod pace;
mod queue;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    pace::Pace,
    queue::{Due, Queue},
};
use super::{
    Controller,
    adopted::Examined,
    adoption::{Outdated, Unknown},
    failure::Failure,
    intents::{Bucket, Finish, Held, Intent, Pacing},
    restart::backoff,
};
use crate::model::{Kind, WorkloadKey, index::Bared, patch, workload::Workload};

/// Workloads whose annotations are to be written, and those whose adoption is to be reported; one entry per workload.
#[derive(Debug)]
pub struct Housekeeping {
    queue: Queue,
    paces: BTreeMap<Kind, Pace>,
    limit: Bucket,
    reports: BTreeSet<WorkloadKey>,
    /// Those that came to be without `observed` while they were known: what their revisions tell of former times is no
    /// matter.
    bared: BTreeMap<WorkloadKey, Bared>,
}

impl Housekeeping {
    /// Nothing to do yet; `limit` is per second, over all kinds.
    pub fn new(limit: Option<f64>, now: Instant) -> Self {
        let pacing = Pacing {
            rate: limit,
            burst: 10,
        };
        Self {
            queue: Queue::default(),
            paces: BTreeMap::new(),
            limit: Bucket::full(pacing, now),
            reports: BTreeSet::new(),
            bared: BTreeMap::new(),
        }
    }

    /// Its annotations are to be written; the last of its sources was written then, in unix seconds.
    pub fn write(&mut self, workload: &WorkloadKey, written: i64) {
        self.queue.put(workload, written);
    }

    /// The same, and it is adopted by that, or was by somebody else's write: what is found is to be told.
    pub fn report(&mut self, workload: &WorkloadKey, written: i64) {
        self.reports.insert(workload.clone());
        self.write(workload, written);
    }

    /// It came to be without `observed` while it was known.
    pub fn bared(&mut self, workload: &WorkloadKey, how: Bared) {
        self.bared.insert(workload.clone(), how);
    }

    /// Nothing is to be told of its adoption any more: another replica does, or it was restarted.
    pub fn told(&mut self, workload: &WorkloadKey) {
        self.reports.remove(workload);
    }

    /// It is there in this state. Gives whether another one may be written for it sooner.
    pub fn seen(&mut self, workload: &WorkloadKey, state: &Workload, now: Instant) -> bool {
        let observed = state.observed_generation.unwrap_or(i64::MAX);
        let pace = self.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.seen(workload, observed, now))
    }

    /// The workload is gone. Gives whether another one may be written for it sooner.
    pub fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.queue.forget(workload);
        self.reports.remove(workload);
        self.bared.remove(workload);
        let pace = self.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.forget(workload))
    }

    fn take(&mut self, now: Instant) -> Option<Due> {
        if self.limit.ready(now) > now {
            return None;
        }
        let paces = &self.paces;
        let due = self
            .queue
            .take(now, |kind| opens(paces, kind, now) <= now)?;
        self.limit.take(now);
        Some(due)
    }

    /// When [`Self::take`] can give something; `None` where there is nothing to wait for.
    fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.queue.next(|kind| opens(&self.paces, kind, now))?;
        Some(next.max(self.limit.ready(now)))
    }

    /// What was taken is over, or is tried again. `bare`: it is without `observed` all the same.
    fn finish(&mut self, due: Due, finish: Finish, bare: bool, now: Instant) {
        match finish {
            Finish::Retry(after) => self.queue.put_back(due, after, now),
            Finish::Over if bare => {}
            Finish::Over => {
                // Events on the way may have asked for the same once more.
                self.told(&due.workload);
                self.bared.remove(&due.workload);
            }
        }
    }
}

/// What is to be written of a workload that is known.
struct Unwritten {
    /// The new `observed`, unless it is removed.
    text: Option<String>,
    /// `None` where somebody was faster.
    patch: Option<patch::Patch>,
    /// The mark that it had.
    mark: String,
}

/// When the next of a kind may be written.
fn opens(paces: &BTreeMap<Kind, Pace>, kind: Kind, now: Instant) -> Instant {
    paces.get(kind).map_or(now, |pace| pace.opens(now))
}

impl Controller {
    /// Writes what is due, one at a time, until `stop`.
    pub async fn keep_house(self: Arc<Self>, stop: CancellationToken) {
        let mut leadership = self.leadership.clone();
        while !stop.is_cancelled() {
            let leads = leadership.leads();
            let taken = if leads {
                self.housekeeping().take(Instant::now())
            } else {
                None
            };
            if let Some(due) = taken {
                let before = self.generation(&due.workload);
                let began = Instant::now();
                let finish = self.tidy(&due).await;
                self.wrote(&due.workload, before, began);
                let bare = self.is_bare(&due.workload);
                self.housekeeping()
                    .finish(due, finish, bare, Instant::now());
                continue;
            }
            let next = self.housekeeping().next(Instant::now()).filter(|_| leads);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.housekeeping_changed.notified() => {}
                () = leadership.changed() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    async fn tidy(&self, due: &Due) -> Finish {
        let (key, attempts) = (&due.workload, due.attempts);
        if self.intents().is_taken(key) {
            // It is being restarted, which writes the same annotation.
            return Finish::Retry(backoff(0));
        }
        let (report, bared) = {
            let mut housekeeping = self.housekeeping();
            let bared = housekeeping.bared.get(key).copied();
            (housekeeping.reports.remove(key), bared)
        };
        let examined = self.examine(key).await;
        if matches!(examined, Examined::Later) {
            if report {
                self.housekeeping().reports.insert(key.clone());
            }
            return Finish::Retry(backoff(attempts));
        }
        let Some(Unwritten { text, patch, mark }) = self.unwritten(key) else {
            return Finish::Over;
        };
        let adopts = report && bared != Some(Bared::Restored);
        let found = adopts && bared.is_none();
        if text.is_some_and(|text| !self.has_room(key, text.len())) {
            return Finish::Over;
        }
        let outdated = if adopts {
            self.outdated(key, found).await
        } else {
            Ok(Outdated::default())
        };
        let restart = match examined {
            Examined::Behind(restart) => Some(*restart),
            // What they have is known better than by times.
            Examined::Stands | Examined::Later => None,
            Examined::Nothing => outdated
                .as_ref()
                .ok()
                .and_then(|outdated| self.restart_outdated(key, &mark, outdated)),
        };
        let finish = match (restart, patch) {
            // A report that nobody can make holds nothing up; a restart that may be asked for does, and so does one that
            // may have been missed.
            _ if self.must_know(key, outdated.as_ref().err(), found) => {
                Finish::Retry(backoff(attempts))
            }
            (Some(restart), _) => {
                let mut intent = Intent::now(key, Instant::now());
                intent.attempts = attempts;
                self.restart_adopted(&intent, &restart).await
            }
            (None, Some(patch)) => self.tidy_up(key, patch, attempts).await,
            (None, None) => Finish::Over,
        };
        match finish {
            Finish::Over if adopts => {
                self.report_adoption(key, &outdated.unwrap_or_default().sources);
            }
            Finish::Retry(_) if adopts => {
                self.housekeeping().reports.insert(key.clone());
            }
            _ => {}
        }
        finish
    }

    fn unwritten(&self, key: &WorkloadKey) -> Option<Unwritten> {
        let index = self.state.index();
        let workload = &index.workload(key)?.workload;
        let mark = workload.restarted_for.clone();
        let (text, patch) = match index.unwritten(key) {
            None => (None, None),
            Some(None) => (None, Some(patch::forget(key.kind, workload))),
            Some(Some(text)) => {
                let patch = patch::record(key.kind, workload, &text);
                (Some(text), Some(patch))
            }
        };
        Some(Unwritten { text, patch, mark })
    }

    async fn tidy_up(&self, key: &WorkloadKey, patch: patch::Patch, attempts: u32) -> Finish {
        match self.write(key, patch).await {
            Ok(()) => {
                self.state.metrics.housekeeping_written();
                let mut intents = self.intents();
                if intents.held(key) == Some(Held::NoRoom) {
                    intents.hold(key, None);
                }
                Finish::Over
            }
            Err(Failure::Gone) => Finish::Over,
            Err(failure) => {
                tracing::debug!(workload = %key, failure = failure.as_str(), attempts, "did not write observed, trying again");
                Finish::Retry(backoff(attempts))
            }
        }
    }

    /// Whether a workload cannot be adopted before it is known what is outdated.
    fn must_know(&self, key: &WorkloadKey, unknown: Option<&Unknown>, found: bool) -> bool {
        unknown
            .is_some_and(|why| self.asks_at_adoption(key) || (found && *why == Unknown::NoAnswer))
    }
}
