//! Which restarts that are due may be made now, as far as those before say: slow start, the spread over namespaces, distance.
//!
//! The brakes themselves are pure functions of the model ([`crate::model::brake`]); this gathers what they need. What is kept here
//! is what was seen: since when a rollout is complete, and what a look at its pods showed. A process that has just started knows
//! none of that, finds it out again, and until then counts a restart as one without a verdict.
//!
//! Invariants:
//! - a restart that is let go counts from that moment on, before anything shows it;
//! - each workload waits here at most once; who waits has an intent that is parked ([`super::intents`]).
//!
//! Pure: time is an argument.

mod elsewhere;
mod gates;
mod made;
mod news;
mod reason;
mod release;
mod rooms;
mod settings;
mod shown;
mod waiting;

use std::{cell::OnceCell, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};

pub use self::{
    elsewhere::Elsewhere,
    made::Made,
    news::News,
    reason::Reason,
    settings::Settings,
    shown::{ToShow, moved_of},
};
use self::{
    gates::Gates,
    rooms::Counting,
    waiting::{Going, Waiting},
};
use super::by_namespace::ByNamespace;
use crate::model::{
    Index, WorkloadKey,
    brake::{
        Verdict, distance, later,
        look::Look,
        needed::{is_sole, taken},
        spread::Spread,
        turns::has_nothing_to_lose,
    },
    decide::Restart,
    held::Held,
    index::Tracked,
    workload::{Changed, Opened, RestartMeans, VersionId},
};

/// A restart that was let go and was not heard of for so long counts no more: it must not hold others for ever.
const GOING_AT_MOST: SignedDuration = SignedDuration::from_mins(5);
/// So long somebody else's rollout of what has no available pod is waited for: its pods may be starting.
const STARTS: SignedDuration = SignedDuration::from_mins(1);

/// What may be done with a restart that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is made now.
    Go {
        /// Whether it goes alone.
        alone: bool,
    },
    /// It waits.
    Wait,
}

/// Restarts that were made, and those that wait.
#[derive(Debug)]
pub struct Brakes {
    settings: Settings,
    made: Made,
    waiting: ByNamespace<Waiting>,
    going: ByNamespace<Going>,
    due: BTreeMap<String, Timestamp>,
    spread: Option<(Timestamp, Spread)>,
}

impl Brakes {
    /// Makes one that knows of no restart.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            made: Made::new(settings.patience),
            waiting: ByNamespace::default(),
            going: ByNamespace::default(),
            due: BTreeMap::new(),
            spread: None,
        }
    }

    /// Returns the restarts that were made.
    pub fn made(&self) -> &Made {
        &self.made
    }

    /// Takes in how a workload is now. Returns whether somebody may go sooner for it.
    pub fn shown(&mut self, key: &WorkloadKey, tracked: &Tracked, now: Timestamp) -> bool {
        let waits = self.waiting.get(key);
        let waits = waits.is_some_and(|waiting| waiting.may_go_by(tracked));
        let news = self.made.shown(key, tracked, now) || waits;
        if news {
            self.look_at(&key.namespace, now);
        }
        news
    }

    /// Takes in what the pods of a workload's restart with this mark showed.
    pub fn looked(&mut self, key: &WorkloadKey, mark: &str, look: Look, now: Timestamp) {
        if self.made.looked(key, mark, look, now) {
            self.look_at(&key.namespace, now);
        }
    }

    /// Takes in that the pods of a workload's restart could not be listed: others have their turn first.
    pub fn could_not_look(&mut self, key: &WorkloadKey, now: Timestamp) {
        self.made.could_not_look(key, now);
    }

    /// Forgets a workload that is gone.
    pub fn forget(&mut self, key: &WorkloadKey) {
        self.settled(key);
        self.made.forget(key);
        self.look_at(&key.namespace, Timestamp::MIN);
    }

    /// Takes in that nothing is due for a workload any more. Returns whether others may have waited for it.
    pub fn settled(&mut self, key: &WorkloadKey) -> bool {
        let waited = self.waiting.remove(key).is_some();
        let went = self.going.remove(key).is_some();
        if waited || went {
            self.look_at(&key.namespace, Timestamp::MIN);
        }
        waited || went
    }

    /// Takes in that a restart which was let go was made, or was not.
    pub fn ended(&mut self, key: &WorkloadKey, now: Timestamp) {
        if self.going.remove(key).is_some() {
            self.look_at(&key.namespace, now);
        }
    }

    /// Returns why a workload waits, and since when.
    pub fn waits(&self, key: &WorkloadKey) -> Option<(Reason, Timestamp)> {
        self.waiting.get(key).map(|it| (it.reason, it.since))
    }

    /// Returns those that have waited for so long that a person may have to act on it, or behind a failure; at most so many.
    pub fn to_show(&mut self, index: &Index, most: usize, now: Timestamp) -> Vec<ToShow> {
        let counting = |namespace| self.counting(index, namespace, now);
        let acted = |namespace: &str| self.due.get(namespace).is_none_or(|at| *at > now);
        let to_show = shown::to_show(&self.waiting, counting, acted, index, most, now);
        for one in &to_show {
            if let Some(waiting) = self.waiting.get_mut(&one.key) {
                waiting.shown = Some(now);
            }
        }
        to_show
    }

    fn counting<'a>(
        &'a self,
        index: &'a Index,
        namespace: &'a str,
        now: Timestamp,
    ) -> Counting<'a> {
        Counting {
            made: &self.made,
            waiting: &self.waiting,
            going: &self.going,
            index,
            namespace,
            now,
            by_version: OnceCell::new(),
        }
    }

    /// Returns who waits, with the reason of each.
    pub fn each(&self) -> impl Iterator<Item = (&WorkloadKey, Held)> {
        self.waiting
            .iter()
            .map(|(key, waiting)| (key, waiting.reason.held()))
    }

    /// Whether a restart that is due may be made now. If not it waits here until [`Self::release`] lets it go.
    pub fn ask(
        &mut self,
        index: &Index,
        key: &WorkloadKey,
        restart: &Restart,
        elsewhere: Elsewhere<'_>,
        now: Timestamp,
    ) -> Answer {
        let Some(tracked) = index.workload(key) else {
            return Answer::Go { alone: false };
        };
        let waited = self.waiting.get(key);
        let slow_start = self.settings.slow_start;
        let mut waiting = Waiting::of((index, key, tracked), restart, waited, slow_start, now);
        let is_released = tracked.policy.is_released(&waiting.id);
        let gate = (!is_released).then(|| {
            let counting = self.counting(index, &key.namespace, now);
            Gates::new(&counting, elsewhere).holds(key, tracked, &waiting)
        });
        let gate = gate.flatten();
        waiting.is_gated_by(gate.as_ref());
        let gate = gate.map(|gate| gate.reason);
        let going = self.going.get(key);
        let going = going.filter(|going| going.versions == waiting.versions);
        if let (None, Some(going)) = (gate, going) {
            return Answer::Go { alone: going.alone };
        }
        self.going.remove(key);
        self.waiting.remove(key);
        let held = gate.or_else(|| self.held_by_distance(key, tracked, now));
        if let (Some(reason), false) = (held, is_released) {
            waiting.holds(reason);
        } else if is_released || self.goes_at_once(index, key, tracked, &waiting.versions, now) {
            let alone = self
                .made
                .goes_on(key, tracked, waiting.versions.keys(), now)
                .is_some();
            self.go(key, waiting, alone, now);
            return Answer::Go { alone };
        }
        self.look_at(&key.namespace, waiting.gathers_until());
        self.waiting.insert(key, waiting);
        Answer::Wait
    }

    /// Returns when [`Self::release`] may let somebody go.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }

    /// Returns what a restart that is let go writes for its verdict; `None` where there is nothing to see of it.
    pub fn opened(
        &self,
        index: &Index,
        key: &WorkloadKey,
        restart: &Restart,
        mark: &str,
        now: Timestamp,
    ) -> Option<Opened> {
        if matches!(key.kind.means, RestartMeans::Run | RestartMeans::Recreate) {
            return None;
        }
        let tracked = index.workload(key)?;
        let workload = &tracked.workload;
        let before = workload
            .last
            .as_ref()
            .map(|last| (last.opened.at, last.opened.distance));
        let versions = taken(index, key, restart);
        Some(Opened {
            at: now,
            mark: mark.to_owned(),
            distance: distance::after(before, now, self.settings.longest_distance),
            unavailable: workload.progress.unavailable(),
            well: workload.progress.is_well()
                || self
                    .made
                    .goes_on(key, tracked, versions.keys(), now)
                    .is_some(),
            versions,
            alone: self.going.get(key).is_some_and(|going| going.alone),
            generation: workload.generation.saturating_add(1),
            template: workload.print,
        })
    }

    fn held_by_distance(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        now: Timestamp,
    ) -> Option<Reason> {
        let opened = &tracked.workload.last.as_ref()?.opened;
        let verdict = self.made.verdict(key, tracked, now);
        // One that hangs is overtaken: nothing is held for ever.
        let hangs = now >= self.made.hangs_at(key, tracked);
        let rolls = tracked.workload.progress.rolls() && !hangs;
        let longest = self.settings.longest_distance;
        let wait = distance::wait(
            (opened.at, opened.distance),
            verdict.as_ref(),
            rolls,
            now,
            longest,
        )?;
        Some(Reason::Distance {
            next: match wait {
                distance::Wait::Until(next) => Some(next),
                distance::Wait::ForRollout => None,
            },
        })
    }

    /// Whether there is nobody to wait for.
    fn goes_at_once(
        &mut self,
        index: &Index,
        key: &WorkloadKey,
        tracked: &Tracked,
        versions: &BTreeMap<Changed, VersionId>,
        now: Timestamp,
    ) -> bool {
        if versions.is_empty() {
            return true;
        }
        let verdict = self.made.verdict(key, tracked, now);
        let starts = self.starts(index, key, tracked, verdict.as_ref(), now);
        if has_nothing_to_lose(&tracked.workload.progress, verdict.as_ref(), starts) {
            return true;
        }
        let sole = |changed: &Changed| is_sole(index, &key.namespace, changed);
        versions.keys().all(sole) && self.spread(index, now).allows(&key.namespace)
    }

    /// Whether pods of it may be about to start: of a restart that has no verdict yet; or, for a short while, of somebody else's
    /// rollout.
    fn starts(
        &self,
        index: &Index,
        key: &WorkloadKey,
        tracked: &Tracked,
        verdict: Option<&Verdict>,
        now: Timestamp,
    ) -> bool {
        let workload = &tracked.workload;
        match verdict {
            Some(Verdict::Rolling { .. }) => {
                workload.last.as_ref().is_some_and(|last| last.opened.well)
            }
            Some(Verdict::Good | Verdict::Failed(_) | Verdict::Void(_)) => false,
            None => {
                let waiting = self.waiting.get(key);
                let behind = waiting.map_or(now, |waiting| waiting.behind_since(index, key));
                workload.progress.is_under_way() && now < later(behind, STARTS)
            }
        }
    }

    fn go(&mut self, key: &WorkloadKey, waiting: Waiting, alone: bool, now: Timestamp) {
        if let Some((_, spread)) = &mut self.spread {
            spread.take(&key.namespace);
        }
        let Waiting {
            versions, takes, ..
        } = waiting;
        let going = Going {
            versions,
            takes,
            alone,
            since: now,
        };
        self.going.insert(key, going);
    }

    /// Takes in that what a namespace says changed.
    pub fn namespace_changed(&mut self, namespace: &str, now: Timestamp) {
        if self.waiting.within(namespace).next().is_some() {
            self.look_at(namespace, now);
        }
    }

    fn look_at(&mut self, namespace: &str, at: Timestamp) {
        let due = self.due.entry(namespace.to_owned()).or_insert(at);
        *due = at.min(*due);
    }
}
