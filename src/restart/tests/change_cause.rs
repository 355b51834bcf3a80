//! Restarts that say in `kubernetes.io/change-cause` what they were for.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Conventions, WorkloadKey,
    annotation::{ASKS_CHANGE_CAUSE, CHANGE_CAUSE, RESERVE, TOTAL_LIMIT},
};

const OURS: &str = "reroll: Secret s was updated";

/// Restarts a Deployment, where this flag is set and the object was edited so. Returns what it says then.
async fn restarted(flag: bool, edit: impl FnOnce(&mut Value)) -> Option<String> {
    let stage = Stage::by(Conventions {
        change_cause: flag,
        ..Conventions::default()
    });
    stage.secret("s", "A", "x");
    let mut object = deployment("web", &["s"]);
    edit(&mut object);
    let web: WorkloadKey = stage.adopted(object);
    stage.secret("s", "A", "y");
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.lines(), ["PATCH n/deployments/web"]);
    let said = stage.object(&web)["metadata"]["annotations"][CHANGE_CAUSE].clone();
    said.as_str().map(ToOwned::to_owned)
}

fn asks(word: &'static str) -> impl FnOnce(&mut Value) {
    move |object| object["metadata"]["annotations"][ASKS_CHANGE_CAUSE] = json!(word)
}

#[tokio::test(start_paused = true)]
async fn it_is_said_where_the_flag_or_the_workload_asks_for_it() {
    assert_eq!(restarted(false, |_| {}).await, None);
    assert_eq!(restarted(true, |_| {}).await.as_deref(), Some(OURS));
    assert_eq!(restarted(false, asks("true")).await.as_deref(), Some(OURS));
    assert_eq!(restarted(true, asks("false")).await, None);
    assert_eq!(restarted(false, asks("sure")).await, None);
}

#[tokio::test(start_paused = true)]
async fn it_is_said_in_place_of_what_kubectl_wrote_and_of_no_others() {
    for (manager, operation, expected) in [
        ("kubectl-annotate", "Update", OURS),
        ("reroll", "Update", OURS),
        ("kubectl", "Apply", "theirs"),
        ("argocd", "Apply", "theirs"),
        ("helm", "Update", "theirs"),
    ] {
        let owned = |object: &mut Value| {
            object["metadata"]["annotations"][CHANGE_CAUSE] = json!("theirs");
            object["metadata"]["managedFields"] = json!([{
                "manager": manager, "operation": operation, "fieldsType": "FieldsV1",
                "fieldsV1": { "f:metadata": { "f:annotations": { "f:kubernetes.io/change-cause": {} } } },
            }]);
        };
        let said = restarted(true, owned).await;
        assert_eq!(said.as_deref(), Some(expected), "{manager}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_left_out_where_there_is_no_room() {
    for left in (200..900).rev().step_by(20) {
        let full = move |object: &mut Value| {
            let much = "x".repeat(TOTAL_LIMIT - RESERVE - left);
            object["metadata"]["annotations"]["much"] = json!(much);
        };
        // The restart itself is made all the same.
        if restarted(true, full).await.is_none() {
            return;
        }
    }
    panic!("there is always room");
}
