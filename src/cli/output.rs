//! How answers are printed: tables for people, JSON and YAML for programs.
//!
//! A table is as wide as the terminal, and not cut where there is none: `grep` then finds what it looks for.

use std::io::{IsTerminal as _, Write as _, stdout};

use anstream::{AutoStream, ColorChoice};
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    args::{Asking, Color, Format},
    error::Error,
};
use crate::model::text::printable;

/// So many blanks stand between two columns.
const GAP: u16 = 3;

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
            Part::Line(text) => return printable(&text) + "\n",
            Part::Rows(rows) => rows,
        };
        let mut table = Table::new();
        table.load_style(NOTHING);
        let terminal = table.width().filter(|_| stdout().is_terminal());
        let widths = terminal.and_then(|width| widths(&rows, width.into()));
        // What is written says whether there are colours: the stream takes them away where there are none.
        table.enforce_styling();
        for row in rows {
            table.add_row(row.into_iter().map(|text| {
                let cell = Cell::new(printable(&text.text));
                match text.tone.color() {
                    Some(color) => cell.fg(color),
                    None => cell,
                }
            }));
        }
        arrange(&mut table, widths);
        let lines = table.to_string();
        lines.lines().map(|line| trimmed(line) + "\n").collect()
    }
}

/// Returns the widths of columns, so that what is too long for a terminal is wrapped at blanks only. `None` where even the longest
/// words do not fit beside one another: each line is left whole then, for the terminal to wrap. Half of a name is no name.
fn widths(rows: &[Vec<Text>], width: usize) -> Option<Vec<usize>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let gap = usize::from(GAP);
    let length = |text: &str| text.chars().count() + gap;
    let texts = |column: usize| {
        rows.iter()
            .filter_map(move |row| Some(&row.get(column)?.text))
    };
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let mut widths: Vec<_> = (0..columns)
        .map(|column| longest(&mut texts(column).flat_map(|text| text.split(' ')).map(length)))
        .collect();
    let mut left = width.checked_sub(widths.iter().sum())?;
    // Whoever lacks least gets it first: short columns are whole then.
    let mut lacks: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| {
            (
                longest(&mut texts(column).map(|text| length(text))) - width,
                column,
            )
        })
        .collect();
    lacks.sort_unstable();
    for (lacks, column) in lacks {
        let more = lacks.min(left);
        widths[column] += more;
        left -= more;
    }
    Some(widths)
}

/// Gives columns their widths, and the blanks between them.
fn arrange(table: &mut Table, widths: Option<Vec<usize>>) {
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let Some(widths) = widths else {
        table.set_content_arrangement(ContentArrangement::Disabled);
        return;
    };
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_constraints(widths.into_iter().map(|width| {
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        ColumnConstraint::Absolute(Width::Fixed(width))
    }));
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

    /// What a terminal of so many columns shows of these rows.
    fn shown(width: u16, rows: &[[&str; 3]]) -> String {
        let rows: Vec<Vec<Text>> = rows
            .iter()
            .map(|row| row.iter().map(|text| Text::from(*text)).collect())
            .collect();
        let mut table = Table::new();
        table.load_style(NOTHING).set_width(width);
        let widths = widths(&rows, width.into());
        for row in rows {
            table.add_row(row.into_iter().map(|text| Cell::new(text.text)));
        }
        arrange(&mut table, widths);
        let lines = table.to_string();
        lines
            .lines()
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    #[test]
    fn no_word_is_broken_however_narrow_a_terminal_is() {
        let rows = [
            [
                "Deployment web",
                "held",
                "the workload says reroll.dev/suspend: needs approval",
            ],
            ["StatefulSet queue", "up to date", ""],
        ];
        let words = |text: &str| -> Vec<String> {
            let mut words: Vec<_> = text.split_whitespace().map(ToOwned::to_owned).collect();
            words.sort();
            words
        };
        let all = words(&rows.concat().join(" "));
        for width in 1..140 {
            let shown = shown(width, &rows);
            assert_eq!(words(&shown), all, "{width}: {shown}");
            let fits = shown
                .lines()
                .all(|line| line.chars().count() <= width.into());
            assert!(
                fits || shown.lines().count() == rows.len(),
                "{width}: {shown}"
            );
        }
        let narrow = "Deployment web      held         the workload says\n                                 reroll.dev/suspend:\n                                 needs approval\nStatefulSet queue   up to date\n";
        assert_eq!(shown(60, &rows), narrow);
    }

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
