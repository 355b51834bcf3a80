//! The answer of `plan`: for programs, and as lines for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    apply::Notes,
    pace::Turn,
    sources::{Becomes, Change},
};
use crate::{
    cli::{
        object::{API_VERSION, Object},
        output::{Part, Text, Tone, not_seen},
    },
    model::{WorkloadKey, annotation::WAVE, held::Held},
};

/// What would happen to a workload. What matters most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// reroll restarts it.
    Restarts,
    /// It would, but for what holds it: until a person, a window or a source lets it go.
    Held,
    /// Its own change rolls it.
    Rolls,
    /// It does not exist yet.
    New,
    /// It cannot be told.
    Unknown,
    /// It is not restarted.
    NotRestarted,
}

/// A workload.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    #[serde(skip)]
    pub(super) key: WorkloadKey,
    workload: Object,
    pub(super) outcome: Outcome,
    /// How many it wants, where its kind tells.
    pub(super) pods: Option<i64>,
    /// In which round it is restarted, if all goes well, from 1 on.
    round: Option<usize>,
    /// Whether it goes alone.
    alone: bool,
    pub(super) causes: String,
    /// Why it is held, or not restarted, in a word.
    reason: Option<&'static str>,
    words: String,
}

/// A source.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct SourceLine {
    source: Object,
    change: Change,
    keys: Vec<String>,
    words: String,
}

/// How many there are.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Sums {
    restarts: usize,
    pods: i64,
    held: usize,
    rolls: usize,
    new: usize,
    unknown: usize,
    not_restarted: usize,
}

/// What is supposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum Supposed {
    /// The manifests are applied.
    Applied,
    /// The source has another value of each key.
    Changed,
    /// It is deleted, and made again with the same data.
    Recreated,
}

/// What would happen.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Case {
    supposed: Supposed,
    sources: Vec<SourceLine>,
    sums: Sums,
    /// How many are restarted in each round, if all goes well.
    rounds: Vec<usize>,
    workloads: Vec<Line>,
}

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Plan {
    api_version: &'static str,
    kind: &'static str,
    cases: Vec<Case>,
    /// What matters to whoever applies the manifests.
    remarks: Vec<String>,
    /// What could not be seen.
    notes: Vec<String>,
}

impl Line {
    pub(super) fn new(key: &WorkloadKey) -> Self {
        Self {
            key: key.clone(),
            workload: key.into(),
            outcome: Outcome::Unknown,
            pods: None,
            round: None,
            alone: false,
            causes: String::new(),
            reason: None,
            words: String::new(),
        }
    }

    /// Returns the same with this outcome, and why.
    pub(super) fn with(
        self,
        outcome: Outcome,
        reason: Option<&'static str>,
        words: impl Into<String>,
    ) -> Self {
        let words = words.into();
        Self {
            outcome,
            reason,
            words,
            ..self
        }
    }

    /// Whether it would restart, but for what holds it.
    pub(super) fn is_held(&self) -> bool {
        self.outcome == Outcome::Held
    }

    /// Returns the same, held until this one of a lower wave has gone, which is held itself.
    pub(super) fn behind(self, first: &WorkloadKey) -> Self {
        let words = format!(
            "{} of a lower wave ({WAVE}) goes first, and is held",
            first.spoken()
        );
        self.with(Outcome::Held, Some(Held::Wave.as_str()), words)
    }

    fn take_turn(&mut self, turn: Turn, of_rounds: usize) {
        (self.round, self.alone) = (Some(turn.round), turn.alone && of_rounds > 1);
        if turn.after_others {
            let after = "after users of lower waves";
            self.words = match self.words.as_str() {
                "" => after.to_owned(),
                words => format!("{after}; {words}"),
            };
        }
    }

    fn row(&self, several: bool, rounds: usize) -> Vec<Text> {
        let object = &self.workload;
        let name = if several {
            format!("{} {}/{}", object.kind, object.namespace, object.name)
        } else {
            format!("{} {}", object.kind, object.name)
        };
        let pods = match self.pods {
            Some(1) => "1 pod".to_owned(),
            Some(pods) => format!("{pods} pods"),
            None => String::new(),
        };
        let when = match self.round {
            Some(_) if rounds <= 1 => "at once".to_owned(),
            Some(round) if self.alone => format!("round {round}, alone"),
            Some(round) => format!("round {round}"),
            None => String::new(),
        };
        let text = self.outcome.text();
        let mut row = vec!["".into(), name.into(), text, pods.into(), when.into()];
        let both = [self.causes.as_str(), self.words.as_str()];
        let both: Vec<_> = both.into_iter().filter(|words| !words.is_empty()).collect();
        row.push(both.join("; ").into());
        row
    }
}

impl Outcome {
    fn text(self) -> Text {
        match self {
            Self::Restarts => Tone::Warning.text("restarts"),
            Self::Held => Tone::Warning.text("held"),
            Self::Rolls => Tone::Plain.text("rolls by its own change"),
            Self::New => Tone::Good.text("is new"),
            Self::Unknown => Tone::Warning.text("unknown"),
            Self::NotRestarted => Tone::Faint.text("not restarted"),
        }
    }
}

impl Case {
    pub(super) fn new(
        supposed: Supposed,
        sources: &[Becomes],
        mut workloads: Vec<Line>,
        turns: &BTreeMap<WorkloadKey, Turn>,
    ) -> Self {
        let last = turns.values().map(|turn| turn.round).max().unwrap_or(0);
        let mut rounds = vec![0; last];
        for line in &mut workloads {
            if let Some(turn) = turns.get(&line.key) {
                line.take_turn(*turn, last);
                rounds[turn.round - 1] += 1;
            }
        }
        workloads.sort_by(|one, other| {
            let rank = |line: &Line| (line.outcome, line.round);
            (rank(one), &one.key).cmp(&(rank(other), &other.key))
        });
        Self {
            supposed,
            sources: sources.iter().map(SourceLine::of).collect(),
            sums: Sums::of(&workloads),
            rounds,
            workloads,
        }
    }
}

impl SourceLine {
    fn of(becomes: &Becomes) -> Self {
        Self {
            source: (&becomes.key).into(),
            change: becomes.change,
            keys: becomes.keys.clone(),
            words: becomes.words(),
        }
    }

    fn row(&self) -> Vec<Text> {
        let object = &self.source;
        let name = format!("{} {}/{}", object.kind, object.namespace, object.name);
        let tone = match self.change {
            Change::Unchanged => Tone::Faint,
            Change::Unknown | Change::Refused => Tone::Warning,
            Change::Changed | Change::Created | Change::Recreated => Tone::Plain,
        };
        vec![name.into(), tone.text(self.words.clone())]
    }
}

impl Sums {
    fn of(lines: &[Line]) -> Self {
        let mut sums = Self::default();
        for line in lines {
            if line.outcome == Outcome::Restarts {
                sums.pods += line.pods.unwrap_or(0);
            }
            *match line.outcome {
                Outcome::Restarts => &mut sums.restarts,
                Outcome::Held => &mut sums.held,
                Outcome::Rolls => &mut sums.rolls,
                Outcome::New => &mut sums.new,
                Outcome::Unknown => &mut sums.unknown,
                Outcome::NotRestarted => &mut sums.not_restarted,
            } += 1;
        }
        sums
    }

    fn words(&self) -> String {
        let others = [
            (self.held, "held"),
            (self.rolls, "rolling by their own change"),
            (self.new, "new"),
            (self.unknown, "unknown"),
            (self.not_restarted, "not restarted"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let others: Vec<_> = others
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let restarts = match (self.restarts, self.pods) {
            (0, _) => "Restarts nothing".to_owned(),
            (1, pods) => format!("Restarts 1 workload with {}", counted(pods)),
            (many, pods) => format!("Restarts {many} workloads with {}", counted(pods)),
        };
        if others.is_empty() {
            restarts + "."
        } else {
            format!("{restarts}; {}.", others.join(", "))
        }
    }
}

fn counted(pods: i64) -> String {
    if pods == 1 {
        "1 pod".to_owned()
    } else {
        format!("{pods} pods")
    }
}

impl Plan {
    /// Whether the outcome is known of all workloads.
    pub(super) fn is_known(&self) -> bool {
        self.cases.iter().all(|case| case.sums.unknown == 0)
    }

    pub(super) fn new(cases: Vec<Case>, notes: Notes) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "Plan",
            cases,
            remarks: notes.said,
            notes: notes.unseen,
        }
    }
}

/// Returns the lines for people. `wide`: with the namespace of each workload, wherever they are.
pub(super) fn table(plan: &Plan, wide: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    for case in &plan.cases {
        let supposed = match case.supposed {
            Supposed::Applied => None,
            Supposed::Changed => Some("If all its values change:"),
            Supposed::Recreated => Some("If it is deleted, and made again with the same data:"),
        };
        parts.extend(supposed.map(|words| Part::Line(words.to_owned())));
        if !case.sources.is_empty() {
            parts.push(Part::Rows(
                case.sources.iter().map(SourceLine::row).collect(),
            ));
        }
        parts.push(Part::Line(case.sums.words()));
        let spaces = case.workloads.iter().map(|line| &line.workload.namespace);
        let several = wide || spaces.clone().any(|one| Some(one) != spaces.clone().next());
        let rounds = case.rounds.len();
        let rows: Vec<_> = case
            .workloads
            .iter()
            .map(|line| line.row(several, rounds))
            .collect();
        if !rows.is_empty() {
            parts.push(Part::Rows(rows));
        }
        parts.extend(pace(&case.rounds).map(Part::Line));
    }
    let remarks = plan.remarks.iter();
    let mut rows: Vec<_> = remarks
        .map(|words| vec!["Note".into(), words.clone().into()])
        .collect();
    rows.extend(not_seen(&plan.notes));
    parts.push(Part::Rows(rows));
    parts
}

/// Returns how fast they go.
fn pace(rounds: &[usize]) -> Option<String> {
    if rounds.len() < 2 {
        return None;
    }
    let each: Vec<_> = rounds.iter().map(ToString::to_string).collect();
    Some(format!(
        "Pace: {} rounds, of {}. Each begins when new pods of the one before run well; a failure slows them.",
        rounds.len(),
        each.join(", ")
    ))
}
