//! Which sources are to be read because workloads use them and the watches do not show enough of them, and when.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::model::SourceKey;

/// The time between two reads of one sweep, so that it is no burst. (Most of them find nothing.)
const PACE: Duration = Duration::from_millis(10);
/// When a read that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to be read, and when. One entry for each source.
#[derive(Debug, Default)]
pub struct Unshown {
    due: Mutex<BTreeMap<SourceKey, Instant>>,
    /// Notified when something is to be read sooner.
    pub changed: Notify,
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

    /// Files that this is to be read again, because a read failed.
    pub fn read_again(&self, source: SourceKey, now: Instant) {
        self.file(std::iter::once((source, now + AGAIN)));
    }

    fn file(&self, sources: impl Iterator<Item = (SourceKey, Instant)>) {
        let mut due = self.due.lock();
        let mut sooner = false;
        for (source, at) in sources {
            sooner |= due.get(&source).is_none_or(|known| at < *known);
            let known = due.entry(source).or_insert(at);
            *known = at.min(*known);
        }
        drop(due);
        if sooner {
            self.changed.notify_one();
        }
    }

    /// Returns when the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.lock().values().min().copied()
    }

    /// Takes what is due.
    pub fn take(&self, now: Instant) -> Vec<SourceKey> {
        let mut due = self.due.lock();
        let due = due.extract_if(.., |_, at| *at <= now);
        due.map(|(source, _)| source).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourceName, testing::NAMESPACE, version::key_of};

    #[tokio::test(start_paused = true)]
    async fn each_is_due_once_and_as_soon_as_anything_asks() {
        let [a, b] = ["a", "b"].map(|name| key_of(NAMESPACE, &SourceName::secret(name)));
        let now = Instant::now();
        let unshown = Unshown::default();
        assert!(unshown.next().is_none());
        unshown.read_by_turns(vec![a.clone(), b.clone()], now + PACE);
        unshown.read_again(a.clone(), now);
        assert_eq!(unshown.next(), Some(now + PACE));
        unshown.read_now(vec![b.clone()], now);
        assert_eq!(unshown.take(now), [b]);
        assert_eq!(unshown.take(now), []);
        assert_eq!(unshown.take(now + PACE), [a]);
        assert!(unshown.next().is_none());
    }
}
