//! A paused Deployment: restarts change its template, and no pod starts until it is resumed.

use std::collections::BTreeSet;

use reroll_harness::{Arena, Pods, RESTART_ON, RerollBuilder, env, running};
use serde_json::json;

/// Secret A → B → A, each beyond settle, while the Deployment is paused.
async fn there_and_back(arena: &Arena, reroll: RerollBuilder) {
    let pods = Pods::watch(arena).await;
    let _reroll = reroll.start().await;
    arena.secret("db", &[("k", "A")]).await;
    let manifest = running("Deployment", "web", &[(RESTART_ON, "auto")], env("db", "k"));
    arena.create(&manifest).await;
    pods.oldest(arena, "Deployment", "web").await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena
        .kubectl(&["rollout", "pause", "deployment/web"])
        .await
        .ok();
    for (round, value) in ["B", "A", "B", "A"].into_iter().enumerate() {
        arena.update_secret("db", &[("k", value)]).await;
        recorder.settle(arena).await;
        recorder.expect("Deployment", "web", round + 1);
    }
    arena.recreate_secret("db", &[("k", "A")]).await;
    recorder.settle(arena).await;
    let version = arena.version("Secret", "db").await;
    arena
        .kubectl(&["rollout", "resume", "deployment/web"])
        .await
        .ok();
    let oldest = pods.oldest(arena, "Deployment", "web").await;
    assert!(oldest > version, "a pod of {oldest}, Secret of {version}");
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 5);
    let values = recorder.restarted_for("Deployment", "web");
    assert_eq!(values.len(), 5, "{values:?}");
    assert_eq!(
        values.iter().collect::<BTreeSet<_>>().len(),
        5,
        "{values:?}"
    );
}

#[tokio::test]
async fn there_and_back_with_the_webhook() {
    let arena = Arena::new("paused").await;
    there_and_back(&arena, arena.reroll()).await;
}

#[tokio::test]
async fn there_and_back_without_webhook() {
    let arena = Arena::new("paused-bare").await;
    there_and_back(&arena, arena.reroll().without_webhook()).await;
}

/// The user also changes the template there and back. The webhook records what pods of that template would start with,
/// although none starts. It must not end on the template that the old pods have.
#[tokio::test]
async fn there_and_back_together_with_the_template() {
    let arena = Arena::new("paused-template").await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll().flag("--settle", "8s").start().await;
    arena.secret("db", &[("k", "A")]).await;
    let manifest = running("Deployment", "web", &[(RESTART_ON, "auto")], env("db", "k"));
    arena.create(&manifest).await;
    pods.oldest(&arena, "Deployment", "web").await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena
        .kubectl(&["rollout", "pause", "deployment/web"])
        .await
        .ok();
    for (round, (value, settings)) in [("B", json!("x")), ("A", json!(null))]
        .into_iter()
        .enumerate()
    {
        arena.update_secret("db", &[("k", value)]).await;
        let change = json!({ "spec": { "template": { "metadata": { "annotations": { "note": settings } } } } });
        arena.patch("Deployment", "web", change).await;
        recorder.settle_slowly(&arena, &reroll).await;
        recorder.expect("Deployment", "web", round + 1);
    }
    let version = arena.version("Secret", "db").await;
    arena
        .kubectl(&["rollout", "resume", "deployment/web"])
        .await
        .ok();
    let oldest = pods.oldest(&arena, "Deployment", "web").await;
    assert!(oldest > version, "a pod of {oldest}, Secret of {version}");
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect("Deployment", "web", 2);
    let values = recorder.restarted_for("Deployment", "web");
    assert_eq!(
        values.iter().collect::<BTreeSet<_>>().len(),
        2,
        "{values:?}"
    );
}
