//! How answers are printed: tables for people, JSON and YAML for programs.
//!
//! A table is as wide as the terminal, and not cut where there is none: `grep` then finds what it looks for.

use std::io::{IsTerminal as _, Write as _, stdout};

use anstream::{AutoStream, ColorChoice};
use comfy_table::{Cell, ContentArrangement, Table, presets::NOTHING};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    args::{Asking, Color, Format},
    error::Error,
};

/// How a cell is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// To be looked at, or not yet.
    Warning,
    /// It does not go on by itself.
    Bad,
    /// Beside the point.
    Faint,
}

/// A text of a table, and how it is meant.
#[derive(Clone, Debug)]
pub(super) struct Text {
    text: String,
    tone: Tone,
}

/// Prints answers.
pub(super) struct Output {
    pub(super) format: Format,
    choice: ColorChoice,
}

impl Tone {
    /// Returns the same text in this tone.
    pub(super) fn text(self, text: impl Into<String>) -> Text {
        let text = text.into();
        Text { text, tone: self }
    }

    fn color(self) -> Option<comfy_table::Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(comfy_table::Color::Green),
            Self::Warning => Some(comfy_table::Color::Yellow),
            Self::Bad => Some(comfy_table::Color::Red),
            Self::Faint => Some(comfy_table::Color::DarkGrey),
        }
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Tone::Plain.text(text)
    }
}

impl Output {
    pub(super) fn new(asking: &Asking) -> Self {
        Self::of(asking.output, asking.color)
    }

    pub(super) fn of(format: Format, color: Color) -> Self {
        let choice = match color {
            Color::Auto => AutoStream::choice(&stdout()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { format, choice }
    }

    /// Whether answers are tables.
    pub(super) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Prints an answer: `report` for programs, and what `table` makes of it for people.
    pub(super) fn print<T: Serialize>(
        &self,
        report: &T,
        table: impl FnOnce(&T, bool) -> Vec<Part>,
    ) -> Result<(), Error> {
        let text = match self.format {
            Format::Json => {
                let text = serde_json::to_string_pretty(report).map_err(std::io::Error::other)?;
                text + "\n"
            }
            Format::Yaml => serde_saphyr::to_string(report).map_err(std::io::Error::other)?,
            Format::Table | Format::Wide => {
                let parts = table(report, self.format == Format::Wide);
                parts.into_iter().map(Self::rendered).collect()
            }
        };
        let mut out = AutoStream::new(stdout(), self.choice);
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn rendered(part: Part) -> String {
        let rows = match part {
            Part::Line(text) => return text + "\n",
            Part::Rows(rows) => rows,
        };
        let mut table = Table::new();
        table.load_style(NOTHING);
        if stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        // What is written says whether there are colours: the stream takes them away where there are none.
        table.enforce_styling();
        for row in rows {
            table.add_row(row.into_iter().map(|text| {
                let cell = Cell::new(text.text);
                match text.tone.color() {
                    Some(color) => cell.fg(color),
                    None => cell,
                }
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        let lines = table.to_string();
        lines.lines().map(|line| trimmed(line) + "\n").collect()
    }
}

/// Returns what people read, without colours.
#[cfg(test)]
pub(super) fn plain(parts: Vec<Part>) -> String {
    let text: String = parts.into_iter().map(Output::rendered).collect();
    anstream::adapter::strip_str(&text).to_string()
}

/// A part of an answer for people.
pub(super) enum Part {
    /// A line.
    Line(String),
    /// Rows whose columns stand under one another.
    Rows(Vec<Vec<Text>>),
}

/// Returns rows of what could not be seen.
pub(super) fn not_seen(notes: &[String]) -> Vec<Vec<Text>> {
    let row = |note: &String| vec!["Not seen".into(), Tone::Warning.text(note.clone())];
    notes.iter().map(row).collect()
}

/// Returns rows of what keeps restarts from being made.
pub(super) fn warned(warnings: &[String]) -> Vec<Vec<Text>> {
    let row = |words: &String| vec!["Note".into(), Tone::Warning.text(words.clone())];
    warnings.iter().map(row).collect()
}

/// Returns a line without the blanks at its end. A colour may end behind them.
fn trimmed(line: &str) -> String {
    const END: &str = "\u{1b}[39m";
    match line.trim_end().strip_suffix(END) {
        Some(coloured) => coloured.trim_end().to_owned() + END,
        None => line.trim_end().to_owned(),
    }
}

/// Returns how long ago something was, as kubectl says it: `45s ago`, `3m ago`, `5h ago`, `2d ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", long(now.duration_since(at).as_secs()))
}

/// Returns how long this many seconds are.
pub(super) fn long(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_kubectl_says_them() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(long(seconds), expected);
        }
    }
}
