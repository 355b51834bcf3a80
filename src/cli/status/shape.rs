//! The answers of `status`: for programs, and as lines for people.

mod table;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

pub(in crate::cli) use self::table::{overview_table, source_table};
use crate::{
    cli::{
        object::{API_VERSION, Object},
        output::{Text, Tone, ago},
        sight::Written,
    },
    model::{
        Cause, SourceKey, WorkloadKey, brake::converged::Shown, decide::joined, held::Held,
        pending::Pending, workload::Workload,
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
    pub(super) exists: bool,
    /// Whether it may be read. If not, nobody knows whether it exists.
    readable: bool,
    /// Whether all could be read that may use it.
    pub(super) complete: bool,
    changed_at: Option<Timestamp>,
    changed_by: Option<String>,
    pub(in crate::cli) sums: Sums,
    users: Vec<User>,
    /// How many pods may have an older value; none where they may not be listed.
    pub(super) outdated_pods: Option<usize>,
    outdated: Vec<String>,
    /// What keeps restarts from being made, though none may be due.
    warnings: Vec<String>,
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
    /// Whether all workloads could be read, and what opts them in.
    pub(super) complete: bool,
    pub(in crate::cli) sums: Sums,
    /// Those that are not simply fine.
    workloads: Vec<User>,
    /// What keeps restarts from being made, though none may be due.
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// Whether a source exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exists {
    Yes,
    No,
    /// It may not be read.
    Unread,
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

    /// Returns the same, where these pods may have an older value: who is said to be up to date by what is recorded is not, where
    /// the source is not there, or a pod of it is older.
    pub(super) fn with_pods(self, exists: bool, older: &[Shown]) -> Self {
        let is_of_it = |pod: &&Shown| {
            let owner = pod.owner.as_ref().filter(|_| pod.goes.is_none());
            owner.is_some_and(|(kind, name)| {
                (kind.as_str(), name) == (self.workload.kind, &self.workload.name)
            })
        };
        let words = match self.state {
            Where::UpToDate if !exists => "nobody can have what is absent",
            Where::UpToDate if older.iter().any(|pod| is_of_it(&pod)) => {
                "a pod of it may be older than the last write: nothing shows what it started with"
            }
            _ => return self,
        };
        Self {
            state: Where::Unknown,
            words: Some(words.to_owned()),
            ..self
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
        (exists, complete): (Exists, bool),
        written: Written,
        mut users: Vec<User>,
        outdated: Option<Vec<String>>,
        (warnings, notes): (Vec<String>, Vec<String>),
    ) -> Self {
        users.sort_by_key(|user| user.state);
        Self {
            api_version: API_VERSION,
            kind: "SourceStatus",
            source: key.into(),
            exists: exists == Exists::Yes,
            readable: exists != Exists::Unread,
            complete,
            changed_at: written.at,
            changed_by: written.by,
            sums: Sums::of(&users),
            outdated_pods: outdated.as_ref().map(Vec::len),
            outdated: outdated.unwrap_or_default(),
            users,
            warnings,
            notes,
        }
    }
}

impl Overview {
    pub(super) fn new(
        namespace: Option<&str>,
        (mut users, complete): (Vec<User>, bool),
        (warnings, notes): (Vec<String>, Vec<String>),
    ) -> Self {
        let sums = Sums::of(&users);
        users.retain(|user| user.state != Where::UpToDate);
        users.sort_by_key(|user| user.state);
        Self {
            api_version: API_VERSION,
            kind: "Overview",
            namespace: namespace.map(ToOwned::to_owned),
            complete,
            sums,
            workloads: users,
            warnings,
            notes,
        }
    }

    /// Whether all workloads could be read, and what opts them in.
    pub(in crate::cli) fn is_complete(&self) -> bool {
        self.complete
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
