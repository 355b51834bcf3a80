//! Several replicas: one restarts, another takes over, and no change of the leader restarts twice or loses a change.

use reroll_harness::{Arena, LEADER, Recorder, Reroll, RerollBuilder, eventually, numbered};

/// The one that leads and has the webhook, and one that stands by.
async fn two(arena: &Arena, builder: RerollBuilder) -> (Reroll, Reroll) {
    let first = arena.replica(builder.clone(), "first").await;
    first.leads().await;
    let second = arena.replica(builder.without_webhook(), "second").await;
    (first, second)
}

fn expect_each(recorder: &Recorder, names: &[String], rollouts: usize) {
    for name in names {
        recorder.expect("Deployment", name, rollouts);
        let mut all = recorder.restarted_for("Deployment", name);
        let made = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), made, "{name} had a restarted-for twice");
    }
}

#[tokio::test]
async fn one_leads_and_after_a_crash_another_does_what_was_left() {
    let arena = Arena::new("replicas-crash").await;
    let (first, second) = two(&arena, arena.reroll()).await;
    assert_eq!(second.count(LEADER).await, 0);
    let names = arena.pairs(numbered(40)).await;
    let recorder = arena.record().await;
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    recorder.reaches("Deployment", &names[0], 1).await;
    first.kill();
    second.leads().await;
    recorder.settle(&arena).await;
    expect_each(&recorder, &names, 1);
}

#[tokio::test]
async fn the_lease_is_released_at_sigterm() {
    let arena = Arena::new("replicas-term").await;
    // A Lease that is not released lasts longer than this test waits.
    let lasting = arena.reroll().flag("--lease-duration", "1h");
    let (first, second) = two(&arena, lasting).await;
    let names = arena.pairs(numbered(10)).await;
    let recorder = arena.record().await;
    for name in &names {
        arena.recreate_secret(name, &[("k", "one")]).await;
    }
    first.signal("TERM");
    second.leads().await;
    assert!(first.stop().await);
    recorder.settle(&arena).await;
    expect_each(&recorder, &names, 1);
}

#[tokio::test]
async fn a_leader_that_slept_restarts_nothing_again() {
    let arena = Arena::new("replicas-sleep").await;
    let first = arena
        .replica(arena.reroll().without_webhook(), "first")
        .await;
    first.leads().await;
    let second = arena
        .replica(arena.reroll().without_webhook(), "second")
        .await;
    let names = arena.pairs(numbered(10)).await;
    let recorder = arena.record().await;
    // The sleeper has intents for these in its memory when it wakes.
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    first.signal("STOP");
    second.leads().await;
    recorder.settle(&arena).await;
    let before = rollouts(&recorder, &names);
    assert_eq!(before, vec![1; names.len()]);
    for value in ["three", "two"] {
        for name in &names {
            arena.update_secret(name, &[("k", value)]).await;
        }
        recorder.settle(&arena).await;
    }
    first.signal("CONT");
    eventually("the sleeper knows that it does not lead", async || {
        (first.count(LEADER).await == 0).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    expect_each(&recorder, &names, 3);
    second.kill();
    first.leads().await;
    recorder.settle(&arena).await;
    expect_each(&recorder, &names, 3);
}

fn rollouts(recorder: &Recorder, names: &[String]) -> Vec<usize> {
    names
        .iter()
        .map(|name| recorder.rollouts("Deployment", name))
        .collect()
}
