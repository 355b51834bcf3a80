//! Why a watch fails, and when that is logged: the watch is tried again for ever, and each failure is logged once.

use kube::runtime::watcher;

/// The API server asks for patience. It does so while it begins to serve a kind (KEP-4568, since 1.34). That is no
/// failure unless it lasts.
const NOT_YET: u16 = 429;
/// The number of such answers in a row after which that is logged: some four seconds.
const PATIENCE: u32 = 3;

/// A failure of a watch: the step, and the HTTP status or 0.
pub(super) type Failed = (&'static str, u16);

/// The last failure, and how often in a row it occurred.
#[derive(Default)]
pub(super) struct Failing {
    last: Option<Failed>,
    times: u32,
}

impl Failing {
    /// Notes a failure. Returns whether it is to be logged: the same failure in a row is logged once.
    pub(super) fn is_news(&mut self, failure: Failed) -> bool {
        if self.last.replace(failure) != Some(failure) {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        self.times == if failure.1 == NOT_YET { PATIENCE } else { 1 }
    }

    /// Notes that the watch works.
    pub(super) fn works(&mut self) {
        *self = Self::default();
    }
}

/// Returns the class of an error, for the log. The error's own text may quote an object.
pub(super) fn class(error: &watcher::Error) -> Failed {
    let (step, source) = match error {
        watcher::Error::InitialListFailed(source) => ("list failed", source),
        watcher::Error::WatchStartFailed(source) => ("watch refused", source),
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

    #[test]
    fn what_worked_in_between_is_news_again() {
        let mut failing = Failing::default();
        assert!(failing.is_news(("list", 500)));
        failing.works();
        assert!(failing.is_news(("list", 500)));
    }
}
