//! What was last observed of workloads that were deleted and left their pods behind (`kubectl delete
//! --cascade=orphan`).
//!
//! A workload that is created again adopts the pods, and nothing tells better what they have. It is memory only:
//! after a crash times decide ([`crate::model::adopted`]). Only deletions that orphan are remembered, for a limited
//! time and up to a limit, so that churn fills nothing.

use std::collections::HashMap;

use super::{basis::TOMBSTONE_SECONDS, tracked::Tracked};
use crate::model::{observed::Reading, workload::WorkloadKey};

/// The most that are remembered. What does not fit is judged by times.
const LIMIT: usize = 4096;

/// What was observed of workloads that left their pods behind.
#[derive(Debug, Default)]
pub(super) struct Orphaned {
    by_key: HashMap<WorkloadKey, Last>,
}

#[derive(Debug)]
struct Last {
    left: LeftBehind,
    /// When it was first found here, in unix seconds; `None` until it is looked for.
    at: Option<i64>,
}

/// What is known of a workload that left its pods behind.
#[derive(Clone, Debug)]
pub struct LeftBehind {
    /// What was last observed of it.
    pub observed: Reading,
    /// Its `reroll.dev/restarted-at`.
    pub restarted_at: Option<String>,
}

impl LeftBehind {
    /// Returns what is known of a workload; `None` where nothing was observed.
    pub(super) fn of(tracked: &Tracked) -> Option<Self> {
        Some(Self {
            observed: tracked.memory.clone()?,
            restarted_at: tracked.workload.marks.at.clone(),
        })
    }
}

impl Orphaned {
    /// Takes in that a workload was deleted that leaves its pods behind.
    pub(super) fn remember(&mut self, key: &WorkloadKey, deleted: &Tracked) {
        let known =
            |left: &LeftBehind| matches!(left.observed, Reading::Genuine(_) | Reading::Previous(_));
        let Some(left) = LeftBehind::of(deleted).filter(known) else {
            return;
        };
        if self.by_key.len() < LIMIT || self.by_key.contains_key(key) {
            self.by_key.insert(key.clone(), Last { left, at: None });
        }
    }

    /// Returns what is known of a workload of this name.
    pub(super) fn get(&self, key: &WorkloadKey) -> Option<LeftBehind> {
        self.by_key.get(key).map(|last| last.left.clone())
    }

    /// Forgets what was deleted long ago.
    pub(super) fn expire(&mut self, now: i64) {
        self.by_key
            .retain(|_, last| now - *last.at.get_or_insert(now) < TOMBSTONE_SECONDS);
    }
}
