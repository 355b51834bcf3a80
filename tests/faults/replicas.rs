//! `kill -9` and SIGSTOP at the worst moments, with one replica and with several. No change is lost, and none restarts
//! twice.

use std::time::Duration;

use fastrand::Rng;
use reroll_harness::{Arena, LEADER, Reroll, eventually};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{MACHINE, fleet::Fleet};

#[tokio::test]
async fn killed_six_times_during_a_fan_out_to_300_it_restarts_each_once() {
    let _machine = MACHINE.read().await;
    let arena = Arena::new("faults-kill").await;
    // Slow enough that the fan-out goes on until after the last kill: three times up to 40 restarts are waited for, and
    // six times up to a second.
    let builder = arena
        .reroll()
        .flag("--restart-rate", "10")
        .flag("--restart-burst", "1");
    let mut reroll = builder.clone().start().await;
    let fleet = Fleet::with_one_secret(&arena, "fan", 300).await;
    let recorder = arena.record().await;
    let seed = crate::seed();
    let mut random = Rng::with_seed(seed);
    arena.update_secret("fan", &[("k", "two")]).await;
    for kill in 0..6 {
        // By turns at a random moment of its start, and of its work.
        if kill % 2 == 0 {
            let more = fleet.rolled(&recorder, 1) + random.usize(1..40);
            let what = format!("{more} have rolled");
            eventually(&what, async || {
                (fleet.rolled(&recorder, 1) >= more).then_some(())
            })
            .await;
        }
        sleep(Duration::from_millis(random.u64(0..1000))).await;
        reroll.kill();
        reroll = builder.clone().spawn().await;
    }
    let done = fleet.rolled(&recorder, 1);
    assert!((1..300).contains(&done), "{done} at the last kill");
    fleet.reaches(&recorder, 1).await;
    recorder.settle(&arena).await;
    fleet.expect(&arena, &recorder, 1).await;
    // And nothing is left for a next start.
    assert!(reroll.stop().await);
    let reroll = builder.start().await;
    assert_eq!(reroll.count("reroll_startup_missed_changes").await, 0);
    recorder.settle(&arena).await;
    fleet.expect(&arena, &recorder, 1).await;
}

const WORKLOADS: usize = 50;
const ROUNDS: usize = 10;
const SLEEP: Duration = Duration::from_secs(30);

/// Each Secret changes back and forth, ten times in all. The leader is killed in the middle of a round. Later the next
/// leader is stopped in the middle of a round, for much longer than the Lease, and wakes in the middle of another.
async fn hand_over(name: &str, replicas: usize, webhook: &str) {
    let _machine = MACHINE.read().await;
    let arena = Arena::new(name).await;
    let replica = async |name: &str| {
        // Writes wait for the one that sleeps.
        let builder = arena.reroll().impatient().flag("--lease-duration", "3s");
        let builder = if name == webhook {
            builder
        } else {
            builder.without_webhook()
        };
        arena.replica(builder, name).await
    };
    let first = replica("first").await;
    first.leads().await;
    let mut others = Vec::new();
    for name in ["second", "third"].iter().take(replicas - 1) {
        others.push(replica(name).await);
    }
    let fleet = Fleet::with_own_secrets(&arena, "w", WORKLOADS).await;
    let recorder = arena.record().await;
    let mut round = 0;
    let mut next_round = async |in_the_middle: Option<&mut dyn FnMut()>| {
        let value = ["one", "two"][(round + 1) % 2];
        round += 1;
        fleet.update_some(&arena, 0, WORKLOADS / 2, value).await;
        if let Some(act) = in_the_middle {
            act();
        }
        let (half, rest) = (WORKLOADS / 2, WORKLOADS - WORKLOADS / 2);
        fleet.update_some(&arena, half, rest, value).await;
        fleet.reaches(&recorder, round).await;
        round
    };
    next_round(None).await;
    next_round(None).await;
    let mut first = Some(first);
    next_round(Some(&mut || first.take().unwrap().kill())).await;
    let leader = leader(&others).await;
    let sleeper = others.remove(leader);
    if others.is_empty() {
        others.push(replica("another").await);
    }
    next_round(None).await;
    let mut asleep = Instant::now();
    next_round(Some(&mut || {
        sleeper.signal("STOP");
        asleep = Instant::now();
    }))
    .await;
    next_round(None).await;
    next_round(None).await;
    next_round(None).await;
    sleep_until(asleep + SLEEP).await;
    next_round(Some(&mut || sleeper.signal("CONT"))).await;
    assert_eq!(next_round(None).await, ROUNDS);
    eventually("the sleeper knows that it does not lead", async || {
        (sleeper.count(LEADER).await == 0).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    fleet.expect(&arena, &recorder, ROUNDS).await;
}

async fn leader(replicas: &[Reroll]) -> usize {
    eventually("one of the others leads", async || {
        for (number, replica) in replicas.iter().enumerate() {
            if replica.count(LEADER).await > 0 {
                return Some(number);
            }
        }
        None
    })
    .await
}

/// The replica that sleeps has the webhook: every write waits for it meanwhile.
#[tokio::test]
async fn two_replicas_lose_nothing_and_double_nothing_in_500_changes() {
    hand_over("faults-two", 2, "second").await;
}

/// The replica that is killed has the webhook: none has one afterwards.
#[tokio::test]
async fn three_replicas_lose_nothing_and_double_nothing_in_500_changes() {
    hand_over("faults-three", 3, "first").await;
}
