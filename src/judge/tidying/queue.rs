//! Which workload is written next.
//!
//! The workload whose sources were written last goes first. What changed just now is the most likely to change again,
//! and a change between an opt-in and the adoption is lost if the process dies in between. Ties go by name. Kinds do
//! not wait for each other.
//!
//! There is one entry per workload, so the queue is bounded by the number of workloads. Pure: time is an argument.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    judge::by_time::ByTime,
    model::{Kind, WorkloadKey},
};

/// When the last of a workload's sources was written, in unix seconds. The latest goes first.
type Rank = Reverse<i64>;

/// A workload that was taken to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The workload.
    pub workload: WorkloadKey,
    /// The number of tries that failed.
    pub attempts: u32,
    rank: Rank,
}

/// The workloads that are to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<WorkloadKey, Waiting>,
    ready: BTreeMap<Kind, BTreeSet<(Rank, WorkloadKey)>>,
    /// The workloads that wait for a time: for another try, or until their sources are calm.
    later: ByTime<WorkloadKey>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    rank: Rank,
    attempts: u32,
    /// When it is tried again, if a try failed; or when it is calm.
    later: Option<Instant>,
    /// It only waits until its sources are calm, at this moment in unix seconds.
    calm: Option<i64>,
}

impl Queue {
    /// Files a workload that is to be written. `written` is when the last of its sources was written, in unix seconds.
    /// One that waits already changes only its turn.
    pub(super) fn put(&mut self, workload: &WorkloadKey, written: i64) {
        let waits = self.remove(workload);
        let failed = waits.filter(|waits| waits.calm.is_none());
        let waiting = Waiting {
            rank: Reverse(written),
            attempts: waits.map_or(0, |waits| waits.attempts),
            later: failed.and_then(|waits| waits.later),
            calm: None,
        };
        self.insert(workload.clone(), waiting);
    }

    /// Files a workload that is to be written as soon as its sources are calm: `until` then, `at` in unix seconds. One that
    /// waits for anything else, or for the same moment, stays as it is.
    pub(super) fn put_when_calm(
        &mut self,
        workload: &WorkloadKey,
        written: i64,
        at: i64,
        until: Instant,
    ) {
        let waits = self.waiting.get(workload);
        if waits.is_some_and(|waits| waits.calm.is_none_or(|known| known == at)) {
            return;
        }
        self.remove(workload);
        let waiting = Waiting {
            rank: Reverse(written),
            attempts: 0,
            later: Some(until),
            calm: Some(at),
        };
        self.insert(workload.clone(), waiting);
    }

    /// Files again a workload that was taken, to be tried after this time, unless it was filed meanwhile.
    pub(super) fn put_back(&mut self, due: Due, after: Duration, now: Instant) {
        if self.waiting.contains_key(&due.workload) {
            return;
        }
        let waiting = Waiting {
            rank: due.rank,
            attempts: due.attempts + 1,
            later: Some(now + after),
            calm: None,
        };
        self.insert(due.workload, waiting);
    }

    /// Has a workload that waits for another try be next in its turn.
    pub(super) fn resume(&mut self, workload: &WorkloadKey) {
        let waits = self.waiting.get(workload);
        if waits.is_none_or(|waits| waits.calm.is_some()) {
            return;
        }
        if let Some(waiting) = self.remove(workload) {
            let (attempts, later) = (0, None);
            let ready = Waiting {
                attempts,
                later,
                ..waiting
            };
            self.insert(workload.clone(), ready);
        }
    }

    /// Drops a workload.
    pub(super) fn forget(&mut self, workload: &WorkloadKey) {
        self.remove(workload);
    }

    /// Takes the next workload that is not `taken`, of the kinds that may be written.
    pub(super) fn take(
        &mut self,
        now: Instant,
        taken: &BTreeSet<WorkloadKey>,
        may: impl Fn(Kind) -> bool,
    ) -> Option<Due> {
        while let Some(workload) = self.later.take(now) {
            if let Some(waiting) = self.remove(&workload) {
                let later = None;
                self.insert(workload, Waiting { later, ..waiting });
            }
        }
        let open = self.firsts(taken).filter(|(_, first)| may(first.kind));
        let (_, workload) = open.min()?.clone();
        let Waiting { rank, attempts, .. } = self.remove(&workload)?;
        Some(Due {
            workload,
            attempts,
            rank,
        })
    }

    /// Returns when [`Self::take`] can return something next. `opens` tells when the next workload of a kind may be
    /// written; `None`: nobody knows yet.
    pub(super) fn next(
        &self,
        taken: &BTreeSet<WorkloadKey>,
        opens: impl Fn(Kind) -> Option<Instant>,
    ) -> Option<Instant> {
        let ready = self.firsts(taken);
        let ready = ready.filter_map(|(_, first)| opens(first.kind));
        ready.chain(self.later.next()).min()
    }

    /// Returns the first of each kind that is ready and not `taken`. One that is taken may have been filed again meanwhile.
    fn firsts<'a>(
        &'a self,
        taken: &'a BTreeSet<WorkloadKey>,
    ) -> impl Iterator<Item = &'a (Rank, WorkloadKey)> {
        let first = |ready: &'a BTreeSet<(Rank, WorkloadKey)>| {
            ready.iter().find(|(_, workload)| !taken.contains(workload))
        };
        self.ready.values().filter_map(first)
    }

    fn insert(&mut self, workload: WorkloadKey, waiting: Waiting) {
        if let Some(at) = waiting.later {
            self.later.put(at, &workload);
        } else {
            let ready = self.ready.entry(workload.kind).or_default();
            ready.insert((waiting.rank, workload.clone()));
        }
        self.waiting.insert(workload, waiting);
    }

    fn remove(&mut self, workload: &WorkloadKey) -> Option<Waiting> {
        let waiting = self.waiting.remove(workload)?;
        if let Some(at) = waiting.later {
            self.later.remove(at, workload);
        } else if let Some(ready) = self.ready.get_mut(workload.kind) {
            ready.remove(&(waiting.rank, workload.clone()));
            if ready.is_empty() {
                self.ready.remove(workload.kind);
            }
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    const NONE: BTreeSet<WorkloadKey> = BTreeSet::new();

    fn key(kind: usize, name: &str) -> WorkloadKey {
        WorkloadKey {
            kind: &KINDS[kind],
            namespace: "n".to_owned(),
            name: name.to_owned(),
        }
    }

    fn taken(queue: &mut Queue, now: Instant, may: impl Fn(Kind) -> bool + Copy) -> Vec<String> {
        std::iter::from_fn(|| queue.take(now, &NONE, may))
            .map(|due| due.workload.name)
            .collect()
    }

    #[test]
    fn the_latest_sources_first_and_kinds_apart() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for (kind, name, written) in [
            (0, "b", 5),
            (0, "a", 5),
            (1, "old", 1),
            (1, "new", 9),
            (0, "moved", 1),
            (0, "gone", 9),
        ] {
            queue.put(&key(kind, name), written);
        }
        queue.put(&key(0, "moved"), 7);
        queue.forget(&key(0, "gone"));
        assert_eq!(queue.next(&NONE, |_| Some(now)), Some(now));
        let others = |kind: Kind| kind.kind != "Deployment";
        assert_eq!(taken(&mut queue, now, others), ["new", "old"]);
        assert_eq!(taken(&mut queue, now, |_| true), ["moved", "a", "b"]);
        assert_eq!(queue.next(&NONE, |_| Some(now)), None);
        assert!(queue.waiting.is_empty() && queue.ready.is_empty());
    }

    #[test]
    fn what_is_taken_is_passed_over_until_it_is_finished() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.put(&key(0, "a"), 9);
        let taken = BTreeSet::from([key(0, "a")]);
        assert_eq!(queue.next(&taken, |_| Some(now)), None);
        queue.put(&key(0, "b"), 5);
        assert_eq!(queue.next(&taken, |_| Some(now)), Some(now));
        let due = queue.take(now, &taken, |_| true).unwrap();
        assert_eq!(due.workload.name, "b");
        assert_eq!(queue.take(now, &taken, |_| true), None);
        assert_eq!(queue.take(now, &NONE, |_| true).unwrap().workload.name, "a");
    }

    #[test]
    fn what_waits_for_calm_waits_anew_only_for_another_moment() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut queue = Queue::default();
        queue.put_when_calm(&key(0, "a"), 5, 65, now + second * 60);
        assert_eq!(queue.take(now, &NONE, |_| true), None);
        // To look again does not make it later, another recreation does.
        queue.put_when_calm(&key(0, "a"), 5, 65, now + second * 70);
        assert_eq!(queue.next(&NONE, |_| Some(now)), Some(now + second * 60));
        queue.put_when_calm(&key(0, "a"), 9, 69, now + second * 64);
        assert_eq!(queue.next(&NONE, |_| Some(now)), Some(now + second * 64));
        assert_eq!(queue.take(now + second * 63, &NONE, |_| true), None);
        assert!(queue.take(now + second * 64, &NONE, |_| true).is_some());
        // Anything else that is to be written takes it along at once.
        queue.put_when_calm(&key(0, "a"), 9, 69, now + second * 64);
        queue.put(&key(0, "a"), 9);
        assert!(queue.take(now, &NONE, |_| true).is_some());
        assert!(queue.waiting.is_empty() && queue.later.is_empty() && queue.ready.is_empty());
    }

    #[test]
    fn what_waits_for_another_try_is_tried_at_once_where_nothing_holds_it_up_any_more() {
        let now = Instant::now();
        let minute = Duration::from_mins(1);
        let mut queue = Queue::default();
        queue.put(&key(0, "a"), 5);
        let due = queue.take(now, &NONE, |_| true).unwrap();
        queue.put_back(due, minute, now);
        queue.put_when_calm(&key(0, "b"), 5, 65, now + minute);
        for name in ["a", "b", "unknown"] {
            queue.resume(&key(0, name));
        }
        let due = queue.take(now, &NONE, |_| true).unwrap();
        assert_eq!((due.workload.name.as_str(), due.attempts), ("a", 0));
        // It waits for its sources, and not for another try.
        assert_eq!(queue.take(now, &NONE, |_| true), None);
        assert_eq!(queue.next(&NONE, |_| Some(now)), Some(now + minute));
    }

    #[test]
    fn what_failed_is_tried_again_when_it_is_time() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut queue = Queue::default();
        queue.put(&key(0, "a"), 5);
        let due = queue.take(now, &NONE, |_| true).unwrap();
        queue.put_back(due, second, now);
        // To file it again does not make it sooner.
        queue.put(&key(0, "a"), 5);
        assert_eq!(queue.take(now, &NONE, |_| true), None);
        assert_eq!(queue.next(&NONE, |_| Some(now)), Some(now + second));
        let due = queue.take(now + second, &NONE, |_| true).unwrap();
        assert_eq!(due.attempts, 1);
        // It is filed while it is being written: that counts.
        queue.put(&key(0, "a"), 6);
        queue.put_back(due, second, now);
        assert_eq!(queue.take(now, &NONE, |_| true).unwrap().attempts, 0);
        assert!(queue.waiting.is_empty() && queue.later.is_empty());
    }
}
