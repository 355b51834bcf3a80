//! The network between reroll and the API server fails in every way at once and at random. No change is lost, none
//! restarts twice, and reroll asks the API server no more often than its backoff allows.

use std::{sync::LazyLock, time::Duration};

use reroll_harness::{
    Arena, Reroll, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, Rule},
};
use tokio::time::{Instant, sleep};

use crate::{
    MACHINE,
    fleet::Fleet,
    variable,
    watches::{self, WATCHES},
};

/// How long each bad time lasts. `REROLL_SOAK`, in seconds, makes it as long as a person wants.
static BAD_TIME: LazyLock<Duration> =
    LazyLock::new(|| Duration::from_secs(variable("REROLL_SOAK").unwrap_or(8)));

fn overloaded() -> Answer {
    Answer::status(429, "TooManyRequests", "come back later").header("Retry-After", "1")
}

fn broken() -> Answer {
    Answer::status(500, "InternalError", "something broke")
}

fn unavailable() -> Answer {
    Answer::status(503, "ServiceUnavailable", "not now")
}

/// Everything at once; what happens to which request is drawn from `seed`.
fn chaos(proxy: &FaultProxy, seed: u64) {
    let faults = [
        (
            0.3,
            Fault::DelayRequest(Duration::from_millis(150)),
            Matcher::any(),
        ),
        (
            0.3,
            Fault::DelayBody(Duration::from_millis(200)),
            Matcher::any(),
        ),
        (0.1, Fault::Cut, Matcher::any()),
        // Stalled until the bad time is over, or given up.
        (0.1, Fault::Stall, Matcher::any()),
        (0.4, Fault::DuplicateEvents, Matcher::any().watch(true)),
        (0.1, Fault::LoseAnswer, Matcher::any().watch(false)),
        (0.1, Fault::Answer(overloaded()), Matcher::any()),
        (0.1, Fault::Answer(broken()), Matcher::any()),
        (0.1, Fault::Answer(unavailable()), Matcher::any()),
    ];
    for (number, (probability, fault, matcher)) in (0..).zip(faults) {
        let rule = Rule::new(matcher, fault).with_probability(probability, seed ^ number);
        proxy.add(rule);
    }
}

/// Makes one change of each of 60 Secrets per bad time.
async fn bad_times(name: &str, replicas: usize) {
    const PERIODS: usize = 2;
    let _machine = MACHINE.read().await;
    let arena = Arena::new(name).await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    // A stalled call is given up after 2 s.
    let builder = arena
        .reroll()
        .kubeconfig(proxy.kubeconfig())
        .flag("--lease-duration", "3s")
        .flag("--request-timeout", "2s");
    let mut running = Vec::new();
    for number in 0..replicas {
        let builder = if number == 0 {
            builder.clone()
        } else {
            builder.clone().without_webhook()
        };
        running.push(arena.replica(builder, &format!("replica-{number}")).await);
    }
    let fleet = Fleet::with_own_secrets(&arena, "w", 60).await;
    let recorder = arena.record().await;
    let seed = crate::seed();
    for period in 1..=PERIODS {
        chaos(&proxy, seed + period as u64);
        for tenth in 0..10 {
            sleep(*BAD_TIME / 10).await;
            // The data of before again, of another uid.
            for number in (tenth * 6..).take(6) {
                let secret = fleet.secret(number);
                if number % 2 == 0 {
                    arena.recreate_secret(&secret, &[("k", "one")]).await;
                } else {
                    let value = period.to_string();
                    arena.update_secret(&secret, &[("k", &value)]).await;
                }
            }
        }
        proxy.clear();
        fleet.reaches(&recorder, period).await;
        watches::are_back(&proxy, replicas).await;
        recorder.settle(&arena).await;
        fleet.expect(&arena, &recorder, period).await;
    }
    let struck = |status: u16| proxy.count(|request| request.status == Some(status)) > 0;
    assert!(struck(429) && struck(500) && struck(503));
}

#[tokio::test]
async fn one_replica_in_bad_times_catches_everything_once() {
    bad_times("chaos-one", 1).await;
}

#[tokio::test]
async fn two_replicas_in_bad_times_catch_everything_once() {
    bad_times("chaos-two", 2).await;
}

/// The proxy answers everything with the same error for a while, in the middle of 60 changes.
async fn nothing_works(name: &str, answer: Answer) {
    const SIZE: usize = 60;
    let _machine = MACHINE.read().await;
    let arena = Arena::new(name).await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reroll = arena.reroll().kubeconfig(proxy.kubeconfig()).start().await;
    let fleet = Fleet::with_own_secrets(&arena, "w", SIZE).await;
    let recorder = arena.record().await;
    let changes = fleet.update_some(&arena, 0, SIZE / 2, "two");
    tokio::join!(changes, pending(&reroll));
    let (began, before) = (Instant::now(), proxy.requests().len());
    proxy.add(Rule::new(Matcher::any(), Fault::Answer(answer)));
    // Open watches end and are answered so, too.
    let cut = proxy.add(Rule::new(Matcher::any().watch(true), Fault::Cut));
    proxy.remove(cut);
    fleet
        .update_some(&arena, SIZE / 2, SIZE - SIZE / 2, "two")
        .await;
    sleep(*BAD_TIME * 2).await;
    let asked = proxy.requests().len() - before;
    let lasted = began.elapsed();
    proxy.clear();
    let most = most_requests(lasted, SIZE / 2, SIZE);
    assert!(asked <= most, "{asked} requests in {lasted:?}");
    assert!(asked > WATCHES);
    fleet.reaches(&recorder, 1).await;
    watches::are_back(&proxy, 1).await;
    recorder.settle(&arena).await;
    fleet.expect(&arena, &recorder, 1).await;
}

async fn pending(reroll: &Reroll) {
    eventually("a restart is pending", async || {
        (reroll.metric("reroll_intents_pending").await > 0.0).then_some(())
    })
    .await;
}

/// What may be asked in a bad time:
/// - a watch waits 0.8 s after its first failure, twice as long after every other, and at most 10 s;
/// - the Lease is tried for every 0.8 s, a tenth of its duration, with at most two calls;
/// - the digest key is looked at every 5 s;
/// - a restart that failed waits 50 ms, then twice as long, and at most 60 s;
/// - what the webhook saw is asked for once, and a failure is told in one Event.
fn most_requests(bad_time: Duration, restarts: usize, changes: usize) -> usize {
    let tries = |first: Duration, longest: Duration| {
        let (mut at, mut wait, mut tries) = (Duration::ZERO, first, 1);
        while at < bad_time {
            at += wait;
            wait = (wait * 2).min(longest);
            tries += 1;
        }
        tries
    };
    let every =
        |period: Duration| usize::try_from(bad_time.as_millis() / period.as_millis()).unwrap() + 1;
    let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
    let watches = (WATCHES + 1) * tries(millis(800), seconds(10));
    let background = watches + 2 * every(millis(800)) + every(seconds(5));
    background + restarts * (tries(millis(50), seconds(60)) + 1) + changes
}

#[tokio::test]
async fn nothing_but_429_for_a_while() {
    nothing_works("chaos-429", overloaded()).await;
}

#[tokio::test]
async fn nothing_but_500_for_a_while() {
    nothing_works("chaos-500", broken()).await;
}
