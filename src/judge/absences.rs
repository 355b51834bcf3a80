//! What workloads need and is absent, since when, and whether that was told.
//!
//! It is a state of its own: it counts whether or not a restart is due, and ends when the source is back. Of what is absent for a while
//! an Event tells, once; of a restart that waits for it another, when the quiet period is over. What is back before that is told by
//! neither. A process that starts begins that time anew. The Event has a name that follows from what is absent, so the next leader
//! makes no second one while the first is there.
//!
//! Pure: time is an argument. There is one entry for a workload, with what it uses at most.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    bucket::{Bucket, Pacing},
    by_time::ByTime,
};
use crate::model::{WorkloadKey, absent::Absent, held::Held, index::Judged};

/// What is absent for so long is told.
pub const TOLD_AFTER: Duration = Duration::from_mins(1);

/// How many Events about it there are: so many at once, then one in a second. What has no turn yet is told later.
const EVENTS: Pacing = Pacing {
    rate: Some(1.0),
    burst: 100,
};

/// The workloads that need what is absent.
#[derive(Debug)]
pub struct Absences {
    all: BTreeMap<WorkloadKey, Entry>,
    due: ByTime<WorkloadKey>,
    pace: Bucket,
}

/// What is absent of what a workload needs.
#[derive(Debug, Default)]
struct Entry {
    /// When the next of it is to be told, as in [`Absences::due`].
    next: Option<Instant>,
    /// A restart waits for it.
    waits: Option<Telling>,
    absent: BTreeMap<Absent, Telling>,
}

/// When something is told.
#[derive(Clone, Copy, Debug)]
struct Telling {
    at: Instant,
    told: bool,
}

/// What is to be told of a workload now.
#[derive(Debug, PartialEq, Eq)]
pub struct ToTell {
    /// A restart waits.
    pub waits: bool,
    /// What has been absent for a while.
    pub absent: Vec<Absent>,
}

impl Absences {
    /// Nothing is absent.
    pub fn new(now: Instant) -> Self {
        Self {
            all: BTreeMap::new(),
            due: ByTime::default(),
            pace: Bucket::full(EVENTS, now),
        }
    }

    /// Files what is absent of what a workload needs, which is judged and held so. A restart that waits for it is told after the
    /// `settle` time. Returns whether there is something to tell at another time than before.
    pub fn file(
        &mut self,
        key: &WorkloadKey,
        (judged, held): (&Judged, Option<Held>),
        settle: Duration,
        now: Instant,
    ) -> bool {
        let before = self.due.next();
        let waits = (held == Some(Held::Missing)).then(|| judged.settle.unwrap_or(settle));
        // Of another installation's workloads that one tells.
        let ours = held != Some(Held::Elsewhere);
        let absent = if ours { judged.absent.as_slice() } else { &[] };
        self.seen(key, absent, waits, now);
        self.due.next() != before
    }

    /// Takes in what is absent of what a workload needs. `waits`: a restart waits for it, and that is told after so long.
    fn seen(
        &mut self,
        key: &WorkloadKey,
        absent: &[Absent],
        waits: Option<Duration>,
        now: Instant,
    ) {
        if absent.is_empty() && waits.is_none() {
            return self.forget(key);
        }
        let entry = self.all.entry(key.clone()).or_default();
        let after = |time| Telling {
            at: now + time,
            told: false,
        };
        entry.waits = waits.map(|settle| entry.waits.unwrap_or_else(|| after(settle)));
        let before = std::mem::take(&mut entry.absent);
        let telling = |one: &Absent| {
            before
                .get(one)
                .copied()
                .unwrap_or_else(|| after(TOLD_AFTER))
        };
        entry.absent = absent
            .iter()
            .map(|one| (one.clone(), telling(one)))
            .collect();
        self.put(key);
    }

    /// Forgets a workload of which nothing is absent, or that is gone.
    pub fn forget(&mut self, key: &WorkloadKey) {
        if let Some(entry) = self.all.remove(key)
            && let Some(at) = entry.next
        {
            self.due.remove(at, key);
        }
    }

    /// Returns the workloads that need what is absent.
    pub fn each(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.all.keys()
    }

    /// Returns when there is something to tell next.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.due.next()?;
        Some(next.max(self.pace.ready(now)))
    }

    /// Takes a workload of which there is something to tell now.
    pub fn take(&mut self, now: Instant) -> Option<WorkloadKey> {
        if self.pace.ready(now) > now {
            return None;
        }
        let key = self.due.take(now)?;
        if let Some(entry) = self.all.get_mut(&key) {
            entry.next = None;
        }
        Some(key)
    }

    /// Takes what is to be told of a workload now.
    pub fn tell(&mut self, key: &WorkloadKey, now: Instant) -> ToTell {
        let mut to_tell = ToTell {
            waits: false,
            absent: Vec::new(),
        };
        let Some(entry) = self.all.get_mut(key) else {
            return to_tell;
        };
        let mut is_due = |telling: &mut Telling| {
            let due = !telling.told && telling.at <= now && self.pace.take(now);
            telling.told |= due;
            due
        };
        to_tell.waits = entry.waits.as_mut().is_some_and(&mut is_due);
        for (absent, telling) in &mut entry.absent {
            if is_due(telling) {
                to_tell.absent.push(absent.clone());
            }
        }
        self.put(key);
        to_tell
    }

    fn put(&mut self, key: &WorkloadKey) {
        let Some(entry) = self.all.get_mut(key) else {
            return;
        };
        let all = entry.absent.values().chain(&entry.waits);
        let next = all
            .filter(|telling| !telling.told)
            .map(|telling| telling.at)
            .min();
        if next == entry.next {
            return;
        }
        if let Some(at) = std::mem::replace(&mut entry.next, next) {
            self.due.remove(at, key);
        }
        if let Some(at) = next {
            self.due.put(at, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::model::{SourceName, workload::KINDS};

    const SETTLE: Duration = Duration::from_secs(1);

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey {
            kind: &KINDS[0],
            namespace: "n".to_owned(),
            name: name.to_owned(),
        }
    }

    fn gone(name: &str) -> Absent {
        Absent {
            source: SourceName::secret(name),
            lacks_a_key: false,
        }
    }

    fn told(all: &mut Absences, now: Instant) -> Vec<(String, ToTell)> {
        let mut told = Vec::new();
        while let Some(key) = all.take(now) {
            told.push((key.name.clone(), all.tell(&key, now)));
        }
        told
    }

    #[test]
    fn each_absence_is_told_once_after_a_while() {
        let now = Instant::now();
        let mut all = Absences::new(now);
        let web = key("web");
        let second = Duration::from_secs(1);
        let (a, b) = (gone("a"), gone("b"));
        all.seen(&web, std::slice::from_ref(&a), None, now);
        let later = now + 30 * second;
        all.seen(&web, &[a.clone(), b.clone()], None, later);
        assert_eq!(all.next(later), Some(now + TOLD_AFTER));
        assert_eq!(told(&mut all, now + 59 * second), []);
        let tells = |absent: &Absent| {
            let absent = vec![absent.clone()];
            [(
                "web".to_owned(),
                ToTell {
                    waits: false,
                    absent,
                },
            )]
        };
        assert_eq!(told(&mut all, now + TOLD_AFTER), tells(&a));
        assert_eq!(told(&mut all, now + 89 * second), []);
        assert_eq!(told(&mut all, now + 90 * second), tells(&b));
        all.seen(&web, &[a.clone(), b.clone()], None, now + 95 * second);
        assert_eq!(all.next(now), None, "both were told");
        // The next absence of the same source is another.
        all.seen(&web, std::slice::from_ref(&b), None, now + 100 * second);
        all.seen(&web, &[a.clone(), b], None, now + 101 * second);
        assert_eq!(told(&mut all, now + 161 * second), tells(&a));
    }

    #[test]
    fn what_is_back_in_time_is_told_by_nobody() {
        let now = Instant::now();
        let mut all = Absences::new(now);
        let web = key("web");
        all.seen(&web, &[gone("a")], Some(SETTLE), now);
        assert_eq!(all.each().count(), 1);
        all.seen(&web, &[], None, now + SETTLE / 2);
        assert_eq!((all.each().count(), all.next(now)), (0, None));
        assert_eq!(told(&mut all, now + 2 * TOLD_AFTER), []);
        assert!(all.due.is_empty());
    }

    #[test]
    fn a_restart_that_waits_is_told_after_its_settle_time_and_the_absence_later() {
        let now = Instant::now();
        let mut all = Absences::new(now);
        let web = key("web");
        all.seen(&web, &[gone("a")], Some(SETTLE), now);
        assert_eq!(told(&mut all, now), []);
        let waits = told(&mut all, now + SETTLE);
        assert!(waits[0].1.waits && waits[0].1.absent.is_empty());
        let absent = told(&mut all, now + TOLD_AFTER);
        assert!(!absent[0].1.waits && absent[0].1.absent == [gone("a")]);
        assert_eq!(told(&mut all, now + 10 * TOLD_AFTER), []);
    }

    #[test]
    fn of_very_many_all_are_told_in_the_end() {
        let now = Instant::now();
        let mut all = Absences::new(now);
        for number in 0..150 {
            all.seen(&key(&number.to_string()), &[gone("a")], None, now);
        }
        let due = now + TOLD_AFTER;
        let at_once = told(&mut all, due).len();
        assert_eq!(at_once, 100);
        let mut at = due;
        let mut more = 0;
        while let Some(next) = all.next(at) {
            assert!(next > at && next <= at + Duration::from_secs(2));
            at = next;
            more += told(&mut all, at).len();
        }
        assert_eq!(more, 50);
    }

    proptest! {
        /// Whatever comes and goes: each absence is told once at most, not before its minute, and in the end if it lasts; and no time is
        /// kept of what is back.
        #[test]
        fn whatever_comes_and_goes(steps in vec((0_u64..40, 0_u8..3, 0_u8..8), 1..40)) {
            let mut now = Instant::now();
            let mut all = Absences::new(now);
            let mut since = BTreeMap::new();
            let check = |all: &mut Absences, since: &mut BTreeMap<_, (Instant, bool)>, now: Instant| {
                for (workload, to_tell) in told(all, now) {
                    for absent in to_tell.absent {
                        let (began, told) = since.get_mut(&(workload.clone(), absent)).unwrap();
                        assert!(!*told && now >= *began + TOLD_AFTER);
                        *told = true;
                    }
                }
            };
            for (seconds, workload, which) in steps {
                now += Duration::from_secs(seconds);
                check(&mut all, &mut since, now);
                let workload = key(&workload.to_string());
                let names = ["a", "b", "c"].iter().enumerate();
                let names = names.filter(|(bit, _)| which & (1 << bit) != 0);
                let absent: Vec<_> = names.map(|(_, name)| gone(name)).collect();
                all.seen(&workload, &absent, None, now);
                since.retain(|(of, one), _| *of != workload.name || absent.contains(one));
                for one in absent {
                    since.entry((workload.name.clone(), one)).or_insert((now, false));
                }
            }
            check(&mut all, &mut since, now + TOLD_AFTER);
            prop_assert!(since.values().all(|(_, told)| *told));
            prop_assert_eq!((all.next(now), all.due.is_empty()), (None, true));
            let workloads: BTreeSet<_> = since.keys().map(|(workload, _)| workload).collect();
            prop_assert_eq!(all.each().count(), workloads.len());
        }
    }
}
