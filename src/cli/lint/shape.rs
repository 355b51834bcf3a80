//! The answer of `lint`: for programs, and as lines for people.

use serde::Serialize;

use super::found::Found;
use crate::cli::{
    findings::{Finding, PAGE, Severity},
    object::API_VERSION,
    output::{Part, Text, Tone},
};

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    api_version: &'static str,
    kind: &'static str,
    /// How many files were read.
    files: usize,
    /// How many objects are in them.
    objects: usize,
    sums: Sums,
    findings: Vec<Told>,
    unreadable: Vec<Unreadable>,
}

/// How many findings there are.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Sums {
    errors: usize,
    warnings: usize,
    infos: usize,
}

/// A finding.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Told {
    #[cfg_attr(test, schemars(with = "String"))]
    code: Finding,
    severity: Severity,
    title: &'static str,
    file: String,
    line: usize,
    /// The file of the chart that Helm made it of.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    object: Object,
    wrong: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
    link: String,
    #[serde(skip)]
    spoken: String,
}

/// The object of a finding. Its kind may be any.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Object {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

/// A file that cannot be read.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct Unreadable {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    why: String,
}

impl Unreadable {
    pub(in crate::cli) fn new(file: String, line: Option<usize>, why: String) -> Self {
        Self { file, line, why }
    }

    /// Returns what could not be read, in words; `None` where all could.
    pub(in crate::cli) fn of_all(all: &[Self]) -> Option<String> {
        match all {
            [] => None,
            [one] => Some(format!("cannot read {}", one.words())),
            many => {
                let lines = many.iter().map(|one| format!("\n  {}", one.words()));
                let lines: String = lines.collect();
                Some(format!("cannot read {} files:{lines}", many.len()))
            }
        }
    }

    fn words(&self) -> String {
        let Self { file, line, why } = self;
        match line {
            Some(line) => format!("{file}:{line}: {why}"),
            None => format!("{file}: {why}"),
        }
    }
}

impl Report {
    pub(super) fn new(
        (files, objects): (usize, usize),
        found: Vec<Found>,
        unreadable: Vec<Unreadable>,
    ) -> Self {
        let mut sums = Sums::default();
        for one in &found {
            *match one.finding.severity() {
                Severity::Error => &mut sums.errors,
                Severity::Warning => &mut sums.warnings,
                Severity::Info => &mut sums.infos,
            } += 1;
        }
        Self {
            api_version: API_VERSION,
            kind: "Findings",
            files,
            objects,
            sums,
            findings: found.into_iter().map(Told::of).collect(),
            unreadable,
        }
    }

    /// Whether there was nothing to check.
    pub(super) fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Whether there is nothing but infos.
    pub(super) fn is_fine(&self) -> bool {
        self.sums.errors == 0 && self.sums.warnings == 0
    }

    /// Returns what could not be read, in words; `None` where all could.
    pub(super) fn unreadable(&self) -> Option<String> {
        Unreadable::of_all(&self.unreadable)
    }
}

impl Told {
    fn of(found: Found) -> Self {
        let finding = found.finding;
        Self {
            code: finding,
            severity: finding.severity(),
            title: finding.title(),
            spoken: found.spoken(),
            file: found.file.to_string(),
            line: found.line,
            template: found.origin,
            object: Object {
                kind: found.kind,
                namespace: found.namespace,
                name: found.name,
            },
            wrong: found.wrong,
            instead: found.instead,
            link: finding.link(),
        }
    }

    fn row(&self, wide: bool) -> Vec<Text> {
        let tone = match self.severity {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Warning,
            Severity::Info => Tone::Faint,
        };
        let mut row: Vec<Text> = vec![
            format!("{}:{}", self.file, self.line).into(),
            tone.text(self.severity.as_str()),
            self.code.code().into(),
            self.spoken.clone().into(),
            self.wrong.clone().into(),
            self.instead
                .clone()
                .map_or_else(String::new, |text| format!("→ {text}"))
                .into(),
        ];
        if wide {
            row.push(self.template.clone().unwrap_or_default().into());
            row.push(self.link.clone().into());
        }
        row
    }
}

/// Returns the lines for people.
pub(super) fn table(report: &Report, wide: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    if !report.findings.is_empty() {
        let rows = report.findings.iter().map(|told| told.row(wide));
        parts.push(Part::Rows(rows.collect()));
    }
    let counted = |count: usize, word: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {word}{plural}")
    };
    let place = format!(
        "{} in {}",
        counted(report.objects, "object"),
        counted(report.files, "file")
    );
    let Sums {
        errors,
        warnings,
        infos,
    } = report.sums;
    let sums = [(errors, "error"), (warnings, "warning"), (infos, "info")];
    let sums: Vec<_> = sums
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| counted(count, word))
        .collect();
    parts.push(Part::Line(
        if report.files == 0 && !report.unreadable.is_empty() {
            "Nothing was checked: no file can be read.".to_owned()
        } else if report.is_empty() {
            format!("Nothing was checked: {place}.")
        } else if sums.is_empty() {
            format!("{place}: nothing was found.")
        } else {
            format!("{place}: {}.", sums.join(", "))
        },
    ));
    if !report.findings.is_empty() {
        parts.push(Part::Line(format!("What each code means: {PAGE}")));
    }
    parts
}
