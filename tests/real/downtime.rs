//! What changed while reroll was down is caught by the next start, once, and by no start after it.

use reroll_harness::{Arena, Recorder, Reroll, deployment, each};

const OF_EACH: usize = 30;
const AT_ONCE: usize = 10;
const MISSED: &str = "reroll_startup_missed_changes";

/// How a reroll ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Sigterm,
    Sigkill,
}

#[tokio::test]
async fn a_start_after_sigterm_catches_up_once() {
    let arena = Arena::new("downtime-term").await;
    // They existed before reroll: the controller adopts them.
    create_all(&arena).await;
    let reroll = arena.reroll().start().await;
    catches_up(&arena, reroll, End::Sigterm, End::Sigkill).await;
}

#[tokio::test]
async fn a_start_after_sigkill_catches_up_once() {
    let arena = Arena::new("downtime-kill").await;
    let reroll = arena.reroll().start().await;
    // The webhook adopts them.
    create_all(&arena).await;
    catches_up(&arena, reroll, End::Sigkill, End::Sigterm).await;
}

#[tokio::test]
async fn a_secret_deleted_while_down_and_created_after_the_start_rolls_once() {
    let arena = Arena::new("downtime-delete").await;
    let reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let recorder = arena.record().await;
    arena.all_adopted("Deployment").await;
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    arena.delete("Secret", "db").await;
    let reroll = builder.start().await;
    assert_eq!(reroll.count(MISSED).await, 0, "nothing to restart for yet");
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    arena.secret("db", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.event("web", "Secret db was recreated (uid").await;
}

#[tokio::test]
async fn several_changes_of_one_secret_while_down_are_one_rollout() {
    let arena = Arena::new("downtime-several").await;
    let reroll = arena.reroll().start().await;
    for name in ["moved", "back"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
    }
    let recorder = arena.record().await;
    arena.all_adopted("Deployment").await;
    let builder = reroll.builder();
    reroll.kill();
    for value in ["two", "three", "four"] {
        arena.update_secret("moved", &[("k", value)]).await;
    }
    arena.recreate_secret("moved", &[("k", "five")]).await;
    // Put back to what it was: no container has seen anything else.
    arena.update_secret("back", &[("k", "two")]).await;
    arena.update_secret("back", &[("k", "one")]).await;
    let reroll = builder.start().await;
    assert_eq!(reroll.count(MISSED).await, 1);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "moved", 1);
    recorder.expect("Deployment", "back", 0);
}

fn names(number: usize) -> [String; 3] {
    ["updated", "recreated", "untouched"].map(|fate| format!("{fate}-{number}"))
}

async fn create_all(arena: &Arena) {
    each(OF_EACH, AT_ONCE, async |number| {
        for name in names(number) {
            arena.secret(&name, &[("k", "one"), ("unused", "1")]).await;
            arena.create(&deployment(&name, &name, "k")).await;
        }
    })
    .await;
}

async fn catches_up(arena: &Arena, reroll: Reroll, first: End, second: End) {
    let recorder = arena.record().await;
    arena.all_adopted("Deployment").await;
    let builder = reroll.builder();
    end(reroll, first).await;
    each(OF_EACH, AT_ONCE, async |number| {
        let [updated, recreated, untouched] = names(number);
        arena.update_secret(&updated, &[("k", "two")]).await;
        // The same data again: the other uid is what counts.
        arena
            .recreate_secret(&recreated, &[("k", "one"), ("unused", "1")])
            .await;
        // Of no concern: a key that is not used.
        arena.update_secret(&untouched, &[("unused", "2")]).await;
    })
    .await;
    let mut reroll = builder.clone().start().await;
    assert_eq!(reroll.count(MISSED).await, 60);
    recorder.settle(arena).await;
    expect_each_once(&recorder);
    for next in [second, first] {
        end(reroll, next).await;
        reroll = builder.clone().start().await;
        assert_eq!(reroll.count(MISSED).await, 0);
        recorder.settle(arena).await;
        expect_each_once(&recorder);
    }
}

async fn end(reroll: Reroll, how: End) {
    match how {
        End::Sigterm => assert!(reroll.stop().await),
        End::Sigkill => reroll.kill(),
    }
}

fn expect_each_once(recorder: &Recorder) {
    for number in 0..OF_EACH {
        let [updated, recreated, untouched] = names(number);
        recorder.expect("Deployment", &updated, 1);
        recorder.expect("Deployment", &recreated, 1);
        recorder.expect("Deployment", &untouched, 0);
    }
}
