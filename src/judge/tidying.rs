//! Writes of `observed` that restart nothing: adoption, and bringing annotations up to date.
//!
//! What was observed counts in memory at once, so these writes can wait, and they are not free: the deployment
//! controller answers every annotation write with writes of its own. So each kind has a pace that follows from how its
//! controller keeps up (`pace`), what changed last goes first (`queue`), and the webhook makes these writes for
//! nothing wherever somebody writes the workload anyway.

mod pace;
mod queue;

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

pub use self::queue::Due;
use self::{pace::Pace, queue::Queue};
use super::{
    bucket::{Bucket, Pacing},
    intents::Finish,
};
use crate::model::{Kind, WorkloadKey, index::Bared, workload::Workload};

/// Workloads whose annotations are to be written, and those whose adoption is to be reported; one entry per workload.
#[derive(Debug)]
pub struct Tidying {
    queue: Queue,
    paces: BTreeMap<Kind, Pace>,
    limit: Bucket,
    reports: BTreeSet<WorkloadKey>,
    /// Those that came to be without `observed` while they were known: what their revisions tell of former times is no
    /// matter.
    bared: BTreeMap<WorkloadKey, Bared>,
}

impl Tidying {
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

    /// Takes out whether its adoption is to be told. Returns also how it came to be without `observed`.
    pub fn take_report(&mut self, workload: &WorkloadKey) -> (bool, Option<Bared>) {
        let report = self.reports.remove(workload);
        (report, self.bared.get(workload).copied())
    }

    /// Its adoption is still to be told.
    pub fn report_later(&mut self, workload: &WorkloadKey) {
        self.reports.insert(workload.clone());
    }

    /// What was to be written at `began` was: that raised its generation to this, so its controller has work now.
    pub fn wrote(&mut self, workload: &WorkloadKey, generation: i64, began: Instant, now: Instant) {
        let pace = self.paces.entry(workload.kind);
        pace.or_insert_with(Pace::new)
            .wrote(workload, generation, began, now);
    }

    /// The workload is gone. Gives whether another one may be written for it sooner.
    pub fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.queue.forget(workload);
        self.reports.remove(workload);
        self.bared.remove(workload);
        let pace = self.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.forget(workload))
    }

    /// Takes what is to be written next, if it may be written by now.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
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
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.queue.next(|kind| opens(&self.paces, kind, now))?;
        Some(next.max(self.limit.ready(now)))
    }

    /// What was taken is over, or is tried again. `bare`: it is without `observed` all the same.
    pub fn finish(&mut self, due: Due, finish: Finish, bare: bool, now: Instant) {
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

/// When the next of a kind may be written.
fn opens(paces: &BTreeMap<Kind, Pace>, kind: Kind, now: Instant) -> Instant {
    paces.get(kind).map_or(now, |pace| pace.opens(now))
}
