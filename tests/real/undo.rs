//! `kubectl rollout undo`: it brings back an old pod template, and for a Deployment an old `ReplicaSet`'s annotations.
//!
//! Whatever it brings back, in the middle of a rollout or after it: at the end no pod is older than the last version of
//! the Secret that it uses, and nothing rolls without a cause.

use std::collections::BTreeSet;

use futures::future::join_all;
use kube::api::{ListParams, Patch, PatchParams};
use reroll_harness::{
    Arena, KINDS, OBSERVED, Pods, RESTART_ON, Recorder, Reroll, deployment, env, eventually,
    running, workload,
};
use serde_json::json;

/// What reroll does while the template is undone.
#[derive(Clone, Copy, PartialEq)]
enum Webhook {
    Up,
    /// It has none.
    Absent,
    /// The process is gone, its configuration is left.
    Killed,
}

/// When the template is undone.
#[derive(Clone, Copy, PartialEq)]
enum When {
    InTheMiddle,
    Afterwards,
}

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

fn named(kind: &str) -> String {
    kind.to_lowercase()
}

async fn undo(arena: &Arena, kind: &str) {
    let workload = format!("{kind}/{}", named(kind));
    arena.kubectl(&["rollout", "undo", &workload]).await.ok();
}

/// One running workload of each kind, adopted.
async fn running_workloads(arena: &Arena, pods: &Pods) {
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        let manifest = running(kind, &named(kind), &AUTO, env("db", "k"));
        arena.create(&manifest).await;
    }
    for kind in KINDS {
        pods.oldest(arena, kind, &named(kind)).await;
        arena.adopted(kind, &named(kind)).await;
    }
    // The deployment controller copies annotations to the ReplicaSet that undo takes them from.
    eventually("the ReplicaSet has observed", async || {
        let list = arena
            .api("ReplicaSet")
            .list(&ListParams::default())
            .await
            .unwrap();
        let with = |set: &kube::api::DynamicObject| {
            set.metadata
                .annotations
                .as_ref()
                .is_some_and(|all| all.contains_key(OBSERVED))
        };
        list.items.iter().all(with).then_some(())
    })
    .await;
}

/// Checks that every workload has rolled this often, that all its pods are newer than the Secret, and that no
/// `restarted-for` came twice.
async fn expect(
    arena: &Arena,
    reroll: &Reroll,
    recorder: &Recorder,
    pods: &Pods,
    rollouts: [usize; 3],
) {
    recorder.settle_slowly(arena, reroll).await;
    let version = arena.version("Secret", "db").await;
    for kind in KINDS {
        pods.are_later(arena, kind, &named(kind), version).await;
    }
    recorder.settle_slowly(arena, reroll).await;
    for (kind, rollouts) in KINDS.into_iter().zip(rollouts) {
        recorder.expect(kind, &named(kind), rollouts);
        let values = recorder.restarted_for(kind, &named(kind));
        let distinct: BTreeSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len(), "{kind}: {values:?}");
    }
}

/// A restart by reroll is undone. `rollouts`: of each of [`KINDS`].
async fn undoes_a_restart(name: &str, webhook: Webhook, when: When, rollouts: [usize; 3]) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let builder = match webhook {
        Webhook::Absent => arena.reroll().without_webhook(),
        Webhook::Up | Webhook::Killed => arena.reroll(),
    };
    let reroll = builder.start().await;
    running_workloads(&arena, &pods).await;
    let recorder = arena.record().await;
    if when == When::InTheMiddle {
        arena.hold_rollouts().await;
    }
    arena.update_secret("db", &[("k", "two")]).await;
    for kind in KINDS {
        recorder.reaches(kind, &named(kind), 1).await;
        match when {
            When::InTheMiddle => arena.in_the_middle(kind, &named(kind), 2).await,
            When::Afterwards => drop(pods.oldest(&arena, kind, &named(kind)).await),
        }
    }
    if when == When::Afterwards {
        // Each pod that the undo makes shows by its time that it is later than the restart.
        arena.later_second().await;
    }
    let reroll = undo_all(&arena, reroll, webhook).await;
    if when == When::InTheMiddle {
        for (kind, rollouts) in KINDS.into_iter().zip(rollouts) {
            recorder.reaches(kind, &named(kind), rollouts).await;
        }
        arena.release_rollouts().await;
    }
    expect(&arena, &reroll, &recorder, &pods, rollouts).await;
}

async fn undo_all(arena: &Arena, reroll: Reroll, webhook: Webhook) -> Reroll {
    let again = reroll.builder();
    let running = if webhook == Webhook::Killed {
        reroll.kill();
        None
    } else {
        Some(reroll)
    };
    for kind in KINDS {
        undo(arena, kind).await;
    }
    match running {
        Some(reroll) => reroll,
        None => again.start().await,
    }
}

// With its webhook up an undo of nothing but reroll's own restart changes nothing. Else the undo is one rollout. In the middle of
// a rollout old pods are back, so a restart follows. Afterwards all pods are later than the restart, and it is recorded; but of a
// Deployment the undo brings the old `observed` back, too, and a process that starts knows no other.

#[tokio::test]
async fn in_the_middle_with_the_webhook() {
    undoes_a_restart("undo-mid", Webhook::Up, When::InTheMiddle, [1; 3]).await;
}

#[tokio::test]
async fn afterwards_with_the_webhook() {
    undoes_a_restart("undo-after", Webhook::Up, When::Afterwards, [1; 3]).await;
}

#[tokio::test]
async fn in_the_middle_without_webhook() {
    undoes_a_restart("undo-mid-bare", Webhook::Absent, When::InTheMiddle, [3; 3]).await;
}

#[tokio::test]
async fn afterwards_without_webhook() {
    undoes_a_restart("undo-after-bare", Webhook::Absent, When::Afterwards, [2; 3]).await;
}

#[tokio::test]
async fn in_the_middle_while_reroll_is_down() {
    undoes_a_restart("undo-mid-down", Webhook::Killed, When::InTheMiddle, [3; 3]).await;
}

#[tokio::test]
async fn afterwards_while_reroll_is_down() {
    undoes_a_restart(
        "undo-after-down",
        Webhook::Killed,
        When::Afterwards,
        [3, 2, 2],
    )
    .await;
}

/// The user changes the Secret and the template together, the webhook records both, and the rollout hangs. Undo then
/// brings back the template whose pods still have the old data.
async fn undoes_a_change_that_was_recorded(name: &str, webhook: Webhook, rollouts: usize) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll().flag("--settle", "8s").start().await;
    running_workloads(&arena, &pods).await;
    let recorder = arena.record().await;
    arena.hold_rollouts().await;
    arena.update_secret("db", &[("k", "two")]).await;
    join_all(KINDS.map(|kind| change_image(&arena, kind))).await;
    for kind in KINDS {
        recorder.reaches(kind, &named(kind), 1).await;
        arena.in_the_middle(kind, &named(kind), 2).await;
    }
    let reroll = undo_all(&arena, reroll, webhook).await;
    for kind in KINDS {
        recorder.reaches(kind, &named(kind), rollouts).await;
    }
    arena.release_rollouts().await;
    expect(&arena, &reroll, &recorder, &pods, [rollouts; 3]).await;
}

async fn change_image(arena: &Arena, kind: &str) {
    let image = json!([{ "name": "containers-0", "image": "registry.example/app:2" }]);
    let change = json!({ "spec": { "template": { "spec": { "containers": image } } } });
    arena
        .api(kind)
        .patch(
            &named(kind),
            &PatchParams::default(),
            &Patch::Strategic(change),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_recorded_change_with_the_webhook() {
    undoes_a_change_that_was_recorded("undo-recorded", Webhook::Up, 2).await;
}

#[tokio::test]
async fn a_recorded_change_while_reroll_is_down() {
    undoes_a_change_that_was_recorded("undo-recorded-down", Webhook::Killed, 3).await;
}

/// The old `ReplicaSet` was made before the Deployment opted in.
async fn drops_the_opt_in(name: &str, webhook: Webhook) {
    let arena = Arena::new(name).await;
    let _reroll = match webhook {
        Webhook::Absent => arena.reroll().without_webhook().start().await,
        Webhook::Up | Webhook::Killed => arena.reroll().start().await,
    };
    arena.secret("db", &[("k", "one")]).await;
    arena
        .create(&workload("Deployment", "deployment", &[], env("db", "k")))
        .await;
    arena.create(&deployment("other", "db", "k")).await;
    arena.revision("deployment", 1).await;
    arena
        .kubectl(&[
            "set",
            "image",
            "deployment/deployment",
            "*=registry.example/app:2",
        ])
        .await
        .ok();
    arena.revision("deployment", 2).await;
    let recorder = arena.record().await;
    let opt_in = json!({ "metadata": { "annotations": { RESTART_ON: "auto" } } });
    arena
        .patch("Deployment", "deployment", opt_in.clone())
        .await;
    arena.adopted("Deployment", "deployment").await;
    arena.adopted("Deployment", "other").await;

    let said = arena
        .kubectl(&["rollout", "undo", "deployment/deployment"])
        .await
        .ok();
    if webhook == Webhook::Up {
        let warning = "Warning: reroll: Deployment deployment is no longer opted in";
        assert!(said.err.contains(warning), "{}", said.err);
    }
    arena
        .event("deployment", "OptedOut: reroll.dev/restart-on is gone")
        .await;
    eventually("observed is removed", async || {
        arena
            .annotation("Deployment", "deployment", OBSERVED)
            .await
            .is_none()
            .then_some(())
    })
    .await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "deployment", 1);
    recorder.expect("Deployment", "other", 1);
    let told = arena.events("deployment").await;
    assert_eq!(
        told.iter()
            .filter(|event| event.starts_with("OptedOut"))
            .count(),
        1,
        "{told:?}"
    );
    assert_eq!(arena.event_count("deployment", "OptedOut").await, 1);

    // Opting in again adopts afresh.
    arena.patch("Deployment", "deployment", opt_in).await;
    arena.adopted("Deployment", "deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "deployment", 1);
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "deployment", 2);
    // A user who says `off` wants that: no Event.
    let off = json!({ "metadata": { "annotations": { RESTART_ON: "off" } } });
    arena.patch("Deployment", "other", off).await;
    recorder.settle(&arena).await;
    arena.update_secret("db", &[("k", "four")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "other", 2);
    assert_eq!(arena.event_count("other", "OptedOut").await, 0);
}

#[tokio::test]
async fn a_dropped_opt_in_is_told_at_the_prompt_and_by_an_event() {
    drops_the_opt_in("undo-opt-in", Webhook::Up).await;
}

#[tokio::test]
async fn a_dropped_opt_in_is_told_without_webhook() {
    drops_the_opt_in("undo-opt-in-bare", Webhook::Absent).await;
}
