//! Files the writes of `observed` that restart nothing: adoptions, and annotations that are to be brought up to date.
//!
//! These writes can wait, because what was observed counts in memory at once. And they should wait, because they are
//! not free: the deployment controller answers every write of an annotation with writes of its own. So each kind has a
//! pace, by how well its controller keeps up (`pace`), which also says how many are under way at a time; where there is
//! a limit, one of all. The workload whose sources changed last goes first (`queue`). Where another writer writes the
//! workload anyway, the webhook adds `observed` to that write at no cost.

mod pace;
mod queue;

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use self::{pace::Pace, queue::Queue};
pub use self::{pace::SIDE_BY_SIDE, queue::Due};
use super::{
    bucket::{Bucket, Pacing},
    intents::Finish,
};
use crate::model::{Kind, WorkloadKey, index::Bared, workload::Workload};

/// The workloads whose annotations are to be written, and those whose adoption is to be told; one entry per workload.
#[derive(Debug)]
pub struct Tidying {
    queue: Queue,
    turns: Turns,
    limit: Bucket,
    reports: BTreeSet<WorkloadKey>,
    /// Workloads that lost or lacked `observed` while reroll was watching them. For these the past that their revisions
    /// tell does not count.
    bared: BTreeMap<WorkloadKey, Bared>,
}

/// Which kinds have a turn.
#[derive(Debug)]
struct Turns {
    /// Of the kinds of which at least one was written.
    paces: BTreeMap<Kind, Pace>,
    /// One at a time of all kinds: where writes are few, the order counts.
    is_limited: bool,
    /// The workloads that are taken now.
    taken: BTreeSet<WorkloadKey>,
    /// Those of them that were written.
    wrote: BTreeSet<WorkloadKey>,
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
            turns: Turns {
                paces: BTreeMap::new(),
                is_limited: limit.is_some(),
                taken: BTreeSet::new(),
                wrote: BTreeSet::new(),
            },
            limit: Bucket::full(pacing, now),
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
        let pace = self.turns.paces.get_mut(workload.kind);
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
        let pace = self.turns.paces.entry(workload.kind);
        pace.or_insert_with(Pace::new)
            .wrote(workload, generation, began, now);
    }

    /// Forgets a workload that is gone. Returns whether another one may now be written sooner.
    pub fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.queue.forget(workload);
        self.reports.remove(workload);
        self.bared.remove(workload);
        let pace = self.turns.paces.get_mut(workload.kind);
        pace.is_some_and(|pace| pace.forget(workload))
    }

    /// Has a workload tried again now that waits for another try: what held it up is over.
    pub fn resume(&mut self, workload: &WorkloadKey) {
        self.queue.resume(workload);
    }

    /// Takes the workload to write next, if one may be written now. It is not taken again until [`Self::finish`].
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        if self.limit.ready(now) > now {
            return None;
        }
        let turns = &self.turns;
        let may = |kind| turns.opens(kind, now).is_some_and(|at| at <= now);
        let due = self.queue.take(now, &turns.taken, may)?;
        self.turns.begins(&due.workload, now);
        Some(due)
    }

    /// Counts a write against the limit, right before it is made. A turn that writes nothing counts for nothing.
    pub fn writes(&mut self, workload: &WorkloadKey, now: Instant) {
        self.limit.take(now);
        self.turns.wrote.insert(workload.clone());
    }

    /// Counts a restart in place of a write. It is work for the controller, and does not tell whether writes are.
    pub fn restarts(&mut self, now: Instant) {
        self.limit.take(now);
    }

    /// Returns when [`Self::take`] can return something next; `None` where nothing waits but for what is taken.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let turns = &self.turns;
        let next = self
            .queue
            .next(&turns.taken, |kind| turns.opens(kind, now))?;
        Some(next.max(self.limit.ready(now)))
    }

    /// Ends a write that was taken. `bare`: the workload is without `observed` even so.
    pub fn finish(&mut self, due: Due, finish: Finish, bare: bool, now: Instant) {
        self.turns.ended(&due.workload, finish == Finish::Over);
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

impl Turns {
    fn begins(&mut self, workload: &WorkloadKey, now: Instant) {
        self.taken.insert(workload.clone());
        if let Some(pace) = self.paces.get_mut(workload.kind) {
            pace.begins(now);
        }
    }

    /// Ends a turn. `done`: what it wrote was accepted.
    fn ended(&mut self, workload: &WorkloadKey, done: bool) {
        self.taken.remove(workload);
        if self.wrote.remove(workload) && done {
            let pace = self.paces.entry(workload.kind);
            pace.or_insert_with(Pace::new);
        }
    }

    /// Returns when the next workload of a kind may be written; `None`: when one that is taken is finished.
    fn opens(&self, kind: Kind, now: Instant) -> Option<Instant> {
        let pace = self.paces.get(kind);
        let (under_way, most) = if self.is_limited {
            (self.taken.len(), 1)
        } else {
            let of_kind = self.taken.iter().filter(|taken| taken.kind == kind);
            // Until one was written, nobody knows whether that is work for the controller.
            (of_kind.count(), pace.map_or(1, Pace::side_by_side))
        };
        (under_way < most).then(|| pace.map_or(now, |pace| pace.opens(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    /// Takes all that may be taken.
    fn taken(tidying: &mut Tidying, now: Instant) -> Vec<Due> {
        std::iter::from_fn(|| tidying.take(now)).collect()
    }

    #[test]
    fn only_a_write_tells_whether_writes_are_work() {
        type Turn = fn(&mut Tidying, &WorkloadKey, Instant);
        let rows: [(&str, Turn, Finish, usize); 4] = [
            ("nothing", |_, _, _| {}, Finish::Over, 1),
            (
                "a restart",
                |tidying, _, now| tidying.restarts(now),
                Finish::Over,
                1,
            ),
            (
                "refused",
                Tidying::writes,
                Finish::Retry(std::time::Duration::from_mins(1)),
                1,
            ),
            ("a write", Tidying::writes, Finish::Over, SIDE_BY_SIDE),
        ];
        for (what, turn, finish, then) in rows {
            let now = Instant::now();
            let mut tidying = Tidying::new(None, now);
            for number in 0..20 {
                let workload = WorkloadKey {
                    kind: &KINDS[1],
                    namespace: "n".to_owned(),
                    name: number.to_string(),
                };
                tidying.write(&workload, 0);
            }
            let mut first = taken(&mut tidying, now);
            assert_eq!(first.len(), 1, "{what}");
            let due = first.remove(0);
            turn(&mut tidying, &due.workload, now);
            tidying.finish(due, finish, false, now);
            assert_eq!(taken(&mut tidying, now).len(), then, "{what}");
        }
    }
}
