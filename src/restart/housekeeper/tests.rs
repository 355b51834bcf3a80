use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::testing::{DEADLINE, Gate, Turn},
    judge::{
        Settings,
        bucket::{Bounds, Pacing},
        intents::Finish,
        testing::*,
        tidying::SIDE_BY_SIDE,
    },
    model::{
        WorkloadKey,
        annotation::{OBSERVED, ON_ADOPT, RESTART_ON, RESTARTED_FOR, SUSPEND},
    },
    restart::testing::{LONG, settle, start},
};

const PATCH: &str = "PATCH deployments/";
const ADOPTED: &str = "reroll_adoptions_total";
const WRITTEN: &str = "reroll_housekeeping_writes_total";

/// Times of writes, since then.
fn at(stage: &Stage, began: Instant) -> Vec<Duration> {
    let asked = stage.script.asked(PATCH).into_iter();
    asked.map(|asked| asked.at - began).collect()
}

/// The revision that a Deployment has since it was created.
fn revision(stage: &Stage, key: &WorkloadKey) {
    revision_named(stage, key, "set");
}

fn revision_named(stage: &Stage, key: &WorkloadKey, name: &str) {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": key.name, "controller": true,
        "uid": stage.object(key)["metadata"]["uid"],
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": name, "namespace": "n", "labels": { "app": key.name }, "ownerReferences": [owner] },
    });
    stage.script.put(
        &format!("/apis/apps/v1/namespaces/n/replicasets/{name}"),
        set,
    );
}

/// A Secret that was written a day after everything was created.
fn written_later(stage: &Stage) {
    stage.put_secret("s", "A", "x");
    stage.script.edit(&secret_path("s"), |secret| {
        secret["metadata"]["creationTimestamp"] = json!("2023-11-15T22:13:20Z");
    });
    stage.show_secret_now("s");
}

#[tokio::test(start_paused = true)]
async fn what_opts_in_is_adopted_by_one_write_that_restarts_nothing() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.workload(deployment("web", &["s"]));
    let work = start(&stage, 2);
    settle().await;
    let asked = stage.script.asked(PATCH);
    assert_eq!(asked.len(), 1);
    let after = stage.object(&web);
    let observed = &after["metadata"]["annotations"][OBSERVED];
    assert_eq!(
        asked[0].body,
        json!([
            { "op": "test", "path": "/metadata/uid", "value": after["metadata"]["uid"] },
            { "op": "test", "path": "/metadata/annotations/reroll.dev~1observed", "value": null },
            { "op": "add", "path": "/metadata/annotations/reroll.dev~1observed", "value": observed },
        ])
    );
    assert!(
        observed.as_str().unwrap().contains("\"rf\":\"\""),
        "{observed}"
    );
    assert_eq!((stage.metric(ADOPTED), stage.metric(WRITTEN)), (1, 1));
    stage.show_now(&web);
    stage.judge.judge_all();
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
    // What it was adopted with counts.
    stage.secret("s", "A", "y");
    settle().await;
    assert_eq!(stage.script.count(PATCH), 2);
    work.end().await;
    assert_eq!(stage.told().await, ["Restarted: Secret s was updated"]);
}

/// It is not restarted, but what comes after its adoption is news.
#[tokio::test(start_paused = true)]
async fn what_is_suspended_is_adopted_while_something_is_absent() {
    let stage = Stage::set();
    let web = stage.workload(annotate(deployment("web", &["s"]), SUSPEND, "true"));
    let _work = start(&stage, 2);
    settle().await;
    let observed = stage.object(&web)["metadata"]["annotations"][OBSERVED].clone();
    let observed = observed.as_str().unwrap_or_default();
    assert!(observed.contains("\"secret/s\":\"waiting\""), "{observed}");
}

#[tokio::test(start_paused = true)]
async fn what_opts_out_is_let_go() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let _work = start(&stage, 2);
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][RESTART_ON] = json!("off");
    });
    settle().await;
    assert_eq!(
        stage.object(&web)["metadata"]["annotations"],
        json!({ RESTART_ON: "off" })
    );
    assert_eq!((stage.script.count(PATCH), stage.metric(ADOPTED)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_written_than_the_rate_allows() {
    let stage = Stage::with(Settings {
        adopt_rate: Some(2.0),
        ..settings()
    });
    stage.secret("s", "A", "x");
    for number in 0..14 {
        let mut object = deployment(&format!("web-{number:02}"), &["s"]);
        let kinds = ["StatefulSet", "DaemonSet"];
        object["kind"] = json!(kinds[number % 2]);
        stage.workload(object);
    }
    let (began, _work) = (Instant::now(), start(&stage, 2));
    settle().await;
    let kinds = ["PATCH statefulsets", "PATCH daemonsets"];
    let asked = kinds.into_iter().flat_map(|kind| stage.script.asked(kind));
    let at = asked.map(|asked| (asked.at - began).as_millis());
    let mut at: Vec<_> = at.collect();
    at.sort_unstable();
    assert_eq!(at, [[0; 10].as_slice(), &[500, 1000, 1500, 2000]].concat());
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_that_of_the_controller() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let all: Vec<_> = (0..5)
        .map(|number| stage.workload(deployment(&format!("web-{number}"), &["s"])))
        .collect();
    let (began, _work) = (Instant::now(), start(&stage, 2));
    // It does not keep up: only a few may be behind.
    stage.script.reach(PATCH, 2).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(stage.script.count(PATCH), 2);
    // One of them is seen: another is written at once.
    let seen = |key: &WorkloadKey| {
        let generation = stage.object(key)["metadata"]["generation"].clone();
        stage.edit(key, |object| {
            object["status"]["observedGeneration"] = generation;
        });
    };
    let asked = Instant::now();
    let first = stage.script.asked(PATCH).remove(0).path;
    seen(all.iter().find(|key| path(key) == first).unwrap());
    stage.script.reach(PATCH, 3).await;
    assert!(asked.elapsed() < Duration::from_millis(10));
    settle().await;
    let at = at(&stage, began);
    assert_eq!(at.len(), 5, "it is given up after a while: {at:?}");
    assert!(
        at[1].checked_sub(at[0]).unwrap() >= Duration::from_millis(100),
        "{at:?}"
    );
    assert!(at[3] >= Duration::from_secs(10), "{at:?}");
}

/// As many as are there, one of a kind until one was written.
#[tokio::test(start_paused = true)]
async fn no_kind_waits_for_the_answer_of_another() {
    const KINDS: [(&str, &str); 3] = [
        ("DaemonSet", "PATCH daemonsets/"),
        ("Deployment", "PATCH deployments/"),
        ("StatefulSet", "PATCH statefulsets/"),
    ];
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let gate = Gate::closed();
    for (kind, patch) in KINDS {
        stage.script.turn(patch, Turn::serve().held(&gate).always());
        for name in ["one", "two"] {
            let mut object = deployment(name, &["s"]);
            object["kind"] = json!(kind);
            stage.workload(object);
        }
    }
    let work = start(&stage, 2);
    for (_, patch) in KINDS {
        stage.script.reach(patch, 1).await;
    }
    sleep(DEADLINE / 2).await;
    let counts = || KINDS.map(|(_, patch)| stage.script.count(patch));
    assert_eq!(counts(), [1, 1, 1]);
    gate.open(6);
    settle().await;
    assert_eq!((counts(), stage.metric(ADOPTED)), ([2, 2, 2], 6));
    work.end().await;
}

/// Whether its writes are work for the controller is known when the first was made.
#[tokio::test(start_paused = true)]
async fn many_of_a_kind_are_written_side_by_side_where_that_is_no_work_for_its_controller() {
    for (kind, patch, side_by_side) in [
        ("DaemonSet", "PATCH daemonsets/", SIDE_BY_SIDE),
        ("Deployment", PATCH, 1),
        ("StatefulSet", "PATCH statefulsets/", SIDE_BY_SIDE),
    ] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let gate = Gate::closed();
        stage.script.turn(patch, Turn::serve().held(&gate).always());
        for number in 0..20 {
            let mut object = deployment(&format!("web-{number:02}"), &["s"]);
            object["kind"] = json!(kind);
            stage.workload(object);
        }
        let work = start(&stage, 2);
        stage.script.reach(patch, 1).await;
        sleep(DEADLINE / 2).await;
        assert_eq!(stage.script.count(patch), 1, "{kind}");
        gate.open(1);
        stage.script.reach(patch, 1 + side_by_side).await;
        sleep(DEADLINE / 4).await;
        assert_eq!(stage.script.count(patch), 1 + side_by_side, "{kind}");
        gate.open(20);
        // The Deployments' controller does not keep up here.
        settle().await;
        let found = (stage.script.count(patch), stage.metric(ADOPTED));
        assert_eq!(found, (20, 20), "{kind}");
        work.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_made_later_and_told_once() {
    for (what, turn) in [
        ("error", Turn::refuse(500, "InternalError")),
        ("conflict", Turn::refuse(409, "Conflict")),
        ("never seen", Turn::lose()),
        ("answer lost", Turn::serve().unanswered()),
    ] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let web = stage.workload(deployment("web", &["s"]));
        stage.script.turn(PATCH, turn);
        let _work = start(&stage, 2);
        stage.script.reach(PATCH, 1).await;
        // Its controller has seen it, whatever it is.
        stage.script.edit(&path(&web), |object| {
            object["status"]["observedGeneration"] = object["metadata"]["generation"].clone();
        });
        settle().await;
        let found = (stage.script.count(PATCH), stage.metric(ADOPTED));
        assert_eq!(found, (2, 1), "{what}: {:#?}", stage.script.lines());
        assert!(stage.object(&web)["metadata"]["annotations"][OBSERVED].is_string());
        assert_eq!(stage.judge.docket().tidying.next(Instant::now()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_it_is_known_what_was_adopted() {
    for list in ["GET replicasets$", "GET deployments/web"] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let web = stage.workload(deployment("web", &["s"]));
        revision(&stage, &web);
        stage
            .script
            .turn(list, Turn::refuse(503, "ServiceUnavailable").always());
        let _work = start(&stage, 2);
        sleep(LONG / 30).await;
        assert!(stage.script.count(list) > 3);
        assert_eq!(stage.script.count(PATCH), 0);
        stage.script.clear(list);
        settle().await;
        assert_eq!((stage.script.count(PATCH), stage.metric(ADOPTED)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_holds_no_adoption_up() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    stage.workload(deployment("web", &["s"]));
    stage
        .script
        .turn("GET replicasets$", Turn::refuse(403, "Forbidden").always());
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!((stage.script.count(PATCH), stage.metric(ADOPTED)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_the_workload_is_restarted() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.secret("s", "A", "y");
    stage.script.turn(PATCH, Turn::lose());
    let _work = start(&stage, 2);
    stage.script.reach(PATCH, 1).await;
    // Somebody took the annotation away: it is to be written again.
    stage.edit(&web, |object| {
        let annotations = object["metadata"]["annotations"].as_object_mut();
        annotations.unwrap().remove(OBSERVED);
    });
    assert!(stage.judge.docket().tidying.next(Instant::now()).is_some());
    sleep(DEADLINE / 2).await;
    assert_eq!(stage.script.lines(), ["PATCH n/deployments/web"]);
    settle().await;
    let after = stage.object(&web);
    assert!(after["metadata"]["annotations"][OBSERVED].is_string());
    let mark = &after["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR];
    assert!(mark.is_string());
    assert_eq!((stage.script.count(PATCH), stage.metric(ADOPTED)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_taken_is_written_when_it_is_over() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.workload(deployment("web", &["s"]));
    let now = Instant::now();
    stage
        .judge
        .docket()
        .intents
        .noticed(&web, now, Duration::ZERO);
    let intent = stage.judge.docket().intents.take(now).unwrap();
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.lines(), Vec::<String>::new());
    stage
        .judge
        .docket()
        .intents
        .finish(intent, Finish::Over, Instant::now());
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_than_the_pods_is_told_at_adoption() {
    let stage = Stage::set();
    written_later(&stage);
    let web = stage.workload(deployment("web", &["s"]));
    revision(&stage, &web);
    let work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
    assert_eq!(
        stage.object(&web)["spec"]["template"]["metadata"]["annotations"],
        Value::Null
    );
    assert_eq!(
        (
            stage.metric(ADOPTED),
            stage.metric("reroll_adopted_outdated_sources_total")
        ),
        (1, 1)
    );
    work.end().await;
    let told = stage.told().await;
    assert!(
        told.len() == 1 && told[0].starts_with("AdoptedOutdated: Secret s "),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_than_the_pods_restarts_where_the_workload_asks_for_it() {
    let stage = Stage::set();
    written_later(&stage);
    let web = stage.workload(annotate(deployment("web", &["s"]), ON_ADOPT, "restart"));
    revision(&stage, &web);
    let work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1, "the same write adopts it");
    let after = stage.object(&web);
    assert!(after["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR].is_string());
    assert!(after["metadata"]["annotations"][OBSERVED].is_string());
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"outdated\"}"),
        1
    );
    assert_eq!(stage.metric(ADOPTED), 1);
    stage.show_now(&web);
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
    work.end().await;
    let told = stage.told().await;
    assert!(told[0].starts_with("Restarted: Secret s "), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_than_the_pods_restarts_no_faster_than_others() {
    let all = Pacing {
        rate: Some(1.0),
        burst: 2,
    };
    let stage = Stage::with(Settings {
        bounds: Bounds::paced(all),
        ..settings()
    });
    written_later(&stage);
    for number in 0..6 {
        let name = format!("web-{number}");
        let web = stage.workload(annotate(deployment(&name, &["s"]), ON_ADOPT, "restart"));
        revision_named(&stage, &web, &name);
    }
    let (began, work) = (Instant::now(), start(&stage, 2));
    settle().await;
    let at: Vec<_> = at(&stage, began).iter().map(Duration::as_secs).collect();
    assert_eq!(at, [0, 0, 1, 2, 3, 4]);
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"outdated\"}"),
        6
    );
    assert_eq!(stage.pending().intents, 0);
    work.end().await;
}

/// New pods could not start: the old ones stay until what they need is back.
#[tokio::test(start_paused = true)]
async fn what_is_newer_than_the_pods_restarts_when_nothing_that_they_need_is_absent() {
    let stage = Stage::set();
    written_later(&stage);
    let web = deployment("web", &["needed", "s"]);
    let web = stage.workload(annotate(web, ON_ADOPT, "restart"));
    revision(&stage, &web);
    let work = start(&stage, 2);
    sleep(LONG).await;
    assert_eq!(stage.mark(&web), Value::Null);
    let after = stage.object(&web);
    assert!(after["metadata"]["annotations"][OBSERVED].is_string());
    work.crash().await;

    // Another process knows by what was written.
    let again = Stage::again(&stage.script, |again| {
        again.show_secret_now("s");
        again.show_now(&web);
    });
    let work = start(&again, 2);
    sleep(LONG).await;
    assert_eq!(again.mark(&web), Value::Null);
    again.secret("needed", "B", "x");
    sleep(LONG).await;
    assert!(again.mark(&web).is_string());
    let written = again.script.count(PATCH);
    sleep(LONG).await;
    assert_eq!(again.script.count(PATCH), written);
    work.end().await;
    let told = again.told().await;
    assert!(
        told.iter()
            .any(|one| one.starts_with("Restarted: Secret s was updated")),
        "{told:?}"
    );
}

/// What is held by settings is pending.
#[tokio::test(start_paused = true)]
async fn what_is_newer_than_the_pods_restarts_when_it_is_suspended_no_more() {
    let stage = Stage::set();
    written_later(&stage);
    let web = annotate(deployment("web", &["s"]), ON_ADOPT, "restart");
    let web = stage.workload(annotate(web, SUSPEND, "true"));
    revision(&stage, &web);
    let _work = start(&stage, 2);
    sleep(LONG).await;
    assert_eq!(stage.mark(&web), Value::Null);
    stage.edit(&web, |object| {
        object["metadata"]["annotations"][SUSPEND] = json!("false");
    });
    sleep(LONG).await;
    assert!(stage.mark(&web).is_string());
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_may_be_asked_for_waits_until_that_is_known() {
    let stage = Stage::set();
    written_later(&stage);
    let web = stage.workload(annotate(deployment("web", &["s"]), ON_ADOPT, "restart"));
    revision(&stage, &web);
    // Its controller has not seen it yet: there may be a newer revision.
    stage.edit(&web, |object| {
        object["status"]["observedGeneration"] = json!(0);
    });
    let _work = start(&stage, 2);
    sleep(LONG / 30).await;
    assert_eq!(stage.script.count(PATCH), 0);
    stage.edit(&web, |object| {
        object["status"]["observedGeneration"] = json!(1);
    });
    settle().await;
    assert_eq!(stage.script.count(PATCH), 1);
    assert!(
        stage.object(&web)["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR]
            .is_string()
    );
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_writes_nothing() {
    let stage = Stage::set();
    stage.lead(false);
    stage.secret("s", "A", "x");
    stage.workload(deployment("web", &["s"]));
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.lines(), Vec::<String>::new());
    stage.lead(true);
    stage.script.reach(PATCH, 1).await;
}
