//! Whether a connection is used, and what becomes of it when it is not.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::limits::Limits;

/// The requests of one connection.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// Whether a request ever came.
    asked: bool,
    in_flight: usize,
    /// When the connection opened, or the last request ended.
    quiet_since: Instant,
}

/// What a connection needs now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing before this.
    Wait(Instant),
    /// Ask it to close: it is idle.
    Close,
    /// Drop it: it was asked to close and has not, or no request ever came.
    Cut,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            asked: false,
            in_flight: 0,
            quiet_since: now,
        }))
    }

    /// Counts a request as in flight until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.0.lock();
        state.asked = true;
        state.in_flight += 1;
        InFlight(Arc::clone(self))
    }

    /// Returns what the connection needs. `closing` is when it was asked to close.
    pub(super) fn next(
        &self,
        limits: &Limits,
        crowded: bool,
        closing: Option<Instant>,
        now: Instant,
    ) -> Next {
        let state = self.0.lock();
        let at_most = |limit: Duration| limits.in_a_crowd(limit, crowded);
        let (due, then) = match (state.in_flight, state.asked, closing) {
            (1.., _, _) => return Next::Wait(now + limits.when_crowded),
            (0, false, _) => (state.quiet_since + at_most(limits.header), Next::Cut),
            (0, true, Some(closing)) => (
                closing.max(state.quiet_since) + at_most(limits.header),
                Next::Cut,
            ),
            (0, true, None) => (state.quiet_since + at_most(limits.idle), Next::Close),
        };
        if due <= now {
            then
        } else {
            // Look again before it is due, because a crowd may have come.
            Next::Wait(due.min(now + limits.when_crowded))
        }
    }
}

/// A request in flight.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.in_flight -= 1;
        state.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            when_crowded: Duration::from_secs(2),
            ..Limits::default()
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_connection_is_cut_after_the_header_timeout() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(
            activity.next(&limits(), false, None, start + seconds(4)),
            Next::Wait(start + seconds(5))
        );
        assert_eq!(
            activity.next(&limits(), true, None, start + seconds(2)),
            Next::Cut
        );
        assert_eq!(
            activity.next(&limits(), false, None, start + seconds(5)),
            Next::Cut
        );
        assert_eq!(
            activity.next(&limits(), false, Some(start), start + seconds(5)),
            Next::Cut
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_keeps_its_connection_however_long_it_takes() {
        let start = Instant::now();
        let activity = Arc::new(Activity::new(start));
        let first = activity.begin();
        let second = activity.begin();
        let later = start + seconds(1000);
        assert_eq!(
            activity.next(&limits(), true, Some(start), later),
            Next::Wait(later + seconds(2))
        );
        drop(first);
        assert_eq!(
            activity.next(&limits(), true, None, later),
            Next::Wait(later + seconds(2))
        );
        drop(second);
        assert_eq!(activity.next(&limits(), true, None, later), Next::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_sooner_in_a_crowd() {
        let start = Instant::now();
        let activity = Arc::new(Activity::new(start));
        drop(activity.begin());
        let after = |wait, crowded| activity.next(&limits(), crowded, None, start + seconds(wait));
        assert_eq!(after(2, true), Next::Close);
        assert_eq!(after(6, false), Next::Wait(start + seconds(8)));
        assert_eq!(after(119, false), Next::Wait(start + seconds(120)));
        assert_eq!(after(120, false), Next::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_close_is_cut() {
        let start = Instant::now();
        let activity = Arc::new(Activity::new(start));
        drop(activity.begin());
        let closing = Some(start + seconds(1));
        assert_eq!(
            activity.next(&limits(), false, closing, start + seconds(5)),
            Next::Wait(start + seconds(6))
        );
        assert_eq!(
            activity.next(&limits(), false, closing, start + seconds(6)),
            Next::Cut
        );
    }
}
