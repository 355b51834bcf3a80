//! Schedules of five fields, in UTC: numbers, `*`, lists, ranges and steps. Names and `@hourly` are left out.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    /// Whether both kinds of days are restricted: then either is enough.
    either: bool,
}

/// No schedule that ever comes has a longer pause: 29 February.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 8);

impl Schedule {
    /// Reads a schedule.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return None;
        };
        let free = |field: &str| field.starts_with('*');
        Some(Self {
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            weekdays: field(weekdays, 0, 7)?
                .into_iter()
                .map(|day| day % 7)
                .collect(),
            either: !free(days) && !free(weekdays),
        })
    }

    fn has_day(&self, at: DateTime) -> bool {
        let day = self.days.contains(&at.day());
        let weekday = self
            .weekdays
            .contains(&at.weekday().to_sunday_zero_offset());
        let day = if self.either {
            day || weekday
        } else {
            day && weekday
        };
        day && self.months.contains(&at.month())
    }

    /// Returns the first time after another.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let minute = SignedDuration::from_mins(1);
        let second = after.as_second();
        let mut at = Timestamp::from_second(second - second.rem_euclid(60)).ok()? + minute;
        while at.duration_since(after) < LONGEST {
            let civil = TimeZone::UTC.to_datetime(at);
            if !self.has_day(civil) {
                let hours = i64::from(24 - civil.hour());
                at += SignedDuration::from_hours(hours) - minute * i32::from(civil.minute());
            } else if !self.hours.contains(&civil.hour()) {
                at += minute * (60 - i32::from(civil.minute()));
            } else if !self.minutes.contains(&civil.minute()) {
                at += minute;
            } else {
                return Some(at);
            }
        }
        None
    }

    /// Returns the last time after one moment and up to another.
    pub(super) fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut last = None;
        let mut next = self.next(after);
        while let Some(at) = next.filter(|at| *at <= until) {
            last = Some(at);
            next = self.next(at);
        }
        last
    }
}

fn field(text: &str, first: i8, last: i8) -> Option<BTreeSet<i8>> {
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let from: i8 = range.parse().ok()?;
                (from, if part.contains('/') { last } else { from })
            }
        };
        if from < first || to > last || from > to {
            return None;
        }
        all.extend((from..=to).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time() {
        for (schedule, after, expected) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            (
                "*/5 * * * *",
                "2026-01-01T00:04:59Z",
                "2026-01-01T00:05:00Z",
            ),
            (
                "*/5 * * * *",
                "2026-01-01T00:05:00Z",
                "2026-01-01T00:10:00Z",
            ),
            ("30 4 * * *", "2026-01-01T04:30:01Z", "2026-01-02T04:30:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            (
                "0 12 1,15 * 5",
                "2026-01-03T00:00:00Z",
                "2026-01-09T12:00:00Z",
            ),
            (
                "0 12 * * 1-5",
                "2026-01-02T12:00:00Z",
                "2026-01-05T12:00:00Z",
            ),
            (
                "10-20/5 8 * * 7",
                "2026-01-04T08:15:00Z",
                "2026-01-04T08:20:00Z",
            ),
        ] {
            let next = Schedule::read(schedule)
                .unwrap()
                .next(after.parse().unwrap());
            assert_eq!(next, Some(expected.parse().unwrap()), "{schedule} {after}");
        }
        for wrong in [
            "",
            "* * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "@hourly",
        ] {
            assert_eq!(Schedule::read(wrong), None, "{wrong}");
        }
        let never = Schedule::read("0 0 31 2 *").unwrap();
        assert_eq!(never.next("2026-01-01T00:00:00Z".parse().unwrap()), None);
    }
}
