//! Events that cannot be published.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::ops::metrics::Metrics;

/// Counts drops, and logs the first of each row.
#[derive(Clone, Debug)]
pub(super) struct Drops {
    metrics: Arc<Metrics>,
    in_a_row: Arc<AtomicBool>,
}

impl Drops {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let in_a_row = Arc::default();
        Self { metrics, in_a_row }
    }

    pub(super) fn dropped(&self, why: &str) {
        self.metrics.event_dropped();
        if self.in_a_row.swap(true, Ordering::Relaxed) {
            tracing::debug!(why, "dropped a Kubernetes Event");
        } else {
            tracing::warn!(
                why,
                "dropped a Kubernetes Event; further drops are only counted until one gets through"
            );
        }
    }

    pub(super) fn published(&self) {
        self.in_a_row.store(false, Ordering::Relaxed);
    }
}
