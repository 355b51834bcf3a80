//! Workloads that another installation has observed.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::model::WorkloadKey;

const OTHER: &str = "other-id";
const SECOND: Duration = Duration::from_secs(1);
const HELD: &str = "other_installation";

/// Puts another's `observed` on it, as one with its own key would write it.
fn by_another(object: &mut Value) {
    let text = object["metadata"]["annotations"][OBSERVED].as_str();
    let id = crate::model::testing::key().id().to_owned();
    let text = text.unwrap().replace(&id, OTHER);
    object["metadata"]["annotations"][OBSERVED] = json!(text);
}

/// One Deployment that is ours, where the other's key is known.
fn adopted() -> (Stage, WorkloadKey) {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    retire_the_others(&stage);
    (stage, web)
}

fn retire_the_others(stage: &Stage) {
    let keys = BTreeSet::from([OTHER.to_owned()]);
    stage.state.index_mut().retire_keys(keys);
}

fn is_ours(stage: &Stage, key: &WorkloadKey) -> bool {
    let object = stage.object(key);
    let text = object["metadata"]["annotations"][OBSERVED].as_str();
    !text.unwrap().contains(OTHER)
}

/// Three Deployments of another installation, and their Secret with this uid, which was `A`. It was found out that the key is
/// not ours.
fn found(uid: &str) -> (Stage, Vec<WorkloadKey>) {
    found_of("Deployment", uid)
}

fn found_of(kind: &str, uid: &str) -> (Stage, Vec<WorkloadKey>) {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let keys = ["a", "b", "c"].map(|name| {
        let mut object = deployment(name, &["s"]);
        object["kind"] = json!(kind);
        let key = stage.adopted(object);
        stage.script.edit(&path(&key), by_another);
        key
    });
    stage.put_secret("s", uid, "x");
    // What is shown first is the other's.
    let stage = Stage::again(&stage.script, |stage| {
        stage.show_secret_now("s");
        for key in &keys {
            stage.show_now(key);
        }
    });
    retire_the_others(&stage);
    stage.judge.judge_all();
    (stage, keys.to_vec())
}

fn ours(stage: &Stage, keys: &[WorkloadKey]) -> usize {
    keys.iter().filter(|key| is_ours(stage, key)).count()
}

#[tokio::test(start_paused = true)]
async fn one_is_tried_and_what_nobody_undoes_is_taken_over() {
    let (stage, keys) = found("A");
    let _work = start(&stage, 2);
    sleep(SECOND).await;
    assert_eq!((stage.script.count(PATCH), ours(&stage, &keys)), (1, 1));
    // While it is tried nothing restarts, and nothing is lost.
    stage.secret("s", "A", "y");
    sleep(SECOND * 8).await;
    assert_eq!((stage.script.count(PATCH), stage.held(HELD)), (1, 3));
    sleep(SECOND * 10).await;
    assert_eq!((ours(&stage, &keys), stage.held(HELD)), (3, 0));
    for key in &keys {
        let object = stage.object(key);
        let mark = &object["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR];
        assert!(mark.is_string(), "{object}");
    }
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"updated\"}"),
        3
    );
}

/// The others had their turn while it was tried.
#[tokio::test(start_paused = true)]
async fn another_is_tried_where_one_cannot_be_written() {
    let (stage, keys) = found_of("StatefulSet", "A");
    let mut ours_already = deployment("0", &["s"]);
    ours_already["kind"] = json!("StatefulSet");
    stage.workload(ours_already);
    let refused = Turn::refuse(403, "Forbidden").always();
    stage.script.turn("PATCH statefulsets/a", refused);
    let _work = start(&stage, 2);
    sleep(SECOND * 30).await;
    assert_eq!(ours(&stage, &keys), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_undone_is_the_others_until_it_is_tried_again() {
    let (stage, keys) = found("A");
    let _work = start(&stage, 2);
    sleep(SECOND).await;
    let tried = keys.iter().find(|key| is_ours(&stage, key)).unwrap();
    stage.edit(tried, by_another);
    stage.secret("s", "A", "y");
    sleep(SECOND * 290).await;
    assert_eq!((stage.script.count(PATCH), ours(&stage, &keys)), (1, 0));
    assert_eq!((stage.held(HELD), stage.pending().intents), (3, 0));
    // By now the other is gone.
    sleep(SECOND * 15 * 60).await;
    assert_eq!((ours(&stage, &keys), stage.held(HELD)), (3, 0));
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"updated\"}"),
        3,
        "what it had no time for"
    );
    let told = stage.told().await;
    let held = told
        .iter()
        .filter(|told| told.starts_with("OtherInstallation: another installation"));
    assert_eq!(held.count(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn ours_is_restored_once() {
    let (stage, web) = adopted();
    let _work = start(&stage, 2);
    sleep(SECOND).await;
    stage.edit(&web, by_another);
    sleep(SECOND).await;
    assert!(is_ours(&stage, &web));
    stage.edit(&web, by_another);
    sleep(SECOND * 200).await;
    assert_eq!((stage.script.count(PATCH), stage.held(HELD)), (1, 1));
    assert!(!is_ours(&stage, &web));
}

#[tokio::test(start_paused = true)]
async fn what_is_recreated_restarts_only_when_it_is_taken_over() {
    let (stage, keys) = found("B");
    let _work = start(&stage, 2);
    sleep(SECOND * 9).await;
    assert_eq!((stage.script.count(PATCH), ours(&stage, &keys)), (1, 1));
    for key in &keys {
        let object = stage.object(key);
        assert_eq!(
            object["spec"]["template"]["metadata"]["annotations"],
            Value::Null
        );
    }
    sleep(SECOND * 20).await;
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"recreated\"}"),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_reroll_wrote_is_restored_at_once() {
    let (stage, web) = adopted();
    let _work = start(&stage, 2);
    for times in 1..=3 {
        stage.edit(&web, |object| {
            by_another(object);
            let fields =
                json!({ "f:metadata": { "f:annotations": { (format!("f:{OBSERVED}")): {} } } });
            object["metadata"]["managedFields"] =
                json!([{ "manager": "kubectl-edit", "operation": "Update", "fieldsV1": fields }]);
        });
        sleep(SECOND).await;
        assert_eq!((stage.script.count(PATCH), stage.held(HELD)), (times, 0));
        assert!(is_ours(&stage, &web));
    }
}
