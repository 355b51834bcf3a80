//! Whether a connection is used, and what becomes of it when it is not.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    limits::Limits,
    places::{Place, Standing},
};

/// How often a connection is looked at that has requests in flight.
const LOOK: Duration = Duration::from_secs(1);

/// The requests of one connection, and its place.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) place: Place,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether a request ever came.
    asked: bool,
    /// Whether a request was ever answered.
    answered: bool,
    in_flight: usize,
    /// How many of those have not come completely.
    coming: usize,
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
    pub(super) fn new(place: Place, now: Instant) -> Self {
        place.gets_on(Standing::Unknown);
        Self {
            place,
            state: Mutex::new(State {
                asked: false,
                answered: false,
                in_flight: 0,
                coming: 0,
                quiet_since: now,
            }),
        }
    }

    /// Counts a request as in flight until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.change(|state| {
            state.asked = true;
            state.in_flight += 1;
        });
        InFlight(Arc::clone(self))
    }

    /// Counts a request in flight as still coming until the answer is dropped.
    pub(super) fn comes(self: &Arc<Self>) -> Coming {
        self.change(|state| state.coming += 1);
        Coming(Arc::clone(self))
    }

    /// Changes the state, in which the connection gets on.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        self.place.gets_on(if state.in_flight > state.coming {
            Standing::Owed
        } else if state.answered {
            Standing::Known
        } else {
            Standing::Unknown
        });
    }

    /// Returns what the connection needs. `closing` is when it was asked to close.
    pub(super) fn next(&self, limits: &Limits, closing: Option<Instant>, now: Instant) -> Next {
        let state = self.state.lock();
        let (due, then) = match (state.in_flight, state.asked, closing) {
            (1.., _, _) => return Next::Wait(now + LOOK),
            (0, false, _) => (state.quiet_since + limits.header, Next::Cut),
            (0, true, Some(closing)) => (closing.max(state.quiet_since) + limits.header, Next::Cut),
            (0, true, None) => (state.quiet_since + limits.idle, Next::Close),
        };
        if due <= now { then } else { Next::Wait(due) }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.answered = true;
            state.in_flight -= 1;
            state.quiet_since = Instant::now();
        });
    }
}

/// A request that has not come completely.
#[derive(Debug)]
pub(super) struct Coming(pub(super) Arc<Activity>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.change(|state| state.coming -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::places::{Bounds, Places},
        *,
    };

    fn limits() -> Limits {
        Limits {
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            ..Limits::default()
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn activity(start: Instant) -> Arc<Activity> {
        let bounds = Bounds {
            all: 1,
            share: 1,
            claim: 1,
            fresh: seconds(1),
        };
        let place = Arc::new(Places::new(bounds)).enter(None, 1);
        Arc::new(Activity::new(place, start))
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_connection_is_cut_after_the_header_timeout() {
        let start = Instant::now();
        let activity = activity(start);
        assert_eq!(
            activity.next(&limits(), None, start + seconds(4)),
            Next::Wait(start + seconds(5))
        );
        assert_eq!(
            activity.next(&limits(), None, start + seconds(5)),
            Next::Cut
        );
        assert_eq!(
            activity.next(&limits(), Some(start), start + seconds(5)),
            Next::Cut
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_keeps_its_connection_however_long_it_takes() {
        let start = Instant::now();
        let activity = activity(start);
        let first = activity.begin();
        let second = activity.begin();
        let later = start + seconds(1000);
        let next = |closing| activity.next(&limits(), closing, later);
        assert_eq!(next(Some(start)), Next::Wait(later + LOOK));
        drop(first);
        assert_eq!(next(None), Next::Wait(later + LOOK));
        drop(second);
        assert_eq!(next(None), Next::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        let start = Instant::now();
        let activity = activity(start);
        drop(activity.begin());
        let after = |wait| activity.next(&limits(), None, start + seconds(wait));
        assert_eq!(after(6), Next::Wait(start + seconds(120)));
        assert_eq!(after(120), Next::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_close_is_cut() {
        let start = Instant::now();
        let activity = activity(start);
        drop(activity.begin());
        let closing = Some(start + seconds(1));
        assert_eq!(
            activity.next(&limits(), closing, start + seconds(5)),
            Next::Wait(start + seconds(6))
        );
        assert_eq!(
            activity.next(&limits(), closing, start + seconds(6)),
            Next::Cut
        );
    }
}
