mod crash;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::testing::Turn,
    judge::testing::*,
    model::{
        WorkloadKey,
        annotation::{LAST_RESTART, OBSERVED, RESTARTED_FOR},
    },
    restart::testing::{OWN, job, settle, start_with_jobs},
};

const DELETE: &str = "DELETE jobs/migrate";
const CREATE: &str = "POST jobs$?fieldManager";
const DRY_RUN: &str = "POST jobs$?dryRun";

/// A Job whose Secret has changed.
fn changed(stage: &Stage) -> WorkloadKey {
    stage.secret("s", "A", "x");
    let key = stage.adopted(job("migrate"));
    stage.secret("s", "A", "y");
    key
}

fn stored() -> String {
    format!("/api/v1/namespaces/{OWN}/secrets/reroll-kept-job-uid-migrate")
}

/// How often a Job was really created.
fn created(stage: &Stage) -> usize {
    stage.script.count("POST jobs$") - stage.script.count(DRY_RUN)
}

/// The garbage collector is done, and the watch shows it.
fn collect(stage: &Stage, key: &WorkloadKey) {
    let goes = stage.object(key);
    assert!(goes["metadata"]["deletionTimestamp"].is_string(), "{goes}");
    stage.script.remove(&path(key));
    stage.judge.workload_deleted(key);
}

fn is_new(job: &Value) -> bool {
    job["metadata"]["uid"] != "uid-migrate"
}

#[tokio::test(start_paused = true)]
async fn a_job_is_made_again_when_the_old_one_is_gone() {
    let stage = Stage::set();
    let key = changed(&stage);
    let before = stage.object(&key);
    let (work, jobs) = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    assert_eq!(
        stage.script.lines()[..5],
        [
            "GET reroll/secrets",
            "GET n/jobs/migrate",
            "POST n/jobs?dry",
            "POST reroll/secrets",
            "DELETE n/jobs/migrate",
        ]
    );
    let deleted = stage.script.asked(DELETE).remove(0).body;
    let version = &before["metadata"]["resourceVersion"];
    assert_eq!(
        deleted["preconditions"],
        json!({ "uid": "uid-migrate", "resourceVersion": version })
    );
    assert_eq!(deleted["propagationPolicy"], "Foreground");
    assert!(stage.script.object(&stored()).is_some());
    settle().await;
    assert_eq!(
        (created(&stage), jobs.under_way().len()),
        (0, 1),
        "the pods of the old one may run still"
    );
    // Between two looks.
    sleep(SETTLE).await;
    let began = Instant::now();
    collect(&stage, &key);
    stage
        .script
        .reach("DELETE secrets/reroll-kept-job", 1)
        .await;
    assert!(began.elapsed().is_zero(), "a watch shows that it can go on");
    settle().await;
    let after = stage.object(&key);
    let annotations = &after["metadata"]["annotations"];
    assert!(is_new(&after));
    assert!(annotations[OBSERVED].as_str().unwrap().contains("\"rf\""));
    assert_eq!(
        annotations[LAST_RESTART],
        "2027-01-15T08:00:00Z: Secret s was updated"
    );
    assert!(after["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR].is_string());
    assert_eq!((created(&stage), jobs.under_way().len()), (1, 0));
    assert_eq!(stage.script.object(&stored()), None);
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"done\"}"), 1);
    assert_eq!(
        stage.metric("reroll_restarts_total{kind=\"Job\",cause=\"updated\"}"),
        1
    );
    stage.show_now(&key);
    settle().await;
    assert_eq!(created(&stage), 1, "what was made has the versions of now");
    work.end().await;
    assert_eq!(stage.told().await, ["Restarted: Secret s was updated"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_watch_shows_is_looked_at() {
    let stage = Stage::set();
    let key = changed(&stage);
    let _work = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    stage.script.remove(&path(&key));
    settle().await;
    assert!(is_new(&stage.object(&key)));
    assert_eq!(stage.script.object(&stored()), None);
}

#[tokio::test(start_paused = true)]
async fn where_deletion_is_refused_nothing_stays_stored() {
    for (code, reason) in [(403, "Forbidden"), (429, "TooManyRequests")] {
        let stage = Stage::set();
        let key = changed(&stage);
        stage
            .script
            .turn(DELETE, Turn::refuse(code, reason).always());
        let (_work, jobs) = start_with_jobs(&stage);
        stage.script.reach(DELETE, 2).await;
        sleep(SETTLE / 100).await;
        assert_eq!(stage.script.object(&stored()), None, "{code}");
        assert_eq!(
            (jobs.under_way().len(), stage.pending().intents),
            (0, 1),
            "{code}"
        );
        assert!(!is_new(&stage.object(&key)));
        stage.script.clear(DELETE);
        settle().await;
        collect(&stage, &key);
        settle().await;
        assert!(is_new(&stage.object(&key)));
        assert_eq!(created(&stage), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_one_stays_where_the_new_one_would_not_be_taken() {
    let stage = Stage::set();
    let key = changed(&stage);
    stage
        .script
        .turn(DRY_RUN, Turn::refuse(422, "Invalid").always());
    let (work, jobs) = start_with_jobs(&stage);
    settle().await;
    assert!(stage.script.count(DRY_RUN) > 4);
    assert_eq!(
        (
            stage.script.count("DELETE"),
            stage.script.count("POST secrets$")
        ),
        (0, 0)
    );
    assert_eq!((jobs.under_way().len(), created(&stage)), (0, 0));
    assert!(!is_new(&stage.object(&key)));
    work.end().await;
    let told = stage.told().await;
    assert!(
        told.iter().all(|told| told.starts_with("RestartFailed: ")) && !told.is_empty(),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_meanwhile_stays() {
    let stage = Stage::set();
    let key = changed(&stage);
    let complete = |job: &mut Value| {
        job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    };
    // It ends between the read and the deletion.
    stage
        .script
        .turn("POST secrets$", Turn::serve().late(SETTLE));
    let (_work, jobs) = start_with_jobs(&stage);
    stage.script.reach("POST secrets$", 1).await;
    stage.script.edit(&path(&key), complete);
    settle().await;
    assert_eq!(
        stage.script.count(DELETE),
        1,
        "refused by its preconditions"
    );
    assert_eq!((created(&stage), jobs.under_way().len()), (0, 0));
    assert!(!is_new(&stage.object(&key)));
    assert_eq!(stage.script.object(&stored()), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_person_deleted_is_not_brought_back() {
    let stage = Stage::set();
    let key = changed(&stage);
    stage
        .script
        .turn("POST secrets$", Turn::serve().late(SETTLE));
    let (_work, jobs) = start_with_jobs(&stage);
    stage.script.reach("POST secrets$", 1).await;
    stage.script.remove(&path(&key));
    settle().await;
    assert_eq!((created(&stage), jobs.under_way().len()), (0, 0));
    assert_eq!(stage.script.object(&path(&key)), None);
    assert_eq!(stage.script.object(&stored()), None);
}

#[tokio::test(start_paused = true)]
async fn another_of_the_name_stays_as_it_is() {
    let stage = Stage::set();
    let key = changed(&stage);
    let (_work, _) = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    sleep(SETTLE).await;
    stage.script.put(&path(&key), json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "migrate", "namespace": "n", "uid": "theirs" } }));
    settle().await;
    assert_eq!(stage.object(&key)["metadata"]["uid"], "theirs");
    assert_eq!(created(&stage), 0);
    assert_eq!(stage.script.object(&stored()), None);
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_refused_is_told_and_tried_until_it_succeeds() {
    let stage = Stage::set();
    let key = changed(&stage);
    let (work, jobs) = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    stage
        .script
        .turn(CREATE, Turn::refuse(403, "Forbidden").always());
    sleep(SETTLE).await;
    collect(&stage, &key);
    stage.script.reach(CREATE, 6).await;
    assert_eq!(jobs.under_way().len(), 1);
    assert!(stage.script.object(&stored()).is_some());
    stage.script.clear(CREATE);
    settle().await;
    assert!(is_new(&stage.object(&key)));
    assert_eq!(jobs.under_way().len(), 0);
    work.end().await;
    let told = stage.told().await;
    assert!(
        told[0].starts_with(
            "RestartFailed: reroll deleted this Job and cannot create it again yet; a Secret"
        ),
        "{told:?}"
    );
    assert!(told.last().unwrap().starts_with("Restarted: "), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_before_it_is_known_what_an_earlier_process_began() {
    let stage = Stage::set();
    changed(&stage);
    stage.script.turn(
        "GET reroll/secrets$",
        Turn::refuse(503, "ServiceUnavailable").always(),
    );
    let (_work, _) = start_with_jobs(&stage);
    settle().await;
    assert_eq!(
        (stage.script.count("POST"), stage.script.count("DELETE")),
        (0, 0)
    );
    assert_eq!(stage.pending().intents, 1);
    stage.script.clear("GET reroll/secrets$");
    settle().await;
    assert_eq!(stage.script.count(DELETE), 1);
}

#[tokio::test(start_paused = true)]
async fn who_leads_no_more_forgets_what_is_under_way_and_another_goes_on() {
    let stage = Stage::set();
    let key = changed(&stage);
    let (_work, jobs) = start_with_jobs(&stage);
    stage.script.reach(DELETE, 1).await;
    sleep(SETTLE).await;
    stage.lead(false);
    sleep(SETTLE).await;
    assert_eq!(jobs.under_way().len(), 0);
    collect(&stage, &key);
    settle().await;
    assert_eq!(created(&stage), 0);
    stage.lead(true);
    settle().await;
    assert_eq!(created(&stage), 1);
    assert!(is_new(&stage.object(&key)));
    assert_eq!(stage.script.object(&stored()), None);
}
