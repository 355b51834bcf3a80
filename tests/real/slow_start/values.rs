//! A bad value behind many users breaks one of them, and a good one reaches all.

use std::collections::BTreeSet;

use reroll_harness::eventually;

use super::{HELD, Stage, held, slowly};

/// So many workloads use the Secret.
const USERS: usize = 40;

#[tokio::test]
async fn a_good_value_reaches_all_each_once() {
    let stage = Stage::of("slow-good", USERS).await;
    let _reroll = stage.start().await;
    stage.change("also good").await;
    stage.each_was_restarted(|_| 1).await;
}

async fn a_bad_value_breaks_one(name: &str, value: &str) {
    let stage = Stage::of(name, USERS).await;
    // What ends after a while is seen to end before the first one has run for long enough, however busy the machine is.
    let reroll = stage
        .start_as(slowly(&stage.arena).flag("--bake", "25s"))
        .await;
    stage.change(value).await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    stage.change("good again").await;
    let times = |name: &str| 1 + usize::from(name == broken);
    stage.each_was_restarted(times).await;
    let at = |name: &str| stage.recorder.changed_at("Deployment", name);
    let mut others = stage.users.iter().filter(|(_, name)| *name != broken);
    assert!(
        others.all(|(_, name)| at(name) > at(&broken)),
        "a fix reaches the broken one first"
    );
}

#[tokio::test]
async fn a_missing_key_breaks_one() {
    a_bad_value_breaks_one("slow-config", "bad").await;
}

#[tokio::test]
async fn a_crash_at_once_breaks_one() {
    a_bad_value_breaks_one("slow-crash", "ends at once").await;
}

#[tokio::test]
async fn a_crash_after_a_while_breaks_one() {
    a_bad_value_breaks_one("slow-crash-later", "ends after a while").await;
}

#[tokio::test]
async fn what_is_never_ready_breaks_one() {
    a_bad_value_breaks_one("slow-unready", "never ready").await;
}

#[tokio::test]
async fn what_failed_is_known_after_a_kill() {
    let stage = Stage::of("slow-killed", 6).await;
    let mut reroll = stage.start().await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    for _ in 0..2 {
        reroll.kill();
        // It leads, knows nothing but what the API server shows, and lets nobody go.
        reroll = stage.start().await;
        reroll.leads().await;
        stage.one_is_broken_and_the_rest_wait(&reroll).await;
    }
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(), [&broken]);
}

#[tokio::test]
async fn another_bad_value_in_the_middle_of_a_good_one_breaks_one() {
    let stage = Stage::of("slow-middle", 12).await;
    // The first one of the good value has no verdict yet, however busy the machine is.
    let builder = slowly(&stage.arena).flag("--bake", "10m");
    let reroll = stage.start_as(builder).await;
    let mut before = BTreeSet::new();
    for (_, name) in &stage.users {
        before.extend(stage.arena.pod_uids(name).await);
    }
    stage.change("good too").await;
    let first = stage.first().await;
    eventually("its new pod runs", async || {
        let now = stage.arena.pod_uids(&first).await;
        let is_new = !now.is_empty() && now.is_disjoint(&before);
        (is_new && stage.broken().await.is_empty()).then_some(())
    })
    .await;
    stage.change("bad").await;
    let stuck = stage.all_stuck().await;
    let [bad] = stuck[..] else {
        panic!("{stuck:?}");
    };
    held(&reroll, 11).await;
    assert_eq!(stage.broken().await, [bad]);
    let restarts = |(kind, name): &(&str, String)| stage.recorder.rollouts(kind, name);
    assert_eq!(stage.users.iter().map(restarts).sum::<usize>(), 2);
}

#[tokio::test]
async fn where_slow_start_is_off_all_go_at_once() {
    for (name, kind) in [
        ("slow-off-source", "Secret"),
        ("slow-off-space", "Namespace"),
    ] {
        let stage = Stage::of(name, 6).await;
        let reroll = stage.start().await;
        let key = "reroll.dev/slow-start";
        if kind == "Secret" {
            stage.arena.annotate(kind, "db", key, Some("off")).await;
        } else {
            let asks = format!("{key}=off");
            let asks = ["annotate", "namespace", &stage.arena.namespace, &asks];
            stage.arena.kubectl(&asks).await.ok();
        }
        stage.change("bad").await;
        stage.are_restarted(6).await;
        assert_eq!(reroll.count(HELD).await, 0);
        stage.each_was_restarted(|_| 1).await;
    }
}
