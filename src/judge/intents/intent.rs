//! One workload that may need a restart, whose turn that takes, and how it ends.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{SourceName, WorkloadKey};

/// Whose turn an intent takes: a namespace, and a source in it.
pub(super) type Lane = (String, Option<SourceName>);

/// A workload that may need a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The workload.
    pub workload: WorkloadKey,
    /// When the first change behind it was seen.
    pub since: Instant,
    /// The number of tries that failed.
    pub attempts: u32,
    pub(super) due: Instant,
    /// The source whose change it is for, if there is one. It decides whose turn the intent takes.
    pub(super) source: Option<SourceName>,
}

/// How an intent ended that a task took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was carried out, or is void.
    Over,
    /// It is to be tried again after this time.
    Retry(Duration),
    /// A brake holds it: it is to be resumed.
    Parked,
}

impl Intent {
    /// Makes an intent that is carried out at once and is not queued.
    pub fn now(workload: &WorkloadKey, now: Instant) -> Self {
        Self {
            workload: workload.clone(),
            since: now,
            attempts: 0,
            due: now,
            source: None,
        }
    }

    pub(super) fn lane(&self) -> Lane {
        (self.workload.namespace.clone(), self.source.clone())
    }
}
