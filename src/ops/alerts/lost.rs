//! Alerts that no person will get.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::ops::metrics::{Metrics, labels::AlertOutcome};

/// Counts how alerts end. The next message says how many were lost.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    metrics: Arc<Metrics>,
    untold: Arc<AtomicU64>,
}

impl Lost {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let untold = Arc::default();
        Self { metrics, untold }
    }

    /// Counts alerts that a webhook took.
    pub(super) fn sent(&self, count: u64) {
        self.metrics.alerts_ended(AlertOutcome::Sent, count);
    }

    /// Counts alerts that are lost, for metrics and for the next message.
    pub(super) fn add(&self, outcome: AlertOutcome, count: u64) {
        self.metrics.alerts_ended(outcome, count);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes out the number that the next message has to tell.
    pub(super) fn take(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// Restores a number that [`take`](Self::take) returned: no webhook took the message that told it.
    pub(super) fn restore(&self, count: u64) {
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}
