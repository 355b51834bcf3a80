//! The main job: a source that is deleted and recreated rolls what uses it, once.

use serde_json::json;

use crate::support::{Arena, RESTART_ON, deployment, env, secret, workload};

#[tokio::test]
async fn other_data_rolls_once() {
    let arena = Arena::new("recreate-other").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.event("web", "Secret db was recreated (uid").await;
}

#[tokio::test]
async fn same_data_rolls_once_and_not_with_on_recreate_content() {
    let arena = Arena::new("recreate-same").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let content = [(RESTART_ON, "auto"), ("reroll.dev/on-recreate", "content")];
    arena
        .create(&workload("Deployment", "content", &content, env("db", "k")))
        .await;
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    recorder.expect("Deployment", "content", 0);
    // The new uid is what is observed now: other data rolls both, once.
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    recorder.expect("Deployment", "content", 1);
}

#[tokio::test]
async fn an_immutable_secret_rolls_once_with_a_warning() {
    let arena = Arena::new("recreate-immutable").await;
    let _reroll = arena.reroll().start().await;
    let mut immutable = secret("db", &[("k", "one")]);
    immutable["immutable"] = json!(true);
    arena.create(&immutable).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    let deleted = arena.kubectl(&["delete", "secret", "db"]).await.ok();
    assert!(
        deleted
            .err
            .contains("Warning: reroll: Secret db is used by Deployment web"),
        "{}",
        deleted.err
    );
    let created = arena
        .kubectl_with(&["create", "-f", "-"], &immutable.to_string())
        .await
        .ok();
    assert!(
        created
            .err
            .contains("Warning: reroll: recreated Secret db restarts Deployment web"),
        "{}",
        created.err
    );
    assert!(
        created
            .err
            .contains("Warning: reroll: immutable Secret db recreated"),
        "{}",
        created.err
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}
