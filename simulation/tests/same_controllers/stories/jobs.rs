//! Jobs and `CronJob`s.

use serde_json::{Value, json};

use super::Story;
use crate::step::{
    Kind::{self, CronJob, Job},
    Step,
};

/// Returns the spec of a Job.
fn spec(more: &Value) -> Value {
    let mut spec = json!({ "template": {
        "metadata": { "labels": { "app": "j" } },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "app", "image": "app:1" }] },
    } });
    json_patch::merge(&mut spec, more);
    spec
}

/// Returns a Job's spec whose pods never start.
fn gated(mut more: Value) -> Value {
    more["template"]["spec"]["schedulingGates"] = super::gate();
    more
}

fn create(kind: Kind, name: &str, spec: &Value) -> Step {
    let object = json!({ "metadata": { "name": name }, "spec": spec });
    Step::Ask("POST", kind.path().to_owned(), object)
}

fn job(more: &Value) -> Step {
    create(Job, "j", &spec(more))
}

fn cron_job(more: &Value, of_job: &Value) -> Step {
    let job = json!({ "metadata": { "labels": { "of": "c" }, "annotations": { "a": "b" } }, "spec": spec(of_job) });
    let mut spec = json!({ "schedule": "* * * * *", "jobTemplate": job });
    json_patch::merge(&mut spec, more);
    create(CronJob, "c", &spec)
}

fn suspend(suspend: bool) -> Value {
    json!({ "spec": { "suspend": suspend } })
}

pub(super) fn all() -> Vec<Story> {
    let story = |name: &str| Story::of(Job, name);
    let made = || Step::UntilCount(Job, 1);
    let noted = || Step::UntilSet(CronJob, "c", "/status/lastScheduleTime");
    vec![
        story("job")
            .then(job(&json!({})))
            .delete("Background")
            .then(job(&json!({ "completions": 3, "parallelism": 2 })))
            .delete("Orphan"),
        story("job-hang")
            .then(job(&gated(json!({ "parallelism": 2, "completions": 4 }))))
            .change(json!({ "spec": { "parallelism": 1 } }))
            .change(suspend(true))
            .change(suspend(false))
            .delete("Foreground"),
        story("job-deadline").then(job(&gated(json!({ "activeDeadlineSeconds": 2 })))),
        story("job-ttl").then(job(&json!({ "ttlSecondsAfterFinished": 1 }))),
        Story::of(CronJob, "cron")
            .then(cron_job(&json!({ "suspend": true }), &json!({})))
            .change_quickly(suspend(false))
            .quickly(made())
            .quickly(noted())
            .change(suspend(true))
            .delete("Background"),
        Story::of(CronJob, "cron-busy")
            .quickly(cron_job(
                &json!({ "concurrencyPolicy": "Forbid" }),
                &gated(json!({})),
            ))
            .quickly(made())
            .quickly(noted())
            .change(suspend(true))
            .then(Step::DeletePods("j", 1))
            .delete("Orphan"),
    ]
}
