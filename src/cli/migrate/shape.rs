//! The answer of `migrate`: for programs, and for people.

use serde::Serialize;

use super::{
    flags::Given,
    row::{Look, Row},
    seen::Seen,
    steps::{PAGE, STEPS},
    theirs::Theirs,
};
use crate::cli::{
    lint::shape::Unreadable,
    object::API_VERSION,
    output::{Part, Text, Tone, not_seen},
};

/// What people should know first.
const AS_THEY_ARE: &str = "reroll reads Reloader's annotations as they are. What stands under Instead may be written, and need not.";

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    api_version: &'static str,
    kind: &'static str,
    /// The Reloaders that were found. What is said of workloads holds for the first.
    reloader: Vec<Theirs>,
    workloads: Vec<Row>,
    /// Sources and Namespaces.
    others: Vec<Row>,
    sums: Sums,
    steps: [&'static str; 5],
    link: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_seen: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
    #[serde(skip)]
    files: Option<(usize, usize)>,
}

/// How many workloads.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Sums {
    workloads: usize,
    /// The same is done with them here.
    same: usize,
    differing: usize,
    /// reroll's words say all of it.
    in_own_words: usize,
    /// They keep annotations of Reloader's.
    keeping: usize,
}

impl Report {
    pub(super) fn of(seen: Seen) -> Self {
        let look = Look::new(&seen);
        let mut rows: Vec<_> = seen.bearers.iter().map(|one| look.row(one)).collect();
        if seen.files.is_none() {
            let order = |row: &Row| (row.namespace.clone(), row.kind.clone(), row.name.clone());
            rows.sort_by_cached_key(order);
        }
        let (workloads, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.is_workload);
        let mut sums = Sums {
            workloads: workloads.len(),
            ..Sums::default()
        };
        for row in &workloads {
            *if row.differs.is_empty() {
                &mut sums.same
            } else {
                &mut sums.differing
            } += 1;
            *if row.advice.keep.is_empty() {
                &mut sums.in_own_words
            } else {
                &mut sums.keeping
            } += 1;
        }
        Self {
            api_version: API_VERSION,
            kind: "Migration",
            reloader: seen.theirs,
            workloads,
            others,
            sums,
            steps: STEPS,
            link: PAGE,
            not_seen: seen.notes,
            unreadable: seen.unreadable,
            files: seen.files,
        }
    }

    /// Returns what could not be read, in words; `None` where all could.
    pub(super) fn unreadable(&self) -> Option<String> {
        Unreadable::of_all(&self.unreadable)
    }
}

/// Returns the lines for people.
pub(super) fn table(report: &Report, wide: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    for theirs in &report.reloader {
        parts.push(Part::Line(format!(
            "Reloader   {}   {}",
            theirs.spoken(),
            theirs.image
        )));
        if !theirs.flags.is_empty() {
            parts.push(Part::Rows(theirs.flags.iter().map(flag).collect()));
        }
    }
    if !report.workloads.is_empty() {
        parts.push(Part::Line(AS_THEY_ARE.to_owned()));
    }
    for row in report.workloads.iter().chain(&report.others) {
        parts.push(Part::Line(heading(row)));
        parts.push(Part::Rows(lines(row, wide)));
    }
    let missing = not_seen(&report.not_seen);
    if !missing.is_empty() {
        parts.push(Part::Rows(missing));
    }
    parts.push(Part::Line(summed(report)));
    if !report.workloads.is_empty() || !report.reloader.is_empty() {
        parts.push(Part::Line("The switch-over:".to_owned()));
        let steps = STEPS.iter().enumerate();
        parts.extend(steps.map(|(at, step)| Part::Line(format!("  {}. {step}", at + 1))));
        parts.push(Part::Line(format!("More about each: {PAGE}")));
    }
    parts
}

fn flag(given: &Given) -> Vec<Text> {
    let nothing = Tone::Faint.text("nothing");
    vec![
        format!("  {}", given.flag).into(),
        given.here.clone().map_or(nothing, Text::from),
        given.chart.clone().unwrap_or_default().into(),
        given
            .why
            .map_or_else(|| "".into(), |why| Tone::Faint.text(why)),
    ]
}

fn heading(row: &Row) -> String {
    let place = row.file.as_ref().zip(row.line);
    let place = place
        .map(|(file, line)| format!("   {file}:{line}"))
        .unwrap_or_default();
    format!("{}{place}", row.spoken)
}

/// Returns what is said of an object.
fn lines(row: &Row, wide: bool) -> Vec<Vec<Text>> {
    let line = |word: &str, text: Text| vec![format!("  {word}").into(), text];
    let mut lines = Vec::new();
    if wide {
        lines.extend(
            row.template
                .iter()
                .map(|file| line("Template", file.clone().into())),
        );
        for told in &row.annotations {
            let text = format!(
                "{}: \"{}\" ({}) {}",
                told.key, told.value, told.on, told.means
            );
            lines.push(line("Says", Tone::Faint.text(text)));
        }
    }
    lines.push(line("Reloader", row.reloader.clone().into()));
    lines.push(line("reroll", row.reroll.clone().into()));
    let differs = row.differs.iter();
    lines.extend(differs.map(|text| line("Differs", Tone::Warning.text(text.clone()))));
    let advice = &row.advice;
    if !advice.keep.is_empty() {
        lines.push(line("Keep", advice.keep.join(", ").into()));
        let because = advice.because.iter();
        lines.extend(because.map(|why| line("", Tone::Faint.text(why.clone()))));
    }
    if let Some(nearest) = &advice.nearest {
        lines.push(line(
            "Nearest",
            format!("reroll.dev/restart-on: {nearest}").into(),
        ));
    }
    let command = advice.command.iter();
    lines.extend(command.map(|command| line("Instead", Tone::Good.text(command.clone()))));
    for change in &advice.lines {
        let text = format!("{}:{} {}", change.file, change.line, change.change);
        lines.push(line("Instead", Tone::Good.text(text)));
    }
    if !advice.leave.is_empty() {
        let text = format!(
            "{} on the pod template, until the next deploy",
            advice.leave.join(", ")
        );
        lines.push(line("Leave", text.into()));
    }
    lines
}

fn summed(report: &Report) -> String {
    let Sums {
        workloads,
        same,
        differing,
        in_own_words,
        keeping,
    } = report.sums;
    let place = match report.files {
        Some((files, objects)) => format!(
            "{} in {}: ",
            counted(objects, "object"),
            counted(files, "file")
        ),
        None => String::new(),
    };
    if workloads == 0 && report.others.is_empty() {
        return format!("{place}no annotation of Reloader's was found.");
    }
    format!(
        "{place}{}: {same} the same here, {differing} with differences; {in_own_words} can be said in reroll's words, {keeping} keep words of Reloader's.{}",
        counted(workloads, "workload"),
        match report.others.len() {
            0 => String::new(),
            others => format!(" Others: {}.", counted(others, "object")),
        }
    )
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
