//! Sources that are not what a workload's pods have, when it is adopted or they are: a source begins to count because of what
//! it says itself, or was written after the pods were made.

use super::tracked::Tracked;
use crate::model::{
    annotation::{RESTART_ON, reloader},
    decide::Decision,
    digest::Digest,
    observed::{Entry, Observed},
    policy::Selection,
    source::SourceName,
    version::Version,
};

impl Tracked {
    /// Whether it is opted in, and all of its opt-in can be read.
    pub(super) fn opts_in_well(&self) -> bool {
        let is_of_opt_in =
            |key: &str| key == RESTART_ON || reloader::selecting().any(|one| one == key);
        let mut complaints = self.complaints.iter();
        matches!(self.policy.selection, Selection::Some(_))
            && !complaints.any(|complaint| is_of_opt_in(complaint.key))
    }

    /// Takes in what was decided about it. What the opt-in selects newly is adopted by that: what comes later, or counts
    /// later, is news.
    pub(super) fn decided(&mut self, decision: Option<&Decision>) {
        let is_due = decision.is_some_and(|decision| !decision.causes().is_empty());
        let waits = matches!(decision, Some(Decision::Wait { .. }));
        let settled = matches!(decision, Some(Decision::Keep(_) | Decision::Record(_)));
        // While something is absent for a moment only, what stands keeps its time.
        self.pending_over = settled || (self.pending_over && waits && !is_due);
        if settled || waits {
            self.widened = None;
        }
    }

    /// Takes in that nothing is due, and that this is not about to change: something is absent.
    pub(super) fn waits_for_nothing(&mut self) {
        self.pending_over = true;
    }

    /// Returns what was observed, where pods have other data of these sources. A fold does not tell its sources apart.
    pub(super) fn outdated(&self, sources: &[SourceName]) -> Option<Observed> {
        let mut next = self.observed()?.clone();
        for source in sources {
            if let Some(entry) = next.entries.remove(source) {
                let other = entry.map_digests(|_, _| Digest::CHANGED);
                next.entries.insert(source.clone(), other);
            } else if let Some(fold) = &mut next.fold {
                fold.data = Digest::CHANGED.to_string();
            }
        }
        next.sequence = self.next_sequence();
        Some(next)
    }

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
            Entry::of(
                if watched && before.tells(usage) {
                    before
                } else {
                    now
                },
                usage,
            ),
        );
        next.sequence = self.next_sequence();
        Some(next)
    }
}
