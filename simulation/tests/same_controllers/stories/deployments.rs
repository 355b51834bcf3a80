//! Deployments and their `ReplicaSet`s.

use serde_json::json;

use super::{Story, template};
use crate::step::{
    Kind::{Deployment, Pod, ReplicaSet},
    Step,
};

fn story(name: &str) -> Story {
    Story::of(Deployment, name)
}

pub(super) fn all() -> Vec<Story> {
    let mut all = rollouts();
    all.extend(sizes());
    all.extend(hanging());
    all
}

fn rollouts() -> Vec<Story> {
    let strategy = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": "50%" } });
    vec![
        story("default").make(&json!({})).roll("2"),
        story("roll")
            .make(&json!({ "replicas": 3 }))
            .roll("2")
            .roll("3")
            .roll("2")
            .undo(None)
            .undo(Some(1))
            .annotate("two")
            .undo(None),
        story("limits")
            .make(&json!({ "replicas": 4, "revisionHistoryLimit": 1, "strategy": strategy }))
            .roll("2")
            .roll("3")
            .roll("4")
            .hang(true),
        story("recreate")
            .make(&json!({ "replicas": 3, "strategy": { "type": "Recreate" } }))
            .roll("2")
            .hang(true)
            .undo(None)
            .scale(1),
        story("seconds")
            .make(&json!({ "replicas": 2, "minReadySeconds": 2 }))
            .roll("2")
            .change(json!({ "spec": { "minReadySeconds": 1 } })),
        story("pause")
            .make(&json!({ "replicas": 3, "progressDeadlineSeconds": 5 }))
            .pause(true)
            .roll("2")
            .scale(5)
            .pause(false)
            .change_quickly(json!({ "spec": { "paused": true } }))
            .roll("3")
            .change_quickly(template("2"))
            .pause(false),
        story("paused-new")
            .make(&json!({ "replicas": 2, "paused": true }))
            .pause(false),
    ]
}

fn sizes() -> Vec<Story> {
    let all = Step::Ask("DELETE", ReplicaSet.path().to_owned(), json!(null));
    let container = json!({ "name": "app", "image": "app:1" });
    let other = json!({ "metadata": { "name": "other", "labels": { "app": "d" } }, "spec": { "containers": [container] } });
    vec![
        story("scale")
            .make(&json!({ "replicas": 1 }))
            .scale(5)
            .scale(0)
            .roll("2")
            .scale(2),
        story("pods")
            .make(&json!({ "replicas": 3 }))
            .delete_pods(2)
            .then(all),
        story("labels")
            .make(&json!({ "replicas": 2 }))
            .then(Step::Ask("POST", Pod.path().to_owned(), other)),
    ]
}

fn hanging() -> Vec<Story> {
    let gated = json!({ "spec": { "schedulingGates": super::gate() } });
    let rolling = json!({ "rollingUpdate": { "maxSurge": 3, "maxUnavailable": 2 } });
    vec![
        story("hang")
            .make(&json!({ "replicas": 4, "progressDeadlineSeconds": 4 }))
            .hang(true)
            .scale(6)
            .scale(2)
            .undo(None)
            .roll("2"),
        story("hang-more")
            .make(&json!({ "replicas": 10, "progressDeadlineSeconds": 4, "strategy": rolling }))
            .hang(true)
            .roll("2")
            .scale(15)
            .scale(5)
            .hang(false),
        story("never-ready")
            .make(&json!({ "replicas": 2, "progressDeadlineSeconds": 3, "template": gated }))
            .hang(false),
        story("no-deadline")
            .make(&json!({ "replicas": 2, "progressDeadlineSeconds": i32::MAX }))
            .hang(true)
            .change(json!({ "spec": { "progressDeadlineSeconds": 3 } })),
    ]
}
