//! A source that begins to count for a workload, because of what it says itself.

use super::tracked::Tracked;
use crate::model::{
    observed::{Entry, Observed},
    source::SourceName,
    version::Version,
};

impl Tracked {
    /// Returns what was observed, with a source adopted as it was `before`, where it did not count then and does
    /// `now`; as it is `now`, where it was not `watched` before. A fold does not tell its sources apart, so there it
    /// is adopted as it is.
    pub(super) fn adopting(
        &self,
        source: &SourceName,
        before: &Version,
        now: &Version,
        watched: bool,
    ) -> Option<Observed> {
        let usage = self.uses().get(source).filter(|usage| usage.is_read())?;
        let begins = !before.counts_for(usage) && now.counts_for(usage);
        let observed = self.observed().filter(|_| begins)?;
        if observed.fold.is_some() || observed.entries.contains_key(source) {
            return None;
        }
        let mut next = observed.clone();
        next.entries.insert(
            source.clone(),
            Entry::of(if watched { before } else { now }, usage),
        );
        next.sequence = self.next_sequence();
        Some(next)
    }
}
