//! When a failed try is repeated, and how often a loop shows that it is alive.

use std::time::Duration;

use backon::BackoffBuilder as _;

use crate::cluster::delays::delays;

/// How often a loop shows that it is alive when there is nothing to do.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// Returns the wait before the next try after so many failed ones: longer each time, up to a minute and some jitter.
pub(super) fn backoff(attempts: u32) -> Duration {
    delays(Duration::from_millis(50), Duration::from_mins(1))
        .build()
        .nth(attempts.min(16) as usize)
        .unwrap_or(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_is_bounded() {
        assert!(backoff(0) <= Duration::from_millis(150));
        assert!(backoff(5) >= Duration::from_millis(50 * 16));
        assert!(backoff(1000) <= Duration::from_mins(2));
    }
}
