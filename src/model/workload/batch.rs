//! CronJobs and Jobs: what they are at, and the Jobs that reroll makes.
//!
//! A CronJob is restarted by one more run of it: a Job whose name follows from the mark, so that whoever decides again
//! from the same state makes the same Job, which the API server has already. It is what `kubectl create job --from`
//! makes, so history limits apply to it, and it goes with the CronJob.
//!
//! A Job is restarted by another one of the same name in its place, of its own manifest: without what the API server
//! and controllers wrote into it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::{
    CRON_JOB, JOB, Kind, Means, WorkloadKind,
    annotation::{LAST_RESTART, OBSERVED, RESTARTED_FOR},
};
use crate::model::version::Digest;

/// What a Job's name may have: pods carry it as the value of a label.
const NAME_LENGTH: usize = 63;
/// Hexadecimal digits of the mark in the name of a run.
const MARK_LENGTH: usize = 10;
/// What `kubectl create job --from` says of the Jobs it makes.
const INSTANTIATE: (&str, &str) = ("cronjob.kubernetes.io/instantiate", "manual");
/// Labels that the API server gives to each Job and its pods.
const GENERATED: [&str; 4] = [
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
];
/// Finalizers that say how a Job is being deleted.
const DELETION: [&str; 2] = ["foregroundDeletion", "orphan"];
/// What is said of a Job that has ended, or is about to: nothing new starts.
const ENDS: [&str; 4] = ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];

/// Whether a CronJob or Job starts pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, or is of another kind.
    Active,
    /// Not until somebody resumes it.
    Suspended,
    /// It has completed or failed.
    Over,
}

impl Standing {
    /// Reads it off an object.
    pub(super) fn read(kind: Kind, object: &DynamicObject) -> Self {
        match kind.means {
            Means::Template | Means::RestartAt => Self::Active,
            Means::Run | Means::Recreate if is_over(object) => Self::Over,
            Means::Run | Means::Recreate if is_suspended(object) => Self::Suspended,
            Means::Run | Means::Recreate => Self::Active,
        }
    }
}

/// `spec.suspend`
pub fn is_suspended(object: &DynamicObject) -> bool {
    object.data.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

fn is_over(job: &DynamicObject) -> bool {
    let conditions = job
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let ends = condition["type"]
            .as_str()
            .is_some_and(|said| ENDS.contains(&said));
        ends && condition["status"] == "True"
    })
}

/// Whether a CronJob lets only one run at a time.
pub fn runs_alone(cron_job: &DynamicObject) -> bool {
    let policy = cron_job
        .data
        .pointer("/spec/concurrencyPolicy")
        .and_then(Value::as_str);
    matches!(policy, Some("Forbid" | "Replace"))
}

/// The name of the run for a mark: a DNS label.
pub fn run_name(cron_job: &str, mark: &str) -> String {
    let mark = format!("{:x}", Digest::plain([mark.as_bytes()]));
    let mark = &mark[..mark.len().min(MARK_LENGTH)];
    let name: String = cron_job
        .chars()
        .map(|letter| if letter == '.' { '-' } else { letter })
        .take(NAME_LENGTH - MARK_LENGTH - 1)
        .collect();
    format!("{}-{mark}", name.trim_end_matches('-'))
}

/// The Job that is the run of a CronJob for a mark.
pub fn run(cron_job: &DynamicObject, mark: &str) -> DynamicObject {
    let template = cron_job
        .data
        .pointer("/spec/jobTemplate")
        .unwrap_or(&Value::Null);
    let of_template = |field: &str| template.pointer(field).cloned().unwrap_or_default();
    let name = cron_job.metadata.name.clone().unwrap_or_default();
    let mut spec = of_template("/spec");
    set_mark(&mut spec, mark);
    let mut annotations: BTreeMap<_, _> =
        serde_json::from_value(of_template("/metadata/annotations")).unwrap_or_default();
    annotations.insert(INSTANTIATE.0.to_owned(), INSTANTIATE.1.to_owned());
    DynamicObject {
        types: types(),
        metadata: ObjectMeta {
            name: Some(run_name(&name, mark)),
            namespace: cron_job.metadata.namespace.clone(),
            labels: serde_json::from_value(of_template("/metadata/labels")).ok(),
            annotations: Some(annotations),
            // Not blocking its deletion, as there: that would take a right on `cronjobs/finalizers`.
            owner_references: Some(vec![OwnerReference {
                api_version: CRON_JOB.api_version(),
                kind: CRON_JOB.kind.to_owned(),
                name,
                uid: cron_job.metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        data: json!({ "spec": spec }),
    }
}

/// The manifest of the Job that takes a Job's place, for a mark. Without `observed`, which is made when it is created.
pub fn replacement(job: &DynamicObject, mark: &str, last_restart: &str) -> DynamicObject {
    let mut spec = job.data.get("spec").cloned().unwrap_or_default();
    let mut labels = job.metadata.labels.clone();
    if spec["manualSelector"] != true {
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("selector");
        }
        if let Some(labels) = &mut labels {
            labels.retain(|key, _| !GENERATED.contains(&key.as_str()));
        }
        let of_pods = spec.pointer_mut("/template/metadata/labels");
        if let Some(labels) = of_pods.and_then(Value::as_object_mut) {
            labels.retain(|key, _| !GENERATED.contains(&key.as_str()));
        }
    }
    set_mark(&mut spec, mark);
    let mut annotations = job.metadata.annotations.clone().unwrap_or_default();
    annotations.remove(OBSERVED);
    annotations.insert(LAST_RESTART.to_owned(), last_restart.to_owned());
    let finalizers = job.metadata.finalizers.clone().map(|mut all| {
        all.retain(|name| !DELETION.contains(&name.as_str()));
        all
    });
    DynamicObject {
        types: types(),
        metadata: ObjectMeta {
            name: job.metadata.name.clone(),
            namespace: job.metadata.namespace.clone(),
            labels,
            annotations: Some(annotations),
            owner_references: job.metadata.owner_references.clone(),
            finalizers: finalizers.filter(|all| !all.is_empty()),
            ..ObjectMeta::default()
        },
        data: json!({ "spec": spec }),
    }
}

fn types() -> Option<TypeMeta> {
    let row: &WorkloadKind = &JOB;
    Some(TypeMeta {
        api_version: row.api_version(),
        kind: row.kind.to_owned(),
    })
}

/// In the pod template of a Job's spec, whose maps may be missing or null.
fn set_mark(spec: &mut Value, mark: &str) {
    let mut at = spec;
    for field in ["template", "metadata", "annotations", RESTARTED_FOR] {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[field];
    }
    *at = json!(mark);
}
