//! Patches that are refused, or not answered; and watches that are behind.

use std::time::Duration;

use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_conflict_reads_the_workload_again_and_decides_again() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    // Somebody scaled it, and no watch has shown that.
    let written = stage
        .script
        .edit(&path(&web), |object| object["spec"]["replicas"] = json!(3));
    stage.script.turn(PATCH, Turn::refuse(422, "Invalid"));
    let work = start(&stage, 2);
    settle().await;
    let expected = [
        "PATCH n/deployments/web",
        "GET n/deployments/web",
        "PATCH n/deployments/web",
    ];
    assert_eq!(stage.script.lines(), expected);
    let after = stage.object(&web);
    assert_eq!(after["spec"]["replicas"], written["spec"]["replicas"]);
    assert_eq!(after["metadata"]["generation"], 2);
    assert_eq!(
        stage.metric("reroll_restart_failures_total{kind=\"Deployment\",reason=\"conflict\"}"),
        1
    );
    work.end().await;
    assert_eq!(
        stage.told().await,
        ["Restarted: Secret s was updated"],
        "one conflict is everyday"
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_one_restarts() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    let other = Stage::again(&stage.script, |other| {
        other.show_secret_now("s");
        other.show_now(&web);
    });
    let (_one, _two) = (start(&stage, 2), start(&other, 2));
    settle().await;
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
    let outcome = |stage: &Stage, outcome| {
        stage.metric(&format!("reroll_intents_total{{outcome=\"{outcome}\"}}"))
    };
    let done = outcome(&stage, "done") + outcome(&other, "done");
    let void = outcome(&stage, "void") + outcome(&other, "void");
    assert_eq!((done, void), (1, 1));
    assert_eq!(
        stage.script.count(PATCH),
        2,
        "the second one is refused by its tests"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_is_tried_again_later_each_time() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    stage.script.turn(PATCH, Turn::lose().always());
    let work = start(&stage, 2);
    stage.script.reach(PATCH, 8).await;
    let asked = stage.script.asked(PATCH);
    let mut least = Duration::from_millis(50);
    for pair in asked.windows(2) {
        let paused = (pair[1].at - pair[0].at).checked_sub(DEADLINE).unwrap();
        let most = least * 2 + Duration::from_millis(5);
        assert!(
            paused >= least && paused <= most,
            "{paused:?}, not {least:?} to {most:?}"
        );
        least *= 2;
    }
    assert_eq!(stage.pending().intents, 1);
    assert_eq!(stage.script.peak("PATCH"), 1);
    stage.script.clear(PATCH);
    settle().await;
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
    assert!(
        stage.metric("reroll_restart_failures_total{kind=\"Deployment\",reason=\"timeout\"}") >= 7
    );
    work.end().await;
    let told = stage.told().await;
    assert!(told[0].starts_with("RestartFailed: could not restart it, trying again: the API server did not answer in time"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_answer_is_lost_is_made_once() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    stage.script.turn(PATCH, Turn::serve().unanswered());
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
    assert_eq!((stage.script.count(PATCH), stage.pending().intents), (2, 0));
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"void\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_is_restarted_no_more() {
    let stage = Stage::set();
    let web = changed(&stage, "web");
    stage.script.remove(&path(&web));
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!((stage.script.count(PATCH), stage.pending().intents), (1, 0));
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"void\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_api_server_is_asked_where_the_watch_is_behind() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let (s, newer) = stage.put_secret("s", "A", "y");
    stage.observe(&s, &newer);
    stage.adopted(deployment("web", &["s"]));
    // It is of a version that no watch has shown. No answer: it is asked again.
    stage
        .script
        .turn("GET secrets/s", Turn::refuse(503, "ServiceUnavailable"));
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(stage.script.lines(), ["GET n/secrets/s"; 2]);
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"void\"}"), 1);
    assert_eq!(stage.pending().intents, 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_only_the_api_server_shows_has_a_quiet_period_of_its_own() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let (s, newer) = stage.put_secret("s", "A", "y");
    stage.observe(&s, &newer);
    let web = stage.adopted(deployment("web", &["s"]));
    stage.put_secret("s", "A", "z");
    let _work = start(&stage, 2);
    stage.script.reach(PATCH, 1).await;
    let (read, restarted) = (
        stage.script.asked("GET secrets/s"),
        stage.script.asked(PATCH),
    );
    assert_eq!(restarted[0].at - read[0].at, SETTLE);
    settle().await;
    assert_eq!(
        (
            stage.script.count("GET secrets/s"),
            stage.script.count(PATCH)
        ),
        (1, 1)
    );
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
}
