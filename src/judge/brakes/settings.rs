//! How restarts are braked.

use jiff::SignedDuration;

use crate::model::brake::verdict::Patience;

/// How restarts are braked.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether restarts of one version wait for what became of others.
    pub slow_start: bool,
    /// For how long pods are looked at.
    pub patience: Patience,
    /// The longest distance between two restarts of one workload; 0 for none.
    pub longest_distance: SignedDuration,
}

impl Settings {
    /// Returns settings that brake nothing.
    pub fn off() -> Self {
        Self {
            slow_start: false,
            patience: Patience::default(),
            longest_distance: SignedDuration::ZERO,
        }
    }
}
