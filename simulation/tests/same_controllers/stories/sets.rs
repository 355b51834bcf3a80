//! `StatefulSet`s and `DaemonSet`s.

use serde_json::{Value, json};

use super::Story;
use crate::step::{
    Kind::{DaemonSet, Pod, StatefulSet},
    Step,
};

/// A story of a pod that is never ready, and of templates after that.
fn stuck(name: &str, policy: &str) -> Story {
    Story::of(StatefulSet, name)
        .make(&json!({ "replicas": 3, "podManagementPolicy": policy }))
        .hang(true)
        .hang(false)
        .roll("2")
        .delete_pods(3)
}

pub(super) fn stateful() -> Vec<Story> {
    let story = |name: &str| Story::of(StatefulSet, name);
    let partition =
        |at: u32| json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": at } } } });
    vec![
        story("ss-roll")
            .make(&json!({ "replicas": 3 }))
            .roll("2")
            .roll("3")
            .roll("2")
            .undo(None)
            .scale(5)
            .scale(1)
            .scale(0)
            .roll("4")
            .scale(2),
        story("ss-limit")
            .make(&json!({ "replicas": 1, "revisionHistoryLimit": 1 }))
            .roll("2")
            .roll("3")
            .roll("4"),
        stuck("ss-stuck", "OrderedReady"),
        stuck("ss-parallel", "Parallel"),
        story("ss-partition")
            .make(&json!({ "replicas": 3 }))
            .change_quickly(partition(2))
            .roll("2")
            .roll("3")
            .delete_pods(3)
            .change(partition(0)),
        story("ss-on-delete")
            .make(&json!({ "replicas": 2, "updateStrategy": { "type": "OnDelete" } }))
            .roll("2")
            .then(Step::Ask(
                "DELETE",
                format!("{}/s-1", Pod.path()),
                Value::Null,
            ))
            .scale(3)
            .delete_pods(3)
            .undo(None),
        story("ss-seconds")
            .make(&json!({ "replicas": 2, "minReadySeconds": 1 }))
            .roll("2"),
        story("ss-annotations")
            .make(&json!({ "replicas": 1 }))
            .annotate("two")
            .roll("2")
            .undo(None),
    ]
}

pub(super) fn daemons() -> Vec<Story> {
    let story = |name: &str| Story::of(DaemonSet, name);
    let strategy = |rolling: Value| json!({ "updateStrategy": { "rollingUpdate": rolling } });
    vec![
        story("ds-roll")
            .make(&json!({ "revisionHistoryLimit": 2 }))
            .roll("2")
            .roll("3")
            .roll("2")
            .undo(None)
            .undo(Some(1))
            .roll("4"),
        story("ds-hang")
            .make(&json!({}))
            .hang(true)
            .roll("2")
            .hang(false),
        story("ds-unavailable")
            .make(&strategy(json!({ "maxUnavailable": "60%" })))
            .hang(true),
        story("ds-surge")
            .make(&strategy(json!({ "maxSurge": 1, "maxUnavailable": 0 })))
            .roll("2")
            .hang(true)
            .undo(None),
        story("ds-on-delete")
            .make(&json!({ "updateStrategy": { "type": "OnDelete" } }))
            .roll("2")
            .delete_pods(1)
            .delete_pods(3),
    ]
}
