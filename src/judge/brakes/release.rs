//! Who of those that wait goes now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    Brakes, Elsewhere, GOING_AT_MOST, News, Reason, STARTS, gates::Gates, reason::Gate,
    waiting::Waiting,
};
use crate::model::{
    Index, WorkloadKey,
    brake::{
        later,
        needed::still_needed,
        slow_start::{Room, Stands},
        spread::{Namespace, Spread, WITHIN},
        turns::{Candidate, Counted, choose, has_nothing_to_lose},
        verdict::counted,
    },
    index::Tracked,
    workload::{Changed, VersionId},
};

/// So long nothing new is made of what all namespaces show.
const SPREAD_FOR: SignedDuration = SignedDuration::from_secs(1);

/// So long after that who waits for a lower wave is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// How one stands that waits.
enum Stand {
    /// Others may come that go first, until then.
    Gathers(Timestamp),
    /// Its user lets it go, whatever holds it.
    Released,
    /// A gate holds it; when that may be over.
    Held(Gate, Timestamp),
    /// Its own distance holds it, and others may; when that may be over.
    Apart(Box<Candidate>, Reason, Timestamp),
    /// It goes if there is room; and when somebody else's rollout of it is not waited for any more.
    Candidate(Box<Candidate>, Option<Timestamp>),
}

impl Brakes {
    /// Lets those go that may, in the namespaces where something changed. Returns them, and what there is to tell.
    pub fn release(
        &mut self,
        index: &Index,
        elsewhere: Elsewhere<'_>,
        now: Timestamp,
    ) -> (Vec<WorkloadKey>, Vec<(WorkloadKey, News)>) {
        for namespace in self.forgotten(now) {
            self.look_at(&namespace, now);
        }
        let due = self.due.iter().filter(|(_, at)| **at <= now);
        let mut due: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        // Whose turn it is matters only where somebody waits.
        if due.len() > 1 && !self.waiting.is_empty() {
            let spread = self.spread(index, now);
            due.sort_by_key(|namespace| spread.goes_last(namespace));
        }
        let (mut gone, mut news) = (Vec::new(), Vec::new());
        for namespace in due {
            self.due.remove(&namespace);
            let (released, gated) = self.release_in(index, &namespace, elsewhere, now);
            gone.extend(released);
            news.extend(gated);
            news.extend(self.news(index, &namespace, now));
        }
        (gone, news)
    }

    /// Forgets who was let go and was not heard of for long. Returns where.
    fn forgotten(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut namespaces = BTreeSet::new();
        self.going.retain(|key, going| {
            let keeps = now.duration_since(going.since) < GOING_AT_MOST;
            if !keeps {
                namespaces.insert(key.namespace.clone());
            }
            keeps
        });
        namespaces
    }

    fn release_in(
        &mut self,
        index: &Index,
        namespace: &str,
        elsewhere: Elsewhere<'_>,
        now: Timestamp,
    ) -> (Vec<WorkloadKey>, Vec<(WorkloadKey, News)>) {
        if let Some(next) = self.made.remember_good(index, namespace, now) {
            self.look_at(namespace, next);
        }
        let (mut gone, mut news) = (Vec::new(), Vec::new());
        let (mut keys, mut candidates, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        for (key, stands) in self.stand(index, namespace, elsewhere, now) {
            match stands {
                Stand::Gathers(until) => self.look_at(namespace, until),
                Stand::Released => {
                    if let Some(waiting) = self.waiting.remove(&key) {
                        self.go(&key, waiting, false, now);
                        gone.push(key);
                    }
                }
                Stand::Held(gate, next) => {
                    self.look_at(namespace, next);
                    let words = self.holds(&key, gate.reason, gate.by);
                    news.extend(words.map(|words| (key, News::Gated { words })));
                }
                Stand::Apart(candidate, reason, next) => {
                    self.look_at(namespace, next);
                    self.holds(&key, reason, String::new());
                    apart.push((key, *candidate));
                }
                Stand::Candidate(candidate, next) => {
                    if let Some(next) = next {
                        self.look_at(namespace, next);
                    }
                    if let Some(waiting) = self.waiting.get_mut(&key) {
                        waiting.waits_for_others();
                    }
                    candidates.push(*candidate);
                    keys.push(key);
                }
            }
        }
        gone.extend(self.choose(index, namespace, &keys, &candidates, now));
        self.tell_of_others_first(index, namespace, apart, now);
        (gone, news)
    }

    /// Takes in of those whom their own distance holds that others hold them as well: of two brakes the first is told.
    fn tell_of_others_first(
        &mut self,
        index: &Index,
        namespace: &str,
        apart: Vec<(WorkloadKey, Candidate)>,
        now: Timestamp,
    ) {
        if apart.is_empty() {
            return;
        }
        let candidates: Vec<_> = apart.iter().map(|(_, one)| one.clone()).collect();
        let (rooms, _) = self.counting(index, namespace, now).rooms(&candidates);
        for (key, candidate) in apart {
            if is_held_by_others(&candidate, &rooms) {
                let next = held_until(&candidate, &rooms);
                self.wait_for(&key, Reason::SlowStart { next });
            }
        }
    }

    /// Returns how each stands that waits in a namespace.
    fn stand(
        &self,
        index: &Index,
        namespace: &str,
        elsewhere: Elsewhere<'_>,
        now: Timestamp,
    ) -> Vec<(WorkloadKey, Stand)> {
        let counting = self.counting(index, namespace, now);
        let gates = Gates::new(&counting, elsewhere);
        let of = |key: &WorkloadKey, waiting: &Waiting| {
            let tracked = index.workload(key)?;
            let until = waiting.gathers_until();
            if until > now {
                return Some(Stand::Gathers(until));
            }
            if tracked.policy.is_released(&waiting.id) {
                return Some(Stand::Released);
            }
            let gate = gates.holds(key, tracked, waiting);
            if let Some(gate) = gate {
                let next = match gate.reason {
                    Reason::Window(closed) => closed.until().unwrap_or(Timestamp::MAX),
                    Reason::Together { until } => until,
                    // What holds one of a lower wave may end unseen by the brakes.
                    _ => later(now, AGAIN),
                };
                return Some(Stand::Held(gate, next));
            }
            let candidate = self.candidate(index, key, tracked, now)?;
            if let Some(reason) = self.held_by_distance(key, tracked, now) {
                let next = match reason {
                    Reason::Distance { next: Some(next) } => next,
                    _ => self.made.hangs_at(key, tracked),
                };
                return Some(Stand::Apart(Box::new(candidate), reason, next));
            }
            let next = candidate.rolls.then(|| {
                let until = self.waits_for_others_until(index, key, tracked);
                until.min(later(now, STARTS))
            });
            Some(Stand::Candidate(Box::new(candidate), next))
        };
        let waiting = self.waiting.within(namespace);
        waiting
            .filter_map(|(key, waiting)| Some((key.clone(), of(key, waiting)?)))
            .collect()
    }

    /// Lets those of these go for which there is room.
    fn choose(
        &mut self,
        index: &Index,
        namespace: &str,
        keys: &[WorkloadKey],
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Vec<WorkloadKey> {
        if candidates.is_empty() {
            return Vec::new();
        }
        let (rooms, next) = self.counting(index, namespace, now).rooms(candidates);
        if let Some(next) = next {
            self.look_at(namespace, next);
        }
        let spread = self.spread(index, now);
        let (allows, slowed) = (spread.allows(namespace), spread.is_slowed());
        let last = spread.goes_last(namespace);
        let allowed = allows && !(last && self.others_wait());
        let mut gone = Vec::new();
        let mut left: BTreeSet<usize> = (0..keys.len()).collect();
        for goes in choose(candidates, &rooms) {
            let key = &keys[goes.which];
            if !candidates[goes.which].freely && !allowed {
                self.wait_for(key, Reason::Spread { slowed });
                self.look_at(namespace, later(now, SPREAD_FOR));
                left.remove(&goes.which);
                continue;
            }
            left.remove(&goes.which);
            if let Some(waiting) = self.waiting.remove(key) {
                self.go(key, waiting, goes.alone, now);
                gone.push(key.clone());
            }
        }
        for which in left {
            let next = held_until(&candidates[which], &rooms);
            self.wait_for(&keys[which], Reason::SlowStart { next });
        }
        gone
    }

    /// Whether somebody waits for room over namespaces where the last restart did not fail.
    fn others_wait(&self) -> bool {
        let Some((_, spread)) = &self.spread else {
            return false;
        };
        let mut waiting = self.waiting.iter();
        waiting.any(|(key, waiting)| {
            matches!(waiting.reason, Reason::Spread { .. }) && !spread.goes_last(&key.namespace)
        })
    }

    fn wait_for(&mut self, key: &WorkloadKey, reason: Reason) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.reason = reason;
        }
    }

    /// Takes in what of its own holds one, and by whom. Returns what people are to be told of that.
    fn holds(&mut self, key: &WorkloadKey, reason: Reason, by: String) -> Option<String> {
        let waiting = self.waiting.get_mut(key)?;
        waiting.holds(reason);
        waiting.by = by;
        let words = reason.gated(&waiting.by).filter(|_| !waiting.told)?;
        waiting.told = true;
        Some(words)
    }

    fn candidate(
        &self,
        index: &Index,
        key: &WorkloadKey,
        tracked: &Tracked,
        now: Timestamp,
    ) -> Option<Candidate> {
        let waiting = self.waiting.get(key)?;
        let workload = &tracked.workload;
        let verdict = self.made.verdict(key, tracked, now);
        let starts = self.starts(index, key, tracked, verdict.as_ref(), now);
        let versions = still_needed(index, key, tracked, waiting.versions.clone());
        let rolls = (workload.progress.rolls() || workload.progress.is_down() && starts)
            && verdict.is_none()
            && now < self.waits_for_others_until(index, key, tracked);
        Some(Candidate {
            since: waiting.written(index, key).unwrap_or(waiting.since),
            restarted: workload.last.as_ref().map(|last| last.opened.at),
            freely: versions.is_empty()
                || has_nothing_to_lose(&workload.progress, verdict.as_ref(), starts),
            versions,
            goes_on: self
                .made
                .goes_on(key, tracked, waiting.versions.keys(), now)
                .is_some(),
            rolls,
            probed: workload.progress.probed,
            several: workload
                .progress
                .counts
                .is_some_and(|counts| counts.wanted > 1),
            available: workload
                .progress
                .available_since
                .unwrap_or(workload.created),
        })
    }

    /// Returns until when somebody else's rollout is waited for: a deadline at most.
    fn waits_for_others_until(
        &self,
        index: &Index,
        key: &WorkloadKey,
        tracked: &Tracked,
    ) -> Timestamp {
        let since = self
            .waiting
            .get(key)
            .map_or(Timestamp::MIN, |waiting| waiting.behind_since(index, key));
        later(since, self.made.patience(tracked).deadline)
    }

    pub(super) fn spread(&mut self, index: &Index, now: Timestamp) -> &Spread {
        let stale = self
            .spread
            .as_ref()
            .is_none_or(|(at, _)| now.duration_since(*at).abs() >= SPREAD_FOR);
        if stale {
            let mut by_name: BTreeMap<&str, Vec<(Timestamp, Stands)>> = BTreeMap::new();
            let mut unsure = false;
            for key in self.made.keys() {
                let Some(tracked) = index.workload(key) else {
                    continue;
                };
                let verdict = self.made.verdict(key, tracked, now);
                let opened = tracked.workload.last.as_ref().map(|last| &last.opened);
                let restarted = opened.and_then(|opened| counted(opened, verdict.as_ref()));
                unsure |= restarted.is_some_and(|one| {
                    one.stands == Stands::Rolling
                        && now.duration_since(one.at) <= WITHIN
                        && self.made.unsure_until(key, tracked, now).is_some()
                });
                let all = by_name.entry(&key.namespace).or_default();
                all.extend(restarted.map(|one| (one.at, one.stands)));
            }
            for (key, going) in self.going.iter() {
                by_name
                    .entry(&key.namespace)
                    .or_default()
                    .push((going.since, Stands::Rolling));
            }
            let namespaces: Vec<_> = by_name
                .into_iter()
                .map(|(name, all)| Namespace::of(name, all))
                .collect();
            let spread = Spread::of(&namespaces, now);
            let spread = if unsure { spread.unsure() } else { spread };
            self.spread = Some((now, spread));
        }
        let empty = || (now, Spread::of(&[], now));
        &self.spread.get_or_insert_with(empty).1
    }
}

/// Whether there is no room for a candidate, whatever else holds it. One that goes first takes room itself while it waits.
fn is_held_by_others(candidate: &Candidate, rooms: &BTreeMap<Counted, Room>) -> bool {
    let mut versions = candidate.versions.iter();
    let is_full = |(changed, id): (&Changed, &VersionId)| {
        let room = rooms.get(&(changed.clone(), *id));
        room.is_some_and(|room| room.more() == 0)
    };
    !candidate.freely && !candidate.goes_on && versions.any(is_full)
}

/// Returns when the failures of others let a candidate go, as far as they alone hold it.
fn held_until(candidate: &Candidate, rooms: &BTreeMap<Counted, Room>) -> Option<Timestamp> {
    let counted = candidate
        .versions
        .iter()
        .map(|(changed, id)| (changed.clone(), *id));
    let times = counted.filter_map(|counted| match rooms.get(&counted) {
        Some(Room::At(at)) => Some(*at),
        _ => None,
    });
    times.max()
}
