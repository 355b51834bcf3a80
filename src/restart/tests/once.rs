//! One change is one patch.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    judge::{
        Settings,
        bucket::{Bounds, Pacing},
    },
    model::{
        annotation::{RESERVE, ROLLOUT_OPENED, TOTAL_LIMIT},
        workload::Opened,
    },
};

#[tokio::test(start_paused = true)]
async fn an_intent_that_is_due_is_one_patch_that_tests_and_restarts() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let before = stage.object(&web);
    let (began, work) = (Instant::now(), start(&stage, 2));
    stage.script.reach(PATCH, 1).await;
    let asked = stage.script.asked(PATCH).remove(0);
    assert_eq!(asked.at - began, SETTLE);
    assert!(asked.query.contains("fieldManager=reroll"), "{asked:?}");
    settle().await;
    let after = stage.object(&web);
    let annotations = &after["metadata"]["annotations"];
    let mark = &after["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR];
    let template = "/spec/template/metadata/annotations";
    assert_eq!(
        asked.body,
        json!([
            { "op": "test", "path": "/metadata/uid", "value": "uid-web" },
            { "op": "test", "path": "/metadata/annotations/reroll.dev~1observed", "value": before["metadata"]["annotations"][OBSERVED] },
            { "op": "replace", "path": "/metadata/annotations/reroll.dev~1observed", "value": annotations[OBSERVED] },
            { "op": "add", "path": "/metadata/annotations/reroll.dev~1last-restart", "value": "2027-01-15T08:00:00Z: Secret s was updated" },
            { "op": "add", "path": "/metadata/annotations/reroll.dev~1rollout", "value": annotations[ROLLOUT_OPENED] },
            { "op": "test", "path": template, "value": null },
            { "op": "add", "path": template, "value": {} },
            { "op": "test", "path": format!("{template}/reroll.dev~1restarted-for"), "value": null },
            { "op": "add", "path": format!("{template}/reroll.dev~1restarted-for"), "value": mark },
        ])
    );
    let observed = annotations[OBSERVED].as_str().unwrap();
    assert!(observed.contains(&format!("\"rf\":{mark}")), "{observed}");
    let opened = Opened::read(annotations[ROLLOUT_OPENED].as_str().unwrap()).unwrap();
    assert_eq!(opened.mark, mark.as_str().unwrap());
    assert_eq!(opened.versions.len(), 1);
    assert_eq!(after["metadata"]["generation"], 2);
    // The answer tells how it is now, so nothing else was asked.
    assert_eq!(stage.script.lines(), ["PATCH n/deployments/web"]);
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"done\"}"), 1);
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Deployment\",cause=\"updated\"}"),
        1
    );
    work.end().await;
    assert_eq!(stage.told().await, ["Restarted: Secret s was updated"]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_counts_although_the_watch_shows_what_was_before() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let before = stage.object(&web);
    let _work = start(&stage, 2);
    stage.script.reach(PATCH, 1).await;
    for _ in 0..5 {
        sleep(SETTLE).await;
        stage.show(&before);
        stage.judge.judge_all();
    }
    stage.show_now(&web);
    settle().await;
    assert_eq!(stage.script.lines(), ["PATCH n/deployments/web"]);
    // The next change is another.
    stage.secret("s", "A", "z");
    settle().await;
    assert_eq!(stage.script.count(PATCH), 2);
    assert_eq!(stage.object(&web)["metadata"]["generation"], 3);
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_restarted_is_restarted_after_that() {
    let (stage, gate) = (Stage::set(), Gate::closed());
    let web = changed(&stage, "web");
    stage.script.turn(PATCH, Turn::serve().held(&gate));
    let _work = start(&stage, 2);
    stage.script.reach(PATCH, 1).await;
    stage.secret("s", "A", "z");
    sleep(SETTLE * 2).await;
    assert_eq!(
        stage.script.count(PATCH),
        1,
        "never two at once of one workload"
    );
    gate.open(1);
    settle().await;
    assert_eq!(stage.script.count(PATCH), 2);
    assert_eq!(stage.object(&web)["metadata"]["generation"], 3);
    assert_eq!(stage.pending().intents, 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_are_under_way() {
    let (stage, gate) = (Stage::set(), Gate::closed());
    stage.secret("s", "A", "x");
    let all: Vec<_> = (0..10)
        .map(|number| stage.adopted(deployment(&format!("web-{number}"), &["s"])))
        .collect();
    stage.secret("s", "A", "y");
    stage.script.turn(PATCH, Turn::serve().held(&gate).always());
    let _work = start(&stage, 3);
    for done in [3, 4, 6] {
        stage.script.reach(PATCH, done).await;
        sleep(DEADLINE / 20).await;
        assert_eq!(stage.script.count(PATCH), done);
        gate.open(if done == 3 { 1 } else { 2 });
    }
    gate.open(10);
    stage.script.reach(PATCH, 10).await;
    settle().await;
    assert_eq!(
        (stage.script.count(PATCH), stage.script.peak("PATCH")),
        (10, 3)
    );
    for key in all {
        assert_eq!(stage.object(&key)["metadata"]["generation"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pace_holds() {
    let all = Pacing {
        rate: Some(0.5),
        burst: 2,
    };
    let stage = Stage::with(Settings {
        bounds: Bounds::paced(all),
        ..settings()
    });
    stage.secret("s", "A", "x");
    for number in 0..5 {
        stage.adopted(deployment(&format!("web-{number}"), &["s"]));
    }
    stage.secret("s", "A", "y");
    let (began, _work) = (Instant::now(), start(&stage, 5));
    stage.script.reach(PATCH, 5).await;
    let at = stage
        .script
        .asked(PATCH)
        .into_iter()
        .map(|asked| (asked.at - began).as_secs());
    assert_eq!(at.collect::<Vec<_>>(), [2, 2, 4, 6, 8]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_sends_nothing_and_tells_what_is_held_when_it_does() {
    let stage = Stage::set();
    stage.lead(false);
    let web = changed(&stage, "web");
    stage.adopted(annotate(deployment("bare", &["s"]), SUSPEND, "true"));
    stage.secret("s", "A", "z");
    stage.workload(deployment("new", &["s"]));
    let work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.lines(), Vec::<String>::new());
    assert_eq!((stage.pending().intents, stage.held("suspended")), (1, 1));
    stage.lead(true);
    settle().await;
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
    stage.lead(false);
    let sent = stage.script.lines().len();
    stage.secret("s", "A", "a");
    settle().await;
    assert_eq!(stage.script.lines().len(), sent);
    stage.lead(true);
    settle().await;
    assert_eq!(stage.object(&web)["metadata"]["generation"], 3);
    work.end().await;
    let told = stage.told().await;
    let held: Vec<_> = told
        .iter()
        .filter(|told| told.starts_with("RestartSuspended"))
        .collect();
    // Once by each leader.
    assert!(
        held.len() == 1 && held[0].ends_with("(2 times)"),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_held_until_it_has() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let full = "x".repeat(TOTAL_LIMIT - RESERVE);
    let web = stage.adopted(annotate(
        deployment("web", &["s"]),
        "example.com/full",
        &full,
    ));
    stage.secret("s", "A", "y");
    let work = start(&stage, 2);
    settle().await;
    stage.judge.judge_all();
    settle().await;
    assert_eq!(stage.held("no_room"), 1);
    assert_eq!(stage.script.lines(), Vec::<String>::new());
    stage.edit(&web, |object| {
        object["metadata"]["annotations"]["example.com/full"] = json!("x");
    });
    settle().await;
    assert_eq!((stage.held("no_room"), stage.script.count(PATCH)), (0, 1));
    work.end().await;
    let told = stage.told().await;
    let words: Vec<_> = told
        .iter()
        .map(|told| told.split(':').next().unwrap())
        .collect();
    assert_eq!(words, ["NoRoom", "Restarted"], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_the_schema_would_drop_is_not_made() {
    for drops in [true, false] {
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let mut object = deployment("web", &["s"]);
        object["apiVersion"] = json!("argoproj.io/v1alpha1");
        object["kind"] = json!("Rollout");
        let web = stage.adopted(object);
        if drops {
            stage.script.turn(
                "PATCH rollouts?dryRun",
                Turn::say(200, &stage.object(&web)).always(),
            );
        }
        stage.secret("s", "A", "y");
        let _work = start(&stage, 2);
        stage.script.reach("PATCH rollouts?dryRun", 1).await;
        settle().await;
        let restarted = stage.object(&web)["metadata"]["generation"] == 2;
        assert_eq!(
            (restarted, stage.held("dropped")),
            (!drops, u64::from(drops))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_under_way_and_begins_nothing() {
    let (stage, gate) = (Stage::set(), Gate::closed());
    stage.secret("s", "A", "x");
    let both = ["a", "b"].map(|name| stage.adopted(deployment(name, &["s"])));
    stage.secret("s", "A", "y");
    stage.script.turn(PATCH, Turn::serve().held(&gate));
    let work = start(&stage, 1);
    stage.script.reach(PATCH, 1).await;
    let ends = tokio::spawn(work.end());
    sleep(Duration::from_secs(1)).await;
    assert!(!ends.is_finished());
    gate.open(1);
    ends.await.unwrap();
    let restarted = both
        .iter()
        .filter(|key| stage.object(key)["metadata"]["generation"] == 2);
    assert_eq!(restarted.count(), 1);
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"done\"}"), 1);
    assert_eq!(stage.pending().intents, 1);
}
