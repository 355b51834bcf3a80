//! Workloads that share one pod template: an Argo Rollout with `spec.workloadRef`, and the Deployment that it names.
//!
//! A change of the Deployment's template rolls the Rollout's pods too, step by step. So where the Deployment is opted in,
//! it leads: its template is what a restart changes, and the Rollout needs none of its own. An aborted Rollout is not
//! led, because a change of the Deployment's template would end the abort. It is then restarted by its time, and the
//! Deployment waits until the abort is over.

use kube::core::DynamicObject;
use serde_json::Value;

use super::{Kind, RestartMeans};

/// The workload whose pod template another one has, in the same namespace: a Rollout with `spec.workloadRef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borrowed {
    /// API group
    pub group: String,
    /// Kubernetes' name of the kind
    pub kind: String,
    /// `metadata.name`
    pub name: String,
    /// Whether it is there, so that its references are known.
    pub known: bool,
    /// Whether it is of a kind that reroll follows.
    pub followed: bool,
    /// Whether it is opted in itself, so that its own restart is one of those that have its template.
    pub leads: bool,
}

impl Borrowed {
    /// Reads it off an object.
    pub(super) fn read(kind: Kind, object: &DynamicObject) -> Option<Self> {
        let reference = object.data.pointer("/spec/workloadRef")?;
        let text = |field: &str| {
            reference
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let group = text("apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        (kind.means == RestartMeans::RestartAt).then(|| Self {
            group: group.to_owned(),
            kind: text("kind").to_owned(),
            name: text("name").to_owned(),
            known: false,
            followed: true,
            leads: false,
        })
    }

    /// Whether this is the workload.
    pub fn is(&self, kind: Kind, name: &str) -> bool {
        self.group == kind.group && self.kind == kind.kind && self.name == name
    }
}

/// What those say that have a workload's pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lent {
    /// There are some. Their pods are of its template, and its own status does not count them.
    pub any: bool,
    /// One of them is aborted: a write of the template would end that.
    pub aborted: bool,
    /// One of them has `reroll.dev/suspend` for this reason, and a write of the template would roll its pods.
    pub suspended: Option<String>,
}

impl Lent {
    /// Returns what both say.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            any: self.any || other.any,
            aborted: self.aborted || other.aborted,
            suspended: self.suspended.or(other.suspended),
        }
    }
}
