//! The time of day, which is injected: the core has no clock, and tests make it jump.

use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time of day; injected, so that tests can make it jump.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the clock is injected"
)]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}
