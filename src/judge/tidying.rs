//! Files the writes of `observed` that restart nothing: adoptions, and annotations that are to be brought up to date.
//!
//! These writes can wait, because what was observed counts in memory at once. And they should wait, because they are
//! not free: the deployment controller answers every write of an annotation with writes of its own. So each kind has a
//! pace, by how well its controller keeps up (`pace`), and one write of each kind is under way at a time; where there
//! is a limit, one of all. The workload whose sources changed last goes first (`queue`). Where another writer writes the
//! workload anyway, the webhook adds `observed` to that write at no cost.

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

/// The workloads whose annotations are to be written, and those whose adoption is to be told; one entry per workload.
#[derive(Debug)]
pub struct Tidying {
    queue: Queue,
    paces: BTreeMap<Kind, Pace>,
    limit: Bucket,
    /// One at a time of all kinds: where writes are few, the order counts.
    is_limited: bool,
    /// The kinds of which a workload is taken now.
    taken: BTreeSet<Kind>,
    reports: BTreeSet<WorkloadKey>,
    /// Workloads that lost or lacked `observed` while reroll was watching them. For these the past that their revisions
    /// tell does not count.
    bared: BTreeMap<WorkloadKey, Bared>,
}

impl Tidying {
    /// Makes an empty one. `limit` is the most writes per second, over all kinds.
    pub fn new(limit: Option<f64>, now: Instant) -> Self {
        let pacing = Pacing {
            rate: limit,
            burst: 10,
        };
        Self {
            queue: Queue::default(),
            paces: BTreeMap::new(),
            limit: Bucket::full(pacing, now),
            is_limited: limit.is_some(),
            taken: BTreeSet::new(),
            reports: BTreeSet::new(),
            bared: BTreeMap::new(),
        }
    }

    /// Files that a workload's annotations are to be written. `written` is when the last of its sources was written, in
    /// unix seconds.
    pub fn write(&mut self, workload: &WorkloadKey, written: i64) {
        self.queue.put(workload, written);
    }

    /// Files the same of a workload that only takes over the uids of sources that were recreated with the same data. It
    /// waits `until` they are calm; `at` tells that moment in unix seconds, and is another one where one was recreated
    /// since.
    pub fn write_when_calm(
        &mut self,
        workload: &WorkloadKey,
        written: i64,
        at: i64,
        until: Instant,
    ) {
        self.queue.put_when_calm(workload, written, at, until);
    }

    /// Files the same of a workload that this write adopts, or that another writer has adopted. Its adoption is to be
    /// told.
    pub fn report(&mut self, workload: &WorkloadKey, written: i64) {
        self.reports.insert(workload.clone());
        self.write(workload, written);
    }

    /// Notes how a workload that was being watched came to be without `observed`.
    pub fn bared(&mut self, workload: &WorkloadKey, how: Bared) {
        self.bared.insert(workload.clone(), how);
    }

    /// Notes that the adoption need not be told any more: another replica tells it, or the workload was restarted.
    pub fn told(&mut self, workload: &WorkloadKey) {
        self.reports.remove(workload);
    }

    /// Notes the state of a workload. Returns whether another one may now be written sooner.
    pub fn seen(&mut self, workload: &WorkloadKey, state: &Workload, now: Instant) -> bool {
        let observed = state.observed_generation.unwrap_or(i64::MAX);
        let pace = self.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.seen(workload, observed, now))
    }

    /// Takes whether the adoption is to be told. Also returns how the workload came to be without `observed`.
    pub fn take_report(&mut self, workload: &WorkloadKey) -> (bool, Option<Bared>) {
        let report = self.reports.remove(workload);
        (report, self.bared.get(workload).copied())
    }

    /// Notes that the adoption is still to be told.
    pub fn report_later(&mut self, workload: &WorkloadKey) {
        self.reports.insert(workload.clone());
    }

    /// Notes a write that was decided on at `began` and raised the workload's generation to this one: its controller
    /// has work now.
    pub fn wrote(&mut self, workload: &WorkloadKey, generation: i64, began: Instant, now: Instant) {
        let pace = self.paces.entry(workload.kind);
        pace.or_insert_with(Pace::new)
            .wrote(workload, generation, began, now);
    }

    /// Forgets a workload that is gone. Returns whether another one may now be written sooner.
    pub fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.queue.forget(workload);
        self.reports.remove(workload);
        self.bared.remove(workload);
        let pace = self.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.forget(workload))
    }

    /// Has a workload tried again now that waits for another try: what held it up is over.
    pub fn resume(&mut self, workload: &WorkloadKey) {
        self.queue.resume(workload);
    }

    /// Takes the workload to write next, if one may be written now. Until [`Self::finish`] no other of its kind is.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        if self.limit.ready(now) > now {
            return None;
        }
        let busy = (&self.taken, self.is_limited);
        let paces = &self.paces;
        let may = |kind| opens(paces, busy, kind, now).is_some_and(|at| at <= now);
        let due = self.queue.take(now, may)?;
        self.taken.insert(due.workload.kind);
        Some(due)
    }

    /// Counts a write against the limit, right before it is made. A turn that writes nothing counts for nothing.
    pub fn writes(&mut self, now: Instant) {
        self.limit.take(now);
    }

    /// Returns when [`Self::take`] can return something next; `None` where nothing waits but for what is taken.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let busy = (&self.taken, self.is_limited);
        let next = self
            .queue
            .next(|kind| opens(&self.paces, busy, kind, now))?;
        Some(next.max(self.limit.ready(now)))
    }

    /// Ends a write that was taken. `bare`: the workload is without `observed` even so.
    pub fn finish(&mut self, due: Due, finish: Finish, bare: bool, now: Instant) {
        self.taken.remove(due.workload.kind);
        match finish {
            Finish::Retry(after) => self.queue.put_back(due, after, now),
            Finish::Over if bare => {}
            Finish::Over | Finish::Parked => {
                // Events that were still on the way may have filed the same again.
                self.told(&due.workload);
                self.bared.remove(&due.workload);
            }
        }
    }
}

/// Returns when the next workload of a kind may be written; `None`: when what is taken is finished. With `alone` no two are.
fn opens(
    paces: &BTreeMap<Kind, Pace>,
    (taken, alone): (&BTreeSet<Kind>, bool),
    kind: Kind,
    now: Instant,
) -> Option<Instant> {
    let is_busy = taken.contains(kind) || alone && !taken.is_empty();
    (!is_busy).then(|| paces.get(kind).map_or(now, |pace| pace.opens(now)))
}
