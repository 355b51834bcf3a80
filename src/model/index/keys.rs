//! Workloads that were observed under another digest key than ours: out of use, or right instead of ours.

use std::collections::BTreeSet;

use super::{Index, Tracked};
use crate::model::workload::WorkloadKey;

/// How many retired keys are remembered: who may write annotations can name any. Beyond that they are found out anew.
const RETIRED: usize = 64;

impl Index {
    /// The ids of digest keys that workloads were observed under and that may be right instead of ours.
    pub fn unknown_keys(&self) -> BTreeSet<String> {
        let tracked = self
            .namespaces
            .values()
            .flat_map(|space| space.workloads.values());
        tracked
            .filter_map(|tracked| tracked.other_key.as_ref())
            .filter(|id| !self.retired.contains(*id))
            .cloned()
            .collect()
    }

    /// Takes in that these keys are out of use: what was observed under them is adopted again.
    pub fn retire_keys(&mut self, ids: BTreeSet<String>) {
        if self.retired.len() + ids.len() > RETIRED {
            self.retired.clear();
        }
        self.retired.extend(ids);
    }

    /// Whether the workload was observed under a key that may be right instead of ours.
    pub(super) fn is_doubted(&self, tracked: &Tracked) -> bool {
        let id = tracked.other_key.as_ref();
        id.is_some_and(|id| !self.retired.contains(id))
    }

    /// A workload's annotation as it should be, where it is not: the text to write, or `Some(None)` to remove it.
    pub fn unwritten(&self, key: &WorkloadKey) -> Option<Option<String>> {
        let tracked = self.workload(key)?;
        let ours = tracked.workload.controller.is_none() && !tracked.workload.deleting;
        if ours && !self.is_doubted(tracked) {
            tracked.unwritten(&self.key)
        } else {
            None
        }
    }

    /// How many workloads still show an annotation under the digest key before.
    pub fn under_previous_key(&self) -> usize {
        let Some(previous) = self.key.previous() else {
            return 0;
        };
        let named = format!("\"k\":\"{}\"", previous.id());
        let tracked = self
            .namespaces
            .values()
            .flat_map(|space| space.workloads.values());
        tracked
            .filter(|tracked| {
                let text = tracked.workload.observed.as_ref();
                tracked.policy.opted_in() && text.is_some_and(|text| text.contains(&named))
            })
            .count()
    }
}
