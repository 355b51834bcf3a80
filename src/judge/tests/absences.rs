//! What workloads need and is absent: counted at once, told once, and no restart.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    judge::{absences::TOLD_AFTER, missing::tell},
    model::{
        SourceKey, SourceName, WorkloadKey,
        annotation::{OBSERVED, PENDING, RESTART_ON, SUSPEND},
    },
};

fn source(name: &str) -> SourceKey {
    SourceKey {
        namespace: crate::model::testing::NAMESPACE.to_owned(),
        source: SourceName::secret(name),
    }
}

fn delete(stage: &Stage, name: &str) {
    // A later write has a later number.
    let (_, later) = stage.put_secret("another", "A", "x");
    stage
        .judge
        .source_deleted(&source(name), later.resource_version);
}

async fn after(stage: &Stage, time: Duration) {
    advance(time).await;
    tell(&stage.judge);
}

/// A short time, and what is left of the minute without it.
const INSTANT: Duration = Duration::from_millis(1);
const NEARLY: Duration = Duration::from_millis(59_999);

const GONE: &str = "SourceMissing: Secret s does not exist: new pods do not start. Create it, or remove the reference";

#[tokio::test(start_paused = true)]
async fn it_is_counted_at_once_and_told_once_after_a_minute() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    assert_eq!(stage.held("missing"), 0);
    delete(&stage, "s");
    assert_eq!((stage.held("missing"), stage.pending().intents), (1, 0));
    after(&stage, NEARLY).await;
    assert_eq!(
        stage.judge.docket().absences.next(Instant::now()),
        Some(Instant::now() + INSTANT)
    );
    for _ in 0..3 {
        after(&stage, INSTANT).await;
        stage.show_now(&web);
        stage.judge.judge_all();
    }
    assert_eq!(stage.held("missing"), 1);
    stage.secret("s", "A", "x");
    assert_eq!(stage.held("missing"), 0);
    assert_eq!(stage.told().await, [GONE]);
}

#[tokio::test(start_paused = true)]
async fn what_is_back_within_a_minute_is_not_told() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    stage.adopted(deployment("web", &["s"]));
    delete(&stage, "s");
    after(&stage, TOLD_AFTER / 2).await;
    stage.secret("s", "B", "x");
    after(&stage, TOLD_AFTER).await;
    assert_eq!((stage.held("missing"), stage.pending().intents), (0, 1));
    assert!(stage.told().await.is_empty());
}

/// Another source changes while one is absent: that restart waits, and is told when the quiet period is over.
#[tokio::test(start_paused = true)]
async fn a_restart_that_waits_is_told_when_its_quiet_period_is_over() {
    for (back_after, told) in [(SETTLE / 2, 0), (SETTLE * 2, 1)] {
        let stage = Stage::set();
        for name in ["s", "t"] {
            stage.secret(name, "A", "x");
        }
        stage.adopted(deployment("web", &["s", "t"]));
        delete(&stage, "s");
        stage.secret("t", "A", "y");
        assert_eq!((stage.held("missing"), stage.pending().intents), (1, 0));
        after(&stage, back_after).await;
        stage.secret("s", "B", "x");
        after(&stage, TOLD_AFTER).await;
        let all = stage.told().await;
        let waits = "RestartWaits: Secret t was updated; reroll restarts it when Secret s exists with all required keys";
        assert_eq!(all, vec![waits; told], "{back_after:?}");
    }
}

/// Changes an object before it is shown.
type Edit = fn(&mut Value);

#[tokio::test(start_paused = true)]
async fn what_counts_and_what_does_not() {
    let first = "/spec/template/spec/containers/0";
    let rows: [(&str, Edit, u64); 8] = [
        ("required", |_| {}, 1),
        (
            "suspended",
            |it| it["metadata"]["annotations"][SUSPEND] = json!("true"),
            1,
        ),
        ("scaled to none", |it| it["spec"]["replicas"] = json!(0), 1),
        (
            "optional",
            |it| {
                it["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["secretRef"]["optional"] =
                    json!(true);
            },
            0,
        ),
        (
            "named and not referenced",
            |it| {
                it["metadata"]["annotations"][RESTART_ON] = json!("secret/s");
                it["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([]);
            },
            0,
        ),
        (
            "matched by a pattern and not referenced",
            |it| {
                it["metadata"]["annotations"][RESTART_ON] = json!("secret/*");
                it["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([]);
            },
            0,
        ),
        (
            "not opted in",
            |it| it["metadata"]["annotations"][RESTART_ON] = json!("off"),
            0,
        ),
        (
            "owned",
            |it| {
                it["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": "example.com/v1", "kind": "App", "name": "app", "uid": "u", "controller": true,
                }]);
            },
            0,
        ),
    ];
    for (name, edit, expected) in rows {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let mut object = deployment("web", &["s"]);
        edit(&mut object);
        assert!(object.pointer(first).is_some());
        let opted_in = object["metadata"]["annotations"][RESTART_ON] != "off" && name != "owned";
        if opted_in {
            stage.adopted(object);
        } else {
            stage.workload(object);
        }
        delete(&stage, "s");
        assert_eq!(stage.held("missing"), expected, "{name}");
        after(&stage, TOLD_AFTER).await;
        let told = stage.told().await;
        let told = told.iter().filter(|one| one.starts_with("SourceMissing"));
        assert_eq!(told.count() as u64, expected, "{name}");
    }
}

/// A process that starts when it is gone already, and another that leads later.
#[tokio::test(start_paused = true)]
async fn a_process_that_starts_begins_the_minute_anew_and_makes_the_same_event() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let object = stage.object(&web);
    delete(&stage, "s");
    after(&stage, TOLD_AFTER).await;
    let script = stage.script.clone();
    assert_eq!(stage.told().await, [GONE]);
    let name = |number: usize| {
        let asked = script.asked("POST events.k8s.io");
        asked[number].body["metadata"]["name"].clone()
    };
    let first = name(0);

    let again = Stage::again(&script, |stage| _ = stage.show(&object));
    again.lead(false);
    assert_eq!(again.held("missing"), 1);
    after(&again, TOLD_AFTER / 2).await;
    assert_eq!(again.judge.docket().absences.each().count(), 1);
    // The one that follows does not tell; when it leads it goes on with what it saw.
    again.lead(true);
    after(&again, TOLD_AFTER / 2).await;
    assert_eq!(again.told().await.last().map(String::as_str), Some(GONE));
    let asked = script.asked("POST events.k8s.io").len();
    assert_eq!(name(asked - 1), first, "the API server takes one of them");
}

fn is_pending(stage: &Stage, web: &WorkloadKey) -> bool {
    let index = stage.state.index();
    let tracked = index.workload(web).unwrap();
    tracked.workload.pending.is_some() && !tracked.is_pending_over()
}

/// A restart was due and held; then its source went. What stands is kept while that may be a recreation.
#[tokio::test(start_paused = true)]
async fn pending_is_only_for_what_is_due() {
    let pending = r#"{"since":"2026-01-01T00:00:00Z","reason":"suspended","causes":"c","id":"i"}"#;
    for (lasts, stays) in [(TOLD_AFTER / 2, true), (TOLD_AFTER, false)] {
        let stage = Stage::set();
        for name in ["s", "t"] {
            stage.secret(name, "A", "x");
        }
        let web = stage.adopted(deployment("web", &["s", "t"]));
        let observed = stage.object(&web)["metadata"]["annotations"][OBSERVED].clone();
        stage.secret("s", "A", "y");
        stage.edit(&web, |it| {
            it["metadata"]["annotations"][PENDING] = json!(pending);
        });
        assert_eq!(
            stage.object(&web)["metadata"]["annotations"][OBSERVED],
            observed
        );
        assert!(is_pending(&stage, &web), "due");
        delete(&stage, "s");
        after(&stage, lasts).await;
        stage.judge.judge_all();
        assert_eq!(is_pending(&stage, &web), stays);
        // While another change is due, it stays.
        stage.secret("t", "A", "y");
        assert!(is_pending(&stage, &web));
    }
}

/// A Secret that is there, and no key of it that is needed; or what needs none of it.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_required_counts_and_others_do_not() {
    let volume = |source: Value, mount: Value| {
        json!({
            "containers": [{ "name": "c", "volumeMounts": [mount] }],
            "volumes": [{ "name": "v", "secret": source }],
        })
    };
    let whole = || json!({ "name": "v", "mountPath": "/v" });
    let file = json!({ "name": "v", "mountPath": "/v/other", "subPath": "other" });
    let of_key = |key: &str, optional: bool| {
        let from = json!({ "secretKeyRef": { "name": "s", "key": key, "optional": optional } });
        json!({ "containers": [{ "name": "c", "env": [{ "name": "V", "valueFrom": from }] }] })
    };
    let items = json!([{ "key": "other", "path": "p" }]);
    let rows = [
        ("a key that is there", of_key("k", false), 0),
        ("a key that is absent", of_key("other", false), 1),
        ("an optional key", of_key("other", true), 0),
        (
            "an item",
            volume(json!({ "secretName": "s", "items": items }), whole()),
            1,
        ),
        (
            "an item of an optional volume",
            volume(
                json!({ "secretName": "s", "items": items, "optional": true }),
                whole(),
            ),
            0,
        ),
        (
            "a file that becomes a directory",
            volume(json!({ "secretName": "s" }), file),
            0,
        ),
        (
            "a volume as a whole",
            volume(json!({ "secretName": "s" }), whole()),
            0,
        ),
    ];
    for (name, pod, expected) in rows {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let mut object = deployment("web", &["s"]);
        object["spec"]["template"]["spec"] = pod;
        // Whether its pods have started is not known yet; that changes nothing.
        stage.workload(object);
        assert_eq!(stage.held("missing"), expected, "{name}");
        after(&stage, TOLD_AFTER).await;
        let lacks = "SourceMissing: Secret s lacks a required key: new pods do not start. Add the key, or remove the reference";
        let told = vec![lacks; usize::try_from(expected).unwrap()];
        assert_eq!(stage.told().await, told, "{name}");
    }
}
