//! Whether a restart may be made at this time of day: `reroll.dev/window` and `reroll.dev/window-latest`.

use jiff::{SignedDuration, Timestamp};

use super::hours::Hours;

/// What stands in `reroll.dev/window`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// Days and hours.
    Hours(Hours),
    /// It cannot be read, and holds.
    Unreadable,
}

/// Why a window holds a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// Until this time; `None`: it never opens by itself.
    Until(Option<Timestamp>),
    /// It cannot be read.
    Unreadable {
        /// Until when it holds all the same, because the restart is made at the latest then.
        until: Option<Timestamp>,
    },
}

impl Window {
    /// Reads it; total.
    pub fn read(text: &str) -> Self {
        Hours::read(text).map_or(Self::Unreadable, Self::Hours)
    }

    /// Returns why it holds a restart that has been due since then, and that is made after `latest` all the same.
    pub fn holds(
        &self,
        since: Timestamp,
        latest: Option<SignedDuration>,
        now: Timestamp,
    ) -> Option<Closed> {
        let latest = latest.map(|latest| since.checked_add(latest).unwrap_or(Timestamp::MAX));
        if latest.is_some_and(|latest| now >= latest) {
            return None;
        }
        match self {
            Self::Unreadable => Some(Closed::Unreadable { until: latest }),
            Self::Hours(hours) if hours.include(now) => None,
            Self::Hours(hours) => {
                let next = hours.next(now).into_iter().chain(latest).min();
                Some(Closed::Until(next))
            }
        }
    }
}

impl Closed {
    /// Returns when time alone opens it.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(next) => next,
            Self::Unreadable { until } => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_holds_until_it_opens_or_until_the_latest_time() {
        let window = Window::read("Sun 02:00-04:00");
        let hour = SignedDuration::from_hours;
        let monday = at("2026-11-23T12:00:00Z");
        let rows = [
            // now, latest, expected
            ("2026-11-23T12:00:00Z", None, Some("2026-11-29T02:00:00Z")),
            (
                "2026-11-23T12:00:00Z",
                Some(hour(72)),
                Some("2026-11-26T12:00:00Z"),
            ),
            (
                "2026-11-26T11:59:59Z",
                Some(hour(72)),
                Some("2026-11-26T12:00:00Z"),
            ),
            ("2026-11-26T12:00:00Z", Some(hour(72)), None),
            ("2026-11-29T02:00:00Z", None, None),
            ("2026-11-29T03:59:59Z", None, None),
            ("2026-11-29T04:00:00Z", None, Some("2026-12-06T02:00:00Z")),
        ];
        for (now, latest, expected) in rows {
            let expected = expected.map(|until| Closed::Until(Some(at(until))));
            assert_eq!(window.holds(monday, latest, at(now)), expected, "{now}");
        }
    }

    #[test]
    fn what_cannot_be_read_holds() {
        let (window, now) = (Window::read("nights"), at("2026-11-23T12:00:00Z"));
        assert_eq!(window, Window::Unreadable);
        let closed = window.holds(Timestamp::MIN, None, now);
        assert_eq!(closed, Some(Closed::Unreadable { until: None }));
        let day = SignedDuration::from_hours(24);
        let until = Some(now + day);
        assert_eq!(
            window.holds(now, Some(day), now),
            Some(Closed::Unreadable { until })
        );
        assert_eq!(window.holds(now, Some(day), now + day), None);
    }
}
