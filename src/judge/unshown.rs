//! Which sources are to be read because workloads use them and the watches do not show enough of them, and when.
//!
//! Namespaces take turns: one read is made at a time, and a namespace may have thousands of sources to be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::by_time::ByTime;
use crate::model::SourceKey;

/// The time between two reads of one sweep, so that it is no burst. (Most of them find nothing.)
const PACE: Duration = Duration::from_millis(10);
/// When a read that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to be read, and when. One entry for each source.
#[derive(Debug, Default)]
pub struct Unshown {
    queue: Mutex<Queue>,
    /// Notified when something is to be read sooner.
    pub changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    due: BTreeMap<SourceKey, Instant>,
    /// Those whose time has not come, as far as anybody looked.
    later: ByTime<SourceKey>,
    /// The others, by namespace.
    ready: BTreeMap<String, BTreeSet<SourceKey>>,
    /// The namespace that had the last turn.
    served: String,
    /// Taken, and not known to be read yet. It may be filed again meanwhile.
    reading: BTreeSet<SourceKey>,
    /// The last read of these failed, and that was told. They wait, or are being read.
    failing: BTreeSet<SourceKey>,
}

impl Queue {
    /// Files a source. Returns whether it is due sooner than it was.
    fn file(&mut self, source: SourceKey, at: Instant) -> bool {
        let known = self.due.get(&source).copied();
        if known.is_some_and(|known| known <= at) {
            return false;
        }
        if let Some(known) = known {
            self.later.remove(known, &source);
        }
        self.later.put(at, &source);
        self.due.insert(source, at);
        true
    }

    /// Takes one that is due, of the namespace whose turn it is.
    fn take(&mut self, now: Instant) -> Option<SourceKey> {
        while let Some(source) = self.later.take(now) {
            let namespace = source.namespace.clone();
            self.ready.entry(namespace).or_default().insert(source);
        }
        let after = (Excluded(self.served.as_str()), Unbounded);
        let mut next = self.ready.range::<str, _>(after).map(|(name, _)| name);
        let namespace = next.next().or_else(|| self.ready.keys().next())?.clone();
        let of = self.ready.get_mut(&namespace)?;
        let source = of.pop_first();
        if of.is_empty() {
            self.ready.remove(&namespace);
        }
        self.served = namespace;
        let source = source?;
        if let Some(at) = self.due.remove(&source) {
            self.later.remove(at, &source);
        }
        Some(source)
    }
}

impl Unshown {
    /// Files that these are to be read now: a workload was written, or begins to use keys of them.
    pub fn read_now(&self, sources: Vec<SourceKey>, now: Instant) {
        self.file(sources.into_iter().map(|source| (source, now)));
    }

    /// Files that these are to be read one after the other, from now on.
    pub fn read_by_turns(&self, sources: Vec<SourceKey>, now: Instant) {
        let times = std::iter::successors(Some(now), |at| Some(*at + PACE));
        self.file(sources.into_iter().zip(times));
    }

    fn file(&self, sources: impl Iterator<Item = (SourceKey, Instant)>) {
        let mut queue = self.queue.lock();
        let mut sooner = false;
        for (source, at) in sources {
            sooner |= queue.file(source, at);
        }
        drop(queue);
        if sooner {
            self.changed.notify_one();
        }
    }

    /// Returns when the next one is due, after [`Self::take`] had none.
    pub fn next(&self) -> Option<Instant> {
        self.queue.lock().later.next()
    }

    /// Takes one that is due. [`Self::failed`] or [`Self::ended`] is to follow.
    pub fn take(&self, now: Instant) -> Option<SourceKey> {
        let mut queue = self.queue.lock();
        let source = queue.take(now)?;
        queue.reading.insert(source.clone());
        Some(source)
    }

    /// Takes in that a source was read, or needs no read any more. Returns whether it was [told](Self::failed) that it could
    /// not be read.
    pub fn ended(&self, source: &SourceKey) -> bool {
        let mut queue = self.queue.lock();
        queue.reading.remove(source);
        queue.failing.remove(source)
    }

    /// Takes in that a read failed: it is tried again. Returns whether that is news, where it is `told`.
    pub fn failed(&self, source: SourceKey, told: bool, now: Instant) -> bool {
        let mut queue = self.queue.lock();
        queue.reading.remove(&source);
        let is_news = told && queue.failing.insert(source.clone());
        queue.file(source, now + AGAIN);
        is_news
    }

    /// Returns how many wait to be read, or are being read.
    pub fn waiting(&self) -> usize {
        let queue = self.queue.lock();
        let again = |source: &&SourceKey| !queue.due.contains_key(*source);
        queue.due.len() + queue.reading.iter().filter(again).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourceName, testing::NAMESPACE, version::key_of};

    fn sources() -> [SourceKey; 2] {
        ["a", "b"].map(|name| key_of(NAMESPACE, &SourceName::secret(name)))
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_due_once_and_as_soon_as_anything_asks() {
        let [a, b] = sources();
        let now = Instant::now();
        let unshown = Unshown::default();
        assert!(unshown.next().is_none());
        unshown.read_by_turns(vec![a.clone(), b.clone()], now + PACE);
        unshown.failed(a.clone(), false, now);
        assert_eq!(unshown.next(), Some(now + PACE));
        unshown.read_now(vec![b.clone()], now);
        assert_eq!(unshown.waiting(), 2);
        assert_eq!(unshown.take(now), Some(b.clone()));
        assert_eq!(unshown.take(now), None);
        assert_eq!(unshown.take(now + PACE), Some(a.clone()));
        assert!(unshown.next().is_none());
        assert_eq!(unshown.waiting(), 2, "while they are read");
        unshown.read_now(vec![b.clone()], now);
        assert_eq!(unshown.waiting(), 2, "one is to be read again");
        assert_eq!(unshown.take(now), Some(b.clone()));
        for source in [a, b] {
            assert!(!unshown.ended(&source), "no read has failed");
        }
        assert_eq!(unshown.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_news_once_in_a_row() {
        let [a, b] = sources();
        let (mut now, unshown) = (Instant::now(), Unshown::default());
        let mut try_once = |source: &SourceKey, told| {
            now += AGAIN;
            unshown.read_now(vec![source.clone()], now);
            assert_eq!(unshown.take(now).as_ref(), Some(source));
            let is_news = unshown.failed(source.clone(), told, now);
            assert_eq!(unshown.next(), Some(now + AGAIN), "it is tried again");
            assert_eq!(unshown.take(now + AGAIN).as_ref(), Some(source));
            is_news
        };
        assert!(!try_once(&a, false), "the outage is told elsewhere");
        assert!(!unshown.ended(&a));
        for source in [&a, &b, &a] {
            assert!(try_once(source, true));
            assert!(!try_once(source, true) && !try_once(source, false));
            assert!(unshown.ended(source));
        }
    }
    #[tokio::test(start_paused = true)]
    async fn a_namespace_with_many_does_not_hold_up_others() {
        let (now, unshown) = (Instant::now(), Unshown::default());
        let of = |namespace: &str, number: usize| {
            key_of(namespace, &SourceName::secret(format!("s{number}")))
        };
        unshown.read_now((0..1000).map(|number| of("b", number)).collect(), now);
        assert_eq!(unshown.take(now).unwrap().namespace, "b");
        unshown.read_now(vec![of("a", 0), of("c", 0), of("c", 1)], now);
        let taken: Vec<_> = std::iter::from_fn(|| unshown.take(now))
            .map(|source| source.namespace)
            .collect();
        assert_eq!(taken[..5], ["c", "a", "b", "c", "b"]);
        assert_eq!(taken.len(), 999 + 3);
        assert_eq!(unshown.next(), None);
    }
}
