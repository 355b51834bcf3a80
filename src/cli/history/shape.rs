//! The answer of `history`: for programs, and as lines for people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::revisions::What;
use crate::{
    cli::{
        object::{API_VERSION, Object},
        output::{Part, Text, Tone, ago, long, not_seen, warned},
    },
    model::{change::Change, text::some_of},
};

/// The most workloads that are named whose deploys are left out.
const NAMED: usize = 3;

/// The answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct History {
    api_version: &'static str,
    kind: &'static str,
    namespace: Option<String>,
    since: Option<Timestamp>,
    restarts: Vec<Line>,
    /// The workloads whose deploys in this time are not among them.
    deployed: Vec<Object>,
    /// When the last restart before that time was made.
    before: Option<Timestamp>,
    notes: Vec<String>,
}

/// What made pods new.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) workload: Object,
    pub(super) revision: Option<i64>,
    pub(super) what: What,
    pub(super) cause: String,
    /// Who changed which source, and when.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, BTreeMap<String, String>>"))]
    pub(super) changed: BTreeMap<String, Change>,
    pub(super) outcome: Outcome,
    /// When all its pods were replaced.
    pub(super) completed_at: Option<Timestamp>,
    /// What is wrong with it.
    pub(super) trouble: Option<String>,
}

/// What became of it, as far as that is still known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// All its pods were replaced.
    Complete,
    /// Its pods are being replaced.
    Rolling,
    /// It failed.
    Failed,
    /// Nothing tells any more.
    Unknown,
}

impl History {
    pub(super) fn new(
        namespace: Option<&str>,
        since: Option<Timestamp>,
        mut restarts: Vec<Line>,
        notes: Vec<String>,
    ) -> Self {
        let is_in = |line: &Line| since.is_none_or(|since| line.at >= since);
        let before = restarts
            .iter()
            .filter(|line| !is_in(line) && line.is_restart());
        let before = before.map(|line| line.at).max();
        restarts.retain(is_in);
        // Those of one workload come in their order.
        restarts.reverse();
        restarts.sort_by_key(|line| std::cmp::Reverse(line.at));
        Self {
            api_version: API_VERSION,
            kind: "History",
            namespace: namespace.map(ToOwned::to_owned),
            since,
            restarts,
            deployed: Vec::new(),
            before,
            notes,
        }
    }

    /// Keeps restarts only. Whose deploys are left out stays told: they make pods new, too.
    pub(super) fn keep_restarts(&mut self) {
        let (kept, others): (Vec<_>, Vec<_>) = self.restarts.drain(..).partition(Line::is_restart);
        self.restarts = kept;
        let deploys = others.into_iter().filter(|line| line.what != What::First);
        let mut deployed: Vec<_> = deploys.map(|line| line.workload).collect();
        deployed.sort();
        deployed.dedup();
        self.deployed = deployed;
    }

    /// Returns whose deploys are not told, and what tells them; `None` where there are none.
    fn deploys(&self) -> Option<String> {
        let first = self.deployed.first()?;
        let spoken = |one: &Object| format!("{} {}", one.kind, one.name);
        let names = self.deployed.iter().take(NAMED).map(spoken);
        let names: Vec<_> = names.collect();
        let names = some_of(names.iter().map(String::as_str), self.deployed.len());
        let command = format!(
            "kubectl reroll history {}/{} -n {}",
            first.kind.to_lowercase(),
            first.name,
            first.namespace
        );
        Some(format!("deployed, too: {names}; of one: {command}"))
    }
}

impl Line {
    fn is_restart(&self) -> bool {
        matches!(self.what, What::Restart | What::KubectlRestart)
    }

    fn outcome_text(&self) -> Text {
        match (self.outcome, self.completed_at, &self.trouble) {
            (Outcome::Failed, _, Some(trouble)) => Tone::Bad.text(format!("failed: {trouble}")),
            (Outcome::Failed, _, None) => Tone::Bad.text("failed"),
            (Outcome::Complete, Some(at), _) => {
                let seconds = at.duration_since(self.at).as_secs();
                Tone::Good.text(format!("complete after {}", long(seconds)))
            }
            (Outcome::Complete, None, _) => Tone::Good.text("complete"),
            (Outcome::Rolling, ..) => Tone::Warning.text("rolling"),
            (Outcome::Unknown, ..) => "".into(),
        }
    }

    fn what_text(&self) -> Text {
        match self.what {
            What::Restart => "reroll".into(),
            What::KubectlRestart => "kubectl".into(),
            What::Deploy => "deploy".into(),
            What::Undo => "undo".into(),
            What::First => Tone::Faint.text("first"),
        }
    }
}

/// Returns the lines for people.
pub(super) fn table(history: &History, now: Timestamp, wide: bool) -> Vec<Part> {
    let place = match &history.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "the cluster".to_owned(),
    };
    let mut parts = Vec::new();
    if history.restarts.is_empty() {
        let since = history.since.map(|since| {
            let seconds = now.duration_since(since).as_secs();
            format!(" in the last {}", long(seconds))
        });
        let before = history
            .before
            .map(|at| format!(" The last restart before that was {}.", ago(at, now)));
        parts.push(Part::Line(format!(
            "Nothing was restarted in {place}{}, as far as revisions still show it.{}",
            since.unwrap_or_default(),
            before.unwrap_or_default()
        )));
    }
    let rows = history.restarts.iter().map(|line| {
        let object = &line.workload;
        let mut row: Vec<Text> = Vec::new();
        if history.namespace.is_none() {
            row.push(object.namespace.clone().into());
        }
        if wide {
            row.push(format!("{:.0}", line.at).into());
            let revision = line.revision.map(|number| format!("revision {number}"));
            row.push(revision.unwrap_or_default().into());
        } else {
            row.push(ago(line.at, now).into());
        }
        row.extend([
            format!("{} {}", object.kind, object.name).into(),
            line.what_text(),
            line.outcome_text(),
            line.cause.clone().into(),
        ]);
        row
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        parts.push(Part::Rows(rows));
    }
    let deploys: Vec<_> = history.deploys().into_iter().collect();
    parts.push(Part::Rows(warned(&deploys)));
    parts.push(Part::Rows(not_seen(&history.notes)));
    parts
}
