//! Annotations have limits: `observed` keeps to its own limit, and reroll leaves room for other writers.

use futures::{StreamExt, stream};
use reroll_harness::{
    Arena, OBSERVED, Pods, RESTART_ON, RerollBuilder, deployment, env, eventually, running,
    workload,
};
use serde_json::{Value, json};

/// Bytes of `observed`, and of all annotations together.
const OBSERVED_LIMIT: usize = 16 * 1024;
const TOTAL_LIMIT: usize = 262_144;
/// What the deployment controller needs on a `ReplicaSet`.
const CONTROLLERS: usize = 300;

/// As long as names get.
fn long_name(number: usize) -> String {
    format!("s{number:03}-{}", "x".repeat(248))
}

async fn many_secrets(arena: &Arena, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(long_name).collect();
    stream::iter(&names)
        .for_each_concurrent(16, async |name| {
            arena.secret(name, &[("k", "one")]).await;
        })
        .await;
    names
}

fn listed(names: &[String]) -> String {
    let tokens: Vec<String> = names.iter().map(|name| format!("secret/{name}")).collect();
    tokens.join(",")
}

fn plain() -> Value {
    json!({ "containers": [{}] })
}

async fn observed(arena: &Arena, name: &str) -> String {
    arena
        .annotation("Deployment", name, OBSERVED)
        .await
        .unwrap()
}

#[tokio::test]
async fn five_hundred_named_and_many_referenced_secrets() {
    let arena = Arena::new("limits-many").await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll().start().await;
    let names = many_secrets(&arena, 500).await;
    let by_name = running(
        "Deployment",
        "named",
        &[(RESTART_ON, &listed(&names))],
        plain(),
    );
    arena.create(&by_name).await;
    let all: Vec<Value> = names[..150]
        .iter()
        .map(|name| json!({ "secretRef": { "name": name } }))
        .collect();
    let template = json!({ "containers": [{ "envFrom": all }] });
    let referenced = running(
        "Deployment",
        "referenced",
        &[(RESTART_ON, "auto")],
        template,
    );
    arena.create(&referenced).await;
    for name in ["named", "referenced"] {
        pods.oldest(&arena, "Deployment", name).await;
        arena.adopted("Deployment", name).await;
        let length = observed(&arena, name).await.len();
        assert!(length <= OBSERVED_LIMIT, "{name}: {length} bytes");
    }
    let recorder = arena.record().await;
    let expect = |by_name, referenced| {
        recorder.expect("Deployment", "named", by_name);
        recorder.expect("Deployment", "referenced", referenced);
    };
    arena.update_secret(&names[7], &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(1, 1);
    arena.recreate_secret(&names[499], &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(2, 1);
    // The user's writes succeed, with and without a change of the template, and roll nothing more.
    arena
        .patch(
            "Deployment",
            "named",
            json!({ "metadata": { "labels": { "a": "b" } } }),
        )
        .await;
    let note =
        json!({ "spec": { "template": { "metadata": { "annotations": { "note": "x" } } } } });
    arena.patch("Deployment", "named", note).await;
    recorder.settle(&arena).await;
    expect(3, 1);
    let version = arena.version("Secret", &names[499]).await;
    assert!(pods.oldest(&arena, "Deployment", "named").await > version);
    // A new start knows all of that.
    let again = reroll.builder();
    assert!(reroll.stop().await);
    arena.update_secret(&names[149], &[("k", "two")]).await;
    let _reroll = again.start().await;
    recorder.settle(&arena).await;
    expect(4, 2);
}

/// More and fewer Secrets, past the limit and back: what the opt-in gains or loses restarts nothing.
#[tokio::test]
async fn past_the_limit_and_back() {
    let arena = Arena::new("limits-past").await;
    let _reroll = arena.reroll().start().await;
    let names = many_secrets(&arena, 60).await;
    let manifest = running(
        "Deployment",
        "web",
        &[(RESTART_ON, &listed(&names[..40]))],
        plain(),
    );
    arena.create(&manifest).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let mut rollouts = 0;
    assert!(observed(&arena, "web").await.len() > 12 * 1024);
    for count in [60, 40, 60, 20] {
        let before = observed(&arena, "web").await;
        let opt_in =
            json!({ "metadata": { "annotations": { RESTART_ON: listed(&names[..count]) } } });
        arena.patch("Deployment", "web", opt_in).await;
        eventually(&format!("{count} Secrets are observed"), async || {
            let now = observed(&arena, "web").await;
            assert!(now.len() <= OBSERVED_LIMIT, "{} bytes", now.len());
            (now != before).then_some(())
        })
        .await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", rollouts);
        arena
            .update_secret(&names[count - 1], &[("k", &format!("{rollouts}"))])
            .await;
        recorder.settle(&arena).await;
        rollouts += 1;
        recorder.expect("Deployment", "web", rollouts);
    }
}

/// `where_full`: which annotations leave no room.
async fn almost_full(arena: &Arena, reroll: RerollBuilder, where_full: &str, catch_up: usize) {
    let pods = Pods::watch(arena).await;
    let _reroll = reroll.start().await;
    arena.secret("db", &[("k", "one")]).await;
    let taken = RESTART_ON.len() + "auto".len() + "pad".len() + CONTROLLERS;
    let pad = "x".repeat(TOTAL_LIMIT - taken);
    let padded = |pad: Value| {
        let annotations = json!({ "metadata": { "annotations": { "pad": pad } } });
        match where_full {
            "template" => json!({ "spec": { "template": annotations } }),
            _ => annotations,
        }
    };
    let mut manifest = running("Deployment", "web", &[(RESTART_ON, "auto")], env("db", "k"));
    json_patch::merge(&mut manifest, &padded(json!(pad)));
    arena.create(&manifest).await;
    arena.create(&deployment("other", "db", "k")).await;
    arena.adopted("Deployment", "other").await;
    // A ReplicaSet and pods can be made.
    pods.oldest(arena, "Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    arena
        .event("web", "NoRoom: its annotations leave no room")
        .await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 0);
    recorder.expect("Deployment", "other", 1);
    // The user can still write it.
    for label in ["a", "b", "c"] {
        arena
            .patch(
                "Deployment",
                "web",
                json!({ "metadata": { "labels": { "l": label } } }),
            )
            .await;
    }
    arena
        .kubectl(&["scale", "deployment/web", "--replicas=1"])
        .await
        .ok();
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 0);
    assert_eq!(arena.event_count("web", "NoRoom").await, 1);
    // With room the change that was missed is caught up with, once, and the next is as ever.
    arena.patch("Deployment", "web", padded(Value::Null)).await;
    recorder.reaches("Deployment", "web", catch_up).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", catch_up);
    let version = arena.version("Secret", "db").await;
    assert!(pods.oldest(arena, "Deployment", "web").await > version);
    arena.adopted("Deployment", "web").await;
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", catch_up + 1);
    recorder.expect("Deployment", "other", 2);
}

#[tokio::test]
async fn almost_full_annotations_with_the_webhook() {
    let arena = Arena::new("limits-full").await;
    almost_full(&arena, arena.reroll(), "metadata", 1).await;
}

#[tokio::test]
async fn almost_full_annotations_without_webhook() {
    let arena = Arena::new("limits-full-bare").await;
    almost_full(&arena, arena.reroll().without_webhook(), "metadata", 1).await;
}

/// Making room in the template rolls by itself; the webhook records what the new pods start with.
#[tokio::test]
async fn an_almost_full_template_with_the_webhook() {
    let arena = Arena::new("limits-template").await;
    almost_full(&arena, arena.reroll(), "template", 1).await;
}

#[tokio::test]
async fn an_almost_full_template_without_webhook() {
    let arena = Arena::new("limits-template-bare").await;
    almost_full(&arena, arena.reroll().without_webhook(), "template", 2).await;
}

/// With `on-delete: restart` an optional Secret that is deleted restarts once, however many there are beside it, and
/// once more when it is back.
#[tokio::test]
async fn a_deletion_restarts_once_also_among_three_hundred() {
    let arena = Arena::new("limits-delete").await;
    let _reroll = arena.reroll().start().await;
    let names = many_secrets(&arena, 300).await;
    let asks = [(RESTART_ON, "auto"), ("reroll.dev/on-delete", "restart")];
    let create = async |name: &str, count: usize| {
        let all: Vec<Value> = names[..count]
            .iter()
            .map(|name| json!({ "secretRef": { "name": name, "optional": true } }))
            .collect();
        let template = json!({ "containers": [{ "envFrom": all }] });
        arena
            .create(&workload("Deployment", name, &asks, template))
            .await;
        arena.adopted("Deployment", name).await;
    };
    create("few", 5).await;
    create("many", 300).await;
    let recorder = arena.record().await;
    arena.delete("Secret", &names[3]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "few", 1);
    recorder.expect("Deployment", "many", 1);
    arena.secret(&names[3], &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "few", 2);
    recorder.expect("Deployment", "many", 2);
    let told = arena
        .annotation("Deployment", "many", "reroll.dev/last-restart")
        .await;
    assert!(told.unwrap().contains("one of its many sources"));
}
