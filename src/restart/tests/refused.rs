//! A restart that is refused stands on the workload, and what others roll takes its place.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    WorkloadKey,
    annotation::{KUBECTL_RESTARTED_AT, MARK, PENDING, RESTARTED_AT},
};

const PODS: &str = "/api/v1/namespaces/n/pods/web-1";

/// A restart was refused twice, and the writes after that are refused but for the first.
async fn refused(stage: &Stage, web: &WorkloadKey) -> (super::super::testing::AtWork, Value) {
    for turn in [refusal(), refusal(), Turn::serve()] {
        stage.script.turn(PATCH, turn);
    }
    stage.script.turn(PATCH, refusal().always());
    let work = start(stage, 2);
    stage.script.reach(PATCH, 5).await;
    let text = annotation(stage, web, PENDING).unwrap();
    (work, serde_json::from_str(&text).unwrap())
}

fn refusal() -> Turn {
    Turn::refuse(422, "Invalid")
}

fn annotation(stage: &Stage, web: &WorkloadKey, key: &str) -> Option<String> {
    let object = stage.object(web);
    object["metadata"]["annotations"][key]
        .as_str()
        .map(ToOwned::to_owned)
}

/// A user restarts it, and its rollout is under way.
fn rolls(stage: &Stage, web: &WorkloadKey, at: &str) {
    stage.edit(web, |object| {
        object["spec"]["template"]["metadata"]["annotations"] = json!({ KUBECTL_RESTARTED_AT: at });
        object["status"]["updatedReplicas"] = json!(0);
        object["metadata"]["generation"] = json!(2);
    });
}

fn has_rolled(stage: &Stage, web: &WorkloadKey) {
    stage.edit(web, |object| {
        object["status"] = json!({ "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1 });
    });
}

fn put_pod(stage: &Stage, made: &str) {
    let pod = json!({
        "metadata": { "name": "web-1", "namespace": "n", "labels": { "app": "web" }, "creationTimestamp": made },
        "spec": {}, "status": { "phase": "Running" },
    });
    stage.script.restore(PODS, pod);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_stands_on_the_workload_and_is_said_once() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let (work, pending) = refused(&stage, &web).await;
    assert_eq!(pending["reason"], "refused");
    assert_eq!(pending["since"], "2027-01-15T08:00:00Z");
    assert_eq!(pending["causes"], "Secret s was updated");
    settle().await;
    assert_eq!(stage.held("refused"), 1);
    let text = annotation(&stage, &web, PENDING).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), pending);
    // The policy is lifted: the restart's own patch says that nothing is pending.
    stage.script.clear(PATCH);
    settle().await;
    assert!(stage.mark(&web).is_string());
    assert_eq!(annotation(&stage, &web, PENDING), None);
    assert_eq!((stage.held("refused"), stage.pending().intents), (0, 0));
    work.end().await;
    let told = stage.told().await;
    let refused = told
        .iter()
        .filter(|said| said.starts_with("RestartRefused: Secret s was updated"));
    assert_eq!(refused.count(), 1, "{told:?}");
    assert!(
        !told
            .iter()
            .any(|said| said.contains("RestartRefused") && said.contains("times"))
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_written_it_is_said_and_not_written_again() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    stage
        .script
        .turn(PATCH, Turn::refuse(403, "Forbidden").always());
    let work = start(&stage, 2);
    settle().await;
    let pending =
        |asked: &&crate::cluster::testing::Asked| asked.body.to_string().contains(PENDING_PATH);
    assert_eq!(stage.script.asked(PATCH).iter().filter(pending).count(), 1);
    assert_eq!(
        (stage.held("refused"), annotation(&stage, &web, PENDING)),
        (1, None)
    );
    work.end().await;
    let told = stage.told().await;
    assert_eq!(
        told.iter()
            .filter(|said| said.starts_with("RestartRefused"))
            .count(),
        1
    );
}

/// What others do.
type Others = fn(&Stage, &WorkloadKey);

const PENDING_PATH: &str = "reroll.dev~1pending";

#[tokio::test(start_paused = true)]
async fn a_rollout_by_others_is_waited_for_and_recorded() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let (_work, _) = refused(&stage, &web).await;
    // From now on nothing is refused any more: the restart would be one too many.
    rolls(&stage, &web, "2027-01-15T08:00:30Z");
    stage.script.clear(PATCH);
    let before = stage.script.count(PATCH);
    settle().await;
    assert_eq!(stage.script.count(PATCH), before);
    put_pod(&stage, "2027-01-15T08:00:31Z");
    has_rolled(&stage, &web);
    assert_eq!(
        stage.due_in(),
        Some(Duration::ZERO),
        "not after the next try"
    );
    settle().await;
    assert_eq!(annotation(&stage, &web, PENDING), None);
    let object = stage.object(&web);
    let of_template = &object["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(
        *of_template,
        json!({ KUBECTL_RESTARTED_AT: "2027-01-15T08:00:30Z" })
    );
    assert_eq!(stage.script.count(PATCH), before + 1);
    assert_eq!((stage.held("refused"), stage.pending().intents), (0, 0));
    // A later process finds nothing to do.
    let again = Stage::again(&stage.script, |again| {
        again.show_secret_now("s");
        again.show_now(&web);
    });
    assert_eq!(again.pending().intents, 0);
}

#[tokio::test(start_paused = true)]
async fn what_others_do_does_not_always_take_its_place() {
    let rows: [(&str, Others); 3] = [
        ("a pod is older than the change", |stage, web| {
            rolls(stage, web, "2027-01-15T08:00:30Z");
            put_pod(stage, "2023-11-14T22:13:19Z");
            has_rolled(stage, web);
        }),
        ("the template came back", |stage, web| {
            rolls(stage, web, "2027-01-15T08:00:30Z");
            stage.edit(web, |object| {
                object["spec"]["template"]["metadata"]["annotations"] = Value::Null;
            });
            put_pod(stage, "2027-01-15T08:00:31Z");
            has_rolled(stage, web);
        }),
        ("it changed again meanwhile", |stage, web| {
            rolls(stage, web, "2027-01-15T08:00:30Z");
            put_pod(stage, "2027-01-15T08:00:31Z");
            stage.secret("s", "A", "z");
            has_rolled(stage, web);
        }),
    ];
    for (name, others) in rows {
        let stage = Stage::set();
        let web = changed(&stage, "web");
        let (_work, _) = refused(&stage, &web).await;
        others(&stage, &web);
        stage.script.clear(PATCH);
        settle().await;
        assert!(stage.mark(&web).is_string(), "{name}: it is restarted");
        assert_eq!(annotation(&stage, &web, PENDING), None, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_is_pending_no_more() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let (_work, _) = refused(&stage, &web).await;
    stage.script.clear(PATCH);
    stage.secret("s", "A", "x");
    settle().await;
    assert_eq!(annotation(&stage, &web, PENDING), None);
    assert_eq!(stage.mark(&web), Value::Null);
    assert_eq!(stage.held("refused"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_marked_one_is_restarted_as_kubectl_does() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(annotate(deployment("web", &["s"]), MARK, "restartedAt"));
    stage.secret("s", "A", "y");
    let _work = start(&stage, 2);
    settle().await;
    let value = |stage: &Stage| {
        let object = stage.object(&web);
        let annotations = &object["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations[RESTARTED_FOR], Value::Null);
        annotations[KUBECTL_RESTARTED_AT]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = value(&stage);
    let at = annotation(&stage, &web, RESTARTED_AT).unwrap();
    assert!(
        at.starts_with('~') && at.ends_with(&format!("@{first}")),
        "{at}"
    );
    // Written in the same second: another value.
    stage.secret("s", "A", "z");
    settle().await;
    let (first, second): (jiff::Timestamp, jiff::Timestamp) =
        (first.parse().unwrap(), value(&stage).parse().unwrap());
    assert_eq!(second.duration_since(first).as_secs(), 1);
    assert_eq!(stage.pending().intents, 0);
    // The mark goes: somebody rolled it back.
    stage.edit(&web, |object| {
        object["spec"]["template"]["metadata"]["annotations"] = Value::Null;
    });
    settle().await;
    let third: jiff::Timestamp = value(&stage).parse().unwrap();
    assert!(third >= first);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_takes_the_mark_back_has_it_held() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let mut object = annotate(deployment("web", &["s"]), MARK, "restartedAt");
    object["metadata"]["ownerReferences"] = json!([{ "apiVersion": "v1", "kind": "App", "name": "boss", "uid": "o", "controller": true }]);
    let web = stage.adopted(object);
    let work = start(&stage, 2);
    for value in ["y", "z"] {
        stage.secret("s", "A", value);
        settle().await;
        assert_eq!(stage.held("taken_back"), 0);
        stage.edit(&web, |object| {
            object["spec"]["template"]["metadata"]["annotations"] = Value::Null;
        });
        settle().await;
        stage.judge.judge_all();
        assert_eq!((stage.held("taken_back"), stage.pending().intents), (1, 0));
        let template = &stage.object(&web)["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(*template, Value::Null);
    }
    work.end().await;
    let told = stage.told().await;
    let taken = told
        .iter()
        .filter(|said| said.starts_with("NotRestarted: App boss removed"));
    assert!(taken.count() >= 1, "{told:?}");
}
