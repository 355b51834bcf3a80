//! What the webhook read that contradicts the index: no watch may ever show it.
//!
//! A watch that goes on over a restored etcd tells of nothing that is lost. The webhook then records what is there, and the
//! controller would restart for what it remembers.

use std::collections::BTreeMap;

use crate::model::{SourceKey, SourceName, Version, index::Tick, version::key_of};

/// The most sources: anything that reaches the webhook's port can have any source read.
const MOST: usize = 8192;

/// Reads of sources that showed something older than the index knew when they were sent. The last one of each source;
/// what does not fit is read again at the next write.
#[derive(Debug, Default)]
pub struct Contradictions {
    reads: BTreeMap<SourceKey, (Tick, Option<Version>)>,
}

impl Contradictions {
    /// Removes and returns them, each with the tick at which it was sent; `None`: the source does not exist.
    pub fn take(&mut self) -> impl Iterator<Item = (SourceKey, Tick, Option<Version>)> + use<> {
        let all = std::mem::take(&mut self.reads);
        all.into_iter()
            .map(|(key, (asked, version))| (key, asked, version))
    }

    pub(super) fn add(
        &mut self,
        namespace: &str,
        asked: Tick,
        reads: Vec<(SourceName, Option<Version>)>,
    ) {
        for (source, version) in reads {
            let key = key_of(namespace, &source);
            let known = self.reads.get(&key).map(|(asked, _)| *asked);
            if known.is_some_and(|known| known > asked) {
                continue;
            }
            if known.is_some() || self.reads.len() < MOST {
                self.reads.insert(key, (asked, version));
            }
        }
    }
}
