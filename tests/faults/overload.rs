//! Thousands of restarts at once, and people's writes are answered as ever.

use std::time::{Duration, Instant};

use axum::http::Request;
use futures::{StreamExt as _, stream};
use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    MACHINE,
    support::{Arena, RESTART_ON, deployment, each, env, eventually, workload},
    variable,
};

/// What the webhooks may take, after which an API server lets the write pass.
const TIMEOUT: Duration = Duration::from_secs(1);
const PENDING: &str = "reroll_intents_pending";
const WRITES: usize = 400;

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
    // Nobody runs pods here: the machine is for the API server and reroll.
    for component in [
        "kube-controller-manager",
        "kube-scheduler",
        "kwok-controller",
    ] {
        arena.cluster.kill_component(component).unwrap();
    }
    let crowd = variable("REROLL_OVERLOAD").unwrap_or(RESTARTS);
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
    for number in 0..4 {
        let name = person(number);
        arena.secret(&name, &[("k", "one")]).await;
        arena.create(&deployment(&name, &name, "k")).await;
    }
    eventually("all are known", async || {
        (reroll.count("reroll_workloads_indexed").await == crowd + 4).then_some(())
    })
    .await;

    let passed_by = passed_unseen(&arena).await;
    let calm = write(&arena, "calm").await;
    arena.update_secret("crowd", &[("k", "two")]).await;
    eventually("restarts are under way", async || {
        let pending = reroll.count(PENDING).await;
        (pending > crowd / 2).then_some(())
    })
    .await;
    let busy = write(&arena, "busy").await;
    let left = reroll.count(PENDING).await;
    eprintln!("p50 and p99: calm {calm:?}, busy {busy:?}; {left} restarts were left");
    assert!(left > 0, "the storm was over too soon");
    assert!(busy[1] < TIMEOUT, "{busy:?}, and {calm:?} before");
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

fn person(number: usize) -> String {
    format!("person-{number}")
}

/// Four people write Secrets and what uses them, one after the other. The median and the 99th percentile.
async fn write(arena: &Arena, value: &str) -> [Duration; 2] {
    let mut took: Vec<_> = stream::iter(0..WRITES)
        .map(async |number| {
            let name = person(number % 4);
            let began = Instant::now();
            let value = format!("{value}-{number}");
            if number % 8 < 4 {
                arena.update_secret(&name, &[("k", &value)]).await;
            } else {
                let note = json!({ "metadata": { "annotations": { "note": value } } });
                arena.patch("Deployment", &name, note).await;
            }
            began.elapsed()
        })
        .buffer_unordered(4)
        .collect()
        .await;
    took.sort_unstable();
    [took[WRITES / 2], took[WRITES * 99 / 100]]
}

/// How many calls to webhooks have failed so that a write passed without them.
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
