//! Decisions that wait for their turn, because their namespace has had much decided lately.
//!
//! A decision costs more the more sources a workload has, and somebody may have many workloads with very many, and change them all
//! the time. The controller has one thread. So a namespace has an allowance of its time. Within it a decision is made at once, at
//! the event that it is for. Beyond it decisions wait here, and are made by turns of namespaces, one of each. Between two the
//! thread does what else there is to do.
//!
//! A workload waits once, whatever happens meanwhile: the decision is about how things are when it is made. So what waits is bounded
//! by the number of workloads.
//!
//! Pure: time is an argument.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{SourceName, WorkloadKey};

/// As much time of decisions a namespace may take before others go first.
const ALLOWANCE: Duration = Duration::from_millis(100);

/// A namespace that takes one part of the time in so many never has to wait.
const SHARE: u32 = 10;

/// Decisions that wait, and what each namespace has taken.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: HashMap<String, Taken>,
    waiting: BTreeMap<String, Queue>,
    /// The namespaces that wait, in the order of their turns.
    order: VecDeque<String>,
}

/// What waits in a namespace: workloads in their order, each with the source whose change it is for.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<WorkloadKey>,
    changes: HashMap<WorkloadKey, Option<SourceName>>,
}

/// Time taken, as of a moment. It is forgotten at the pace of [`SHARE`].
#[derive(Clone, Copy, Debug)]
struct Taken {
    time: Duration,
    at: Instant,
}

impl Taken {
    fn now(self, now: Instant) -> Duration {
        let forgotten = now.saturating_duration_since(self.at) / SHARE;
        self.time.saturating_sub(forgotten)
    }
}

impl Turns {
    /// Whether a decision in a namespace may be made at once.
    pub(super) fn may(&self, namespace: &str, now: Instant) -> bool {
        let taken = self.taken.get(namespace);
        !self.waiting.contains_key(namespace)
            && taken.is_none_or(|taken| taken.now(now) < ALLOWANCE)
    }

    /// Notes that a decision took so long.
    pub(super) fn took(&mut self, namespace: &str, time: Duration, now: Instant) {
        if time.is_zero() {
            return;
        }
        if let Some(taken) = self.taken.get_mut(namespace) {
            *taken = Taken {
                time: taken.now(now) + time,
                at: now,
            };
        } else {
            let taken = Taken { time, at: now };
            self.taken.insert(namespace.to_owned(), taken);
        }
    }

    /// Files that a workload is to be decided about, for a change of this source or for something else.
    pub(super) fn wait(&mut self, workload: &WorkloadKey, change: Option<&SourceName>) {
        let namespace = &workload.namespace;
        if !self.waiting.contains_key(namespace) {
            self.order.push_back(namespace.clone());
        }
        let queue = self.waiting.entry(namespace.clone()).or_default();
        let known = queue.changes.get_mut(workload);
        match (known, change) {
            (Some(known), Some(change)) => *known = Some(change.clone()),
            (Some(_), None) => {}
            (None, change) => {
                queue.changes.insert(workload.clone(), change.cloned());
                queue.order.push_back(workload.clone());
            }
        }
    }

    /// Takes the workload whose turn it is, with the source whose change it is for.
    pub(super) fn next(&mut self) -> Option<(WorkloadKey, Option<SourceName>)> {
        let namespace = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&namespace)?;
        let workload = queue.order.pop_front()?;
        let change = queue.changes.remove(&workload)?;
        if queue.order.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        Some((workload, change))
    }

    /// Returns the namespace of each workload that waits.
    pub(super) fn waiting(&self) -> Vec<String> {
        let all = self.waiting.iter();
        all.flat_map(|(namespace, queue)| vec![namespace.clone(); queue.order.len()])
            .collect()
    }

    /// Forgets what namespaces took long ago.
    pub(super) fn expire(&mut self, now: Instant) {
        self.taken.retain(|_, taken| !taken.now(now).is_zero());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    fn workload(namespace: &str, name: &str) -> WorkloadKey {
        WorkloadKey {
            kind: &KINDS[0],
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn names(turns: &mut Turns) -> Vec<String> {
        let next = std::iter::from_fn(|| turns.next());
        next.map(|(workload, _)| format!("{}/{}", workload.namespace, workload.name))
            .collect()
    }

    #[test]
    fn namespaces_take_turns_and_a_workload_waits_once() {
        let mut turns = Turns::default();
        for name in ["a", "b", "c", "a", "b"] {
            turns.wait(&workload("busy", name), None);
        }
        turns.wait(&workload("calm", "x"), None);
        assert_eq!(turns.waiting().len(), 4);
        let order = ["busy/a", "calm/x", "busy/b", "busy/c"];
        assert_eq!(names(&mut turns), order);
        assert!(turns.order.is_empty() && turns.waiting.is_empty());
    }

    #[test]
    fn the_last_change_is_the_one_that_counts() {
        let mut turns = Turns::default();
        let (web, source) = (workload("n", "web"), SourceName::secret("s"));
        turns.wait(&web, Some(&SourceName::secret("before")));
        turns.wait(&web, Some(&source));
        turns.wait(&web, None);
        assert_eq!(turns.next(), Some((web, Some(source))));
    }

    #[test]
    fn who_takes_much_waits_and_who_takes_little_never_does() {
        let (mut turns, start) = (Turns::default(), Instant::now());
        let ms = Duration::from_millis;
        assert!(turns.may("busy", start));
        turns.took("busy", ms(150), start);
        turns.took("calm", ms(10), start);
        assert!(!turns.may("busy", start) && turns.may("calm", start));
        assert!(!turns.may("busy", start + ms(500)));
        assert!(turns.may("busy", start + ms(510)));
        turns.wait(&workload("busy", "a"), None);
        assert!(
            !turns.may("busy", start + ms(510)),
            "those that wait go first"
        );
        // A tenth of the time, for ever.
        for step in 0..1000 {
            let now = start + ms(100) * step;
            assert!(turns.may("calm", now));
            turns.took("calm", ms(10), now);
        }
        turns.expire(start + Duration::from_hours(1));
        assert!(turns.taken.is_empty());
    }
}
