//! Intents: which workloads may need a restart, and when each is due.
//!
//! There is one intent per workload, however many changes stand behind it. So the queue is bounded by the number of
//! workloads. An intent becomes due after a quiet period since the last change, or after a maximum wait since the
//! first.
//!
//! Of the due intents, [`Intents::take`] takes one of the namespace that was served longest ago, and there of the
//! source that was served longest ago. So 500 workloads behind one Secret do not delay the single workload behind
//! another. Two more limits apply: the pace of all restarts (a token bucket), and the budget of workloads that may be
//! rolling at once, of which the last place is for a namespace that has none. What waits for another brake is parked
//! ([`super::brakes`]): it counts as waiting, and is not taken before it is resumed.
//!
//! A task that took an intent ends it by [`Intents::finish`]. A new change of the same workload waits until then, so
//! that two tasks never restart the same workload.
//!
//! Pure: time is an argument.

mod intent;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use self::intent::Lane;
pub use self::intent::{Finish, Intent};
use super::bucket::{Bounds, Bucket};
use crate::model::{SourceName, WorkloadKey};

/// A rollout that takes longer no longer counts against the budget: a rollout that hangs must not delay the others.
const ROLLING_AT_MOST: Duration = Duration::from_mins(10);

/// All intents.
#[derive(Debug)]
pub struct Intents {
    waiting: HashMap<WorkloadKey, Intent>,
    lanes: BTreeMap<Lane, Turn>,
    namespaces: HashMap<String, u64>,
    turns: u64,
    /// Those that are being carried out, and how often that was tried.
    taken: HashMap<WorkloadKey, u32>,
    /// Those whose next intent is let past the budget.
    past: HashSet<WorkloadKey>,
    bounds: Bounds,
    bucket: Bucket,
    rolling: HashMap<WorkloadKey, Rolling>,
    parked: HashMap<WorkloadKey, Intent>,
}

/// A restart that counts against the budget.
#[derive(Clone, Copy, Debug)]
struct Rolling {
    since: Instant,
    /// Whether the workload was shown with this restart since.
    is_shown: bool,
}

/// The intents of one lane, and when it was last served.
#[derive(Debug, Default)]
struct Turn {
    served: u64,
    order: BTreeSet<(Instant, WorkloadKey)>,
}

impl Intents {
    /// Makes an empty queue.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            waiting: HashMap::new(),
            lanes: BTreeMap::new(),
            namespaces: HashMap::new(),
            turns: 0,
            taken: HashMap::new(),
            past: HashSet::new(),
            bounds,
            bucket: Bucket::full(bounds.all, now),
            rolling: HashMap::new(),
            parked: HashMap::new(),
        }
    }

    /// Files a change of a source for which the workload may need a restart. The intent is due after `settle`, counted
    /// anew with every change, but at most `longest` after the first change.
    pub fn changed(
        &mut self,
        workload: &WorkloadKey,
        source: &SourceName,
        now: Instant,
        settle: Duration,
        longest: Duration,
    ) {
        let parked = self.parked.remove(workload);
        let since = self.waiting.get(workload).or(parked.as_ref());
        let since = since.map_or(now, |intent| intent.since);
        let due = (now + settle).min(since + longest.max(settle));
        let source = Some(source.clone());
        self.put(Intent {
            workload: workload.clone(),
            since,
            attempts: 0,
            due,
            source,
        });
    }

    /// Files that the workload may need a restart for something that is no new change. An intent that waits already
    /// stays as it is.
    pub fn noticed(&mut self, workload: &WorkloadKey, now: Instant, settle: Duration) {
        if !self.waiting.contains_key(workload) && !self.parked.contains_key(workload) {
            let intent = Intent {
                due: now + settle,
                ..Intent::now(workload, now)
            };
            self.put(intent);
        }
    }

    /// Has a workload's intent due at once that waits for its next try, because what it waits for may have come.
    pub fn hurry(&mut self, workload: &WorkloadKey, now: Instant) {
        if let Some(intent) = self.remove(workload) {
            let due = intent.due.min(now);
            self.put(Intent { due, ..intent });
        }
    }

    /// Has a parked intent due at once, because its brake lets it go.
    pub fn resume(&mut self, workload: &WorkloadKey, now: Instant) {
        if let Some(intent) = self.parked.remove(workload) {
            let due = now;
            self.put(Intent { due, ..intent });
        }
    }

    /// Takes an intent that is due, if pacing and budget allow one more restart.
    pub fn take(&mut self, now: Instant) -> Option<Intent> {
        self.forget_hanging(now);
        let waiting = self.heads_with_room();
        let waiting = waiting.filter(|(_, (due, _))| *due <= now);
        let served = |lane: &Lane| self.namespaces.get(&lane.0).copied().unwrap_or(0);
        let turn = |lane: &Lane| self.lanes.get(lane).map_or(0, |turn| turn.served);
        let next = waiting.min_by_key(|(lane, (due, _))| (served(lane), turn(lane), *due));
        let past = self.heads_past().find(|intent| intent.due <= now);
        let (lane, workload) = match (past, next) {
            (Some(intent), _) => (intent.lane(), intent.workload.clone()),
            (None, Some((lane, (_, workload)))) => (lane.clone(), workload.clone()),
            (None, None) => return None,
        };
        if !self.bucket.take(now) {
            return None;
        }
        self.turns += 1;
        self.namespaces.insert(lane.0.clone(), self.turns);
        if let Some(turn) = self.lanes.get_mut(&lane) {
            turn.served = self.turns;
        }
        let intent = self.remove(&workload)?;
        self.taken.insert(workload, intent.attempts);
        Some(intent)
    }

    /// Takes a workload that has no intent, and is to be restarted at once, if pacing and budget allow one more restart and no
    /// task restarts it.
    ///
    /// # Errors
    /// When it may be tried again; `None`: when there is room.
    pub fn take_now(
        &mut self,
        workload: &WorkloadKey,
        now: Instant,
    ) -> Result<Intent, Option<Instant>> {
        self.forget_hanging(now);
        if self.is_taken(workload) || !self.has_room()(&workload.namespace) {
            return Err(None);
        }
        if !self.bucket.take(now) {
            return Err(Some(self.bucket.ready(now)));
        }
        let intent = Intent::now(workload, now);
        self.taken.insert(workload.clone(), intent.attempts);
        Ok(intent)
    }

    /// Returns when [`Self::take`] can return something next; `None` where no time tells, because nothing waits or the
    /// budget is used up.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let heads = self.heads_with_room().map(|(_, (due, _))| *due);
        let past = self.heads_past().map(|intent| intent.due);
        let due = heads.chain(past).min()?;
        Some(due.max(self.bucket.ready(now)))
    }

    /// Returns the token of an intent that restarted nothing.
    pub fn unused(&mut self) {
        self.bucket.give_back();
    }

    /// Notes that a workload was restarted. The restart counts against the budget until the workload has rolled.
    pub fn restarted(&mut self, workload: &WorkloadKey, now: Instant) {
        if self.bounds.rolling.is_some() {
            let is_shown = false;
            self.rolling.insert(
                workload.clone(),
                Rolling {
                    since: now,
                    is_shown,
                },
            );
        }
    }

    /// Notes that a workload was restarted that has no rollout to wait for: it does not count against the budget.
    pub fn restarted_at_once(&mut self, workload: &WorkloadKey, now: Instant) {
        self.restarted(workload, now);
        self.rolls(workload, false, now);
    }

    /// Notes whether the workload is rolling after a restart. Returns whether that makes room in the budget.
    pub fn rolls(&mut self, workload: &WorkloadKey, rolling: bool, now: Instant) -> bool {
        if self.bounds.rolling.is_none() {
            return false;
        }
        if rolling {
            let (since, is_shown) = (now, true);
            let it = self.rolling.entry(workload.clone());
            it.or_insert(Rolling { since, is_shown }).is_shown = true;
            return false;
        }
        self.rolling.remove(workload).is_some()
    }

    /// Whether a task is carrying out an intent of the workload.
    pub fn is_taken(&self, workload: &WorkloadKey) -> bool {
        self.taken.contains_key(workload)
    }

    /// Whether the workload has an intent that no task has taken yet, and that no brake holds.
    pub fn waits(&self, workload: &WorkloadKey) -> bool {
        self.waiting.contains_key(workload)
    }

    /// Lets the next intent of a workload past the budget.
    pub fn let_past(&mut self, workload: &WorkloadKey) {
        self.past.insert(workload.clone());
    }

    /// Returns how often in a row a workload's intent was tried, where it has one.
    pub fn attempts(&self, workload: &WorkloadKey) -> Option<u32> {
        let waiting = self.waiting.get(workload).or(self.parked.get(workload));
        let attempts = waiting.map(|intent| intent.attempts);
        attempts.or(self.taken.get(workload).copied())
    }

    /// Ends an intent that a task took.
    pub fn finish(&mut self, intent: Intent, finish: Finish, now: Instant) {
        self.taken.remove(&intent.workload);
        if self.waiting.contains_key(&intent.workload) {
            return;
        }
        match finish {
            Finish::Over => drop(self.past.remove(&intent.workload)),
            Finish::Retry(after) => self.put(Intent {
                attempts: intent.attempts + 1,
                due: now + after,
                ..intent
            }),
            Finish::Parked => {
                self.parked.insert(intent.workload.clone(), intent);
            }
        }
    }

    /// Drops the workload's intent: nothing is to be done. Returns whether there was one.
    pub fn settled(&mut self, workload: &WorkloadKey) -> bool {
        let parked = self.parked.remove(workload).is_some();
        self.past.remove(workload);
        self.remove(workload).is_some() || parked
    }

    /// Forgets a workload that is gone, or for which nothing is to be done any more.
    pub fn forget(&mut self, workload: &WorkloadKey) {
        self.settled(workload);
        self.rolling.remove(workload);
    }

    /// Forgets the turns of namespaces without intents.
    pub fn expire(&mut self) {
        let lanes: HashSet<_> = self
            .lanes
            .keys()
            .map(|(namespace, _)| namespace.clone())
            .collect();
        self.namespaces
            .retain(|namespace, _| lanes.contains(namespace));
    }

    /// Returns how many intents wait, are held by a brake, or are being carried out.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.parked.len() + self.taken.len()
    }

    /// Whether no intent waits, is held or is being carried out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns since when the oldest intent waits that no brake holds.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.values().map(|intent| intent.since).min()
    }

    /// Frees the places of those that roll no more, as `rolls` tells of those whose restart was shown: it may have failed, or hang, with
    /// nothing else to show. Returns whether that makes room in the budget.
    pub fn freed(&mut self, rolls: impl Fn(&WorkloadKey) -> bool) -> bool {
        let before = self.rolling.len();
        self.rolling.retain(|key, it| !it.is_shown || rolls(key));
        self.rolling.len() < before
    }

    /// Returns the workloads that count as rolling against the budget.
    pub fn rolling(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.rolling.keys()
    }

    fn forget_hanging(&mut self, now: Instant) {
        self.rolling
            .retain(|_, it| now.saturating_duration_since(it.since) < ROLLING_AT_MOST);
    }

    /// Returns the intents that are let past the budget, and that nobody carries out.
    fn heads_past(&self) -> impl Iterator<Item = &Intent> {
        let past = self.past.iter();
        let waiting = past.filter_map(|workload| self.waiting.get(workload));
        waiting.filter(|intent| !self.taken.contains_key(&intent.workload))
    }

    /// Returns the heads of lanes for which the budget has room.
    fn heads_with_room(&self) -> impl Iterator<Item = (&Lane, &(Instant, WorkloadKey))> {
        let has_room = self.has_room();
        self.heads()
            .filter(move |((namespace, _), _)| has_room(namespace))
    }

    /// Returns for which namespaces the budget has room. Its last place is for one that has none yet: rollouts that hang in one
    /// do not use it up for all.
    fn has_room(&self) -> impl Fn(&str) -> bool {
        let under_way = self.rolling.keys().chain(self.taken.keys());
        let under_way: Vec<_> = under_way.map(|key| key.namespace.as_str()).collect();
        let most = self.bounds.rolling.unwrap_or(usize::MAX);
        let free = most.saturating_sub(under_way.len());
        move |namespace| match free {
            0 => false,
            1 => !under_way.contains(&namespace),
            _ => true,
        }
    }

    /// Returns the first intent of each lane whose workload no task is restarting.
    fn heads(&self) -> impl Iterator<Item = (&Lane, &(Instant, WorkloadKey))> {
        self.lanes.iter().filter_map(|(lane, turn)| {
            let free = turn
                .order
                .iter()
                .find(|(_, workload)| !self.taken.contains_key(workload))?;
            Some((lane, free))
        })
    }

    fn put(&mut self, intent: Intent) {
        self.remove(&intent.workload);
        self.lanes
            .entry(intent.lane())
            .or_default()
            .order
            .insert((intent.due, intent.workload.clone()));
        self.waiting.insert(intent.workload.clone(), intent);
    }

    fn remove(&mut self, workload: &WorkloadKey) -> Option<Intent> {
        let intent = self.waiting.remove(workload)?;
        let lane = intent.lane();
        if let Some(turn) = self.lanes.get_mut(&lane) {
            turn.order.remove(&(intent.due, workload.clone()));
            if turn.order.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        Some(intent)
    }
}

#[cfg(test)]
mod tests;
