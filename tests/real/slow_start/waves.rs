//! Users of a Secret that are restarted in an order that was asked for.

mod held;

use std::collections::BTreeMap;

use reroll_harness::{RELEASE, WAVE, deployment, eventually};
use serde_json::json;

use super::{PENDING, Stage};

/// Users with these waves, each with one pod that runs.
async fn in_waves(name: &str, waves: &[(&str, usize)]) -> Stage {
    let mut stage = Stage::set(name).await;
    for (wave, users) in waves {
        for number in 0..*users {
            // By name the highest comes first.
            let name = format!("web-{}-{number:02}", if *wave == "5" { "a" } else { wave });
            let name = name.replace("--1", "-z");
            let mut manifest = deployment(&name, "db", "k");
            manifest["metadata"]["annotations"][WAVE] = json!(wave);
            stage.create(&manifest, 1).await;
            stage.users.push(("Deployment", name));
        }
    }
    for (_, name) in &stage.users {
        stage.arena.pods_are(name, 1, "Running").await;
    }
    stage
}

/// Returns the first and the last moment at which users of each wave were restarted, as the API numbers them.
async fn moments(stage: &Stage) -> BTreeMap<i64, (u64, u64)> {
    let mut moments = BTreeMap::new();
    for (kind, name) in &stage.users {
        let wave = stage.arena.annotation(kind, name, WAVE).await.unwrap();
        let at = stage.recorder.changed_at(kind, name);
        let of = moments.entry(wave.parse().unwrap()).or_insert((at, at));
        *of = (of.0.min(at), of.1.max(at));
    }
    moments
}

#[tokio::test]
async fn thirty_users_go_in_their_order_whoever_leads() {
    let stage = in_waves("waves-thirty", &[("5", 10), ("-1", 10), ("0", 10)]).await;
    let reroll = stage.start().await;
    stage.change("other").await;
    stage.are_restarted(5).await;
    reroll.kill();
    let reroll = stage.start().await;
    stage.are_restarted(13).await;
    reroll.kill();
    let _reroll = stage.start().await;
    stage.each_was_restarted(|_| 1).await;
    let moments = moments(&stage).await;
    let waves: Vec<_> = moments.keys().copied().collect();
    assert_eq!(waves, [-1, 0, 5]);
    assert!(moments[&-1].1 < moments[&0].0, "{moments:?}");
    assert!(moments[&0].1 < moments[&5].0, "{moments:?}");
    // Each wave was complete before the next: its pods are older.
    let mut last_ready = None;
    for wave in ["-z-", "-0-", "-a-"] {
        let mut times = Vec::new();
        for (_, name) in stage.users.iter().filter(|(_, name)| name.contains(wave)) {
            for pod in stage.arena.pods(name).await {
                times.push(pod.metadata.creation_timestamp.unwrap().0);
            }
        }
        assert!(last_ready <= times.iter().min().copied(), "{wave}");
        last_ready = times.iter().max().copied();
    }
}

#[tokio::test]
async fn nobody_waits_for_one_that_does_not_come() {
    let mut stage = in_waves("waves-not-coming", &[("5", 1), ("0", 6)]).await;
    let lower = |number: usize| format!("web-0-{number:02}");
    let suspend = "reroll.dev/suspend";
    stage
        .arena
        .annotate("Deployment", &lower(0), suspend, Some("true"))
        .await;
    let none = json!({ "spec": { "replicas": 0 } });
    stage.arena.patch("Deployment", &lower(1), none).await;
    let paused = json!({ "spec": { "paused": true } });
    stage.arena.patch("Deployment", &lower(2), paused).await;
    let _reroll = stage.start().await;
    // They begin to wait, and meanwhile this happens.
    stage
        .arena
        .annotate(
            "Deployment",
            &lower(3),
            "reroll.dev/window",
            Some("at night"),
        )
        .await;
    stage.change("other").await;
    stage.are_restarted(4).await;
    eventually("the highest waits", async || {
        stage
            .arena
            .annotation("Deployment", "web-a-00", PENDING)
            .await
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "web-a-00", 0);
    stage.arena.delete("Deployment", &lower(3)).await;
    stage.recorder.reaches("Deployment", "web-a-00", 1).await;
    stage
        .users
        .retain(|(_, name)| ![lower(0), lower(3)].contains(name));
    stage.each_was_restarted(|_| 1).await;
    stage.recorder.expect("Deployment", &lower(0), 0);
    stage.recorder.expect("Deployment", &lower(3), 0);
}

#[tokio::test]
async fn behind_one_that_failed_a_wave_is_stopped() {
    let stage = in_waves("waves-stopped", &[("5", 2), ("0", 1)]).await;
    let _reroll = stage.start().await;
    stage.change("bad").await;
    stage.stuck("web-0-00").await;
    let said = stage.arena.event("web-a-00", "RestartWaits: ").await;
    assert!(
        said.contains("for Deployment web-0-00 of a lower wave"),
        "{said}"
    );
    let shown = stage.shows(2).await;
    assert!(
        shown.values().all(
            |text| text.contains(r#""wave""#) && text.contains(r#""by":"Deployment web-0-00""#)
        ),
        "{shown:?}"
    );
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "web-a-00", 0);
    // One is let go all the same.
    stage
        .arena
        .annotate("Deployment", "web-a-00", RELEASE, Some("now"))
        .await;
    stage.recorder.reaches("Deployment", "web-a-00", 1).await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "web-a-01", 0);
    // The value is corrected: all have it, the lower one first.
    stage.change("good again").await;
    stage.recorder.reaches("Deployment", "web-a-00", 2).await;
    stage.recorder.reaches("Deployment", "web-a-01", 1).await;
    let once = |name: &str| if name == "web-a-01" { 1 } else { 2 };
    stage.each_was_restarted(once).await;
    let at = |name| stage.recorder.changed_at("Deployment", name);
    assert!(at("web-0-00") < at("web-a-00") && at("web-0-00") < at("web-a-01"));
}
