//! In use and absent: it is counted and told, whether or not a restart is due, however the source went.

use std::time::Duration;

use reroll_harness::{
    Arena, KINDS, RESTART_ON, Reroll, deployment, env, env_optional, eventually, workload,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

const EVENT: &str = "SourceMissing";
/// After so long it is told.
const MINUTE: Duration = Duration::from_mins(1);

async fn counts(reroll: &Reroll, expected: u64) {
    let metric = r#"reroll_workloads_pending{reason="missing"}"#;
    eventually(&format!("{expected} need what is absent"), async || {
        (reroll.count(metric).await == expected).then_some(())
    })
    .await;
}

/// What is told of a workload, repetitions included.
async fn told(arena: &Arena, name: &str) -> (i32, i32) {
    (
        arena.event_count(name, EVENT).await,
        arena.event_count(name, "RestartWaits").await,
    )
}

/// It is told once, after a minute, by whoever leads; nothing restarts, and nothing is pending. What is back at once is told by nobody.
#[tokio::test]
async fn what_is_in_use_and_absent_is_counted_and_told_once() {
    let arena = Arena::new("absent").await;
    let reroll = arena.reroll().start().await;
    for name in ["db", "back"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    let likes = [(RESTART_ON, "auto")];
    for kind in KINDS {
        let name = format!("needs-{}", kind.to_lowercase());
        arena
            .create(&workload(kind, &name, &likes, env("db", "k")))
            .await;
        arena.adopted(kind, &name).await;
    }
    let optional = workload("Deployment", "likes", &likes, env_optional("db", "k"));
    arena.create(&optional).await;
    arena.create(&deployment("back", "back", "k")).await;
    let named = [(RESTART_ON, "auto,secret/db")];
    arena
        .create(&workload("Deployment", "names", &named, env("back", "k")))
        .await;
    for name in ["likes", "back", "names"] {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    counts(&reroll, 0).await;
    let began = Instant::now();
    arena.kubectl(&["delete", "secret", "db"]).await.ok();
    arena.recreate_secret("back", &[("k", "two")]).await;
    counts(&reroll, KINDS.len() as u64).await;
    for kind in KINDS {
        let name = format!("needs-{}", kind.to_lowercase());
        let said = arena.event(&name, EVENT).await;
        assert!(began.elapsed() >= MINUTE, "{:?}", began.elapsed());
        let text =
            "Secret db does not exist: new pods do not start. Create it, or remove the reference";
        assert_eq!(said, format!("{EVENT}: {text}"));
    }
    // The next leader begins the minute anew, and makes no second Event.
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let reroll = builder.start().await;
    counts(&reroll, KINDS.len() as u64).await;
    sleep(MINUTE + Duration::from_secs(5)).await;
    for kind in KINDS {
        let name = format!("needs-{}", kind.to_lowercase());
        assert_eq!(told(&arena, &name).await, (1, 0), "{name}");
        let pending = arena.annotation(kind, &name, "reroll.dev/pending").await;
        assert_eq!(pending, None, "nothing is due");
        recorder.expect(kind, &name, 0);
    }
    for name in ["likes", "back", "names"] {
        assert_eq!(told(&arena, name).await, (0, 0), "{name}");
    }
    recorder.expect("Deployment", "back", 1);
    arena.secret("db", &[("k", "two")]).await;
    counts(&reroll, 0).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &format!("needs-{}", kind.to_lowercase()), 1);
    }
}

#[tokio::test]
async fn what_the_garbage_collector_takes_while_nobody_looks_counts_as_well() {
    the_garbage_collector_takes_a_secret("absent-collected", false).await;
}

#[tokio::test]
async fn what_the_garbage_collector_takes_while_reroll_runs_counts_as_well() {
    the_garbage_collector_takes_a_secret("absent-taken", true).await;
}

/// The garbage collector takes a Secret whose owner went; no user deleted it. `seen`: whether reroll runs meanwhile.
async fn the_garbage_collector_takes_a_secret(name: &str, seen: bool) {
    let arena = Arena::new(name).await;
    let reroll = arena.reroll().start().await;
    let owner = arena.config_map("owner", &[("k", "one")]).await;
    arena.secret("db", &[("k", "one")]).await;
    let owners = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid,
    }]);
    let patch = json!({ "metadata": { "ownerReferences": owners } });
    arena.patch("Secret", "db", patch).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let builder = reroll.builder();
    let mut runs = Some(reroll);
    if let Some(reroll) = runs.take_if(|_| !seen) {
        assert!(reroll.stop().await);
    }
    arena.delete("ConfigMap", "owner").await;
    eventually("the Secret is collected", async || {
        let found = arena.api("Secret").get_opt("db").await.unwrap();
        found.is_none().then_some(())
    })
    .await;
    let reroll = match runs {
        Some(reroll) => reroll,
        None => builder.start().await,
    };
    counts(&reroll, 1).await;
    arena.event("web", EVENT).await;
    assert_eq!(told(&arena, "web").await, (1, 0));
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
}
