//! Thousands of restarts at once, and the API server still answers users' writes as fast as before.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use axum::http::Request;
use futures::future::join_all;
use kube::api::{DynamicObject, ListParams};
use reroll_harness::{Arena, RESTART_ON, Reroll, deployment, each, env, eventually, workload};
use serde_json::json;
use tokio::time::sleep;

use crate::{MACHINE, variable};

/// What a webhook may take by default, after which an API server lets the write pass.
const TIMEOUT: Duration = Duration::from_secs(1);
const PENDING: &str = "reroll_intents_pending";
const TURN: &str = "reroll_workloads_pending{reason=\"turn\"}";
const PEOPLE: usize = 4;
/// The most writes of each user, and the least during the storm.
const TURNS: usize = 50;
const AT_LEAST: usize = 5;

/// How many restarts are made at once, unless `REROLL_OVERLOAD` sets another number, such as 5000.
const RESTARTS: u64 = 2000;

#[tokio::test]
async fn writes_are_answered_while_thousands_of_restarts_are_made() {
    // However long the others take.
    let _machine = loop {
        if let Ok(machine) = MACHINE.try_write() {
            break machine;
        }
        sleep(Duration::from_millis(100)).await;
    };
    let arena = Arena::on_own_cluster("overload").await;
    // No kubelet runs pods here: the machine is for the API server and reroll.
    arena.cluster.kill_controllers().unwrap();
    let crowd = variable("REROLL_OVERLOAD").unwrap_or(RESTARTS);
    // A namespace that no webhook sees.
    let unseen = Arena::on(arena.cluster, "unseen").await;
    let reroll = arena.reroll().flag("--restart-rate", "250").start().await;
    arena.secret("crowd", &[("k", "one")]).await;
    each(usize::try_from(crowd).unwrap(), 16, async |number| {
        let asks = [(RESTART_ON, "auto")];
        let name = format!("crowd-{number:04}");
        arena
            .create(&workload("StatefulSet", &name, &asks, env("crowd", "k")))
            .await;
    })
    .await;
    for number in 0..PEOPLE {
        let name = person(number);
        for arena in [&arena, &unseen] {
            arena.secret(&name, &[("k", "one")]).await;
            arena.create(&deployment(&name, &name, "k")).await;
        }
    }
    eventually("all are known", async || {
        (reroll.count("reroll_workloads_indexed").await == crowd + PEOPLE as u64).then_some(())
    })
    .await;

    let passed_by = passed_unseen(&arena).await;
    let goes_on = AtomicBool::new(true);
    let calm = Took::by_people(&arena, &unseen, "calm", &goes_on).await;
    arena.update_secret("crowd", &[("k", "two")]).await;
    eventually("restarts are under way", async || {
        (to_do(&reroll).await > crowd / 2).then_some(())
    })
    .await;
    let storm = async {
        eventually("all restarts are made", async || {
            (to_do(&reroll).await == 0).then_some(())
        })
        .await;
        goes_on.store(false, Ordering::Relaxed);
    };
    let busy = Took::by_people(&arena, &unseen, "busy", &goes_on);
    let ((), busy) = tokio::join!(storm, busy);
    eprintln!("calm: {calm}, busy: {busy}");
    assert!(
        busy.seen.len() >= PEOPLE * AT_LEAST,
        "the storm was over too soon"
    );
    // The same writes, one with and one without a review, by turns.
    let ([seen, seen_p99], [free, free_p99]) =
        (middle_and_most(&busy.seen), middle_and_most(&busy.free));
    assert!(seen < 3 * free + TIMEOUT / 10, "{busy}");
    assert!(seen_p99 < 3 * free_p99 + TIMEOUT, "{busy}");
    assert_eq!(passed_unseen(&arena).await, passed_by);

    eventually("all have rolled once", async || {
        sleep(Duration::from_secs(1)).await;
        let all = arena
            .api("StatefulSet")
            .list(&ListParams::default())
            .await
            .unwrap();
        let generation = |object: &DynamicObject| object.metadata.generation;
        assert!(
            all.iter().map(generation).max() <= Some(Some(2)),
            "one was restarted twice"
        );
        (all.iter().map(generation).min() == Some(Some(2))).then_some(())
    })
    .await;
}

/// How many restarts are to be made. Of many workloads of one namespace some wait until it is their turn to be decided about, on
/// a busy machine most.
async fn to_do(reroll: &Reroll) -> u64 {
    reroll.count(PENDING).await + reroll.count(TURN).await
}

fn person(number: usize) -> String {
    format!("person-{number}")
}

/// How long writes took, in ascending order: those that a webhook sees, and the same where none does.
struct Took {
    seen: Vec<Duration>,
    free: Vec<Duration>,
}

impl Took {
    /// Users write Secrets and what uses them, each write twice, while `goes_on`.
    async fn by_people(arena: &Arena, unseen: &Arena, value: &str, goes_on: &AtomicBool) -> Self {
        let person = async |number| {
            let (name, mut took) = (person(number), Vec::new());
            for turn in 0..TURNS {
                if !goes_on.load(Ordering::Relaxed) {
                    break;
                }
                let value = format!("{value}-{turn}");
                let seen = write(arena, &name, &value, turn).await;
                took.push([seen, write(unseen, &name, &value, turn).await]);
            }
            took
        };
        let took = join_all((0..PEOPLE).map(person)).await.concat();
        let sorted = |which: usize| {
            let mut all: Vec<_> = took.iter().map(|pair| pair[which]).collect();
            all.sort_unstable();
            all
        };
        Self {
            seen: sorted(0),
            free: sorted(1),
        }
    }
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seen, free) = (middle_and_most(&self.seen), middle_and_most(&self.free));
        let count = self.seen.len();
        write!(f, "p50 and p99 of {count}: {seen:?}, {free:?} unseen")
    }
}

/// The median and the 99th percentile.
fn middle_and_most(sorted: &[Duration]) -> [Duration; 2] {
    [sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100]]
}

async fn write(arena: &Arena, name: &str, value: &str, turn: usize) -> Duration {
    let began = Instant::now();
    if turn.is_multiple_of(2) {
        arena.update_secret(name, &[("k", value)]).await;
    } else {
        let note = json!({ "metadata": { "annotations": { "note": value } } });
        arena.patch("Deployment", name, note).await;
    }
    began.elapsed()
}

/// Returns how many calls to webhooks have failed so that a write skipped them.
async fn passed_unseen(arena: &Arena) -> u64 {
    let request = Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = arena.client.request_text(request).await.unwrap();
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("apiserver_admission_webhook_fail_open_count"));
    lines
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}
