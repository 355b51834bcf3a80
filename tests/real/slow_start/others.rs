//! What others do to a workload is no verdict about reroll, and nobody waits for it: a user's own deploy, a drain, a scaling.

use kube::ResourceExt;
use reroll_harness::{Arena, Reroll, eventually};
use serde_json::json;

use super::{Stage, held, phase, slowly};

/// Its pods lack a key that reroll has never seen change.
async fn deploy_badly(arena: &Arena, kind: &str, name: &str) {
    let from = json!({ "secretKeyRef": { "name": "other", "key": "k" } });
    let variables = json!([{ "name": "V", "valueFrom": from }]);
    arena.edit_container(kind, name, "env", variables).await;
    eventually("its new pod does not run", async || {
        let pods = arena.pods(name).await;
        let pending = pods.iter().any(|pod| phase(pod) == Some("Pending"));
        pending.then_some(())
    })
    .await;
}

async fn scale(arena: &Arena, kind: &str, name: &str, replicas: usize) {
    let patch = json!({ "spec": { "replicas": replicas } });
    arena.patch(kind, name, patch).await;
}

/// Evicts every pod of the stage's node, as a person who drains it.
async fn drain(stage: &Stage) {
    let node = &stage.kubelet.node;
    let drain = ["drain", node, "--force", "--ignore-daemonsets"];
    stage.arena.kubectl(&drain).await.ok();
    stage.arena.kubectl(&["uncordon", node]).await.ok();
}

/// Restarts the first of three, which has no verdict before these times, and waits until the others are held. Returns its name.
async fn in_the_middle(stage: &Stage, bake: &str, deadline: &str) -> (Reroll, String) {
    let builder = slowly(&stage.arena).flag("--bake", bake);
    let builder = builder.flag("--rollout-deadline", deadline);
    let reroll = stage.start_as(builder).await;
    stage.change("good too").await;
    let first = stage.first().await;
    held(&reroll, 2).await;
    (reroll, first)
}

#[tokio::test]
async fn a_deploy_in_the_middle_of_a_restart_is_no_verdict() {
    let stage = Stage::of("slow-deploy", 3).await;
    stage.arena.secret("other", &[("k", "bad")]).await;
    // No restart has a verdict before the test ends.
    let (reroll, first) = in_the_middle(&stage, "10m", "20m").await;
    deploy_badly(&stage.arena, "Deployment", &first).await;
    // The next one goes: the first tells nothing any more.
    stage.are_restarted(2).await;
    held(&reroll, 1).await;
    stage.recorder.settle(&stage.arena).await;
    for (kind, name) in &stage.users {
        let rollouts = stage.recorder.rollouts(kind, name);
        let expected = match stage.restarted().contains(&name.as_str()) {
            // Once by reroll, and once by its user.
            true if *name == first => 2,
            true => 1,
            false => 0,
        };
        assert_eq!(rollouts, expected, "{name}");
    }
    stage.nothing_is_told().await;
}

#[tokio::test]
async fn a_drain_and_a_scaling_in_the_middle_of_a_restart_are_no_verdict() {
    let mut stage = Stage::set("slow-drain").await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 2).await;
    }
    let (_reroll, first) = in_the_middle(&stage, "20s", "10m").await;
    drain(&stage).await;
    scale(&stage.arena, "Deployment", &first, 4).await;
    drain(&stage).await;
    scale(&stage.arena, "Deployment", &first, 1).await;
    // Those of which no pod was available had nothing to lose, and did not have to wait.
    stage.each_was_restarted(|_| 1).await;
    stage.nothing_is_told().await;
}

#[tokio::test]
async fn who_is_scaled_to_zero_in_the_middle_of_a_restart_is_not_waited_for() {
    let stage = Stage::of("slow-scaled", 3).await;
    let (reroll, first) = in_the_middle(&stage, "10m", "20m").await;
    scale(&stage.arena, "Deployment", &first, 0).await;
    stage.are_restarted(2).await;
    held(&reroll, 1).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted().len(), 2);
    stage.recorder.expect("Deployment", &first, 1);
    stage.nothing_is_told().await;
}

/// Long after the deadlines of all restarts their node goes down, they are scaled, and one is deployed badly. The reroll that
/// restarted them knows nothing of it, and neither does one that has just started. The next change reaches all at once: they have
/// nothing to lose.
#[tokio::test]
async fn what_happens_long_after_a_restart_is_no_verdict() {
    let mut stage = Stage::set("slow-after").await;
    stage.arena.secret("other", &[("k", "bad")]).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    stage.add("StatefulSet", "s-1", 2).await;
    let reroll = stage.start().await;
    stage.change("good too").await;
    stage.each_was_restarted(|_| 1).await;
    for (kind, name) in &stage.users {
        stage.arena.complete(kind, name).await;
    }
    assert!(reroll.stop().await);
    stage.age().await;
    let reroll = stage.start().await;
    reroll.leads().await;

    stage.kubelet.goes_down().await;
    let arena = &stage.arena;
    for (kind, name) in &stage.users {
        scale(arena, kind, name, 3).await;
        for pod in arena.pods(name).await {
            arena.delete("Pod", &pod.name_any()).await;
        }
        eventually("none of its pods is available", async || {
            let status = arena.get(kind, name).await.data["status"].clone();
            let available = status["availableReplicas"].as_u64().unwrap_or(0);
            (available == 0 && status["replicas"].as_u64() > Some(0)).then_some(())
        })
        .await;
    }
    deploy_badly(arena, "Deployment", "w-1").await;
    stage.recorder.settle(arena).await;
    reroll.kill();
    let reroll = stage.start().await;
    reroll.leads().await;
    stage.recorder.settle(arena).await;
    stage.nothing_is_told().await;
    stage.change("good again").await;
    // One of them does not use it any more.
    for (kind, name) in &stage.users {
        stage.recorder.reaches(kind, name, 2).await;
    }
    stage.each_was_restarted(|_| 2).await;
    stage.nothing_is_told().await;
}
