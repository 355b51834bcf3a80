//! Which Lease, its times, and how a claim is written.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

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

    /// Returns the claim of this holder, as of now; an empty one gives the Lease up.
    pub(super) fn claim(
        &self,
        holder: &str,
        now: Timestamp,
        transitions: i32,
        acquired: Option<MicroTime>,
    ) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(
                i32::try_from(self.duration.as_secs())
                    .unwrap_or(i32::MAX)
                    .max(1),
            ),
            acquire_time: acquired.or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}
