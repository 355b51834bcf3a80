//! How long the start waits for an API server that is away or overloaded.
//!
//! A process that ended at once would be started again later each time, so that a cut of a second cost minutes. What
//! does not pass by itself, as a missing right, ends the start at once: a person is to see it.

use std::{fmt::Display, time::Duration};

use backon::Retryable as _;
use tokio::time::{Instant, sleep};

use crate::cluster::delays::delays;

/// How long a call of the start is tried again, from its first failure on.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// The first and the longest wait between two tries; a random part of it is added.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Makes a call until it succeeds, fails in a way that does not pass, or has failed for [`PATIENCE`]. Logs once that it
/// tries again. `what` is what the call is to do.
///
/// # Errors
/// The last error of the call.
pub(super) async fn patiently<T, E, F>(
    what: &str,
    passes: impl Fn(&E) -> bool,
    call: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut until = None;
    let mut told = false;
    call.retry(delays(RETRY.0, RETRY.1))
        .sleep(sleep)
        .when(|error| {
            let now = Instant::now();
            passes(error) && now < *until.get_or_insert(now + PATIENCE)
        })
        .notify(|error, _| {
            if !std::mem::replace(&mut told, true) {
                let seconds = PATIENCE.as_secs();
                tracing::warn!(%error, seconds, "cannot {what} yet: trying again, for so many seconds at most");
            }
        })
        .await
}
