//! How long reroll waits between tries.

use std::time::Duration;

use backon::ExponentialBuilder;

/// Returns waits that double from the first to the longest, for ever. A random part of each is added, so that those who were
/// cut off together do not come back together.
pub fn delays(first: Duration, longest: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
}
