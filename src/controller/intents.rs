//! Intents: which workloads may need a restart, and when each is due.
//!
//! One intent per workload, however many changes stand behind it, so the queue is bounded by the number of workloads.
//! An intent becomes due after a quiet period since the last change, or after a maximum wait since the first. Taking
//! one asks the pacing (a token bucket). What was taken comes back by [`Intents::finish`]; meanwhile a new change of
//! the same workload waits, so that no workload is ever restarted by two tasks at once.
//!
//! Pure: time is an argument.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::WorkloadKey;

/// A workload that may need a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The workload.
    pub workload: WorkloadKey,
    /// When the first change behind it was seen.
    pub since: Instant,
    /// How often it was tried in vain.
    pub attempts: u32,
    due: Instant,
}

impl Intent {
    /// One that is carried out at once, outside of the queue.
    pub fn now(workload: &WorkloadKey, now: Instant) -> Self {
        Self {
            workload: workload.clone(),
            since: now,
            attempts: 0,
            due: now,
        }
    }
}

/// How an intent that was taken ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Carried out, or void.
    Over,
    /// To be tried again after this time.
    Retry(Duration),
}

/// How fast restarts may be made.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Per second; `None` is no limit.
    pub rate: Option<f64>,
    /// At once, after a quiet time.
    pub burst: u32,
}

/// All intents.
#[derive(Debug)]
pub struct Intents {
    waiting: HashMap<WorkloadKey, Intent>,
    order: BTreeSet<(Instant, WorkloadKey)>,
    taken: HashSet<WorkloadKey>,
    bucket: Bucket,
    held: BTreeMap<WorkloadKey, Held>,
}

/// Why a workload is behind its sources without an intent that could help it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Something required is absent.
    Missing,
    /// `reroll.dev/suspend: "true"`.
    Suspended,
    /// A controller owns it.
    Owned,
    /// The opt-in cannot be read.
    Unreadable,
    /// A newer release wrote its `observed`.
    NewerFormat,
    /// Its annotations leave no room.
    NoRoom,
}

impl Held {
    /// Every reason, for metrics.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Suspended,
        Self::Owned,
        Self::Unreadable,
        Self::NewerFormat,
        Self::NoRoom,
    ];

    /// For metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Suspended => "suspended",
            Self::Owned => "owned",
            Self::Unreadable => "unreadable",
            Self::NewerFormat => "newer_format",
            Self::NoRoom => "no_room",
        }
    }
}

impl Intents {
    /// None yet.
    pub fn new(pacing: Pacing, now: Instant) -> Self {
        Self {
            waiting: HashMap::new(),
            order: BTreeSet::new(),
            taken: HashSet::new(),
            bucket: Bucket {
                pacing,
                tokens: f64::from(pacing.burst.max(1)),
                at: now,
            },
            held: BTreeMap::new(),
        }
    }

    /// A change that the workload may need a restart for. It is due after `settle`, counted anew with every change, but
    /// at most `longest` after the first.
    pub fn changed(
        &mut self,
        workload: &WorkloadKey,
        now: Instant,
        settle: Duration,
        longest: Duration,
    ) {
        let since = self
            .waiting
            .get(workload)
            .map_or(now, |intent| intent.since);
        let due = (now + settle).min(since + longest.max(settle));
        self.put(Intent {
            workload: workload.clone(),
            since,
            attempts: 0,
            due,
        });
    }

    /// The workload may need a restart for something that is no new change: an intent that is there stays as it is.
    pub fn noticed(&mut self, workload: &WorkloadKey, now: Instant, settle: Duration) {
        if !self.waiting.contains_key(workload) {
            self.put(Intent {
                workload: workload.clone(),
                since: now,
                attempts: 0,
                due: now + settle,
            });
        }
    }

    /// Takes the intent that is due longest, if the pacing allows one more restart.
    pub fn take(&mut self, now: Instant) -> Option<Intent> {
        let (due, workload) = self
            .order
            .iter()
            .find(|(_, workload)| !self.taken.contains(workload))?
            .clone();
        if due > now || !self.bucket.take(now) {
            return None;
        }
        self.order.remove(&(due, workload.clone()));
        self.taken.insert(workload.clone());
        self.waiting.remove(&workload)
    }

    /// When [`Self::take`] can give something; `None` where there is nothing to wait for.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let (due, _) = self
            .order
            .iter()
            .find(|(_, workload)| !self.taken.contains(workload))?;
        Some((*due).max(self.bucket.ready(now)))
    }

    /// Gives a token back: the intent restarted nothing.
    pub fn unused(&mut self) {
        self.bucket.give_back();
    }

    /// An intent that was taken ended.
    pub fn finish(&mut self, intent: Intent, finish: Finish, now: Instant) {
        self.taken.remove(&intent.workload);
        if let (Finish::Retry(after), false) = (finish, self.waiting.contains_key(&intent.workload))
        {
            self.put(Intent {
                attempts: intent.attempts + 1,
                due: now + after,
                ..intent
            });
        }
    }

    /// Nothing is to be done for the workload; gives whether something was.
    pub fn settled(&mut self, workload: &WorkloadKey) -> bool {
        let intent = self.waiting.remove(workload);
        intent.is_some_and(|intent| self.order.remove(&(intent.due, intent.workload)))
    }

    /// The workload is gone, or nothing is to be done for it any more.
    pub fn forget(&mut self, workload: &WorkloadKey) {
        self.settled(workload);
        self.held.remove(workload);
    }

    /// Notes why a workload is behind without an intent, or that it is not. Gives whether that is news.
    pub fn hold(&mut self, workload: &WorkloadKey, held: Option<Held>) -> bool {
        match held {
            Some(held) => self.held.insert(workload.clone(), held) != Some(held),
            None => self.held.remove(workload).is_some(),
        }
    }

    /// How many wait or are being carried out, since when the oldest waits, and how many are held for which reason.
    pub fn pending(&self) -> (usize, Option<Instant>, Vec<(&'static str, u64)>) {
        let oldest = self.waiting.values().map(|intent| intent.since).min();
        let held = Held::ALL.into_iter().map(|reason| {
            let count = self.held.values().filter(|held| **held == reason).count();
            (reason.as_str(), count as u64)
        });
        (
            self.waiting.len() + self.taken.len(),
            oldest,
            held.collect(),
        )
    }

    fn put(&mut self, intent: Intent) {
        let entry = (intent.due, intent.workload.clone());
        if let Some(before) = self.waiting.insert(intent.workload.clone(), intent) {
            self.order.remove(&(before.due, before.workload));
        }
        self.order.insert(entry);
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    pacing: Pacing,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let Some(rate) = self.pacing.rate else {
            return true;
        };
        let full = f64::from(self.pacing.burst.max(1));
        self.tokens =
            (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * rate).min(full);
        self.at = now.max(self.at);
        // A token that is there but for the rounding of clocks counts.
        let there = self.tokens >= 1.0 - 1e-6;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    fn ready(&self, now: Instant) -> Instant {
        match self.pacing.rate {
            Some(rate) if self.tokens < 1.0 => {
                self.at + Duration::from_secs_f64((1.0 - self.tokens) / rate)
            }
            _ => now,
        }
    }

    fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(f64::from(self.pacing.burst.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    const SETTLE: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(3);
    const MS: Duration = Duration::from_millis(1);

    fn workload(name: &str) -> WorkloadKey {
        WorkloadKey {
            kind: &KINDS[0],
            namespace: "n".to_owned(),
            name: name.to_owned(),
        }
    }

    fn unpaced(now: Instant) -> Intents {
        Intents::new(
            Pacing {
                rate: None,
                burst: 1,
            },
            now,
        )
    }

    #[test]
    fn changes_within_settle_are_one_intent_and_the_wait_is_bounded() {
        let start = Instant::now();
        let mut intents = unpaced(start);
        for step in 0..5 {
            intents.changed(&workload("a"), start + SETTLE / 2 * step, SETTLE, LONGEST);
        }
        assert_eq!(intents.next(start), Some(start + LONGEST));
        assert_eq!(intents.take(start + LONGEST - MS), None);
        let taken = intents.take(start + LONGEST).unwrap();
        assert_eq!(taken.since, start);
        assert_eq!(intents.take(start + LONGEST), None);
    }

    #[test]
    fn a_change_while_it_is_carried_out_waits_for_its_end() {
        let start = Instant::now();
        let mut intents = unpaced(start);
        intents.changed(&workload("a"), start, Duration::ZERO, LONGEST);
        let taken = intents.take(start).unwrap();
        intents.changed(&workload("a"), start, Duration::ZERO, LONGEST);
        assert_eq!(intents.next(start), None);
        assert_eq!(intents.take(start), None);
        intents.finish(taken, Finish::Retry(SETTLE), start);
        let again = intents.take(start).unwrap();
        assert_eq!(again.attempts, 0, "the new change stands for itself");
        intents.finish(again, Finish::Retry(SETTLE), start);
        assert_eq!(intents.next(start), Some(start + SETTLE));
        assert_eq!(intents.take(start + SETTLE).unwrap().attempts, 1);
    }

    #[test]
    fn what_is_noticed_does_not_put_off_what_waits() {
        let start = Instant::now();
        let mut intents = unpaced(start);
        intents.changed(&workload("a"), start, SETTLE, LONGEST);
        intents.noticed(&workload("a"), start + SETTLE / 2, SETTLE);
        assert!(intents.take(start + SETTLE).is_some());
    }

    #[test]
    fn pacing_holds_and_an_unused_token_comes_back() {
        let start = Instant::now();
        let mut intents = Intents::new(
            Pacing {
                rate: Some(10.0),
                burst: 2,
            },
            start,
        );
        for name in ["a", "b", "c", "d"] {
            intents.changed(&workload(name), start, Duration::ZERO, LONGEST);
        }
        assert!(intents.take(start).is_some() && intents.take(start).is_some());
        assert_eq!(intents.take(start), None);
        let next = intents.next(start).unwrap();
        assert!((next - start).as_millis().abs_diff(100) <= 1);
        assert!(intents.take(next).is_some());
        assert_eq!(intents.take(next), None);
        intents.unused();
        assert!(intents.take(next).is_some());
    }

    #[test]
    fn what_is_held_is_counted_and_news_only_once() {
        let mut intents = unpaced(Instant::now());
        assert!(intents.hold(&workload("a"), Some(Held::Missing)));
        assert!(!intents.hold(&workload("a"), Some(Held::Missing)));
        assert!(intents.pending().2.contains(&("missing", 1)));
        intents.forget(&workload("a"));
        assert!(!intents.hold(&workload("a"), None));
    }
}
