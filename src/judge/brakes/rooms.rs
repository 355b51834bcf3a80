//! How much room there is for each version of a source, by what the API server shows of its users.

use std::{cell::OnceCell, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    made::Made,
    waiting::{Going, Waiting, written},
};
use crate::judge::by_namespace::ByNamespace;
use crate::model::{
    Index, WorkloadKey,
    brake::{
        Verdict, later,
        slow_start::{Restarted, Room, Stands, room},
        turns::{Candidate, Counted},
        verdict::counted,
    },
    index::Tracked,
    pending::{Failures, Pending},
    version::key_of,
    workload::Changed,
};

/// So far may the clock of the process be ahead, or behind, that made a restart.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// For so long one is waited for that is to go first, and that nobody has asked for yet.
const COMES: SignedDuration = SignedDuration::from_secs(10);

/// The users of a version that were restarted for it.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// How many were, or are about to be, whatever became of it.
    pub(super) made: usize,
    /// Those that count, by name.
    seen: BTreeMap<String, Restarted>,
    /// Those that are about to show what becomes of it.
    coming: Vec<Restarted>,
    /// When time alone changes what became of one.
    next: Option<Timestamp>,
    /// Until when a verdict may be there that is not known yet.
    unsure: Option<Timestamp>,
}

impl Users {
    fn later(&mut self, next: Timestamp) {
        self.next = self.next.into_iter().chain([next]).min();
    }
}

/// Counts the users of one namespace.
pub(super) struct Counting<'a> {
    pub(super) made: &'a Made,
    pub(super) waiting: &'a ByNamespace<Waiting>,
    pub(super) going: &'a ByNamespace<Going>,
    pub(super) index: &'a Index,
    pub(super) namespace: &'a str,
    pub(super) now: Timestamp,
    /// Who waits for each version: made when it is first asked for.
    pub(super) by_version: OnceCell<ByVersion<'a>>,
}

/// Those that wait, by what they wait for.
pub(super) type ByVersion<'a> = BTreeMap<Counted, Vec<(&'a WorkloadKey, &'a Waiting)>>;

impl<'a> Counting<'a> {
    /// Returns those that wait for a version.
    pub(super) fn waits_for(&self, counted: &Counted) -> &[(&'a WorkloadKey, &'a Waiting)] {
        let by_version = self.by_version.get_or_init(|| {
            let mut by_version = ByVersion::new();
            for (key, waiting) in self.waiting.within(self.namespace) {
                for (changed, id) in &waiting.versions {
                    by_version
                        .entry((changed.clone(), *id))
                        .or_default()
                        .push((key, waiting));
                }
            }
            by_version
        });
        by_version.get(counted).map_or(&[], Vec::as_slice)
    }

    /// Returns the room of each version that these are for, and when time alone changes it.
    pub(super) fn rooms(
        &self,
        candidates: &[Candidate],
    ) -> (BTreeMap<Counted, Room>, Option<Timestamp>) {
        let mut rooms = BTreeMap::new();
        let mut next: Option<Timestamp> = None;
        let all = candidates.iter().flat_map(|one| &one.versions);
        for (changed, id) in all {
            let counted = (changed.clone(), *id);
            if rooms.contains_key(&counted) {
                continue;
            }
            let users = self.users(&counted);
            let stands = Stands::Failed;
            let lost = self.lost(&counted, &users).into_values();
            let lost = lost.map(|at| Restarted { at, stands });
            let shown = users.seen.values().chain(&users.coming).copied();
            let restarted: Vec<_> = shown.chain(lost).collect();
            let room = if users.unsure.is_some() {
                Room::AfterVerdict
            } else {
                room(&restarted, self.now)
            };
            let at = match room {
                Room::At(at) => Some(at),
                Room::AfterVerdict | Room::Now { .. } => None,
            };
            next = [next, users.next, at].into_iter().flatten().min();
            rooms.insert(counted, room);
        }
        (rooms, next)
    }

    /// Returns the users of a version that were restarted for it.
    pub(super) fn users(&self, counted: &Counted) -> Users {
        let (changed, id) = counted;
        let asked = self
            .waits_for(counted)
            .iter()
            .map(|(_, it)| it.first_asked)
            .min();
        let until = asked.map_or(self.now, |asked| later(asked, COMES));
        let keys = match changed {
            Changed::Source(source) => self.index.users(&key_of(self.namespace, source)),
            Changed::Namespace => self.made.within(self.namespace).cloned().collect(),
        };
        let mut users = Users::default();
        for key in keys {
            let going = self.going.get(&key);
            if let Some(going) = going.filter(|going| going.versions.get(changed) == Some(id)) {
                users.made += 1;
                let one = Restarted {
                    at: going.since,
                    stands: Stands::Rolling,
                };
                users.seen.insert(key.named(), one);
                continue;
            }
            let Some(tracked) = self.index.workload(&key) else {
                continue;
            };
            let last = tracked.workload.last.as_ref();
            if last.is_some_and(|last| last.opened.versions.get(changed) == Some(id)) {
                users.made += 1;
                self.take_in(&mut users, &key, tracked);
            } else if let Some(one) = self.is_about_to_show(&key, tracked, counted, until) {
                users.coming.push(one);
                if self.now < until {
                    users.later(until);
                }
            }
        }
        users
    }

    /// Returns what became of a workload's restart before, if it is about to show what becomes of this version: it goes first, and is
    /// waited for as if it had gone for it. Its own distance holds it, or it was not asked for yet; that may be so until `until`.
    fn is_about_to_show(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        (changed, id): &Counted,
        until: Timestamp,
    ) -> Option<Restarted> {
        let goes_on = self.made.goes_on(key, tracked, [changed], self.now)?;
        let stands = Stands::Rolling;
        let comes = Restarted { stands, ..goes_on };
        let Some(waiting) = self.waiting.get(key) else {
            return (self.now < until).then_some(comes);
        };
        if waiting.versions.get(changed) != Some(id) {
            return None;
        }
        let gathers = self.now < waiting.gathers_until();
        match (waiting.apart, gathers) {
            (true, _) => Some(goes_on),
            (false, true) => Some(comes),
            (false, false) => None,
        }
    }

    fn take_in(&self, users: &mut Users, key: &WorkloadKey, tracked: &Tracked) {
        let (made, now) = (&self.made, self.now);
        let Some(last) = &tracked.workload.last else {
            return;
        };
        let opened = &last.opened;
        let verdict = made.verdict(key, tracked, now);
        if let Some(Verdict::Rolling { next }) = verdict {
            users.later(next);
            let unsure = made.unsure_until(key, tracked, now);
            users.unsure = users.unsure.max(unsure.filter(|_| opened.well));
        }
        if let Some(one) = counted(opened, verdict.as_ref()) {
            users.seen.insert(key.named(), one);
        }
    }

    /// Returns whose restarts for a version failed, those that do not show any more included.
    pub(super) fn failures(&self, counted: &Counted) -> Failures {
        let users = self.users(counted);
        let lost = self.lost(counted, &users);
        let failed = users.seen.into_iter();
        let failed = failed.filter(|(_, one)| one.stands == Stands::Failed);
        failed
            .map(|(name, one)| (name, one.at))
            .chain(lost)
            .collect()
    }

    /// Returns the failures that show on nobody any more: whoever failed was rolled by somebody since, paused, scaled to zero, or is
    /// gone. Those that wait for the same restart name them.
    fn lost(&self, counted: &Counted, users: &Users) -> Failures {
        let same = self.waits_for(counted).iter();
        let said = same.filter_map(|(key, waiting)| {
            let pending = Pending::of(&self.index.workload(key)?.workload)?;
            (pending.id == waiting.id).then_some(pending.failed)
        });
        let written = self.written(&counted.0);
        let is_true = |at: &Timestamp| *at >= written && *at <= later(self.now, AHEAD);
        let lost = said.flatten();
        lost.filter(|(name, at)| !users.seen.contains_key(name) && is_true(at))
            .collect()
    }

    /// Returns when the live version was written, at the earliest: clocks differ.
    fn written(&self, changed: &Changed) -> Timestamp {
        let written = written(self.index, self.namespace, changed);
        written
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .and_then(|at| at.checked_sub(AHEAD).ok())
            .unwrap_or(Timestamp::MIN)
    }
}
