//! reroll ends at a named moment of a restart: the next process or leader makes the restart, once.

use reroll_harness::{Arena, RerollBuilder, numbered};

/// Where the process aborts; `tests/bin/under_test.rs` knows them.
const MOMENTS: [&str; 3] = ["before-patch", "answer-unread", "after-patch"];

fn crashing(builder: RerollBuilder, moment: &str, nth: usize) -> RerollBuilder {
    builder.surroundings("UNDER_TEST_CRASH", &format!("{moment}:{nth}"))
}

#[tokio::test]
async fn one_replica_that_starts_again_does_it_once() {
    for moment in MOMENTS {
        let arena = Arena::new(&format!("crash-{moment}")).await;
        // The recorder's sentinel is restarted first, and counts.
        let mut reroll = crashing(arena.reroll(), moment, 3).start().await;
        let names = arena.pairs(numbered(8)).await;
        let recorder = arena.record().await;
        for name in &names {
            arena.recreate_secret(name, &[("k", "one")]).await;
        }
        assert!(!reroll.ended().await, "it aborts {moment}");
        let _again = reroll.builder().plain().start().await;
        recorder.settle(&arena).await;
        for name in &names {
            recorder.expect("Deployment", name, 1);
        }
    }
}

#[tokio::test]
async fn another_replica_that_takes_over_does_it_once() {
    for moment in MOMENTS {
        let arena = Arena::new(&format!("crash-two-{moment}")).await;
        let mut first = crashing(arena.reroll().flag("--instance", "first"), moment, 3)
            .start()
            .await;
        first.leads().await;
        let second = arena.reroll().flag("--instance", "second");
        let _second = second.without_webhook().start().await;
        let names = arena.pairs(numbered(8)).await;
        let recorder = arena.record().await;
        for name in &names {
            arena.update_secret(name, &[("k", "two")]).await;
        }
        assert!(!first.ended().await, "it aborts {moment}");
        recorder.settle(&arena).await;
        for name in &names {
            recorder.expect("Deployment", name, 1);
        }
    }
}

#[tokio::test]
async fn one_that_crashes_at_every_restart_still_gets_everything_done_once() {
    let arena = Arena::new("crash-always").await;
    let mut reroll = arena.reroll().start().await;
    let names = arena.pairs(numbered(8)).await;
    let recorder = arena.record().await;
    assert!(reroll.stop().await);
    for name in &names {
        arena.recreate_secret(name, &[("k", "two")]).await;
    }
    // Each life makes one restart, and dies before it knows.
    for _ in &names {
        reroll = crashing(arena.reroll(), "answer-unread", 1)
            .flag("--restart-concurrency", "1")
            .spawn()
            .await;
        assert!(!reroll.ended().await);
    }
    let _last = arena.reroll().start().await;
    recorder.settle(&arena).await;
    for name in &names {
        recorder.expect("Deployment", name, 1);
    }
}
