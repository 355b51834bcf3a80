//! Two releases of reroll, the later one with another format of `observed`: side by side, up and down.

use reroll_harness::{
    Arena, KINDS, OBSERVED, RESTART_ON, Recorder, RerollBuilder, deployment, env, eventually,
    workload,
};

const OLD: &str = "{\"v\":1,";
const NEW: &str = "{\"v\":9,";

/// The release after this one.
fn later(builder: RerollBuilder) -> RerollBuilder {
    builder.surroundings("UNDER_TEST_FORMAT", "9")
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
    // The later release has the webhook and is the standby: it writes its format wherever a user rolls a workload.
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
    // The rollout of b by another writer, and the restart.
    each(&arena, &recorder, [1, 2, 1]).await;
}

// === the release before, as it was built ===

async fn texts(arena: &Arena) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    for kind in KINDS {
        for name in ["quiet", "restarted"] {
            texts.push(arena.annotation(kind, &named(kind, name), OBSERVED).await);
        }
    }
    texts
}

fn named(kind: &str, name: &str) -> String {
    format!("{}-{name}", kind.to_lowercase())
}

/// After a change of releases nothing rolls, nothing is rewritten, and the next change rolls once.
async fn goes_on(
    arena: &Arena,
    recorder: &Recorder,
    texts_before: &[Option<String>],
    rollouts: usize,
) {
    recorder.settle(arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind, "quiet"), 0);
        recorder.expect(kind, &named(kind, "restarted"), rollouts - 1);
    }
    assert_eq!(texts(arena).await, texts_before, "rewritten");
    arena
        .update_secret("restarted", &[("k", &rollouts.to_string())])
        .await;
    recorder.settle(arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind, "quiet"), 0);
        recorder.expect(kind, &named(kind, "restarted"), rollouts);
    }
}

#[ignore = "needs the binary of another release: REROLL_BEFORE"]
#[tokio::test]
async fn the_release_before_up_down_and_side_by_side() {
    let arena = Arena::new("formats-before").await;
    let old = arena.reroll().before().start().await;
    for name in ["quiet", "restarted"] {
        arena.secret(name, &[("k", "0")]).await;
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto")];
            let manifest = workload(kind, &named(kind, name), &asks, env(name, "k"));
            arena.create(&manifest).await;
        }
    }
    for kind in KINDS {
        for name in ["quiet", "restarted"] {
            arena.adopted(kind, &named(kind, name)).await;
        }
    }
    let recorder = arena.record().await;
    let mut rollouts = 1;
    goes_on(&arena, &recorder, &texts(&arena).await, rollouts).await;

    let known = texts(&arena).await;
    assert!(old.stop().await);
    let new = arena.reroll().start().await;
    rollouts += 1;
    goes_on(&arena, &recorder, &known, rollouts).await;

    let known = texts(&arena).await;
    assert!(new.stop().await);
    let old = arena.reroll().before().start().await;
    rollouts += 1;
    goes_on(&arena, &recorder, &known, rollouts).await;
    assert!(old.stop().await);

    // Side by side: either may lead, and either may have the webhook.
    for old_leads in [true, false] {
        let known = texts(&arena).await;
        let old = || arena.reroll().flag("--instance", "old").before();
        let new = || arena.reroll().flag("--instance", "new");
        let (first, second) = if old_leads {
            (old().without_webhook(), new())
        } else {
            (new().without_webhook(), old())
        };
        let first = first.start().await;
        first.leads().await;
        let second = second.start().await;
        rollouts += 1;
        goes_on(&arena, &recorder, &known, rollouts).await;
        let known = texts(&arena).await;
        assert!(first.stop().await);
        second.leads().await;
        rollouts += 1;
        goes_on(&arena, &recorder, &known, rollouts).await;
        assert!(second.stop().await);
    }
}
