//! What pods read after a source was changed while reroll ran, was away, or was killed.

use reroll_harness::SOURCES;

use crate::stage::{Stage, arena};

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
