//! Which Lease, and its times.

use std::time::Duration;

/// Which Lease, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// `metadata.name`
    pub name: String,
    /// How long a claim counts after its last renewal.
    pub duration: Duration,
}

impl LeaseSettings {
    /// Returns how long the leader leads without a renewal: shorter than others wait, so that two never lead at once.
    pub(super) fn deadline(&self) -> Duration {
        self.duration * 5 / 8
    }

    /// Returns the time between two renewals of the leader, or two tries of the others.
    pub(super) fn retry(&self) -> Duration {
        self.duration / 10
    }
}
