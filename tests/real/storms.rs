//! Very many restarts at once: the limits hold, and no workload waits behind those of another source.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kube::{ResourceExt as _, api::ListParams};
use reroll_harness::{
    Arena, RESTART_ON, RESTARTED_FOR, Recorder, deployment, each, env, eventually, running,
    workload,
};
use serde_json::json;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Restarts per second, and at once after a quiet time.
const RATE: usize = 20;
const BURST: usize = 5;
const CROWD: usize = 500;
/// After so many of them it is clear.
const SEEN: usize = 200;

fn in_crowd(number: usize) -> String {
    format!("crowd-{number:03}")
}

fn rolled(recorder: &Recorder) -> usize {
    let rolled = |number: &usize| recorder.rollouts("StatefulSet", &in_crowd(*number)) > 0;
    (0..CROWD).filter(rolled).count()
}

/// Checks that there were never more restarts since the change than rate and burst allow. A watch that lags can only
/// show fewer.
#[tokio::test]
async fn five_hundred_behind_one_secret_are_paced_and_hold_up_nobody() {
    let arena = Arena::new("storms-crowd").await;
    let neighbour = Arena::new("storms-neighbour").await;
    let both = format!("{},{}", arena.namespace, neighbour.namespace);
    let reroll = arena
        .reroll()
        .flag("--namespaces", &both)
        .flag("--restart-rate", &RATE.to_string())
        .flag("--restart-burst", &BURST.to_string());
    let _reroll = reroll.start().await;
    arena.secret("crowd", &[("k", "one")]).await;
    each(CROWD, 16, async |number| {
        let asks = [(RESTART_ON, "auto")];
        let manifest = workload("StatefulSet", &in_crowd(number), &asks, env("crowd", "k"));
        arena.create(&manifest).await;
    })
    .await;
    for arena in [&arena, &neighbour] {
        arena.secret("single", &[("k", "one")]).await;
        arena.create(&deployment("single", "single", "k")).await;
        arena.adopted("Deployment", "single").await;
    }
    arena.all_adopted("StatefulSet").await;
    let recorder = arena.record().await;
    let across = neighbour.record().await;
    let began = Instant::now();
    arena.update_secret("crowd", &[("k", "two")]).await;
    let paced = async {
        loop {
            let rolled = rolled(&recorder);
            let millis = usize::try_from(began.elapsed().as_millis()).unwrap();
            let allowed = BURST + (RATE * millis).div_ceil(1000);
            assert!(rolled <= allowed, "{rolled} of {allowed}");
            if rolled >= SEEN {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    let not_held_up = async {
        eventually("the crowd is under way", async || {
            (rolled(&recorder) > 20).then_some(())
        })
        .await;
        for (arena, own) in [(&arena, &recorder), (&neighbour, &across)] {
            let before = rolled(&recorder);
            arena.update_secret("single", &[("k", "two")]).await;
            own.reaches("Deployment", "single", 1).await;
            let meanwhile = rolled(&recorder) - before;
            // Behind the crowd it would come after all that were left.
            let left = CROWD - before;
            assert!(meanwhile < left / 2, "after {meanwhile} of {left}");
        }
    };
    tokio::join!(paced, not_held_up);
    across.settle(&neighbour).await;
    across.expect("Deployment", "single", 1);
    recorder.expect("Deployment", "single", 1);
}

/// What `kubectl rollout status` waits for, of those that were restarted.
async fn rolling(arena: &Arena) -> BTreeSet<String> {
    let all = arena.api("Deployment").list(&ListParams::default()).await;
    let restarted = all.unwrap().items.into_iter().filter(|object| {
        let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
        annotations[RESTARTED_FOR].is_string()
    });
    let incomplete = restarted.filter(|object| {
        let (spec, status) = (&object.data["spec"], &object.data["status"]);
        let counts = ["updatedReplicas", "replicas", "availableReplicas"];
        let all = |count: &&str| status[*count] == spec["replicas"];
        status["observedGeneration"].as_i64() != object.metadata.generation
            || !counts.iter().all(all)
    });
    incomplete.map(|object| object.name_any()).collect()
}

/// The last of three places is for another namespace. Pods count two seconds after they are ready, so that every rollout is long enough to be seen.
#[tokio::test]
async fn no_more_than_two_roll_at_the_same_time() {
    const WORKLOADS: usize = 8;
    let arena = Arena::new("storms-budget").await;
    let _reroll = arena.reroll().flag("--rolling-limit", "3").start().await;
    arena.secret("shared", &[("k", "one")]).await;
    let names: Vec<_> = (0..WORKLOADS).map(|number| format!("w{number}")).collect();
    for name in &names {
        let asks = [(RESTART_ON, "auto")];
        let mut manifest = running("Deployment", name, &asks, env("shared", "k"));
        manifest["spec"]["minReadySeconds"] = json!(2);
        arena.create(&manifest).await;
    }
    for name in &names {
        arena.adopted("Deployment", name).await;
        arena
            .kubectl(&["rollout", "status", "deployment", name])
            .await
            .ok();
    }
    let recorder = arena.record().await;
    arena.update_secret("shared", &[("k", "two")]).await;
    let mut most = 0;
    eventually("all have rolled", async || {
        let now = rolling(&arena).await;
        assert!(now.len() <= 2, "{now:?}");
        most = most.max(now.len());
        let rolled = |name: &String| recorder.rollouts("Deployment", name) == 1;
        names.iter().all(rolled).then_some(())
    })
    .await;
    assert_eq!(most, 2);
}

/// Two writers fight over a Secret: restarts come ever more rarely, and the last value wins.
#[tokio::test]
async fn a_workload_restarted_too_often_waits_and_says_so() {
    let arena = Arena::new("storms-distance").await;
    let start = async || arena.reroll().flag("--max-distance", "1h").start().await;
    let reroll = start().await;
    for name in ["fought-over", "calm"] {
        arena.secret(name, &[("k", "0")]).await;
        arena.create(&deployment(name, name, "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    let change = async |name: &str, number: usize| {
        let value = number.to_string();
        arena.update_secret(name, &[("k", &value)]).await;
    };
    // One at once, one more at once; the third waits for five seconds, the fourth for ten.
    for rollouts in 1..=2 {
        change("fought-over", rollouts).await;
        recorder
            .reaches("Deployment", "fought-over", rollouts)
            .await;
    }
    let held = "reroll_workloads_pending{reason=\"distance\"}";
    for number in [3, 4] {
        change("fought-over", number).await;
        eventually("it is held", async || {
            (reroll.count(held).await == 1).then_some(())
        })
        .await;
        // No other workload is held, and it can be changed meanwhile.
        change("calm", number).await;
        recorder.reaches("Deployment", "calm", number - 2).await;
        recorder.expect("Deployment", "fought-over", number - 1);
        change("fought-over", 10 * number).await;
        recorder.reaches("Deployment", "fought-over", number).await;
    }
    arena.event("fought-over", "RestartLimited: ").await;
    let distances = recorder.opened("Deployment", "fought-over");
    let distances: Vec<_> = distances
        .iter()
        .map(|opened| opened["distance"].as_i64().unwrap_or(0))
        .collect();
    assert_eq!(distances, [0, 5, 10, 20]);
    // A start remembers it: it stands on the workload.
    change("fought-over", 5).await;
    assert!(reroll.stop().await);
    let reroll = start().await;
    eventually("it is held still", async || {
        (reroll.count(held).await == 1).then_some(())
    })
    .await;
    recorder.expect("Deployment", "fought-over", 4);
    recorder.reaches("Deployment", "fought-over", 5).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "fought-over", 5);
    recorder.expect("Deployment", "calm", 2);
}
