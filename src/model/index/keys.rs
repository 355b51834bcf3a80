//! Digest keys that workloads were observed under and that are not ours: out of use, or right instead of ours.

use std::collections::BTreeSet;

use super::tracked::Tracked;

/// How many retired keys are remembered: who may write annotations can name any. Beyond that they are found out anew.
const LIMIT: usize = 64;

/// The ids of digest keys that are known to be out of use.
#[derive(Debug, Default)]
pub(super) struct RetiredKeys(BTreeSet<String>);

impl RetiredKeys {
    /// Takes in that these keys are out of use.
    pub(super) fn retire(&mut self, ids: BTreeSet<String>) {
        if self.0.len() + ids.len() > LIMIT {
            self.0.clear();
        }
        self.0.extend(ids);
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// Returns the id of the key that a workload was observed under, where that may be right instead of ours.
    pub(super) fn doubted<'a>(&self, tracked: &'a Tracked) -> Option<&'a String> {
        let id = tracked.under.other_key();
        id.filter(|id| !self.contains(id))
    }
}
