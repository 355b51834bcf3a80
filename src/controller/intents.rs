//! Intents: which workloads may need a restart, and when each is due.
//!
//! One intent per workload, however many changes stand behind it, so the queue is bounded by the number of workloads.
//! An intent becomes due after a quiet period since the last change, or after a maximum wait since the first. Of those
//! that are due the one is taken whose namespace, and then whose source, was served longest ago: 500 workloads behind
//! one Secret do not hold up another Secret's one. Taking asks the pacing (a token bucket) and the budget of workloads
//! that may be rolling at once; a workload that was restarted often in short order waits for a bucket of its own, so
//! that two writers who fight over a Secret do not become a storm. What was taken comes back by [`Intents::finish`];
//! meanwhile a new change of the same workload waits, so that no workload is ever restarted by two tasks at once.
//!
//! Pure: time is an argument.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{SourceName, WorkloadKey, policy::Complaint};

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
    /// The source whose change it is for, as far as there is one: whose turn it takes.
    source: Option<SourceName>,
}

impl Intent {
    /// One that is carried out at once, outside of the queue.
    pub fn now(workload: &WorkloadKey, now: Instant) -> Self {
        Self {
            workload: workload.clone(),
            since: now,
            attempts: 0,
            due: now,
            source: None,
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

/// What bounds restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All workloads together.
    pub all: Pacing,
    /// Each workload.
    pub each: Pacing,
    /// How many workloads may be rolling at the same time; `None` is no limit.
    pub rolling: Option<usize>,
}

impl Bounds {
    /// Only a pace.
    pub fn paced(all: Pacing) -> Self {
        Self {
            all,
            each: Pacing {
                rate: None,
                burst: 1,
            },
            rolling: None,
        }
    }
}

/// A rollout that takes longer does not count against the budget any more: one that hangs must not hold up the rest.
const ROLLING_AT_MOST: Duration = Duration::from_mins(10);

/// All intents.
#[derive(Debug)]
pub struct Intents {
    waiting: HashMap<WorkloadKey, Intent>,
    lanes: BTreeMap<Lane, Turn>,
    namespaces: HashMap<String, u64>,
    turns: u64,
    taken: HashSet<WorkloadKey>,
    bounds: Bounds,
    bucket: Bucket,
    each: HashMap<WorkloadKey, Bucket>,
    rolling: HashMap<WorkloadKey, Instant>,
    held: BTreeMap<WorkloadKey, Held>,
    complaints: BTreeMap<WorkloadKey, Vec<Complaint>>,
    limited: HashSet<WorkloadKey>,
}

/// Whose turn an intent takes: a namespace, and a source in it.
type Lane = (String, Option<SourceName>);

/// The intents of one lane, and when it was last served.
#[derive(Debug, Default)]
struct Turn {
    served: u64,
    order: BTreeSet<(Instant, WorkloadKey)>,
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
    /// It was restarted, and its Deployment is paused.
    Paused,
    /// It was restarted, and its pods are replaced when somebody deletes them.
    OnDelete,
    /// It was restarted, and the partition of its rolling update keeps pods.
    Partitioned,
}

impl Held {
    /// Every reason, for metrics.
    pub const ALL: [Self; 9] = [
        Self::Missing,
        Self::Suspended,
        Self::Owned,
        Self::Unreadable,
        Self::NewerFormat,
        Self::NoRoom,
        Self::Paused,
        Self::OnDelete,
        Self::Partitioned,
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
            Self::Paused => "paused",
            Self::OnDelete => "on_delete",
            Self::Partitioned => "partitioned",
        }
    }
}

impl Intents {
    /// None yet.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            waiting: HashMap::new(),
            lanes: BTreeMap::new(),
            namespaces: HashMap::new(),
            turns: 0,
            taken: HashSet::new(),
            bounds,
            bucket: Bucket::full(bounds.all, now),
            each: HashMap::new(),
            rolling: HashMap::new(),
            held: BTreeMap::new(),
            complaints: BTreeMap::new(),
            limited: HashSet::new(),
        }
    }

    /// A change of a source that the workload may need a restart for. It is due after `settle`, counted anew with every
    /// change, but at most `longest` after the first.
    pub fn changed(
        &mut self,
        workload: &WorkloadKey,
        source: &SourceName,
        now: Instant,
        settle: Duration,
        longest: Duration,
    ) {
        let since = self
            .waiting
            .get(workload)
            .map_or(now, |intent| intent.since);
        let due = (now + settle).min(since + longest.max(settle));
        let source = Some(source.clone());
        self.put(
            Intent {
                workload: workload.clone(),
                since,
                attempts: 0,
                due,
                source,
            },
            now,
        );
    }

    /// The workload may need a restart for something that is no new change: an intent that is there stays as it is.
    pub fn noticed(&mut self, workload: &WorkloadKey, now: Instant, settle: Duration) {
        if !self.waiting.contains_key(workload) {
            let intent = Intent {
                due: now + settle,
                ..Intent::now(workload, now)
            };
            self.put(intent, now);
        }
    }

    /// Takes an intent that is due, if pacing and budget allow one more restart.
    pub fn take(&mut self, now: Instant) -> Option<Intent> {
        self.rolling
            .retain(|_, since| now.saturating_duration_since(*since) < ROLLING_AT_MOST);
        let waiting = self.heads().filter(|(_, (due, _))| *due <= now);
        let served = |lane: &Lane| self.namespaces.get(&lane.0).copied().unwrap_or(0);
        let turn = |lane: &Lane| self.lanes.get(lane).map_or(0, |turn| turn.served);
        let (lane, (_, workload)) =
            waiting.min_by_key(|(lane, (due, _))| (served(lane), turn(lane), *due))?;
        let (lane, workload) = (lane.clone(), workload.clone());
        if !self.has_budget() || !self.bucket.take(now) {
            return None;
        }
        self.turns += 1;
        self.namespaces.insert(lane.0.clone(), self.turns);
        if let Some(turn) = self.lanes.get_mut(&lane) {
            turn.served = self.turns;
        }
        self.taken.insert(workload.clone());
        self.remove(&workload)
    }

    /// When [`Self::take`] can give something; `None` where there is no time to wait for.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let due = self
            .heads()
            .map(|(_, (due, _))| *due)
            .min()
            .filter(|_| self.has_budget())?;
        Some(due.max(self.bucket.ready(now)))
    }

    /// Gives a token back: the intent restarted nothing.
    pub fn unused(&mut self) {
        self.bucket.give_back();
    }

    /// The workload was restarted: it counts against its own limit, and against the budget until it has rolled.
    pub fn restarted(&mut self, workload: &WorkloadKey, now: Instant) {
        let each = self.bounds.each;
        self.each
            .entry(workload.clone())
            .or_insert_with(|| Bucket::full(each, now))
            .take(now);
        if self.bounds.rolling.is_some() {
            self.rolling.insert(workload.clone(), now);
        }
    }

    /// Whether the workload is rolling after a restart. Gives whether that makes room in the budget.
    pub fn rolls(&mut self, workload: &WorkloadKey, rolling: bool, now: Instant) -> bool {
        if self.bounds.rolling.is_none() {
            return false;
        }
        if rolling {
            self.rolling.entry(workload.clone()).or_insert(now);
            return false;
        }
        self.rolling.remove(workload).is_some()
    }

    /// How long the workload's own limit puts a restart off, where nobody was told yet.
    pub fn newly_limited(&mut self, workload: &WorkloadKey, now: Instant) -> Option<Duration> {
        let wait = self
            .each
            .get(workload)?
            .ready(now)
            .saturating_duration_since(now);
        if wait.is_zero() || !self.waiting.contains_key(workload) {
            self.limited.remove(workload);
            return None;
        }
        self.limited.insert(workload.clone()).then_some(wait)
    }

    /// An intent that was taken ended.
    pub fn finish(&mut self, intent: Intent, finish: Finish, now: Instant) {
        self.taken.remove(&intent.workload);
        self.limited.remove(&intent.workload);
        if let (Finish::Retry(after), false) = (finish, self.waiting.contains_key(&intent.workload))
        {
            self.put(
                Intent {
                    attempts: intent.attempts + 1,
                    due: now + after,
                    ..intent
                },
                now,
            );
        }
    }

    /// Nothing is to be done for the workload; gives whether something was.
    pub fn settled(&mut self, workload: &WorkloadKey) -> bool {
        self.limited.remove(workload);
        self.remove(workload).is_some()
    }

    /// The workload is gone, or nothing is to be done for it any more.
    pub fn forget(&mut self, workload: &WorkloadKey) {
        self.settled(workload);
        self.held.remove(workload);
        self.complaints.remove(workload);
        self.each.remove(workload);
        self.rolling.remove(workload);
    }

    /// Forgets limits that were not reached for long, and whose turn it was long ago.
    pub fn expire(&mut self, now: Instant) {
        self.each.retain(|_, bucket| !bucket.is_full(now));
        let lanes: HashSet<_> = self
            .lanes
            .keys()
            .map(|(namespace, _)| namespace.clone())
            .collect();
        self.namespaces
            .retain(|namespace, _| lanes.contains(namespace));
    }

    /// Notes why a workload is behind without an intent, or that it is not. Gives whether that is news.
    pub fn hold(&mut self, workload: &WorkloadKey, held: Option<Held>) -> bool {
        match held {
            Some(held) => self.held.insert(workload.clone(), held) != Some(held),
            None => self.held.remove(workload).is_some(),
        }
    }

    /// Why a workload is behind without an intent.
    pub fn held(&self, workload: &WorkloadKey) -> Option<Held> {
        self.held.get(workload).copied()
    }

    /// Notes what of a workload's annotations cannot be read. Gives whether that is news.
    pub fn complain(&mut self, workload: &WorkloadKey, complaints: &[Complaint]) -> bool {
        if complaints.is_empty() {
            self.complaints.remove(workload);
            return false;
        }
        let before = self.complaints.get(workload).map(Vec::as_slice);
        let news = before != Some(complaints);
        if news {
            self.complaints
                .insert(workload.clone(), complaints.to_vec());
        }
        news
    }

    /// Makes what is held and what cannot be read news again.
    pub fn tell_again(&mut self) {
        self.held.clear();
        self.complaints.clear();
    }

    /// How many wait or are being carried out, since when the oldest waits, and how many are held for which reason.
    pub fn pending(&self) -> (usize, Option<Instant>, Vec<(&'static str, u64)>) {
        let oldest = self.waiting.values().map(|intent| intent.since).min();
        let held = Held::ALL.into_iter().map(|reason| {
            let count = self.held.values().filter(|held| **held == reason).count();
            (reason.as_str(), count as u64)
        });
        let held = held.chain([
            ("limited", self.limited.len() as u64),
            ("rolling", self.rolling.len() as u64),
        ]);
        (
            self.waiting.len() + self.taken.len(),
            oldest,
            held.collect(),
        )
    }

    fn has_budget(&self) -> bool {
        self.bounds
            .rolling
            .is_none_or(|most| self.rolling.len() + self.taken.len() < most)
    }

    /// The first intent of each lane that is not being carried out.
    fn heads(&self) -> impl Iterator<Item = (&Lane, &(Instant, WorkloadKey))> {
        self.lanes.iter().filter_map(|(lane, turn)| {
            let free = turn
                .order
                .iter()
                .find(|(_, workload)| !self.taken.contains(workload))?;
            Some((lane, free))
        })
    }

    fn put(&mut self, mut intent: Intent, now: Instant) {
        if let Some(bucket) = self.each.get(&intent.workload) {
            intent.due = intent.due.max(bucket.ready(now));
        }
        self.remove(&intent.workload);
        let lane = (intent.workload.namespace.clone(), intent.source.clone());
        self.lanes
            .entry(lane)
            .or_default()
            .order
            .insert((intent.due, intent.workload.clone()));
        self.waiting.insert(intent.workload.clone(), intent);
    }

    fn remove(&mut self, workload: &WorkloadKey) -> Option<Intent> {
        let intent = self.waiting.remove(workload)?;
        let lane = (workload.namespace.clone(), intent.source.clone());
        if let Some(turn) = self.lanes.get_mut(&lane) {
            turn.order.remove(&(intent.due, workload.clone()));
            if turn.order.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        Some(intent)
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
    fn full(pacing: Pacing, now: Instant) -> Self {
        Self {
            pacing,
            tokens: f64::from(pacing.burst.max(1)),
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.pacing.rate.is_none() {
            return true;
        }
        self.tokens = self.tokens_at(now);
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
            Some(rate) if self.tokens_at(now) < 1.0 - 1e-6 => {
                self.at + Duration::from_secs_f64((1.0 - self.tokens) / rate)
            }
            _ => now,
        }
    }

    fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(f64::from(self.pacing.burst.max(1)));
    }

    fn is_full(&self, now: Instant) -> bool {
        self.tokens_at(now) >= f64::from(self.pacing.burst.max(1))
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let grown = self.tokens + since * self.pacing.rate.unwrap_or(f64::INFINITY);
        // 0 × ∞ is no number.
        if grown.is_nan() {
            self.tokens
        } else {
            grown.min(f64::from(self.pacing.burst.max(1)))
        }
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
            Bounds::paced(Pacing {
                rate: None,
                burst: 1,
            }),
            now,
        )
    }

    #[test]
    fn changes_within_settle_are_one_intent_and_the_wait_is_bounded() {
        let start = Instant::now();
        let mut intents = unpaced(start);
        for step in 0..5 {
            intents.changed(
                &workload("a"),
                &SourceName::secret("s"),
                start + SETTLE / 2 * step,
                SETTLE,
                LONGEST,
            );
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
        intents.changed(
            &workload("a"),
            &SourceName::secret("s"),
            start,
            Duration::ZERO,
            LONGEST,
        );
        let taken = intents.take(start).unwrap();
        intents.changed(
            &workload("a"),
            &SourceName::secret("s"),
            start,
            Duration::ZERO,
            LONGEST,
        );
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
        intents.changed(
            &workload("a"),
            &SourceName::secret("s"),
            start,
            SETTLE,
            LONGEST,
        );
        intents.noticed(&workload("a"), start + SETTLE / 2, SETTLE);
        assert!(intents.take(start + SETTLE).is_some());
    }

    #[test]
    fn pacing_holds_and_an_unused_token_comes_back() {
        let start = Instant::now();
        let mut intents = Intents::new(
            Bounds::paced(Pacing {
                rate: Some(10.0),
                burst: 2,
            }),
            start,
        );
        for name in ["a", "b", "c", "d"] {
            intents.changed(
                &workload(name),
                &SourceName::secret("s"),
                start,
                Duration::ZERO,
                LONGEST,
            );
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

    #[test]
    fn one_sources_many_do_not_hold_up_anothers_one() {
        let start = Instant::now();
        let mut intents = unpaced(start);
        let many = SourceName::secret("many");
        for number in 0..500 {
            intents.changed(
                &workload(&format!("a{number:03}")),
                &many,
                start,
                Duration::ZERO,
                LONGEST,
            );
        }
        intents.changed(
            &workload("z"),
            &SourceName::secret("one"),
            start + MS,
            Duration::ZERO,
            LONGEST,
        );
        let elsewhere = WorkloadKey {
            namespace: "other".to_owned(),
            ..workload("far")
        };
        intents.changed(&elsewhere, &many, start + MS, Duration::ZERO, LONGEST);
        let first: Vec<_> = (0..4)
            .map(|_| intents.take(start + MS).unwrap().workload.name)
            .collect();
        assert!(
            first.contains(&"z".to_owned()) && first.contains(&"far".to_owned()),
            "{first:?}"
        );
    }

    #[test]
    fn a_workload_has_a_limit_of_its_own_and_the_pending_one_is_kept() {
        let start = Instant::now();
        let each = Pacing {
            rate: Some(1.0 / 60.0),
            burst: 10,
        };
        let bounds = Bounds {
            each,
            ..Bounds::paced(Pacing {
                rate: None,
                burst: 1,
            })
        };
        let mut intents = Intents::new(bounds, start);
        for _ in 0..10 {
            intents.noticed(&workload("a"), start, Duration::ZERO);
            let intent = intents.take(start).unwrap();
            intents.restarted(&workload("a"), start);
            intents.finish(intent, Finish::Over, start);
        }
        intents.noticed(&workload("a"), start, Duration::ZERO);
        intents.noticed(&workload("b"), start, Duration::ZERO);
        assert_eq!(intents.take(start).unwrap().workload.name, "b");
        assert_eq!(intents.take(start), None);
        assert_eq!(
            intents.newly_limited(&workload("a"), start),
            Some(Duration::from_mins(1))
        );
        assert_eq!(
            intents.newly_limited(&workload("a"), start),
            None,
            "told once"
        );
        assert!(intents.pending().2.contains(&("limited", 1)));
        assert!(intents.take(start + Duration::from_mins(1)).is_some());
        intents.expire(start + Duration::from_hours(1));
        assert!(intents.each.is_empty());
    }

    #[test]
    fn the_budget_counts_what_rolls_but_not_for_ever() {
        let start = Instant::now();
        let bounds = Bounds {
            rolling: Some(2),
            ..Bounds::paced(Pacing {
                rate: None,
                burst: 1,
            })
        };
        let mut intents = Intents::new(bounds, start);
        for name in ["a", "b", "c", "d"] {
            intents.noticed(&workload(name), start, Duration::ZERO);
        }
        for _ in 0..2 {
            let intent = intents.take(start).unwrap();
            intents.restarted(&intent.workload.clone(), start);
            intents.finish(intent, Finish::Over, start);
        }
        assert_eq!(intents.take(start), None);
        assert_eq!(intents.next(start), None);
        assert!(intents.rolls(&workload("a"), false, start));
        assert!(intents.take(start).is_some());
        assert_eq!(intents.take(start), None);
        assert!(intents.take(start + ROLLING_AT_MOST).is_some());
    }
}
