//! Failures that do not show any more, or not yet: nobody goes who would have waited.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use reroll_harness::{Arena, RESTARTED_FOR, Reroll, at_once, eventually, held};
use serde_json::json;
use tokio::time::sleep;

use super::{RESTART_ON, ROLLOUT, Stage, of, slowly};

/// So many workloads use the Secret.
const USERS: usize = 4;

/// What somebody does to the workload whose restart failed.
#[derive(Clone, Copy, Debug)]
enum Touch {
    Deploys,
    Restarts,
    Pauses,
    ScalesToZero,
    OptsOut,
    Deletes,
}

impl Touch {
    async fn touch(self, arena: &Arena, name: &str) {
        let deployment = format!("deployment/{name}");
        let patch = async |patch| drop(arena.patch("Deployment", name, patch).await);
        match self {
            Self::Deploys => {
                let image = json!("another");
                let edit = arena.edit_container("Deployment", name, "image", image);
                edit.await;
            }
            Self::Restarts => {
                arena
                    .kubectl(&["rollout", "restart", &deployment])
                    .await
                    .ok();
            }
            Self::Pauses => {
                arena.kubectl(&["rollout", "pause", &deployment]).await.ok();
            }
            Self::ScalesToZero => patch(json!({ "spec": { "replicas": 0 } })).await,
            Self::OptsOut => {
                let off = arena.annotate("Deployment", name, RESTART_ON, Some("off"));
                off.await;
            }
            Self::Deletes => arena.delete("Deployment", name).await,
        }
    }

    /// How often the template of whoever is touched has changed, once a good value has reached all that use it.
    fn rollouts(self) -> Option<usize> {
        match self {
            Self::Deploys | Self::Restarts => Some(3),
            Self::Pauses | Self::ScalesToZero => Some(2),
            Self::OptsOut => Some(1),
            Self::Deletes => None,
        }
    }
}

/// Whoever leads, and whatever somebody does to the one that failed: it holds the others as before, and a good value reaches all.
async fn opens_no_room(name: &str, touch: Touch) {
    let mut stage = Stage::of(name, USERS).await;
    let reroll = stage.start().await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    // They say that they wait; until then nobody else knows of the failure.
    stage.shows(USERS - 1).await;
    touch.touch(&stage.arena, &broken).await;
    stage.users.retain(|(_, name)| *name != broken);
    let waits = async |reroll: &Reroll| {
        stage.recorder.settle(&stage.arena).await;
        held(reroll, USERS - 1).await;
        assert_eq!(stage.restarted(), [""; 0], "{touch:?}");
    };
    waits(&reroll).await;
    reroll.kill();
    let reroll = stage.start().await;
    reroll.leads().await;
    waits(&reroll).await;
    assert_eq!(stage.shown().await.len(), USERS - 1);

    stage.change("good again").await;
    if let Some(rollouts) = touch.rollouts() {
        stage
            .recorder
            .reaches("Deployment", &broken, rollouts)
            .await;
    }
    stage.each_was_restarted(|_| 1).await;
    if let Some(rollouts) = touch.rollouts() {
        stage.recorder.expect("Deployment", &broken, rollouts);
    }
    assert_eq!(stage.shown().await.len(), 0, "{touch:?}");
}

#[tokio::test]
async fn what_somebody_does_to_the_one_that_failed_opens_no_room() {
    let touches = [
        ("slow-hidden-deploy", Touch::Deploys),
        ("slow-hidden-restart", Touch::Restarts),
        ("slow-hidden-pause", Touch::Pauses),
        ("slow-hidden-zero", Touch::ScalesToZero),
        ("slow-hidden-off", Touch::OptsOut),
        ("slow-hidden-gone", Touch::Deletes),
    ];
    // They wait for most of the time.
    at_once(touches, async |(name, touch)| {
        opens_no_room(name, touch).await;
    })
    .await;
}

/// The status of a Deployment whose controller is away is that of the template before: complete, and no proof.
#[tokio::test]
async fn while_the_controllers_are_away_no_restart_is_good() {
    let arena = Arena::on_own_cluster("slow-no-controllers").await;
    let cluster = arena.cluster;
    let mut stage = Stage::on(arena).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    let builder = slowly(&stage.arena).flag("--rollout-deadline", "6s");
    let reroll = stage.start_as(builder).await;
    cluster.kill_component("kube-controller-manager").unwrap();
    stage.change("good too").await;
    let (_, said) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    assert!(
        said.contains("no new pod was good by its deadline"),
        "{said}"
    );
    stage.recorder.settle(&stage.arena).await;
    held(&reroll, 2).await;
    assert_eq!(stage.restarted().len(), 1);
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
    // It is good after all.
    stage.each_was_restarted(|_| 1).await;
}

/// The controllers come back after its deadline, and then the value shows what it is.
#[tokio::test]
async fn what_is_late_breaks_no_more_than_one() {
    let arena = Arena::on_own_cluster("slow-late").await;
    let cluster = arena.cluster;
    let mut stage = Stage::on(arena).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    let builder = slowly(&stage.arena).flag("--rollout-deadline", "30s");
    let reroll = stage.start_as(builder.flag("--bake", "20s")).await;
    cluster.kill_component("kube-controller-manager").unwrap();
    stage.change("ends after a while").await;
    let (broken, said) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    assert!(said.contains("by its deadline"), "{said}");
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
    eventually("its pod ends again and again", async || {
        let pods = stage.arena.pods(&broken).await;
        let status = pods.iter().filter_map(|pod| pod.status.as_ref());
        let mut containers = status.flat_map(|status| status.container_statuses.iter().flatten());
        containers.any(|one| one.restart_count >= 3).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    held(&reroll, 2).await;
    assert_eq!(stage.restarted(), [&broken]);
}

/// The first value breaks one, and the second is as bad: the broken one shows it, and nobody else has to. What the others say is of
/// the value that is there.
#[tokio::test]
async fn another_bad_value_breaks_no_other() {
    let stage = Stage::of("slow-hidden-again", USERS).await;
    let reroll = stage.start().await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    let named = format!("deployments/{broken}");
    let mut before = stage.shows(USERS - 1).await;
    for (number, value) in ["bad as well", "bad, too"].into_iter().enumerate() {
        stage.change(value).await;
        let times = number + 2;
        stage.recorder.reaches("Deployment", &broken, times).await;
        eventually("it is told again", async || {
            let told = stage.arena.event_count(&broken, "RestartStuck").await;
            (usize::try_from(told) == Ok(times)).then_some(())
        })
        .await;
        held(&reroll, USERS - 1).await;
        assert_eq!(stage.restarted(), [&broken]);
        before = eventually("the others say that they wait for this value", async || {
            let shown = stage.shown().await;
            let mut all = shown.iter();
            let is_new =
                all.all(|(name, text)| before.get(name) != Some(text) && text.contains(&named));
            (is_new && shown.len() == USERS - 1).then_some(shown)
        })
        .await;
    }
    stage.change("good again").await;
    let times = |name: &str| if name == broken { 4 } else { 1 };
    stage.each_was_restarted(times).await;
}

/// A copy is a workload of its own: what is written of the restart of another tells nothing of it, whoever brings it.
#[tokio::test]
async fn a_copy_was_not_restarted() {
    let stage = Stage::of("slow-hidden-copy", 1).await;
    let reroll = stage.start().await;
    stage.change("bad").await;
    let (_, name) = &stage.users[0];
    stage.stuck(name).await;
    let original = stage.arena.get("Deployment", name).await;
    let rollout = stage.arena.annotation("Deployment", name, ROLLOUT).await;
    let mut copy = of("Deployment", "copy");
    copy["metadata"]["annotations"][ROLLOUT] = json!(rollout.unwrap());
    copy["spec"]["template"]["metadata"]["annotations"] =
        original.data["spec"]["template"]["metadata"]["annotations"].clone();
    stage.create(&copy, 1).await;
    stage.arena.adopted("Deployment", "copy").await;
    let copied = stage.arena.annotation("Deployment", "copy", ROLLOUT).await;
    assert_eq!(copied, None, "the webhook does not keep it");
    assert!(reroll.stop().await);
    // Without a webhook it stays, and is of another.
    copy["metadata"]["name"] = json!("copy-2");
    copy["spec"] = original.data["spec"].clone();
    stage.arena.create(&copy).await;
    let reroll = stage.start_as(slowly(&stage.arena).without_webhook()).await;
    reroll.leads().await;
    stage.arena.adopted("Deployment", "copy-2").await;
    eventually("the pods of both were looked at", async || {
        let told = stage.arena.event_count(name, "RestartStuck").await;
        (told > 1).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    for copy in ["copy", "copy-2"] {
        let told = stage.arena.event_count(copy, "RestartStuck").await;
        assert_eq!(told, 0, "{copy}");
    }
}

/// The distance between its own restarts holds the one that is broken, and no other shows what the values do in its place.
#[tokio::test]
async fn a_bad_value_that_is_rewritten_again_and_again_breaks_no_other() {
    let stage = Stage::of("slow-hidden-churn", USERS).await;
    let _reroll = stage.start().await;
    for number in 0..12 {
        stage.change(&format!("bad {number}")).await;
        stage.first().await;
        stage.arena.later_second().await;
    }
    let broken = stage.first().await;
    stage.stuck(&broken).await;
    assert_eq!(stage.restarted(), [&broken]);
    stage.change("good again").await;
    stage.are_restarted(USERS).await;
    stage.recorder.settle(&stage.arena).await;
    for (kind, name) in stage.users.iter().filter(|(_, name)| *name != broken) {
        stage.recorder.expect(kind, name, 1);
    }
    let often = stage.recorder.rollouts("Deployment", &broken);
    assert!(often > 2, "{often}: its own distance held it");
}

/// Its deadline passes while it is paused. Its pods begin when it is resumed.
#[tokio::test]
async fn what_is_resumed_late_did_not_fail() {
    let mut stage = Stage::set("slow-hidden-resumed").await;
    stage.add("Deployment", "web", 1).await;
    stage.add("StatefulSet", "set", 1).await;
    let rolling = |partition| json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": partition } } } });
    let paused = |paused| json!({ "spec": { "paused": paused } });
    stage.arena.patch("Deployment", "web", paused(true)).await;
    stage.arena.patch("StatefulSet", "set", rolling(1)).await;
    let builder = slowly(&stage.arena).flag("--rollout-deadline", "60s");
    let _reroll = stage.start_as(builder).await;
    stage.change("good too").await;
    stage.are_restarted(2).await;
    // Its deadline is what is waited for.
    sleep(Duration::from_secs(61)).await;
    stage.arena.patch("Deployment", "web", paused(false)).await;
    stage.arena.patch("StatefulSet", "set", rolling(0)).await;
    for (kind, name) in &stage.users {
        let mark = stage.recorder.restarted_for(kind, name).pop();
        eventually("its pod is a new one", async || {
            let pods = stage.arena.pods(name).await;
            let is_new = |pod: &Pod| pod.annotations().get(RESTARTED_FOR) == mark.as_ref();
            (pods.len() == 1 && pods.iter().all(is_new)).then_some(())
        })
        .await;
    }
    stage.recorder.settle(&stage.arena).await;
    stage.nothing_is_told().await;
}
