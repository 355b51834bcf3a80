//! Two releases of reroll, the later one with another format of `observed`: side by side, up and down.

use crate::support::{Arena, OBSERVED, Recorder, RerollBuilder, deployment, eventually};

const OLD: &str = "{\"v\":1,";
const NEW: &str = "{\"v\":3,";

/// The release after this one.
fn later(builder: RerollBuilder) -> RerollBuilder {
    builder.surroundings("UNDER_TEST_FORMAT", "3")
}

async fn format_is(arena: &Arena, name: &str, format: &str) {
    eventually(&format!("{name} is in format {format}"), async || {
        let observed = arena.annotation("Deployment", name, OBSERVED).await?;
        observed.starts_with(format).then_some(())
    })
    .await;
}

async fn each(arena: &Arena, recorder: &Recorder, counts: [usize; 3]) {
    recorder.settle(arena).await;
    for (name, count) in ["a", "b", "c"].into_iter().zip(counts) {
        recorder.expect("Deployment", name, count);
    }
}

#[tokio::test]
async fn an_upgrade_and_a_downgrade_roll_nothing_and_lose_nothing() {
    let arena = Arena::new("formats").await;
    let old = arena.reroll().start().await;
    for name in ["a", "b", "c"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;

    // Up. What changes meanwhile is restarted for, and only that is in the new format.
    assert!(old.stop().await);
    arena.update_secret("a", &[("k", "two")]).await;
    let new = later(arena.reroll()).start().await;
    each(&arena, &recorder, [1, 0, 0]).await;
    format_is(&arena, "a", NEW).await;
    format_is(&arena, "b", OLD).await;

    // Down. What the later release wrote is left alone, and said; the rest goes on.
    assert!(new.stop().await);
    let old = arena.reroll().start().await;
    arena.update_secret("a", &[("k", "three")]).await;
    arena.update_secret("b", &[("k", "two")]).await;
    arena.event("a", "newer reroll").await;
    // The sentinel was restarted by the later release: this one does not touch it.
    recorder.reaches("Deployment", "b", 1).await;
    recorder.expect("Deployment", "a", 1);
    format_is(&arena, "a", NEW).await;

    // Up again: what was left alone is done now, once.
    assert!(old.stop().await);
    let _new = later(arena.reroll()).start().await;
    each(&arena, &recorder, [2, 1, 0]).await;
}

#[tokio::test]
async fn side_by_side_each_does_its_part() {
    let arena = Arena::new("formats-both").await;
    let old = arena.reroll().flag("--instance", "old").without_webhook();
    let old = old.start().await;
    old.leads().await;
    for name in ["a", "b", "c"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    recorder.settle(&arena).await;
    // The later release has the webhook and is the standby: it writes its format wherever somebody rolls a workload.
    let new = later(arena.reroll().flag("--instance", "new"))
        .start()
        .await;
    arena.update_secret("a", &[("k", "two")]).await;
    recorder.reaches("Deployment", "a", 1).await;
    arena
        .patch(
            "Deployment",
            "b",
            serde_json::json!({ "spec": { "template": { "metadata": { "labels": { "x": "y" } } } } }),
        )
        .await;
    arena.update_secret("b", &[("k", "two")]).await;
    arena.update_secret("c", &[("k", "two")]).await;
    recorder.reaches("Deployment", "c", 1).await;
    assert!(old.stop().await);
    new.leads().await;
    // The rollout of b that somebody else made, and the restart.
    each(&arena, &recorder, [1, 2, 1]).await;
}
