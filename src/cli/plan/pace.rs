//! Who is restarted when: the order of waves, and how slow start lets users of a version go, if every restart is good.
//!
//! Who goes is chosen by the functions by which the controller chooses ([`choose`], [`room`]). What only time shows is left out: a
//! restart that fails, somebody else's rollout, the distance between two restarts of one workload.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{
    Index, WorkloadKey,
    brake::{
        needed::{is_sole, needed, taken},
        slow_start::{Restarted, Stands, room},
        turns::{Candidate, Counted, choose, has_nothing_to_lose},
    },
    decide::Restart,
    index::Tracked,
    workload::{Changed, VersionId},
};

/// When a workload is restarted, among others of its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// In which round, from 1 on. One begins when what went before is good.
    pub(super) round: usize,
    /// Whether it goes alone, and is looked at for longer.
    pub(super) alone: bool,
    /// Whether it waits for users of lower waves.
    pub(super) after_others: bool,
}

/// One that waits.
struct Waiting {
    key: WorkloadKey,
    candidate: Candidate,
    wave: i64,
    /// What it takes: those of higher waves that take the same wait for it.
    takes: BTreeMap<Changed, VersionId>,
    /// Whether it would show what becomes of it.
    shows: bool,
    waited: bool,
}

/// Returns when each of these restarts of one namespace is made. `slow_start`: whether restarts wait for what becomes of others.
pub(super) fn turns(
    index: &Index,
    restarts: &[(WorkloadKey, Restart)],
    slow_start: bool,
    now: Timestamp,
) -> BTreeMap<WorkloadKey, Turn> {
    let waiting = |(key, restart): &(WorkloadKey, Restart)| {
        let tracked = index.workload(key)?;
        Some(Waiting::new(index, key, tracked, restart, slow_start, now))
    };
    let mut left: Vec<_> = restarts.iter().filter_map(waiting).collect();
    let mut made: BTreeMap<Counted, Vec<Restarted>> = BTreeMap::new();
    let mut turns = BTreeMap::new();
    for round in 1..=left.len() {
        let is_open: Vec<_> = left.iter().map(|one| !one.waits_for_any(&left)).collect();
        for (one, is_open) in left.iter_mut().zip(&is_open) {
            one.waited |= !is_open;
        }
        let open: Vec<usize> = (0..left.len()).filter(|at| is_open[*at]).collect();
        let candidates: Vec<_> = open.iter().map(|at| left[*at].candidate.clone()).collect();
        let counted = candidates.iter().flat_map(|one| counted(&one.versions));
        let rooms = counted.map(|one| {
            let before = made.get(&one).map_or(&[][..], Vec::as_slice);
            let room = room(before, now);
            (one, room)
        });
        let mut gone = Vec::new();
        for goes in choose(&candidates, &rooms.collect()) {
            let one = &left[open[goes.which]];
            let (alone, after_others) = (goes.alone, one.waited);
            let turn = Turn {
                round,
                alone,
                after_others,
            };
            turns.insert(one.key.clone(), turn);
            let good = Restarted {
                at: now,
                stands: Stands::Good,
            };
            for counted in counted_of(&one.candidate) {
                made.entry(counted).or_default().push(good);
            }
            gone.push(one.key.clone());
        }
        left.retain(|one| !gone.contains(&one.key));
        if left.is_empty() {
            break;
        }
    }
    turns
}

/// Returns which of these restarts of one namespace wait for one of a lower wave that a gate holds, or that waits for such a one
/// itself; and for whom.
pub(super) fn behind(
    index: &Index,
    gated: &[(WorkloadKey, Restart)],
    restarts: &[(WorkloadKey, Restart)],
    slow_start: bool,
    now: Timestamp,
) -> BTreeMap<WorkloadKey, WorkloadKey> {
    let waiting = |(key, restart): &(WorkloadKey, Restart)| {
        let tracked = index.workload(key)?;
        Some(Waiting::new(index, key, tracked, restart, slow_start, now))
    };
    let mut stand: Vec<_> = gated.iter().filter_map(waiting).collect();
    let mut left: Vec<_> = restarts.iter().filter_map(waiting).collect();
    let mut behind = BTreeMap::new();
    loop {
        let first = |one: &Waiting| one.first_of(&stand).map(|first| first.key.clone());
        let firsts: Vec<_> = left.iter().map(first).collect();
        let (mut waits, mut goes) = (Vec::new(), Vec::new());
        for (one, first) in left.into_iter().zip(firsts) {
            match first {
                Some(first) => {
                    behind.insert(one.key.clone(), first);
                    waits.push(one);
                }
                None => goes.push(one),
            }
        }
        if waits.is_empty() {
            return behind;
        }
        stand.append(&mut waits);
        left = goes;
    }
}

fn counted(versions: &BTreeMap<Changed, VersionId>) -> impl Iterator<Item = Counted> {
    versions.iter().map(|(changed, id)| (changed.clone(), *id))
}

/// Returns what a restart counts for. Who has nothing to lose tells nothing.
fn counted_of(candidate: &Candidate) -> impl Iterator<Item = Counted> {
    let counts = !candidate.freely;
    counted(&candidate.versions).filter(move |_| counts)
}

impl Waiting {
    fn new(
        index: &Index,
        key: &WorkloadKey,
        tracked: &Tracked,
        restart: &Restart,
        slow_start: bool,
        now: Timestamp,
    ) -> Self {
        let (workload, namespace) = (&tracked.workload, &key.namespace);
        let progress = &workload.progress;
        let mut needed = needed(index, key, tracked, restart, slow_start);
        needed.retain(|changed, _| !is_sole(index, namespace, changed));
        let candidate = Candidate {
            freely: needed.is_empty() || has_nothing_to_lose(progress, None, false),
            versions: needed,
            since: now,
            restarted: workload.last.as_ref().map(|last| last.opened.at),
            goes_on: false,
            rolls: false,
            probed: progress.probed,
            several: progress.counts.is_some_and(|counts| counts.wanted > 1),
            available: progress.available_since.unwrap_or(workload.created),
        };
        Self {
            key: key.clone(),
            candidate,
            wave: tracked.policy.wave(),
            takes: taken(index, key, restart),
            shows: progress.void.is_none() && progress.is_well(),
            waited: false,
        }
    }

    /// Whether one of these goes first, because its wave is lower.
    fn waits_for_any(&self, others: &[Self]) -> bool {
        self.first_of(others).is_some()
    }

    /// Returns one of these that goes first, because its wave is lower.
    fn first_of<'a>(&self, others: &'a [Self]) -> Option<&'a Self> {
        let shares = |other: &Self| {
            self.takes
                .iter()
                .any(|(one, id)| other.takes.get(one) == Some(id))
        };
        let goes_first = |other: &&Self| other.wave < self.wave && other.shows && shares(other);
        others.iter().find(goes_first)
    }
}

#[cfg(test)]
mod tests;
