//! The main job: a source that is deleted and recreated rolls what uses it, once.

use kube::api::{DeleteParams, ListParams};
use reroll_harness::{
    Arena, KINDS, RESTART_ON, SOURCES, at_once, deployment, env, env_from, secret, workload,
};
use serde_json::json;

const ON_DELETE: &str = "reroll.dev/on-delete";

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
async fn kubectl_replace_force_rolls_once() {
    let arena = Arena::new("recreate-replace").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        let asks = [(RESTART_ON, "auto")];
        arena
            .create(&workload(kind, "web", &asks, env("db", "k")))
            .await;
        // Whether the deletion is answered or the recreation: one of them is.
        let asks = [(RESTART_ON, "auto"), (ON_DELETE, "restart")];
        arena
            .create(&workload(kind, "eager", &asks, env("db", "k")))
            .await;
    }
    let recorder = arena.record().await;
    let manifest = secret("db", &[("k", "two")]).to_string();
    let said = arena
        .kubectl_with(&["replace", "--force", "-f", "-"], &manifest)
        .await
        .ok();
    assert!(
        said.err
            .contains("Warning: reroll: recreated Secret db restarts"),
        "{}",
        said.err
    );
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
        recorder.expect(kind, "eager", 1);
    }
}

#[tokio::test]
async fn deleted_by_label_rolls_nothing_and_recreated_rolls_each_once() {
    let arena = Arena::new("recreate-collection").await;
    let _reroll = arena.reroll().start().await;
    // One half goes by a deletecollection, the other by what kubectl makes of `-l`: a DELETE for each.
    let names: Vec<_> = (0..4).map(|number| format!("db-{number}")).collect();
    let group = |name: &str| if name < "db-2" { "one" } else { "two" };
    let labelled = |name: &str, value: &str| {
        let mut labelled = secret(name, &[("k", value)]);
        labelled["metadata"]["labels"] = json!({ "group": group(name) });
        labelled
    };
    for name in &names {
        arena.create(&labelled(name, "one")).await;
        arena.create(&deployment(name, name, "k")).await;
    }
    arena.secret("left", &[("k", "one")]).await;
    arena.create(&deployment("left", "left", "k")).await;
    let recorder = arena.record().await;

    let path = format!(
        "/api/v1/namespaces/{}/secrets?labelSelector=group%3Done",
        arena.namespace
    );
    let collection = arena.kubectl(&["delete", "--raw", &path]).await.ok();
    let each = arena
        .kubectl(&["delete", "secret", "-l", "group=two"])
        .await
        .ok();
    for (said, name) in [
        (&collection, "db-0"),
        (&collection, "db-1"),
        (&each, "db-2"),
    ] {
        let warning = format!("Warning: reroll: Secret {name} is used by Deployment {name}");
        assert!(said.err.contains(&warning), "{}", said.err);
    }
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));

    for name in &names {
        // Half of them with the data they had.
        let value = if name < &"db-2".to_owned() {
            "one"
        } else {
            "two"
        };
        arena.create(&labelled(name, value)).await;
    }
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 1)));
    recorder.expect("Deployment", "left", 0);
}

#[tokio::test]
async fn the_delete_alone_rolls_nothing() {
    let arena = Arena::new("recreate-delete").await;
    let _reroll = arena.reroll().start().await;
    for source in SOURCES {
        arena.source(source, "db", &[("k", "one")]).await;
    }
    let pod = json!({ "containers": [{ "envFrom": [
        { "secretRef": { "name": "db" } }, { "configMapRef": { "name": "db" } },
    ] }] });
    for kind in KINDS {
        let asks = [(RESTART_ON, "auto")];
        arena
            .create(&workload(kind, "web", &asks, pod.clone()))
            .await;
    }
    let recorder = arena.record().await;
    for source in SOURCES {
        arena.delete(source, "db").await;
        recorder.settle(&arena).await;
        for kind in KINDS {
            recorder.expect(kind, "web", 0);
        }
    }
    // One of both being back is not enough, for pods need both; then one rollout is for both.
    arena.source("Secret", "db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 0);
    }
    let waits = arena.event("web", "RestartWaits").await;
    assert!(waits.contains("ConfigMap db"), "{waits}");
    arena.source("ConfigMap", "db", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
    }
}

#[tokio::test]
async fn a_hundred_at_once_roll_a_hundred_once() {
    let arena = Arena::new("recreate-hundred").await;
    let _reroll = arena.reroll().start().await;
    let names: Vec<_> = (0..100).map(|number| format!("db-{number}")).collect();
    at_once(&names, async |name| {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
    })
    .await;
    let recorder = arena.record().await;
    let all = ListParams::default().fields("metadata.name!=sentinel");
    arena
        .api("Secret")
        .delete_collection(&DeleteParams::default(), &all)
        .await
        .unwrap();
    at_once(&names, async |name| {
        arena.secret(name, &[("k", "two")]).await;
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 1)));
    // And each on its own, with the same data.
    at_once(&names, async |name| {
        arena.recreate_secret(name, &[("k", "two")]).await;
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 2)));
}

#[tokio::test]
async fn with_on_delete_restart_the_delete_rolls_what_starts_without_it() {
    let arena = Arena::new("recreate-on-delete").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let asks = [(RESTART_ON, "auto"), (ON_DELETE, "restart")];
    let mut optional = env_from("db");
    optional["containers"][0]["envFrom"][0]["secretRef"]["optional"] = json!(true);
    for kind in KINDS {
        let needs = workload(kind, "needs", &asks, env("db", "k"));
        arena.create(&needs).await;
        let likes = workload(kind, "likes", &asks, optional.clone());
        arena.create(&likes).await;
    }
    let recorder = arena.record().await;
    let expect = |needs, likes| {
        for kind in KINDS {
            recorder.expect(kind, "needs", needs);
            recorder.expect(kind, "likes", likes);
        }
    };
    let deleted = arena.kubectl(&["delete", "secret", "db"]).await.ok();
    assert!(
        deleted
            .err
            .contains("Warning: reroll: deleting Secret db restarts"),
        "{}",
        deleted.err
    );
    recorder.settle(&arena).await;
    // Pods that need it could not start without it.
    expect(0, 1);
    arena.event("likes", "Secret db was deleted").await;
    arena.secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(1, 2);
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    expect(2, 3);
    arena.delete("Secret", "db").await;
    recorder.settle(&arena).await;
    expect(2, 4);
}
