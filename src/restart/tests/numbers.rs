//! A `DaemonSet` whose creation the webhook did not see, over pods that carry the number that a restart brings.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    WorkloadKey,
    adopted::TEMPLATE_GENERATION,
    annotation::{KUBECTL_RESTARTED_AT, MARK},
};

const PATCH: &str = "PATCH daemonsets/";
const LIST: &str = "GET /pods";
const TEMPLATE: &str = "/spec/template/metadata/annotations";

/// A `DaemonSet` that has number 1, whose Secret has changed.
fn counting(asks: &[(&str, &str)]) -> (Stage, WorkloadKey) {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let mut object = deployment("agent", &["s"]);
    object["kind"] = json!("DaemonSet");
    for (key, value) in [(TEMPLATE_GENERATION, "1")].iter().chain(asks) {
        object = annotate(object, key, value);
    }
    let key = stage.adopted(object);
    stage.secret("s", "A", "y");
    (stage, key)
}

/// Once it has a pod with the number that is asked for.
fn met(stage: &Stage) {
    let pod = json!({ "metadata": { "name": "old", "namespace": "n" } });
    let list = json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [pod],
    });
    stage.script.turn(LIST, Turn::say(200, &list));
}

fn has_restarted(stage: &Stage, key: &WorkloadKey) {
    let object = stage.object(key);
    let observed = object["metadata"]["annotations"][OBSERVED]
        .as_str()
        .unwrap();
    let mark = object.pointer(TEMPLATE).unwrap()[RESTARTED_FOR]
        .as_str()
        .unwrap();
    assert!(
        observed.contains(&format!("\"rf\":\"{mark}\"")),
        "{observed}"
    );
}

/// The paths that a patch writes.
fn writes(patch: &Value) -> Vec<&str> {
    let all = patch.as_array().unwrap().iter();
    let writes = all.filter(|one| one["op"] != "test");
    writes.map(|one| one["path"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_one_patch_where_no_pod_has_its_number() {
    let (stage, agent) = counting(&[]);
    let work = start(&stage, 2);
    settle().await;
    let asked = stage.script.asked(LIST).remove(0);
    let labels = "labelSelector=app%3Dagent%2Cpod-template-generation%3D2";
    assert!(asked.query.contains(labels), "{asked:?}");
    assert_eq!(stage.script.count(PATCH), 1);
    has_restarted(&stage, &agent);
    work.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_template_changes_once_more_where_a_pod_has_it() {
    let (stage, agent) = counting(&[]);
    met(&stage);
    let work = start(&stage, 2);
    settle().await;
    let patches = stage.script.asked(PATCH);
    assert_eq!(patches.len(), 2);
    let own = format!("{TEMPLATE}/reroll.dev~1restarted-for");
    assert_eq!(writes(&patches[0].body), [TEMPLATE, &own]);
    let number = "/metadata/annotations/deprecated.daemonset.template.generation";
    let tested = json!({ "op": "test", "path": number, "value": "1" });
    assert!(patches[0].body.as_array().unwrap().contains(&tested));
    has_restarted(&stage, &agent);
    work.end().await;
    let restarts = "reroll_restarts_total{kind=\"DaemonSet\",cause=\"updated\"}";
    assert_eq!(stage.metric(restarts), 1);
    assert_eq!(stage.told().await, ["Restarted: Secret s was updated"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_restart_leaves_it_due() {
    let (stage, agent) = counting(&[]);
    met(&stage);
    let work = start(&stage, 2);
    stage.script.reach(PATCH, 1).await;
    stage.script.turn(PATCH, Turn::lose().always());
    stage.script.reach(PATCH, 2).await;
    work.crash().await;
    stage.script.clear_all();
    let stage = Stage::again(&stage.script, |stage| {
        stage.show_secret_now("s");
        stage.show_now(&agent);
    });
    let work = start(&stage, 2);
    settle().await;
    has_restarted(&stage, &agent);
    work.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_by_time_moves_on_twice() {
    let (stage, agent) = counting(&[(MARK, "restartedAt")]);
    met(&stage);
    let work = start(&stage, 2);
    settle().await;
    let patches = stage.script.asked(PATCH);
    assert_eq!(patches.len(), 2);
    let time = format!("{TEMPLATE}/kubectl.kubernetes.io~1restartedAt");
    assert_eq!(writes(&patches[0].body), [TEMPLATE, &time]);
    let set = |patch: &Value| {
        let all = patch.as_array().unwrap().iter();
        let mut set = all.filter(|one| one["op"] != "test" && one["path"] == time.as_str());
        set.next().unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert!(set(&patches[0].body) < set(&patches[1].body));
    let object = stage.object(&agent);
    let value = &object.pointer(TEMPLATE).unwrap()[KUBECTL_RESTARTED_AT];
    assert_eq!(value, &set(&patches[1].body));
    work.end().await;
    assert_eq!(stage.told().await, ["Restarted: Secret s was updated"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_need_the_right_to_list_pods() {
    let (stage, agent) = counting(&[]);
    stage
        .script
        .turn(LIST, Turn::refuse(403, "Forbidden").always());
    let work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
    has_restarted(&stage, &agent);
    work.end().await;
}
