//! CronJobs and Jobs: what they are at, and the Jobs that reroll makes.
//!
//! reroll restarts a CronJob by one more run of it. The run is a Job whose name follows from the mark. So a replica
//! that decides again from the same state makes the same Job, which the API server has already. The Job is as
//! `kubectl create job --from` makes it: history limits apply to it, and it goes with the CronJob.
//!
//! reroll restarts a Job by another one of the same name in its place. That is made of the Job's own manifest,
//! without what the API server and controllers wrote into it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::{
    CRON_JOB, JOB, Kind, RestartMeans,
    annotation::{LAST_RESTART, OBSERVED, RESTARTED_FOR},
};
use crate::model::digest::Digest;

/// What a Job's name may have: pods carry it as the value of a label.
const NAME_LENGTH: usize = 63;
/// Letters and digits for the mark in the name of a run.
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
pub enum JobPhase {
    /// It does, or is of another kind.
    Active,
    /// Not until a user resumes it.
    Suspended,
    /// It has completed or failed.
    Over,
}

impl JobPhase {
    /// Reads it off an object.
    pub(super) fn read(kind: Kind, object: &DynamicObject) -> Self {
        match kind.means {
            RestartMeans::Run | RestartMeans::Recreate if is_over(object) => Self::Over,
            RestartMeans::Run | RestartMeans::Recreate if is_suspended(object) => Self::Suspended,
            _ => Self::Active,
        }
    }
}

/// Returns `spec.suspend`.
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

/// Returns the name of the run for a mark: a DNS label.
pub fn run_name(cron_job: &str, mark: &str) -> String {
    let mark = Digest::plain([mark.as_bytes()]).to_string();
    let legal = |letter: char| match letter {
        '-' => '0',
        '_' => '1',
        letter => letter.to_ascii_lowercase(),
    };
    let mark: String = mark.chars().map(legal).take(MARK_LENGTH).collect();
    let name: String = cron_job
        .chars()
        .map(|letter| if letter == '.' { '-' } else { letter })
        .take(NAME_LENGTH - MARK_LENGTH - 1)
        .collect();
    format!("{}-{mark}", name.trim_end_matches('-'))
}

/// Returns the Job that is the run of a CronJob for a mark.
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
        types: Some(types()),
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

/// Returns the manifest of the Job that takes a Job's place, for a mark. Without `observed`, which is made when it is
/// created.
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
        types: Some(types()),
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

fn types() -> TypeMeta {
    TypeMeta {
        api_version: JOB.api_version(),
        kind: JOB.kind.to_owned(),
    }
}

/// Sets the mark in the pod template of a Job's spec, whose maps may be missing or null.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::workload::{KINDS, Workload};

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_run_is_named_after_its_cron_job_and_its_mark() {
        let long = "x".repeat(52);
        let dashed = format!("{}-y", "x".repeat(51));
        let rows = [
            ("backup", "a", "backup-"),
            ("backup", "", "backup-"),
            ("a.b.c", "a", "a-b-c-"),
            (long.as_str(), "a", &format!("{long}-")),
            (&format!("{long}yz"), "a", &format!("{long}-")),
            (&dashed, "a", &format!("{}-", "x".repeat(51))),
        ];
        for (name, mark, start) in rows {
            let run = run_name(name, mark);
            assert_eq!(run, run_name(name, mark));
            assert!(run.starts_with(start), "{run}");
            assert_eq!(run.len(), start.len() + MARK_LENGTH, "{run}");
        }
        assert_ne!(run_name("backup", "a"), run_name("backup", "b"));
        // A name that is made again after an upgrade must be the same.
        assert_eq!(run_name("backup", "mark"), "backup-pojpaawevl");
    }

    proptest! {
        #[test]
        fn every_run_has_a_name_that_pods_can_carry(
            name in "[a-z0-9]([-a-z0-9]{0,25}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,3}",
            mark in ".*",
        ) {
            let run = run_name(&name, &mark);
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            prop_assert!(run.len() <= NAME_LENGTH);
            prop_assert!(run.bytes().all(|byte| legal(byte) || byte == b'-'));
            prop_assert!(run.starts_with(|first: char| legal(first as u8)) && !run.ends_with('-'));
        }
    }

    #[test]
    fn what_a_run_is_made_of() {
        let cron_job = object(json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": { "name": "backup", "namespace": "n", "uid": "u", "annotations": { "not": "taken" } },
            "spec": {
                "schedule": "0 0 * * *",
                "jobTemplate": {
                    "metadata": { "labels": { "l": "v" }, "annotations": { "a": "b" } },
                    "spec": {
                        "backoffLimit": 2,
                        "template": {
                            "metadata": { "annotations": { "c": "d" } },
                            "spec": { "containers": [], "futureField": true },
                        },
                    },
                },
            },
        }));
        insta::assert_snapshot!(serde_json::to_string_pretty(&run(&cron_job, "mark")).unwrap());
        let bare = json!({ "metadata": { "name": "b" }, "spec": { "jobTemplate": { "spec": { "template": { "metadata": null } } } } });
        let template = &run(&object(bare), "mark").data["spec"]["template"];
        assert_eq!(template["metadata"]["annotations"][RESTARTED_FOR], "mark");
    }

    /// As the API server shows it.
    fn job(manual: bool) -> DynamicObject {
        let labels = json!({
            "app": "x", "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u",
            "job-name": "import", "batch.kubernetes.io/job-name": "import",
        });
        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "import", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels,
                "annotations": { OBSERVED: "{}", LAST_RESTART: "then", "reroll.dev/on-change": "recreate" },
                "finalizers": ["foregroundDeletion", "example.com/mine"],
                "ownerReferences": [{ "apiVersion": "v1", "kind": "App", "name": "a", "uid": "o" }],
                "managedFields": [{ "manager": "kubectl" }],
            },
            "spec": {
                "backoffLimit": 6, "suspend": false,
                "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } },
                "template": {
                    "metadata": { "creationTimestamp": null, "labels": labels, "annotations": { RESTARTED_FOR: "before" } },
                    "spec": { "containers": [], "futureField": true },
                },
            },
            "status": { "active": 1, "uncountedTerminatedPods": {} },
        });
        if manual {
            job["spec"]["manualSelector"] = json!(true);
        }
        object(job)
    }

    #[test]
    fn what_takes_a_jobs_place() {
        let next = replacement(&job(false), "mark", "now: why");
        insta::assert_snapshot!(serde_json::to_string_pretty(&next).unwrap());
        assert_eq!(
            replacement(&next, "mark", "now: why"),
            next,
            "again is the same"
        );
        let next = replacement(&job(true), "mark", "now: why");
        assert_eq!(
            next.data["spec"]["selector"],
            job(true).data["spec"]["selector"]
        );
        assert_eq!(next.metadata.labels, job(true).metadata.labels);
    }

    #[test]
    fn whether_it_starts_pods() {
        let of = |kind: Kind, spec: Value, conditions: Value| {
            let object =
                json!({ "metadata": {}, "spec": spec, "status": { "conditions": conditions } });
            JobPhase::read(kind, &self::object(object))
        };
        let is = |what: &str, status: &str| json!([{ "type": "Other", "status": "True" }, { "type": what, "status": status }]);
        let suspended = json!({ "suspend": true });
        for ends in ENDS {
            assert_eq!(
                of(&JOB, json!({}), is(ends, "True")),
                JobPhase::Over,
                "{ends}"
            );
            assert_eq!(
                of(&JOB, json!({}), is(ends, "False")),
                JobPhase::Active,
                "{ends}"
            );
            assert_eq!(
                of(&JOB, suspended.clone(), is(ends, "True")),
                JobPhase::Over
            );
            assert_eq!(of(&KINDS[0], json!({}), is(ends, "True")), JobPhase::Active);
        }
        for kind in [&CRON_JOB, &JOB] {
            assert_eq!(of(kind, suspended.clone(), json!([])), JobPhase::Suspended);
            assert_eq!(
                of(kind, json!({ "suspend": false }), json!(null)),
                JobPhase::Active
            );
        }
        assert_eq!(of(&KINDS[0], suspended, json!(null)), JobPhase::Active);
    }

    #[test]
    fn who_is_left_alone() {
        let owner = |kind: &str| json!([{ "apiVersion": "v1", "kind": kind, "name": "x", "uid": "o", "controller": true }]);
        let of = |kind: Kind, annotations: Value, owners: Value, status: Value| {
            let object = json!({
                "metadata": { "annotations": annotations, "ownerReferences": owners }, "spec": {}, "status": status,
            });
            Workload::read(kind, &self::object(object)).is_left_alone()
        };
        let over = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        let (asks, auto) = (
            json!({ "reroll.dev/on-change": "x" }),
            json!({ "reroll.dev/restart-on": "auto" }),
        );
        let theirs = json!({ "reloader.stakater.com/auto": "true" });
        let (none, own) = (json!(null), json!({ OBSERVED: "{}" }));
        let rows = [
            (&JOB, &none, owner("App"), &none, true),
            (&JOB, &auto, none.clone(), &none, true),
            (&JOB, &asks, none.clone(), &none, false),
            (&JOB, &own, none.clone(), &none, false),
            (&JOB, &asks, owner("App"), &none, false),
            (&JOB, &asks, owner("CronJob"), &none, true),
            (&JOB, &asks, none.clone(), &over, true),
            (&CRON_JOB, &auto, none.clone(), &none, true),
            (&CRON_JOB, &asks, none.clone(), &none, false),
            // Who opts it in so is told that it is not enough.
            (&CRON_JOB, &theirs, none.clone(), &none, false),
            (&JOB, &theirs, owner("CronJob"), &none, true),
            (&KINDS[0], &none, none.clone(), &none, false),
            (&KINDS[0], &auto, owner("CronJob"), &over, false),
        ];
        for (kind, annotations, owners, status, expected) in rows {
            let left = of(kind, annotations.clone(), owners.clone(), status.clone());
            assert_eq!(
                left, expected,
                "{} {annotations} {owners} {status}",
                kind.kind
            );
        }
    }
}
