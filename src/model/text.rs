//! How texts are shortened, and how durations are read: one way each, for annotations, flags, Events, alerts and warnings.

use std::{borrow::Cow, time::Duration};

use jiff::{SignedDuration, Timestamp};

/// What stands where a text was cut.
const CUT: char = '…';

/// Returns the text with at most `most` characters, the last of which is an ellipsis where something was cut.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(most.saturating_sub(1));
    Cow::Owned(kept.chain([CUT]).collect())
}

/// Returns the text with at most `most` bytes, the last of which are an ellipsis where something was cut.
pub fn shortened_to_bytes(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let room = most.saturating_sub(CUT.len_utf8());
    let ends = text.char_indices().map(|(at, _)| at);
    let end = ends.take_while(|at| *at <= room).last().unwrap_or(0);
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

/// Returns the text without control characters: kubectl drops a warning that has any. Those that turn the direction of a line
/// make people read something else than what stands there, and go, too.
pub fn printable(text: &str) -> String {
    let shown = |letter: &char| !letter.is_control() && !turns(*letter);
    text.chars().filter(shown).collect()
}

/// Whether the letter turns the direction in which a line is read (Unicode's `Bidi_Control`, `UAX` 9).
const fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the text means false, as people write it, in whatever case.
pub fn is_false(text: &str) -> bool {
    let text = text.trim();
    FALSE.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What means false.
const FALSE: [&str; 4] = ["false", "no", "off", "0"];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDuration {
    /// It cannot be read.
    Unreadable,
    /// It is negative.
    Negative,
}

/// Reads a duration as people write it: `500ms`, `5s`, `2m`, `1h30m`, `0`. Days and longer are refused, because a day is not
/// always 24 hours.
///
/// # Errors
/// When the text is not such a duration.
pub fn read_duration(text: &str) -> Result<Duration, NoDuration> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let read: Result<SignedDuration, _> = text.trim().parse();
    match read {
        Ok(duration) => Duration::try_from(duration).map_err(|_| NoDuration::Negative),
        Err(_) => fractions(text.trim()).ok_or(NoDuration::Unreadable),
    }
}

/// Reads what only Go's `time.ParseDuration` reads: fractions of each unit, without a digit before or behind the point.
fn fractions(text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit())?;
        let unit = rest[number..].find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let (part, after) = rest.split_at(unit.map_or(rest.len(), |unit| number + unit));
        let (number, unit) = part.split_at(number);
        let digits = number.chars().any(|letter| letter.is_ascii_digit());
        let whole = if number.starts_with('.') { "0" } else { "" };
        let one: SignedDuration = format!("{whole}{}{unit}", number.trim_end_matches('.'))
            .parse()
            .ok()?;
        sum = sum.checked_add(Duration::try_from(one).ok().filter(|_| digits)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// Returns the time without seconds: it is not told sooner than it is decided.
pub fn minutes(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Names some of so many: `a, b and 3 more`.
pub fn some_of<'a>(named: impl IntoIterator<Item = &'a str>, all: usize) -> String {
    let named: Vec<_> = named.into_iter().collect();
    let words = named.join(", ");
    match all.saturating_sub(named.len()) {
        0 => words,
        more => format!("{words} and {more} more"),
    }
}

/// Names the first of these.
pub fn first_of(all: &[String], most: usize) -> String {
    some_of(all.iter().take(most).map(String::as_str), all.len())
}

/// Returns a text as it is shown: nothing is shown as `""`.
pub fn or_quotes(text: &str) -> &str {
    if text.is_empty() { "\"\"" } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        let rows = [("", 0, ""), ("abc", 3, "abc"), ("äöü", 3, "äöü")];
        for (text, most, expected) in rows {
            assert_eq!(shortened(text, most), expected);
        }
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(shortened_to_bytes("abcdef", 6), "abcdef");
        assert_eq!(shortened_to_bytes("abcdefg", 6), "abc…");
        assert_eq!(shortened_to_bytes("aäöü", 6), "aä…");
    }

    #[test]
    fn warnings_have_no_control_characters() {
        assert_eq!(printable("a\n\tb\u{7f}c…"), "abc…");
        assert_eq!(printable("INC\u{202e}24\u{2066}\u{200f} é"), "INC24 é");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("0s", Ok(Duration::ZERO)),
            ("0", Ok(Duration::ZERO)),
            (" 500ms ", Ok(Duration::from_millis(500))),
            ("5s", Ok(seconds(5))),
            ("2m", Ok(seconds(120))),
            ("1h30m", Ok(seconds(5400))),
            (".06m", Ok(Duration::from_millis(3600))),
            ("1.5h.5m", Ok(seconds(5430))),
            ("2.s", Ok(seconds(2))),
            (".s", Err(NoDuration::Unreadable)),
            ("1.5", Err(NoDuration::Unreadable)),
            ("1.5x", Err(NoDuration::Unreadable)),
            ("-5s", Err(NoDuration::Negative)),
            ("1d", Err(NoDuration::Unreadable)),
            ("5", Err(NoDuration::Unreadable)),
            ("", Err(NoDuration::Unreadable)),
            ("soon", Err(NoDuration::Unreadable)),
        ] {
            assert_eq!(read_duration(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shortened_is_no_longer_than_asked_for(text in ".{0,12}", most in 4_usize..12) {
            prop_assert!(shortened(&text, most).chars().count() <= most);
            prop_assert!(shortened_to_bytes(&text, most).len() <= most);
        }
    }
}
