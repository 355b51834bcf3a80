//! How restarts are gathered and paced, and how workloads are kept up to date.

use std::time::Duration;

use super::{brakes, bucket::Bounds};
use crate::model::index::Judged;

/// How restarts are gathered and paced, and how workloads are kept up to date.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The quiet period after a change before its restart.
    pub settle: Duration,
    /// The longest time for which further changes can delay a restart; at least `settle`.
    pub settle_max: Duration,
    /// The limits for restarts.
    pub bounds: Bounds,
    /// How restarts wait for what becomes of others.
    pub brakes: brakes::Settings,
    /// The most writes per second that adopt workloads; `None` means no limit but the pace of their controllers.
    pub adopt_rate: Option<f64>,
    /// The time between two sweeps over all workloads.
    pub sweep_interval: Duration,
}

impl Settings {
    /// Returns how long a restart waits for further changes, and for how long they can delay it. `now`: in unix seconds.
    pub(super) fn quiet_period(&self, judged: &Judged, now: i64) -> (Duration, Duration) {
        match (judged.settle, judged.gather) {
            (Some(settle), _) => (settle, self.settle_max),
            // The rest of the period: the process may have started in the middle of it.
            (None, Some((period, began))) => {
                let gone = began.map_or(0, |began| now - began);
                let gone = Duration::from_secs(gone.try_into().unwrap_or(0));
                (period.saturating_sub(gone), period)
            }
            (None, None) => (self.settle, self.settle_max),
        }
    }
}
