//! A CronJob runs first, and then `observed` is written.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::model::WorkloadKey;

/// A CronJob whose Secret has changed.
fn changed(stage: &Stage, policy: &str) -> WorkloadKey {
    stage.secret("s", "A", "x");
    let key = stage.adopted(cron_job("backup", policy));
    stage.secret("s", "A", "y");
    key
}

fn jobs(stage: &Stage) -> Vec<Value> {
    let made = stage.script.asked("POST jobs$");
    made.into_iter().map(|asked| asked.body).collect()
}

#[tokio::test(start_paused = true)]
async fn the_job_is_made_before_the_patch() {
    let stage = Stage::set();
    let key = changed(&stage, "Allow");
    let work = start(&stage, 2);
    settle().await;
    let expected = [
        "GET n/cronjobs/backup",
        "POST n/jobs",
        "PATCH n/cronjobs/backup",
    ];
    assert_eq!(stage.script.lines(), expected);
    let (run, after) = (jobs(&stage).remove(0), stage.object(&key));
    let owner = &run["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"]),
        (&json!("CronJob"), &json!("uid-backup"))
    );
    let mark = run["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR]
        .as_str()
        .unwrap();
    let observed = after["metadata"]["annotations"][OBSERVED].as_str().unwrap();
    assert!(observed.contains(mark), "{observed}");
    assert_eq!(after["metadata"]["generation"], 1, "its own template stays");
    work.end().await;
    let name = run["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        stage.told().await,
        [format!("Restarted: ran Job {name}: Secret s was updated")]
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_change_makes_the_same_job_after_a_crash() {
    let stage = Stage::set();
    let key = changed(&stage, "Allow");
    // The Job is made, and the process ends before anything is written.
    stage.script.turn("POST jobs$", Turn::serve().unanswered());
    let work = start(&stage, 2);
    stage.script.reach("POST jobs$", 1).await;
    work.crash().await;
    let again = Stage::again(&stage.script, |again| {
        again.show_secret_now("s");
        again.show_now(&key);
    });
    let _work = start(&again, 2);
    settle().await;
    let names: Vec<_> = jobs(&again)
        .into_iter()
        .map(|job| job["metadata"]["name"].clone())
        .collect();
    assert!(names.len() == 2 && names[0] == names[1], "{names:?}");
    assert_eq!(again.script.count("PATCH cronjobs"), 1);
    assert_eq!(again.metric("reroll_intents_total{outcome=\"done\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_another_run_is_active() {
    for policy in ["Forbid", "Replace"] {
        let stage = Stage::set();
        let key = changed(&stage, policy);
        stage.edit(&key, |object| {
            object["status"] = json!({ "active": [{ "name": "backup-1" }] });
        });
        let work = start(&stage, 2);
        settle().await;
        assert_eq!(
            (jobs(&stage).len(), stage.held("running")),
            (0, 1),
            "{policy}"
        );
        let looks = stage.script.asked("GET cronjobs/backup");
        let last: Vec<_> = looks
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].at).as_secs())
            .collect();
        assert!(
            last.iter().all(|pause| *pause <= 10) && last.ends_with(&[10]),
            "{last:?}"
        );
        // No watch shows that it is over.
        stage
            .script
            .edit(&path(&key), |object| object["status"] = json!({}));
        sleep(LONG / 10).await;
        assert_eq!(
            (jobs(&stage).len(), stage.held("running")),
            (1, 0),
            "{policy}"
        );
        work.end().await;
        let told = stage.told().await;
        assert!(
            told.len() == 2 && told[0].starts_with("RestartWaits: a run is active"),
            "{told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_last_run_that_was_made_for_a_change() {
    let stage = Stage::set();
    let key = changed(&stage, "Forbid");
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(jobs(&stage).len(), 1);
    stage.secret("s", "A", "z");
    settle().await;
    assert_eq!((jobs(&stage).len(), stage.held("running")), (1, 1));
    let name = jobs(&stage)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    stage.script.edit(
        &path(&key).replace("cronjobs/backup", &format!("jobs/{name}")),
        |job| {
            job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        },
    );
    settle().await;
    assert_eq!((jobs(&stage).len(), stage.held("running")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_suspended_meanwhile_does_not_run() {
    let stage = Stage::set();
    let key = changed(&stage, "Allow");
    stage.script.edit(&path(&key), |object| {
        object["spec"]["suspend"] = json!(true);
    });
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(jobs(&stage).len(), 0);
    assert_eq!(stage.pending().intents, 0);
}
