//! What the person at the prompt is told: what is wrong, and what merely happens.
//!
//! Kubernetes shows a warning whole that has no control characters and at most 256 characters, where all have at most 4,096
//! together. So each line has at most 256, and an answer has at most four lines, the last of which says how many are left out.
//! Problems come first: nothing that merely happens takes their place.

use crate::model::text::{printable, shortened};

/// The most lines that one answer has.
pub const MAX_LINES: usize = 4;
/// The most characters that one line has.
pub const LENGTH: usize = 256;

/// One line for the person at the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// It begins with `reroll:`, and has no data.
    pub text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Problem,
    News,
}

/// Which warnings are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// What is wrong, and what a write does.
    #[default]
    All,
    /// What is wrong.
    Problems,
    /// None.
    None,
}

impl Told {
    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Problems => "problems",
            Self::None => "none",
        }
    }

    /// Returns the lines of an answer.
    pub fn lines(self, mut warnings: Vec<Warning>) -> Vec<String> {
        warnings.retain(|warning| match self {
            Self::All => true,
            Self::Problems => warning.kind == Kind::Problem,
            Self::None => false,
        });
        warnings.sort_by_key(|warning| warning.kind);
        let mut lines: Vec<String> = Vec::new();
        for warning in warnings {
            let line = shortened(&printable(&warning.text), LENGTH).into_owned();
            // API servers show a line once.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if lines.len() > MAX_LINES {
            let more = lines.len() - (MAX_LINES - 1);
            lines.truncate(MAX_LINES - 1);
            lines.push(format!("reroll: and {more} more warnings"));
        }
        lines
    }
}

/// Something is wrong, and somebody can mend it.
pub fn problem(text: impl Into<String>) -> Warning {
    Warning {
        text: text.into(),
        kind: Kind::Problem,
    }
}

/// Each of these is wrong, as [`problem`].
pub fn problems(all: impl IntoIterator<Item = String>) -> Vec<Warning> {
    let all = all.into_iter();
    all.map(|what| problem(format!("reroll: {what}"))).collect()
}

/// It happens by this write, as it should.
pub fn news(text: impl Into<String>) -> Warning {
    Warning {
        text: text.into(),
        kind: Kind::News,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Warning> {
        vec![news("reroll: a"), problem("reroll: b"), news("reroll: a")]
    }

    #[test]
    fn problems_come_first_and_nothing_twice() {
        assert_eq!(Told::All.lines(some()), ["reroll: b", "reroll: a"]);
        assert_eq!(Told::Problems.lines(some()), ["reroll: b"]);
        assert_eq!(Told::None.lines(some()), Vec::<String>::new());
    }

    #[test]
    fn the_last_of_four_lines_says_how_many_more_there_are() {
        let all = |most: usize| {
            (0..most)
                .map(|at| problem(format!("reroll: {at}")))
                .collect()
        };
        let four = ["reroll: 0", "reroll: 1", "reroll: 2", "reroll: 3"];
        assert_eq!(Told::All.lines(all(4)), four);
        let five = [&four[..3], &["reroll: and 2 more warnings"]].concat();
        assert_eq!(Told::All.lines(all(5)), five);
    }

    #[test]
    fn a_line_is_whole_up_to_256_characters() {
        let fits = "ä".repeat(256);
        let cut = format!("{}…", "ä".repeat(255));
        for (text, shown) in [
            (fits.clone(), fits),
            ("ä".repeat(257), cut),
            ("a\nb\tc\u{7f}".to_owned(), "abc".to_owned()),
        ] {
            assert_eq!(Told::All.lines(vec![problem(text)]), [shown]);
        }
    }
}
