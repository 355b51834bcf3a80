//! Changes that are undone, and changes at the same time.

use reroll_harness::{Arena, RESTART_ON, Recorder, Reroll, deployment, workload};
use serde_json::json;

/// Data that is changed and restored within the settle time needs no rollout; that is shown with the quiet period.
#[tokio::test]
async fn there_and_back_beyond_the_settle_time_are_two_rollouts() {
    let arena = Arena::new("timing-back").await;
    for (way, reroll) in arena.both_ways() {
        let _reroll = reroll.start().await;
        arena.secret(way, &[("k", "A")]).await;
        arena.create(&deployment(way, way, "k")).await;
        let recorder = arena.record().await;
        arena.adopted("Deployment", way).await;
        for (rollouts, value) in [(1, "B"), (2, "A"), (3, "B"), (4, "A")] {
            arena.update_secret(way, &[("k", value)]).await;
            recorder.reaches("Deployment", way, rollouts).await;
        }
        recorder.settle(&arena).await;
        recorder.expect("Deployment", way, 4);
        each_with_a_new_restarted_for(&recorder, way, 4);
    }
}

#[track_caller]
fn each_with_a_new_restarted_for(recorder: &Recorder, name: &str, rollouts: usize) {
    let mut all = recorder.restarted_for("Deployment", name);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), rollouts);
}

const PAIRS: usize = 20;

/// Deployments with two Secrets each.
async fn with_two(arena: &Arena) {
    for number in 0..PAIRS {
        let [a, b] = both(number);
        arena.secret(&a, &[("k", "one")]).await;
        arena.secret(&b, &[("k", "one")]).await;
        let pod = json!({ "containers": [{ "envFrom": [
            { "secretRef": { "name": a } }, { "secretRef": { "name": b } },
        ] }] });
        let asks = [(RESTART_ON, "auto")];
        let manifest = workload("Deployment", &name(number), &asks, pod);
        arena.create(&manifest).await;
    }
    arena.all_adopted("Deployment").await;
}

fn name(number: usize) -> String {
    format!("w{number}")
}

fn both(number: usize) -> [String; 2] {
    ["a", "b"].map(|part| format!("{part}{number}"))
}

/// Changes both Secrets of each with two requests that are under way at the same time.
async fn change_both(arena: &Arena, value: &str) {
    for number in 0..PAIRS {
        let [a, b] = both(number);
        let data = [("k", value)];
        tokio::join!(
            arena.update_secret(&a, &data),
            arena.update_secret(&b, &data)
        );
    }
}

/// The last of both is observed: another start finds nothing that it would have to restart for.
async fn up_to_date(arena: &Arena, reroll: Reroll, recorder: &Recorder) {
    let counts = || -> Vec<_> {
        (0..PAIRS)
            .map(|number| recorder.rollouts("Deployment", &name(number)))
            .collect()
    };
    let before = counts();
    for number in 0..PAIRS {
        let observed = arena.observed("Deployment", &name(number)).await.unwrap();
        for source in both(number) {
            let version = arena.version("Secret", &source).await;
            let entry = &observed["s"][format!("secret/{source}")];
            assert_eq!(entry["r"], version, "{observed}");
        }
    }
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let reroll = builder.start().await;
    assert_eq!(reroll.count("reroll_startup_missed_changes").await, 0);
    recorder.settle_slowly(arena, &reroll).await;
    assert_eq!(counts(), before);
}

#[tokio::test]
async fn two_secrets_changed_at_the_same_time_are_one_rollout() {
    let arena = Arena::new("timing-two").await;
    let reroll = arena.reroll().flag("--settle", "8s").start().await;
    with_two(&arena).await;
    let recorder = arena.record().await;
    for rollouts in [1, 2] {
        change_both(&arena, &format!("{rollouts}")).await;
        recorder.settle_slowly(&arena, &reroll).await;
        for number in 0..PAIRS {
            recorder.expect("Deployment", &name(number), rollouts);
        }
    }
    up_to_date(&arena, reroll, &recorder).await;
}

/// One or two rollouts, each with a new `restarted-for`.
#[tokio::test]
async fn without_a_settle_time_the_last_of_both_is_what_counts() {
    let arena = Arena::new("timing-at-once").await;
    let reroll = arena.reroll().flag("--settle", "0ms").start().await;
    with_two(&arena).await;
    let recorder = arena.record().await;
    change_both(&arena, "two").await;
    recorder.settle(&arena).await;
    for number in 0..PAIRS {
        let rollouts = recorder.rollouts("Deployment", &name(number));
        assert!((1..=2).contains(&rollouts), "{rollouts}");
        each_with_a_new_restarted_for(&recorder, &name(number), rollouts);
    }
    up_to_date(&arena, reroll, &recorder).await;
}
