//! Slow start among kinds and states of workloads: what shows nothing opens no room, and what never heals holds nobody.

use reroll_harness::{deployment, eventually};
use serde_json::json;

use super::{Stage, held, of, slowly};
use crate::{
    batch::{Jobs, RUNS, cron_job, job_spec},
    kinds::{Changes, Custom, anything, follows, with},
};

#[tokio::test]
async fn what_shows_nothing_goes_at_once_and_opens_no_room() {
    let mut stage = Stage::set("slow-void").await;
    // First in order, so that each would be chosen before the others.
    let mut paused = deployment("a-paused", "db", "k");
    paused["spec"]["paused"] = json!(true);
    let mut on_delete = of("StatefulSet", "a-on-delete");
    on_delete["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    let mut behind = of("StatefulSet", "a-behind");
    behind["spec"]["updateStrategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
    stage.arena.create(&of("DaemonSet", "a-no-node")).await;
    stage.beside(&on_delete, 1).await;
    stage.beside(&behind, 1).await;
    stage.beside(&deployment("a-none", "db", "k"), 0).await;
    stage.beside(&paused, 0).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    let void = [
        ("Deployment", "a-none"),
        ("Deployment", "a-paused"),
        ("DaemonSet", "a-no-node"),
        ("StatefulSet", "a-behind"),
        ("StatefulSet", "a-on-delete"),
    ];
    let reroll = stage.start().await;
    for (kind, name) in void {
        stage.arena.adopted(kind, name).await;
    }
    stage.change("bad").await;
    for (kind, name) in void {
        stage.recorder.reaches(kind, name, 1).await;
    }
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(), [&broken]);
    for (kind, name) in void {
        stage.recorder.expect(kind, name, 1);
    }
}

/// Suspends the Deployments, or lets them go. On a busy machine one of them may be asked for before who is to go first.
async fn suspend(stage: &Stage, value: Option<&str>) {
    for (kind, name) in stage.users.iter().filter(|(kind, _)| *kind == "Deployment") {
        let key = "reroll.dev/suspend";
        stage.arena.annotate(kind, name, key, value).await;
    }
}

#[tokio::test]
async fn a_stateful_set_that_never_heals_by_itself_is_named_and_holds_nobody() {
    let mut stage = Stage::set("slow-ordered").await;
    stage.add("StatefulSet", "a-ordered", 2).await;
    for name in ["w-1", "w-2", "w-3", "w-4"] {
        stage.add("Deployment", name, 1).await;
    }
    let reroll = stage.start().await;
    suspend(&stage, Some("true")).await;
    stage.change("bad").await;
    stage.recorder.reaches("StatefulSet", "a-ordered", 1).await;
    suspend(&stage, None).await;
    let (broken, said) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    assert_eq!(broken, "a-ordered");
    let namespace = &stage.arena.namespace;
    let remedy = format!("kubectl delete pod a-ordered-1 -n {namespace}");
    assert!(said.contains(&remedy), "{said}");
    stage.change("good again").await;
    let times = |name: &str| 1 + usize::from(name == broken);
    stage.each_was_restarted(times).await;
}

#[tokio::test]
async fn one_daemon_set_of_several_is_broken() {
    let mut stage = Stage::set("slow-daemons").await;
    for name in ["d-1", "d-2", "d-3"] {
        stage.add("DaemonSet", name, 1).await;
    }
    let reroll = stage.start().await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    // Its only pod is as unavailable as before, and tells of this value as well.
    stage.change("bad too").await;
    stage.recorder.reaches("DaemonSet", &broken, 2).await;
    eventually("it is told again", async || {
        (stage.arena.event_count(&broken, "RestartStuck").await == 2).then_some(())
    })
    .await;
    held(&reroll, 2).await;
    assert_eq!(stage.restarted(), [&broken]);
    stage.change("good again").await;
    let times = |name: &str| if name == broken { 3 } else { 1 };
    stage.each_was_restarted(times).await;
}

/// No status of its kind counts pods, and it has none.
#[tokio::test]
async fn a_custom_kind_that_goes_first_opens_no_room() {
    let mut stage = Stage::set("slow-custom").await;
    let own = Custom::own(&stage.arena);
    own.install(&stage.arena, anything()).await;
    own.create(&stage.arena, "first", &[]).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    // So it shows most.
    let mut object = own.api(&stage.arena).get("first").await.unwrap();
    let mut containers = own.template_of(&object)["spec"]["containers"].clone();
    containers[0]["readinessProbe"] = json!({ "httpGet": { "port": 80 } });
    let probed = json!({ "spec": { "containers": containers } });
    object = own.edit_template(&stage.arena, "first", probed).await;
    assert_eq!(own.template_of(&object)["spec"]["containers"], containers);
    let template = own.clone();
    let changes = Changes::of(own.api(&stage.arena), "first", move |object| {
        template.template_of(object).clone()
    })
    .await;
    let reroll = stage.start_as(with(slowly(&stage.arena), &own)).await;
    follows(&reroll, &own, 1).await;
    own.adopted(&stage.arena, "first").await;
    suspend(&stage, Some("true")).await;
    stage.change("bad").await;
    eventually("it goes first", async || {
        (changes.count() == 1).then_some(())
    })
    .await;
    suspend(&stage, None).await;
    held(&reroll, 3).await;
    assert_eq!(stage.restarted(), [""; 0]);
    // Once its pods were looked for, one of the others goes, alone.
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    changes.are(&stage.arena, &stage.recorder, 1).await;
    assert_eq!(stage.restarted(), [&broken]);
}

/// Its run says nothing about the value, whatever becomes of it.
#[tokio::test]
async fn a_cron_job_that_runs_opens_no_room() {
    let mut stage = Stage::set("slow-cron").await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    let cron_job = cron_job("a-cron", &RUNS, &job_spec());
    stage.arena.create(&cron_job).await;
    let jobs = Jobs::watch(&stage.arena).await;
    let builder = slowly(&stage.arena).flag("--optional-kinds", "cronjobs");
    let reroll = stage.start_as(builder).await;
    stage.arena.adopted("CronJob", "a-cron").await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    jobs.are(&stage.arena, &stage.recorder, "a-cron", 1).await;
    assert_eq!(stage.restarted(), [&broken]);
}
