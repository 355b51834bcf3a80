//! What waits for a time, in the order of the times. Pure: time is an argument.

use std::collections::BTreeSet;

use tokio::time::Instant;

/// Keys, each with the time for which it waits. Whoever has one of these knows the time of each key.
#[derive(Debug)]
pub(super) struct ByTime<K>(BTreeSet<(Instant, K)>);

impl<K> Default for ByTime<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord + Clone> ByTime<K> {
    /// Has a key wait for this time.
    pub(super) fn put(&mut self, at: Instant, key: &K) {
        self.0.insert((at, key.clone()));
    }

    /// Has a key not wait any more for this time.
    pub(super) fn remove(&mut self, at: Instant, key: &K) {
        self.0.remove(&(at, key.clone()));
    }

    /// Takes a key whose time has come, the earliest first.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, key)| key)
    }

    /// Returns when the first of them is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
