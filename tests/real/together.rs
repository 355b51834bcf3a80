//! A Secret and its Deployment that change together, as Helm changes them, are one rollout: the user's own.
//!
//! The watch of Secrets is late, so that the review of the Deployment always comes before the event of the Secret.

use std::time::Duration;

use reroll_harness::{Arena, Recorder, Reroll, deployment, each, proxy::FaultProxy};
use serde_json::{Value, json};

const AT_ONCE: usize = 20;
const LATE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn two_hundred_pairs_roll_once_each() {
    const PAIRS: usize = 200;
    let arena = Arena::new("together-pairs").await;
    let (_proxy, reroll) = late(&arena).await;
    create_pairs(&arena, PAIRS).await;
    let recorder = arena.record().await;
    each(PAIRS, AT_ONCE, async |number| {
        let name = name(number);
        arena.update_secret(&name, &[("k", "two")]).await;
        arena.patch("Deployment", &name, template()).await;
    })
    .await;
    recorder.settle(&arena).await;
    reroll.assert_all_read_at_admission().await;
    for number in 0..PAIRS {
        let name = name(number);
        recorder.expect("Deployment", &name, 1);
        // Whoever advances a version sets a fresh `restarted-for` in the same write.
        assert_eq!(
            recorder.restarted_for("Deployment", &name).len(),
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn whatever_part_of_a_pair_changes_it_rolls_once() {
    const PAIRS: usize = 60;
    let arena = Arena::new("together-mixed").await;
    let (_proxy, reroll) = late(&arena).await;
    create_pairs(&arena, PAIRS).await;
    let recorder = arena.record().await;
    each(PAIRS, AT_ONCE, async |number| change(&arena, number).await).await;
    recorder.settle(&arena).await;
    reroll.assert_all_read_at_admission().await;
    for number in 0..PAIRS {
        expect(&recorder, number);
    }
}

async fn change(arena: &Arena, number: usize) {
    let name = name(number);
    match number % 6 {
        0 => {
            arena.update_secret(&name, &[("k", "two")]).await;
            arena.patch("Deployment", &name, template()).await;
        }
        1 => {
            arena.recreate_secret(&name, &[("k", "one")]).await;
            arena.patch("Deployment", &name, template()).await;
        }
        2 => drop(arena.patch("Deployment", &name, template()).await),
        3 => arena.update_secret(&name, &[("k", "two")]).await,
        // The Deployment first: its pods have started with the old Secret.
        4 => {
            arena.patch("Deployment", &name, template()).await;
            arena.update_secret(&name, &[("k", "two")]).await;
        }
        _ => {
            arena.update_secret(&name, &[("unused", "2")]).await;
            arena
                .patch(
                    "Deployment",
                    &name,
                    json!({ "spec": { "minReadySeconds": 1 } }),
                )
                .await;
        }
    }
}

fn expect(recorder: &Recorder, number: usize) {
    let name = name(number);
    // How often the template changes, and how often that is for a new version of the Secret.
    let (rollouts, restarted_for) = match number % 6 {
        0 | 1 | 3 => (1, 1),
        2 => (1, 0),
        4 => (2, 1),
        _ => (0, 0),
    };
    recorder.expect("Deployment", &name, rollouts);
    assert_eq!(
        recorder.restarted_for("Deployment", &name).len(),
        restarted_for,
        "{name}"
    );
}

fn name(number: usize) -> String {
    format!("s{number}")
}

/// A change of the template that has nothing to do with the Secret.
fn template() -> Value {
    json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": 31 } } } })
}

async fn late(arena: &Arena) -> (FaultProxy, Reroll) {
    // The Deployment's write follows the Secret's within the settle time, also on a busy machine, where one write has
    // been seen to take 5 s. What is shown here is that the review knows the Secret, however late its watch.
    arena
        .late_secrets(LATE, arena.reroll().flag("--settle", "8s"))
        .await
}

async fn create_pairs(arena: &Arena, count: usize) {
    each(count, AT_ONCE, async |number| {
        let name = name(number);
        arena.secret(&name, &[("k", "one"), ("unused", "1")]).await;
        arena.create(&deployment(&name, &name, "k")).await;
    })
    .await;
    arena.all_adopted("Deployment").await;
}
