//! Why a watch fails, and when that is logged: the watch is tried again for ever, and each failure is logged once.

use std::time::Duration;

use kube::runtime::watcher;
use tokio::time::Instant;

use crate::cluster::Failure;

/// HTTP status: RBAC does not allow it.
pub(super) const FORBIDDEN: u16 = 403;
/// What ends a refusal.
pub const GRANT: &str = "give reroll's ServiceAccount list and watch on them";

/// The API server asks for patience. It does so while it begins to serve a kind (KEP-4568, since 1.34). That is no
/// failure unless it lasts.
const NOT_YET: u16 = 429;
/// A refusal is logged again when it has lasted for so long.
const AGAIN: Duration = Duration::from_mins(10);
/// The number of such answers, or failed connections, in a row after which that is logged: some four seconds.
const PATIENCE: u32 = 3;

/// The longest time between two connections that fail in a row: the longest wait between two tries, and the try.
const IN_A_ROW: Duration = Duration::from_secs(30);

const LIST_FAILED: &str = "list failed";
const WATCH_REFUSED: &str = "watch refused";

/// A failure of a watch: the step, and the HTTP status or 0.
pub(super) type Failed = (&'static str, u16);

/// The last failure, and how often in a row it occurred.
#[derive(Default)]
pub(super) struct Failing {
    last: Option<Failed>,
    /// When it was last logged.
    told: Option<Instant>,
    times: u32,
    /// How often in a row the connection failed, and when it last did.
    cut: Option<(u32, Instant)>,
}

impl Failing {
    /// Notes a failure. Returns whether it is to be logged: the same failure in a row is logged once, but a refusal every ten
    /// minutes, because only a person can end it.
    pub(super) fn is_news(&mut self, failure: Failed) -> bool {
        if self.last.replace(failure) != Some(failure) {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        let first = self.times == if failure.1 == NOT_YET { PATIENCE } else { 1 };
        let again = |at: Instant| failure.1 == FORBIDDEN && at.elapsed() >= AGAIN;
        let news = first || self.told.is_some_and(again);
        if news {
            self.told = Some(Instant::now());
        }
        news
    }

    /// Notes that the connection failed, while the API server counts as reachable or not. Returns whether that is to be
    /// logged: when it lasts although the API server is there.
    pub(super) fn is_cut_off(&mut self, reachable: bool) -> bool {
        if !reachable {
            return false;
        }
        let now = Instant::now();
        let in_a_row = self.cut.filter(|(_, at)| now - *at < IN_A_ROW);
        let times = in_a_row.map_or(1, |(times, _)| times.saturating_add(1));
        self.cut = Some((times, now));
        times == PATIENCE
    }

    /// Notes that the watch works.
    pub(super) fn works(&mut self) {
        *self = Self::default();
    }
}

/// Whether a watch fails because of its connection. Of an API server that is away, the log tells by itself.
pub(super) fn is_cut(error: &watcher::Error) -> bool {
    let source = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source,
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => return false,
    };
    matches!(Failure::of(source), Failure::Unreachable(_))
}

/// Returns the class of an error, for the log. The error's own text may quote an object.
pub(super) fn class(error: &watcher::Error) -> Failed {
    let (step, source) = match error {
        watcher::Error::InitialListFailed(source) => (LIST_FAILED, source),
        watcher::Error::WatchStartFailed(source) => (WATCH_REFUSED, source),
        watcher::Error::WatchFailed(source) => ("watch broke off", source),
        watcher::Error::WatchError(status) => {
            return ("watch ended by the API server", status.code);
        }
        watcher::Error::NoResourceVersion => return ("list without resourceVersion", 0),
    };
    match source {
        kube::Error::Api(status) => (step, status.code),
        _ => (step, 0),
    }
}

/// Whether the API server does not let the watch begin, or list: what breaks off begins anew at once.
pub(super) fn is_refused(step: &str) -> bool {
    [LIST_FAILED, WATCH_REFUSED].contains(&step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told_once_and_a_request_for_patience_when_it_lasts() {
        let (list, refused, busy) = (("list", 500), ("watch", 403), ("watch", 429));
        for (failures, told) in [
            (
                vec![list, list, list, list],
                vec![true, false, false, false],
            ),
            (vec![list, refused, list], vec![true, true, true]),
            (vec![busy, busy, list], vec![false, false, true]),
            (
                vec![busy, busy, busy, busy],
                vec![false, false, true, false],
            ),
            (
                vec![busy, list, busy, busy],
                vec![false, true, false, false],
            ),
        ] {
            let mut failing = Failing::default();
            let heard: Vec<_> = failures.iter().map(|it| failing.is_news(*it)).collect();
            assert_eq!(heard, told, "{failures:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_is_told_when_it_lasts_although_the_api_server_is_there() {
        let mut failing = Failing::default();
        let mut heard = |reachable: [bool; 5]| reachable.map(|it| failing.is_cut_off(it));
        assert_eq!(heard([true, false, false, false, true]), [false; 5]);
        assert_eq!(
            heard([true, true, true, false, true])[..3],
            [true, false, false]
        );
        failing.works();
        for _ in 0..9 {
            tokio::time::sleep(IN_A_ROW).await;
            assert!(!failing.is_cut_off(true), "once in a while");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_every_ten_minutes() {
        for (code, times) in [(FORBIDDEN, 7), (500, 1)] {
            let mut failing = Failing::default();
            let mut told = 0;
            for _ in 0..=360 {
                told += u32::from(failing.is_news(("list failed", code)));
                tokio::time::advance(Duration::from_secs(10)).await;
            }
            assert_eq!(told, times, "{code}, in an hour");
        }
    }

    #[test]
    fn what_worked_in_between_is_news_again() {
        let mut failing = Failing::default();
        assert!(failing.is_news(("list", 500)));
        failing.works();
        assert!(failing.is_news(("list", 500)));
    }
}
