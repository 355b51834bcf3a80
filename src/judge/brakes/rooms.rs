//! How much room there is for each version of a source, by what the API server shows of its users.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    made::{FIRST_LOOK, Made},
    waiting::{Going, Waiting},
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
    held::Held,
    index::Tracked,
    pending::Pending,
    version::key_of,
    workload::Changed,
};

/// The users of a version that were restarted for it.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// How many were, or are about to be, whatever became of it.
    pub(super) made: usize,
    /// Those that count.
    restarted: Vec<Restarted>,
    /// When time alone changes what became of one.
    next: Option<Timestamp>,
    /// Until when a verdict may be there that is not known yet.
    unsure: Option<Timestamp>,
    /// Until when those who were broken before show whether this version mends them.
    mending: Option<Timestamp>,
}

impl Users {
    fn later(&mut self, next: Timestamp) {
        self.next = self.next.into_iter().chain([next]).min();
    }

    /// Whether nobody goes, whoever did: who was well goes after those who were broken.
    fn waits(&self) -> bool {
        self.unsure.is_some() || (self.mending.is_some() && self.restarted.is_empty())
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
}

impl Counting<'_> {
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
            let mut users = self.users(&counted);
            let lost = self.lost_failure(&counted, &users.restarted);
            users.restarted.extend(lost);
            let room = if users.waits() {
                Room::AfterVerdict
            } else {
                room(&users.restarted, self.now)
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
    pub(super) fn users(&self, (changed, id): &Counted) -> Users {
        let keys = match changed {
            Changed::Source(source) => self.index.users(&key_of(self.namespace, source)),
            Changed::Namespace => self.made.within(self.namespace).cloned().collect(),
        };
        let mut users = Users::default();
        for key in keys {
            let going = self.going.get(&key);
            if let Some(going) = going.filter(|going| going.versions.get(changed) == Some(id)) {
                users.made += 1;
                users.restarted.push(Restarted {
                    at: going.since,
                    stands: Stands::Rolling,
                });
                continue;
            }
            let Some(tracked) = self.index.workload(&key) else {
                continue;
            };
            let last = tracked.workload.last.as_ref();
            if last.is_some_and(|last| last.opened.versions.get(changed) == Some(id)) {
                users.made += 1;
                self.take_in(&mut users, &key, tracked);
            }
        }
        users
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
        if let (Some(Verdict::Rolling { .. } | Verdict::Failed(_)), false) = (&verdict, opened.well)
        {
            let bake = made.patience(tracked).bake;
            let until = later(opened.at, bake.saturating_add(FIRST_LOOK));
            if now < until {
                users.later(until);
                users.mending = users.mending.max(Some(until));
            }
        }
        users.restarted.extend(counted(opened, verdict.as_ref()));
    }

    /// Returns a failure that shows on nobody any more: whoever failed was rolled by somebody since, paused, scaled to zero, or is gone.
    /// Those that wait say since when they have waited because of it.
    fn lost_failure(&self, (changed, id): &Counted, restarted: &[Restarted]) -> Option<Restarted> {
        let here = self.waiting.within(self.namespace);
        let same = here.filter(|(_, waiting)| waiting.versions.get(changed) == Some(id));
        let said = same.filter_map(|(key, waiting)| {
            let pending = Pending::of(&self.index.workload(key)?.workload)?;
            (pending.reason == Held::SlowStart && pending.id == waiting.id).then_some(pending.since)
        });
        let since = said.min()?;
        let shows = |one: &Restarted| one.at <= since || one.stands == Stands::Failed;
        (!restarted.iter().any(shows)).then_some(Restarted {
            at: since,
            stands: Stands::Failed,
        })
    }
}
