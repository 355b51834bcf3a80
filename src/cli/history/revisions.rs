//! What the revisions of a workload show: which of them were restarts, and for what.
//!
//! A ReplicaSet and a `ControllerRevision` carry the annotations that their workload had when they were its newest. So a revision
//! whose `reroll.dev/rollout` is another than that of the one before was made by reroll.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::apps::v1::{ControllerRevision, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::last_restart::LastRestart,
    model::{
        annotation::{
            CHANGE_CAUSE, KUBECTL_RESTARTED_AT, LAST_RESTART, RESTARTED_FOR, ROLLOUT_OPENED,
        },
        brake::converged::Owner,
        change::{Change, told},
        workload::Opened,
    },
};

/// Where Deployments and Argo Rollouts count their revisions.
const NUMBERS: [&str; 2] = [
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
];
/// So long a revision may be made after its restart was written.
const APART: SignedDuration = SignedDuration::from_mins(1);

/// A revision of a workload's template.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) owner: Owner,
    pub(super) name: String,
    number: i64,
    made: Timestamp,
    annotations: BTreeMap<String, String>,
    /// The annotations of its template.
    template: BTreeMap<String, String>,
}

/// What made pods new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum What {
    /// reroll restarted it.
    Restart,
    /// `kubectl rollout restart`.
    KubectlRestart,
    /// Its template was changed.
    Deploy,
    /// It went back to an older revision.
    Undo,
    /// It is the oldest that is known.
    First,
}

/// A revision, and what made it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) revision: i64,
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) what: What,
    /// For what, in words.
    pub(super) cause: String,
    pub(super) changed: BTreeMap<String, Change>,
}

impl Revision {
    /// Reads a ReplicaSet; `None` for one of nobody.
    pub(super) fn of_replica_set(object: ReplicaSet) -> Option<Self> {
        let meta = object.metadata;
        let annotations = meta.annotations.as_ref();
        let number = NUMBERS.iter().find_map(|key| annotations?.get(*key));
        let number = number?.parse().ok()?;
        let template = object.spec.and_then(|spec| spec.template?.metadata);
        let template = template.and_then(|meta| meta.annotations);
        Self::of(meta, number, template.unwrap_or_default())
    }

    /// Reads a `ControllerRevision`; `None` for one of nobody.
    pub(super) fn of_controller_revision(object: ControllerRevision) -> Option<Self> {
        let data = object.data.map(|data| data.0).unwrap_or_default();
        let read = |value: &Value| serde_json::from_value(value.clone()).ok();
        let template = data.pointer("/spec/template/metadata/annotations");
        let template = template.and_then(read).unwrap_or_default();
        Self::of(object.metadata, object.revision, template)
    }

    fn of(meta: ObjectMeta, number: i64, template: BTreeMap<String, String>) -> Option<Self> {
        let owners = meta.owner_references.unwrap_or_default();
        let owner = owners.into_iter().find(|it| it.controller == Some(true))?;
        Some(Self {
            owner: (owner.kind, owner.name),
            name: meta.name?,
            number,
            made: meta.creation_timestamp?.0,
            annotations: meta.annotations.unwrap_or_default(),
            template,
        })
    }

    fn says(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    fn opened(&self) -> Option<Opened> {
        Opened::read(self.says(ROLLOUT_OPENED)?)
    }

    /// Whether two have the same annotation on their templates.
    fn shares(&self, other: &Self, key: &str) -> bool {
        self.template.get(key) == other.template.get(key)
    }
}

/// Returns what made each of the revisions of one workload, the oldest first. One that a workload went back to has a new number, and
/// was made when it was first needed. When that was is not told: after the one before.
pub(super) fn steps(mut revisions: Vec<Revision>) -> Vec<Step> {
    revisions.sort_by_key(|it| (it.made, it.number));
    let before = std::iter::once(None).chain(revisions.iter().map(Some));
    let made = before
        .zip(&revisions)
        .map(|(before, now)| step(before, now));
    let mut steps: Vec<_> = made.collect();
    revisions.sort_by_key(|it| it.number);
    let pairs = revisions.iter().zip(revisions.iter().skip(1));
    for (before, now) in pairs.filter(|(before, now)| now.made < before.made) {
        steps.push(Step {
            revision: now.number,
            name: now.name.clone(),
            at: before.made,
            what: What::Undo,
            cause: "it went back to an older template".to_owned(),
            changed: BTreeMap::new(),
        });
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn step(before: Option<&Revision>, now: &Revision) -> Step {
    let opened = now.opened();
    let before_opened = before.and_then(Revision::opened);
    let own = opened.filter(|opened| {
        // One that was gone back to has the annotations of that time. Times of objects are in whole seconds.
        let since = now.made.duration_since(opened.at);
        let is_of_then = since > SignedDuration::from_secs(-2);
        is_of_then
            && match (before, before_opened) {
                (_, Some(before)) => before.mark != opened.mark,
                (Some(_), None) => true,
                (None, None) => since < APART,
            }
    });
    let what = what(before, now, own.is_some());
    let cause = match what {
        What::Restart => {
            let said = now.says(LAST_RESTART).map(LastRestart::read);
            said.map_or("it does not say".to_owned(), |said| said.causes)
        }
        What::KubectlRestart => "kubectl rollout restart".to_owned(),
        What::Deploy | What::First | What::Undo => {
            let said = now.says(CHANGE_CAUSE);
            let took = before.is_some_and(|before| !before.shares(now, RESTARTED_FOR));
            let took = if took {
                ", and took newer values with it"
            } else {
                ""
            };
            let first = if before.is_none() {
                "the oldest revision that is left"
            } else {
                "its template was changed"
            };
            said.map_or_else(
                || format!("{first}{took}"),
                |said| format!("{first}{took}: {said}"),
            )
        }
    };
    let (at, changed) = match own.filter(|_| what == What::Restart) {
        Some(opened) => (
            opened.at,
            told(now.says(ROLLOUT_OPENED).unwrap_or_default()),
        ),
        None => (now.made, BTreeMap::new()),
    };
    Step {
        revision: now.number,
        name: now.name.clone(),
        at,
        what,
        cause,
        changed,
    }
}

fn what(before: Option<&Revision>, now: &Revision, is_own: bool) -> What {
    match before {
        _ if is_own => What::Restart,
        None => What::First,
        Some(before) if !before.shares(now, KUBECTL_RESTARTED_AT) => What::KubectlRestart,
        Some(_) => What::Deploy,
    }
}

#[cfg(test)]
mod tests;
