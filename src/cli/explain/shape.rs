//! The answer of `explain`: for programs, and as lines for people.

use jiff::Timestamp;
use serde::Serialize;

use super::state::State;
use crate::{
    cli::{
        ending::Ending,
        last_restart::LastRestart,
        object::Object,
        output::{Part, Text, Tone, ago, not_seen, warned},
    },
    model::{
        annotation::IGNORE,
        held::Held,
        policy::OptedBy,
        source::{key_word, spoken_key},
        text::or_quotes,
        version::WHOLE,
        workload::Workload,
    },
};

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Explanation {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) workload: Object,
    /// Whether reroll works in its namespace, as far as its flags are known.
    pub(super) works_here: bool,
    /// Whether reroll restarts its kind, as far as its flags are known.
    pub(super) restarts_kind: bool,
    pub(super) opted_in: Option<OptedIn>,
    /// What decides of it, where that opts nothing in: it is off, or cannot be read.
    pub(super) says: Option<OptedIn>,
    /// What opts it in, where it says nothing yet; what turns its kind on, where that is off.
    pub(super) opt_in: Option<String>,
    pub(super) state: State,
    pub(super) pods: Option<Pods>,
    pub(super) sources: Vec<SourceLine>,
    pub(super) pending: Option<PendingLine>,
    /// Why its last restart failed, as its pods show it.
    pub(super) failure: Option<String>,
    pub(super) last_restart: Option<LastRestart>,
    /// What of its annotations cannot be read.
    pub(super) complaints: Vec<String>,
    /// What of its annotations and labels means nothing, and what was meant.
    pub(super) no_effect: Vec<String>,
    /// What else keeps restarts from being made, though none may be due.
    pub(super) warnings: Vec<String>,
    /// What could not be seen.
    pub(super) notes: Vec<String>,
    pub(super) verdict: Verdict,
}

/// By what a workload opted in.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct OptedIn {
    by: &'static str,
    key: &'static str,
    text: String,
}

/// How many pods it has.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Pods {
    wanted: i64,
    updated: i64,
    available: i64,
    /// How many are of its template, and available.
    ready: i64,
}

/// A source that it uses.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct SourceLine {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// `*` is the whole object, `a-*` all keys that begin so, and `*!a` all but one.
    pub(super) keys: Vec<String>,
    pub(super) used_in: Vec<&'static str>,
    pub(super) required: bool,
    pub(super) has: Has,
    pub(super) words: Option<String>,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) changed_by: Option<String>,
}

/// What pods have of a source.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) enum Has {
    /// What is live.
    Current,
    /// Something older.
    Newer,
    /// It does not exist, or lacks a key.
    Absent,
    /// What is live, by what is recorded; but a pod is older than the last write.
    Doubted,
    /// It asks not to be looked at.
    Ignored,
    /// reroll has not recorded it yet.
    Unrecorded,
    /// It cannot be told.
    Unknown,
}

/// What is pending.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct PendingLine {
    /// The word of `reroll_workloads_pending`.
    pub(super) reason: Option<&'static str>,
    pub(super) causes: String,
    pub(super) words: String,
    pub(super) since: Option<Timestamp>,
    pub(super) id: Option<String>,
    /// What a person can type.
    pub(super) remedy: Option<String>,
}

/// What it comes to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// Its pods have what is live.
    Fine,
    /// Its pods are being replaced, or not all are available.
    Rolling,
    /// A restart is pending.
    Pending,
    /// What it would take to know cannot be read.
    Unknown,
    /// Its pods have what is live, and something that is written on it cannot be read, or has no effect.
    Wrong,
    /// Its last restart failed.
    Failed,
    /// It is not opted in, or a person has to act.
    CannotRestart,
}

impl Verdict {
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Fine => Ending::Fine,
            Self::Rolling | Self::Pending | Self::Unknown | Self::Wrong => Ending::NotYet,
            Self::Failed | Self::CannotRestart => Ending::Stuck,
        }
    }
}

impl OptedIn {
    pub(super) fn of(by: OptedBy<'_>) -> Self {
        use crate::model::annotation::RESTART_ON;
        let (by, key, text) = match by {
            OptedBy::Annotation(text) => ("annotation", RESTART_ON, text),
            OptedBy::Reloader(key, text) => ("annotation", key, text),
            OptedBy::Namespace(text) => ("namespace", RESTART_ON, text),
            OptedBy::Flag => ("flag", "--auto-all", "auto"),
        };
        Self {
            by,
            key,
            text: text.to_owned(),
        }
    }

    /// Returns what leaves a workload alone, whatever else is said.
    pub(super) fn ignored() -> Self {
        Self {
            by: "annotation",
            key: IGNORE,
            text: "true".to_owned(),
        }
    }

    fn words(&self) -> String {
        let text = or_quotes(self.text.trim());
        match self.by {
            "namespace" => format!("the label of its namespace ({text})"),
            "flag" => "--auto-all".to_owned(),
            _ => format!("{}: {text}", self.key),
        }
    }
}

impl Pods {
    pub(super) fn of(workload: &Workload) -> Option<Self> {
        let counts = workload.progress.counts?;
        Some(Self {
            wanted: counts.wanted,
            updated: counts.updated,
            available: counts.available,
            ready: workload.progress.new_and_available(),
        })
    }
}

/// How many of the pods are of the template of now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum New {
    All,
    Some,
    None,
}

impl New {
    fn of(state: State, pods: Option<&Pods>) -> Self {
        match pods {
            Some(pods) if pods.updated == 0 => Self::None,
            Some(pods) if pods.updated < pods.wanted => Self::Some,
            _ if state == State::Rolling => Self::Some,
            _ => Self::All,
        }
    }
}

impl Has {
    fn text(self, required: bool, new: New) -> Text {
        match self {
            Self::Current if new == New::Some => Tone::Warning.text("new pods have it"),
            Self::Current if new == New::None => Tone::Warning.text("new pods will have it"),
            Self::Doubted => Tone::Warning.text("pods MAY have an older value"),
            Self::Ignored => Tone::Faint.text("does not count"),
            Self::Current => Tone::Good.text("pods have it"),
            Self::Newer => Tone::Warning.text("NEWER than pods have"),
            Self::Absent if required => Tone::Bad.text("absent"),
            Self::Absent => Tone::Faint.text("absent"),
            Self::Unrecorded => Tone::Faint.text("not recorded yet"),
            Self::Unknown => Tone::Faint.text("unknown"),
        }
    }
}

/// Returns the lines for people.
pub(super) fn table(explanation: &Explanation, now: Timestamp, wide: bool) -> Vec<Part> {
    let mut parts = vec![Part::Rows(vec![headline(explanation)])];
    let sources = explanation.sources.iter();
    let new = New::of(explanation.state, explanation.pods.as_ref());
    let rows: Vec<_> = sources.map(|source| row(source, new, now, wide)).collect();
    if rows.is_empty() {
        let words = match &explanation.opted_in {
            _ if explanation.state == State::Suspended => {
                "  nothing counts while it is suspended: what starts then reads what is there"
            }
            Some(_) => "  uses no Secret and no ConfigMap that counts",
            None => "  nothing counts of what it uses, for it is not opted in",
        };
        parts.push(Part::Line(words.to_owned()));
    } else {
        parts.push(Part::Rows(rows));
    }
    parts.push(Part::Rows(ends(explanation, now)));
    parts
}

fn not_opted_in(explanation: &Explanation) -> String {
    let reason = explanation.pending.as_ref().and_then(|due| due.reason);
    match &explanation.says {
        Some(by) if reason == Some(Held::Unreadable.as_str()) => {
            format!("its opt-in CANNOT BE READ, {}", by.words())
        }
        Some(by) => format!("NOT opted in, by {}", by.words()),
        None => "NOT opted in".to_owned(),
    }
}

fn headline(explanation: &Explanation) -> Vec<Text> {
    let object = &explanation.workload;
    let opted_in = match &explanation.opted_in {
        _ if !explanation.restarts_kind => {
            Tone::Bad.text(format!("reroll leaves every {} alone here", object.kind))
        }
        Some(by) if explanation.works_here => format!("opted in by {}", by.words()).into(),
        Some(_) => Tone::Bad.text("reroll does not work in its namespace"),
        None => Tone::Bad.text(not_opted_in(explanation)),
    };
    let pods = explanation.pods.as_ref().map_or_else(String::new, |pods| {
        format!(", {} of {} pods", pods.ready, pods.wanted)
    });
    vec![
        format!("{} {}/{}", object.kind, object.namespace, object.name).into(),
        opted_in,
        explanation.state.text(&pods),
    ]
}

fn row(source: &SourceLine, new: New, now: Timestamp, wide: bool) -> Vec<Text> {
    let keys = match source.keys.as_slice() {
        [] => "no key".to_owned(),
        [one] if one == WHOLE => "all keys".to_owned(),
        some => {
            let word = key_word(some.iter().map(String::as_str));
            let spoken: Vec<_> = some.iter().map(|key| spoken_key(key)).collect();
            format!("{word} {}", spoken.join(", "))
        }
    };
    let by = source.changed_by.as_ref();
    let changed = source.changed_at.map(|at| {
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        format!("changed {}{by}", ago(at, now))
    });
    let mut cells = vec![
        format!("  {} {}", source.kind, source.name).into(),
        keys.into(),
        source.has.text(source.required, new),
        changed.unwrap_or_default().into(),
    ];
    if wide {
        cells.push(source.used_in.join(", ").into());
    }
    cells.push(source.words.clone().unwrap_or_default().into());
    cells
}

fn ends(explanation: &Explanation, now: Timestamp) -> Vec<Vec<Text>> {
    let mut rows: Vec<Vec<Text>> = Vec::new();
    if let Some(pending) = &explanation.pending {
        let tone = Tone::Warning;
        let what = match pending.causes.as_str() {
            causes if !pending.words.contains(causes) => format!("{causes}; {}", pending.words),
            _ => pending.words.clone(),
        };
        rows.push(vec!["Pending".into(), tone.text(what)]);
        if let Some(since) = pending.since {
            rows.push(vec!["Since".into(), ago(since, now).into()]);
        }
        if let Some(remedy) = &pending.remedy {
            rows.push(vec!["To do".into(), remedy.clone().into()]);
        }
    }
    if let Some(failure) = &explanation.failure {
        rows.push(vec!["Failed".into(), Tone::Bad.text(failure.clone())]);
    }
    if let Some(last) = &explanation.last_restart {
        let at = last.at.map(|at| format!("{}: ", ago(at, now)));
        let text = format!("{}{}", at.unwrap_or_default(), last.causes);
        rows.push(vec!["Last".into(), text.into()]);
    }
    for complaint in &explanation.complaints {
        rows.push(vec!["Unreadable".into(), Tone::Bad.text(complaint.clone())]);
    }
    for useless in &explanation.no_effect {
        rows.push(vec!["No effect".into(), Tone::Bad.text(useless.clone())]);
    }
    if let Some(opt_in) = &explanation.opt_in {
        rows.push(vec!["To do".into(), opt_in.clone().into()]);
    }
    rows.extend(warned(&explanation.warnings));
    rows.extend(not_seen(&explanation.notes));
    rows
}
