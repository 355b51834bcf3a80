//! The time of day. It is injected: the core has no clock, and tests make it jump.

use std::sync::Arc;

use jiff::Timestamp;

/// Returns the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Returns the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the clock is injected"
)]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}
