//! What pods read after a source was changed while reroll ran, was away, or was killed.

use reroll_harness::SOURCES;

use crate::stage::{Stage, arena};

/// Where the process aborts; `tests/bin/under_test.rs` knows them.
const MOMENTS: [&str; 2] = ["before-patch", "answer-unread"];

#[tokio::test]
async fn an_update_and_a_recreation_of_a_secret_reach_the_pods() {
    update_and_recreate(SOURCES[0]).await;
}

#[tokio::test]
async fn an_update_and_a_recreation_of_a_config_map_reach_the_pods() {
    update_and_recreate(SOURCES[1]).await;
}

async fn update_and_recreate(source: &'static str) {
    let arena = arena(&format!("changes-{}", source.to_lowercase())).await;
    let _reroll = arena.reroll().start().await;
    let stage = Stage::new(arena, source, "one").await;
    stage.play().await;
    stage.reads("one").await;
    stage.arena.set(source, "db", "k", "two").await;
    stage.reads_after(1, "two").await;
    stage.arena.recreate(source, "db", &[("k", "three")]).await;
    stage.reads_after(2, "three").await;
    stage.ends_after(2).await;
}

/// reroll is stopped. One change of each kind comes before it is started again.
#[tokio::test]
async fn what_changes_while_reroll_is_away_reaches_the_pods() {
    let arena = arena("changes-away").await;
    let reroll = arena.reroll().start().await;
    let stage = Stage::new(arena, "Secret", "one").await;
    stage.play().await;
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    stage.arena.set("Secret", "db", "k", "two").await;
    let reroll = builder.clone().start().await;
    stage.reads_after(1, "two").await;
    assert!(reroll.stop().await);
    let arena = &stage.arena;
    arena.recreate("Secret", "db", &[("k", "three")]).await;
    let _reroll = builder.start().await;
    stage.reads_after(2, "three").await;
    stage.ends_after(2).await;
}

/// reroll is killed at two moments of a restart, as by `kill -9`: before the API server has it, and before reroll knows that
/// the API server has it.
#[tokio::test]
async fn what_reroll_was_killed_over_reaches_the_pods() {
    let arena = arena("changes-killed").await;
    let reroll = arena.reroll().start().await;
    let stage = Stage::new(arena, "Secret", "one").await;
    stage.play().await;
    let mut builder = reroll.builder();
    reroll.kill();
    let values = ["two", "three"];
    for (moment, (before, value)) in MOMENTS.iter().zip(values.iter().enumerate()) {
        let crash = format!("{moment}:2");
        let crashing = builder.clone().surroundings("UNDER_TEST_CRASH", &crash);
        let mut reroll = crashing.spawn().await;
        stage.arena.set("Secret", "db", "k", value).await;
        assert!(!reroll.ended().await, "it aborts {moment}");
        builder = reroll.builder().plain();
        let reroll = builder.clone().start().await;
        stage.reads_after(before + 1, value).await;
        reroll.kill();
    }
    let _reroll = builder.start().await;
    stage.ends_after(values.len()).await;
}
