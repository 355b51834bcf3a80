//! The answers of `status`: for programs, and as lines for people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{
        object::{API_VERSION, Object},
        output::{Part, Text, Tone, ago, not_seen},
        sight::Written,
    },
    model::{
        Cause, SourceKey, WorkloadKey, decide::joined, held::Held, pending::Pending, text::some_of,
        workload::Workload,
    },
};

/// The most pods that people are told by name.
const NAMED: usize = 5;

/// Where a workload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) enum Where {
    /// A person has to act.
    Stuck,
    /// A brake, a gate or somebody holds its restart.
    Held,
    /// Its restart comes.
    Due,
    /// Its pods are being replaced.
    Rolling,
    /// It was restarted, and its own settings keep its pods.
    Stays,
    /// It cannot be told.
    Unknown,
    /// Its pods have what is live.
    UpToDate,
}

/// A workload.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    workload: Object,
    pub(super) state: Where,
    /// The word of `reroll_workloads_pending`.
    reason: Option<&'static str>,
    words: Option<String>,
    causes: String,
    since: Option<Timestamp>,
    pods: Option<Progress>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Progress {
    wanted: i64,
    /// How many are of its template, and available.
    ready: i64,
}

/// How many workloads are where.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Sums {
    pub(in crate::cli) all: usize,
    pub(in crate::cli) up_to_date: usize,
    pub(super) rolling: usize,
    pub(super) due: usize,
    pub(super) held: usize,
    pub(super) stuck: usize,
    stays: usize,
    pub(in crate::cli) unknown: usize,
}

/// The answer about a source.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct SourceStatus {
    api_version: &'static str,
    kind: &'static str,
    source: Object,
    exists: bool,
    changed_at: Option<Timestamp>,
    changed_by: Option<String>,
    pub(in crate::cli) sums: Sums,
    users: Vec<User>,
    /// How many pods may have an older value; none where they may not be listed.
    pub(super) outdated_pods: Option<usize>,
    outdated: Vec<String>,
    notes: Vec<String>,
}

/// The answer about a namespace, or the cluster.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Overview {
    api_version: &'static str,
    kind: &'static str,
    namespace: Option<String>,
    pub(in crate::cli) sums: Sums,
    /// Those that are not simply fine.
    workloads: Vec<User>,
    notes: Vec<String>,
}

impl Where {
    fn text(self) -> Text {
        match self {
            Self::Stuck => Tone::Bad.text("stuck"),
            Self::Held => Tone::Warning.text("held"),
            Self::Due => Tone::Warning.text("due"),
            Self::Rolling => Tone::Warning.text("rolling"),
            Self::Stays => Tone::Faint.text("stays"),
            Self::Unknown => Tone::Faint.text("unknown"),
            Self::UpToDate => Tone::Good.text("up to date"),
        }
    }
}

impl User {
    pub(super) fn new(
        key: &WorkloadKey,
        state: Where,
        workload: Option<&Workload>,
        reason: Option<Held>,
        causes: &[Cause],
        (by, stands): (Option<String>, Option<Pending>),
    ) -> Self {
        let progress = workload.map(|workload| &workload.progress);
        let progress = progress.and_then(|it| Some((it.counts?, it.new_and_available())));
        let since = stands.as_ref().map(|stands| stands.since);
        let told = stands.map(|stands| stands.by).filter(|by| !by.is_empty());
        let by = by.or(told);
        Self {
            workload: key.into(),
            state,
            reason: reason.map(Held::as_str),
            words: by.or_else(|| reason.map(|reason| reason.words().to_owned())),
            causes: joined(causes),
            since,
            pods: progress.map(|(counts, ready)| Progress {
                wanted: counts.wanted,
                ready,
            }),
        }
    }

    fn row(&self, now: Timestamp, with_namespace: bool) -> Vec<Text> {
        let object = &self.workload;
        let pods = self.pods.as_ref();
        let pods = pods.map(|pods| format!("{}/{}", pods.ready, pods.wanted));
        let name = format!("{} {}", object.kind, object.name);
        let words = self.words.clone().unwrap_or_default();
        let since = self.since.map(|since| ago(since, now)).unwrap_or_default();
        let mut row: Vec<Text> = Vec::new();
        if with_namespace {
            row.push(object.namespace.clone().into());
        }
        row.extend([
            name.into(),
            self.state.text(),
            pods.unwrap_or_default().into(),
            since.into(),
            self.causes.clone().into(),
            words.into(),
        ]);
        row
    }
}

impl Sums {
    fn of(users: &[User]) -> Self {
        let mut sums = Self {
            all: users.len(),
            ..Self::default()
        };
        for user in users {
            *match user.state {
                Where::Stuck => &mut sums.stuck,
                Where::Held => &mut sums.held,
                Where::Due => &mut sums.due,
                Where::Rolling => &mut sums.rolling,
                Where::Stays => &mut sums.stays,
                Where::Unknown => &mut sums.unknown,
                Where::UpToDate => &mut sums.up_to_date,
            } += 1;
        }
        sums
    }

    /// Returns how many are where, in words.
    pub(in crate::cli) fn words(&self) -> String {
        let parts = [
            (self.up_to_date, "up to date"),
            (self.rolling, "rolling"),
            (self.due, "due"),
            (self.held, "held"),
            (self.stuck, "stuck"),
            (self.stays, "kept by their own settings"),
            (self.unknown, "unknown"),
        ];
        let there = parts.iter().filter(|(count, _)| *count > 0);
        let there: Vec<_> = there
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        there.join(", ")
    }
}

impl SourceStatus {
    /// Whether somebody stopped a user: nothing comes of waiting.
    pub(in crate::cli) fn is_stopped(&self) -> bool {
        let suspended = Some(Held::Suspended.as_str());
        self.users.iter().any(|user| user.reason == suspended)
    }

    pub(super) fn new(
        key: &SourceKey,
        exists: bool,
        written: Written,
        mut users: Vec<User>,
        outdated: Option<Vec<String>>,
        notes: Vec<String>,
    ) -> Self {
        users.sort_by_key(|user| user.state);
        Self {
            api_version: API_VERSION,
            kind: "SourceStatus",
            source: key.into(),
            exists,
            changed_at: written.at,
            changed_by: written.by,
            sums: Sums::of(&users),
            outdated_pods: outdated.as_ref().map(Vec::len),
            outdated: outdated.unwrap_or_default(),
            users,
            notes,
        }
    }
}

impl Overview {
    pub(super) fn new(namespace: Option<&str>, mut users: Vec<User>, notes: Vec<String>) -> Self {
        let sums = Sums::of(&users);
        users.retain(|user| user.state != Where::UpToDate);
        users.sort_by_key(|user| user.state);
        Self {
            api_version: API_VERSION,
            kind: "Overview",
            namespace: namespace.map(ToOwned::to_owned),
            sums,
            workloads: users,
            notes,
        }
    }

    /// Returns why workloads stand there: how many for each reason in words, and one of them.
    pub(in crate::cli) fn reasons(&self, place: Where) -> BTreeMap<String, (usize, String)> {
        let mut reasons = BTreeMap::new();
        for user in self.workloads.iter().filter(|user| user.state == place) {
            let reason = user.reason.and_then(Held::read).map(Held::words);
            let reason = reason.unwrap_or("without a reason that is seen from here");
            let Object {
                kind,
                namespace,
                name,
            } = &user.workload;
            let entry = reasons.entry(reason.to_owned());
            let one = format!("{kind} {namespace}/{name}");
            entry.or_insert((0, one)).0 += 1;
        }
        reasons
    }
}

/// Returns the lines about a source for people.
pub(in crate::cli) fn source_table(status: &SourceStatus, now: Timestamp) -> Vec<Part> {
    let object = &status.source;
    let changed = status.changed_at.map(|at| {
        let by = status.changed_by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        format!("changed {}{by}", ago(at, now))
    });
    let there = if status.exists {
        changed.unwrap_or_default().into()
    } else {
        Tone::Bad.text("absent, or not to be read")
    };
    let name = format!("{} {}/{}", object.kind, object.namespace, object.name);
    let sums = match status.sums.all {
        0 => "no workload that opted in uses it".to_owned(),
        1 => format!("1 user: {}", status.sums.words()),
        all => format!("{all} users: {}", status.sums.words()),
    };
    let mut parts = vec![Part::Rows(vec![vec![name.into(), there, sums.into()]])];
    let rows: Vec<_> = status
        .users
        .iter()
        .map(|user| indented(user.row(now, false)))
        .collect();
    if !rows.is_empty() {
        parts.push(Part::Rows(rows));
    }
    let mut rows = Vec::new();
    match status.outdated_pods {
        Some(0) | None => {}
        Some(count) => {
            let named = status.outdated.iter().take(NAMED).map(String::as_str);
            let pods = if count == 1 {
                "1 older pod"
            } else {
                &format!("{count} older pods")
            };
            let words = format!("{pods} may have another value: {}", some_of(named, count));
            rows.push(vec!["Pods".into(), Tone::Warning.text(words)]);
        }
    }
    rows.extend(not_seen(&status.notes));
    parts.push(Part::Rows(rows));
    parts
}

/// Returns the lines about a namespace, or the cluster, for people.
pub(super) fn overview_table(overview: &Overview, now: Timestamp, _wide: bool) -> Vec<Part> {
    let place = match &overview.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "the cluster".to_owned(),
    };
    let sums = match overview.sums.all {
        0 => format!("No workload in {place} opted in, as far as can be seen."),
        1 => format!("1 workload in {place} opted in: {}.", overview.sums.words()),
        all => format!(
            "{all} workloads in {place} opted in: {}.",
            overview.sums.words()
        ),
    };
    let mut parts = vec![Part::Line(sums)];
    let with_namespace = overview.namespace.is_none();
    let rows: Vec<_> = overview
        .workloads
        .iter()
        .map(|user| user.row(now, with_namespace))
        .collect();
    if !rows.is_empty() {
        parts.push(Part::Rows(rows));
    }
    parts.push(Part::Rows(not_seen(&overview.notes)));
    parts
}

fn indented(row: Vec<Text>) -> Vec<Text> {
    std::iter::once(Text::from("")).chain(row).collect()
}
