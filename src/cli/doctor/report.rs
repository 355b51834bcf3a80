//! The answer of `doctor`: lines in groups, for programs and for people.

use serde::Serialize;

use crate::{
    cli::{
        ending::Ending,
        findings::{Finding, Severity},
        object::API_VERSION,
        output::{Part, Text, Tone},
    },
    cluster::Failure,
};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fine,
    Found(Finding),
    /// Whoever asks may not read what it needs, or nothing shows it.
    NotSeen,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    state: State,
    /// What is so, without a full stop.
    words: String,
    /// What a person can do.
    to_do: Option<String>,
}

/// Lines about one part.
pub(super) struct Group {
    title: &'static str,
    lines: Vec<Line>,
}

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    api_version: &'static str,
    kind: &'static str,
    /// Whether it was asked before an installation.
    pre: bool,
    sums: Sums,
    checks: Vec<Check>,
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Sums {
    fine: usize,
    infos: usize,
    warnings: usize,
    errors: usize,
    not_seen: usize,
}

/// A check, as programs read it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Check {
    group: &'static str,
    /// `ok`, `info`, `warning`, `error` or `notSeen`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    code: Option<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Line {
    pub(super) fn fine(words: impl Into<String>) -> Self {
        Self::new(State::Fine, words)
    }

    pub(super) fn found(finding: Finding, words: impl Into<String>) -> Self {
        Self::new(State::Found(finding), words)
    }

    pub(super) fn not_seen(words: impl Into<String>) -> Self {
        Self::new(State::NotSeen, words)
    }

    /// Says what could not be done, such as `list pods in reroll`.
    pub(super) fn failed(what: &str, why: &Failure) -> Self {
        Self::not_seen(match why {
            Failure::Forbidden => format!("no right to {what}"),
            why => format!("cannot {what}: {why}"),
        })
    }

    /// Returns the same with what a person can do.
    pub(super) fn then(self, text: impl Into<String>) -> Self {
        let to_do = Some(text.into());
        Self { to_do, ..self }
    }

    fn new(state: State, words: impl Into<String>) -> Self {
        Self {
            state,
            words: words.into(),
            to_do: None,
        }
    }

    /// Returns the code of what was found.
    #[cfg(test)]
    pub(super) fn code(&self) -> Option<&'static str> {
        match self.state {
            State::Found(finding) => Some(finding.code()),
            State::Fine | State::NotSeen => None,
        }
    }
}

impl Group {
    pub(super) fn new(title: &'static str, lines: Vec<Line>) -> Self {
        Self { title, lines }
    }
}

impl Report {
    pub(super) fn new(pre: bool, groups: Vec<Group>) -> Self {
        let mut sums = Sums::default();
        let mut checks = Vec::new();
        for Group { title, lines } in groups {
            for line in lines {
                sums.count(line.state);
                checks.push(Check::of(title, line));
            }
        }
        Self {
            api_version: API_VERSION,
            kind: "Checkup",
            pre,
            sums,
            checks,
        }
    }

    /// Returns how the command ends.
    pub(super) fn ending(&self) -> Ending {
        match self.sums {
            Sums { errors: 1.., .. } => Ending::Stuck,
            Sums { warnings: 1.., .. } => Ending::NotYet,
            _ => Ending::Fine,
        }
    }
}

impl Sums {
    fn count(&mut self, state: State) {
        *match state {
            State::Fine => &mut self.fine,
            State::NotSeen => &mut self.not_seen,
            State::Found(finding) => match finding.severity() {
                Severity::Info => &mut self.infos,
                Severity::Warning => &mut self.warnings,
                Severity::Error => &mut self.errors,
            },
        } += 1;
    }

    fn words(self) -> String {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts = [
            counted(self.errors, "error", "errors"),
            counted(self.warnings, "warning", "warnings"),
            counted(self.infos, "info", "infos"),
            counted(self.fine, "check is fine", "checks are fine"),
            counted(self.not_seen, "was not seen", "were not seen"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        format!("{}.", parts.join(", "))
    }
}

impl Check {
    fn of(group: &'static str, line: Line) -> Self {
        let finding = match line.state {
            State::Found(finding) => Some(finding),
            State::Fine | State::NotSeen => None,
        };
        Self {
            group,
            state: match line.state {
                State::Fine => "ok",
                State::NotSeen => "notSeen",
                State::Found(finding) => finding.severity().as_str(),
            },
            code: finding,
            title: finding.map(Finding::title),
            words: line.words,
            to_do: line.to_do,
            link: finding.map(Finding::link),
        }
    }

    fn rows(&self, with_link: bool) -> Vec<Vec<Text>> {
        let (tone, word) = match self.state {
            "ok" => (Tone::Good, "ok"),
            "error" => (Tone::Bad, "error"),
            "warning" => (Tone::Warning, "warning"),
            "notSeen" => (Tone::Faint, "not seen"),
            word => (Tone::Faint, word),
        };
        let code = self.code.map(Finding::code).unwrap_or_default();
        let first = ["".into(), tone.text(word), code.into()];
        let mut rows = vec![
            first
                .into_iter()
                .chain([self.words.clone().into()])
                .collect(),
        ];
        let link = self.link.iter().filter(|_| with_link);
        let more = self.to_do.iter().map(|text| format!("→ {text}"));
        let more = more.chain(link.map(|link| format!("  {link}")));
        rows.extend(more.map(|text| vec!["".into(), "".into(), "".into(), text.into()]));
        rows
    }
}

/// Returns the lines for people. The link of a finding stands where its code does first, or with each.
pub(super) fn table(report: &Report, wide: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut linked = Vec::new();
    for checks in report
        .checks
        .chunk_by(|one, other| one.group == other.group)
    {
        parts.extend(
            checks
                .first()
                .map(|check| Part::Line(check.group.to_owned())),
        );
        let mut rows = Vec::new();
        for check in checks {
            let is_new = check.code.is_some_and(|code| !linked.contains(&code));
            linked.extend(check.code.filter(|_| is_new));
            rows.append(&mut check.rows(is_new || wide));
        }
        parts.push(Part::Rows(rows));
    }
    parts.push(Part::Line(report.sums.words()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_says_how_it_ends_and_what_is_not_seen_counts_for_nothing() {
        let fine = Line::fine("a");
        let not_seen = Line::failed("list pods", &Failure::Forbidden);
        let warning = Line::found(Finding::ReplicasMissing, "b");
        let error = Line::found(Finding::NoLeader, "c");
        for (lines, expected, words) in [
            (
                vec![fine.clone(), not_seen.clone()],
                Ending::Fine,
                "1 check is fine, 1 was not seen.",
            ),
            (
                vec![fine.clone(), warning.clone()],
                Ending::NotYet,
                "1 warning, 1 check is fine.",
            ),
            (
                vec![error.clone(), warning, fine],
                Ending::Stuck,
                "1 error, 1 warning, 1 check is fine.",
            ),
            (vec![error.clone(), error], Ending::Stuck, "2 errors."),
        ] {
            let report = Report::new(false, vec![Group::new("Group", lines)]);
            assert_eq!(
                (report.ending(), report.sums.words().as_str()),
                (expected, words)
            );
        }
        assert_eq!(not_seen.words, "no right to list pods");
    }
}
