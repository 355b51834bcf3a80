//! What was last observed of workloads that were deleted and left their pods behind (`kubectl delete --cascade=orphan`).
//!
//! Whoever makes such a workload again adopts the pods, and nothing tells better what they have. It is memory only: what
//! is lost with a crash is judged by times ([`crate::model::adopted`]). Only deletions that orphan are remembered, for a
//! time and a number, so that churn fills nothing.

use std::collections::HashMap;

use super::{Index, TOMBSTONE_SECONDS, Tracked, memory::examined};
use crate::model::{
    observed::{Observed, Reading},
    workload::{Workload, WorkloadKey},
};

/// So many are remembered; what does not fit is judged by times.
const LIMIT: usize = 4096;

/// What was observed of workloads that left their pods behind.
#[derive(Debug, Default)]
pub(super) struct Orphaned {
    by_key: HashMap<WorkloadKey, Last>,
}

#[derive(Debug)]
struct Last {
    observed: Reading,
    /// When it was first found here, in unix seconds; `None` until somebody looks.
    at: Option<i64>,
}

impl Orphaned {
    fn remember(&mut self, key: &WorkloadKey, deleted: Tracked) {
        let Some(observed @ (Reading::Genuine(_) | Reading::Previous(_))) = deleted.memory else {
            return;
        };
        if self.by_key.len() < LIMIT || self.by_key.contains_key(key) {
            self.by_key.insert(key.clone(), Last { observed, at: None });
        }
    }

    /// Forgets what was deleted long ago.
    pub(super) fn expire(&mut self, now: i64) {
        self.by_key
            .retain(|_, last| now - *last.at.get_or_insert(now) < TOMBSTONE_SECONDS);
    }
}

impl Index {
    /// Takes in that a workload is gone.
    pub fn delete_workload(&mut self, key: &WorkloadKey) {
        if let Some(space) = self.namespaces.get_mut(&key.namespace) {
            let slot = (key.kind, key.name.clone());
            space.disconnect(&slot);
            let gone = space.workloads.remove(&slot);
            space.borrowing.remove(&slot);
            if let Some(gone) = gone.filter(|gone| gone.workload.orphans) {
                self.orphaned.remember(key, *gone);
            }
        }
        self.lend(key);
    }

    /// What was last observed of a workload of this name that is gone, and whose pods `uid` may have adopted; `uid` is
    /// empty where the new one is being created.
    pub fn left_behind(&self, key: &WorkloadKey, uid: &str) -> Option<&Reading> {
        // The watch may not have shown yet that it is gone.
        let tracked = self.workload(key);
        let before = tracked.filter(|known| known.workload.uid != uid);
        let last = self.orphaned.by_key.get(key).map(|last| &last.observed);
        before.and_then(|known| known.memory.as_ref()).or(last)
    }

    /// Whether it is known which pods a workload that somebody shows adopted when it was created.
    pub fn is_examined(&self, key: &WorkloadKey, shown: &Workload) -> bool {
        let known = self.workload(key);
        let known = known.filter(|known| known.workload.uid == shown.uid);
        // The watch may not have shown yet what was written meanwhile.
        let says = |text: &String| examined(&Observed::read(text, &self.key), shown);
        known.is_some_and(|known| known.is_examined(key.kind))
            || shown.observed.as_ref().is_some_and(says)
    }

    /// Whether nobody has looked yet which pods a workload adopted when it was created.
    pub fn is_unexamined(&self, key: &WorkloadKey) -> bool {
        self.workload(key).is_some_and(|known| {
            let is_ours = known.policy.opted_in() && known.workload.controller.is_none();
            is_ours && !known.is_examined(key.kind)
        })
    }

    /// Takes in that somebody looked: what its pods have is what is remembered.
    pub fn set_examined(&mut self, key: &WorkloadKey) {
        if let Some(tracked) = self.tracked_mut(key) {
            tracked.examined = true;
        }
    }
}
