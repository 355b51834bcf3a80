//! What a webhook adds to writes that come at a steady rate: reroll's, and one that only says allowed.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::ms;
use crate::{
    allow::OnlyAllows,
    bed::Bed,
    contender::Contender,
    report::{Samples, percentile},
    support::{numbered, secret},
};

/// Each is written once a second or less: the API server tries writes again that meet at one object, and has all the more to do.
const OBJECTS: usize = 200;
const RATE: u32 = 200;
/// 200 a second are more than two processors can take with any webhook: writes wait for each other, and say nothing else.
const PATCH_RATE: u32 = 100;
/// New templates make ReplicaSets, and that work is not what is measured.
const TEMPLATES_RATE: u32 = 20;
const LASTS: Duration = Duration::from_secs(4);

/// What is written.
#[derive(Clone, Copy)]
enum Write {
    Secret,
    Label,
    Template,
}

const WRITES: [(Write, &str, u32); 3] = [
    (Write::Secret, "PUT Secret", RATE),
    (Write::Label, "PATCH Deployment", PATCH_RATE),
    (
        Write::Template,
        "PATCH Deployment's template",
        TEMPLATES_RATE,
    ),
];

pub(super) async fn run(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    samples.against("floor");
    if matches!(contender, Contender::Peer(_)) {
        return samples;
    }
    let pairs = numbered(OBJECTS).map(|name| (name.clone(), name));
    let bed = Bed::new("admission", contender, numbered(OBJECTS), pairs, 2 << 10).await;
    bed.quiet().await;
    let without = all(&bed).await;
    let with = if matches!(contender, Contender::Floor) {
        let only_allows = OnlyAllows::start(&bed.arena).await;
        let with = all(&bed).await;
        only_allows.stop().await;
        with
    } else {
        // What is written is to be seen, not to be restarted for.
        let quiet = |builder: crate::support::RerollBuilder| {
            let builder = builder.flag("--settle", "10m");
            builder.flag("--settle-max", "10m")
        };
        let running = contender.start(&bed, quiet).await;
        bed.adopted(contender).await;
        bed.quiet().await;
        let with = all(&bed).await;
        running.stop().await;
        with
    };
    for (((_, what, _), without), with) in WRITES.iter().zip(without).zip(with) {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let (bare, asked) = (percentile(&without, share), percentile(&with, share));
            samples.of("no webhook", &format!("{what} {name}, ms"), bare);
            samples.add(&format!("{what} {name}, ms"), asked);
            samples.add(&format!("added to {what} {name}, ms"), asked - bare);
        }
    }
    samples
}

async fn all(bed: &Bed) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    for (write, _, rate) in WRITES {
        // The first make connections.
        load(bed, write, rate, LASTS / 8).await;
        all.push(load(bed, write, rate, LASTS).await);
    }
    all
}

/// Writes at this rate, whether or not earlier ones were answered; gives how long each took, in milliseconds.
async fn load(bed: &Bed, write: Write, rate: u32, lasts: Duration) -> Vec<f64> {
    let took = Arc::new(Mutex::new(Vec::new()));
    let mut writes = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let names: Vec<_> = numbered(OBJECTS).collect();
    let (secrets, deployments) = (secrets(bed), bed.arena.api("Deployment"));
    let began = Instant::now();
    for name in names.iter().cycle() {
        if began.elapsed() >= lasts {
            break;
        }
        ticks.tick().await;
        let (name, took) = (name.clone(), Arc::clone(&took));
        let (secrets, deployments) = (secrets.clone(), deployments.clone());
        writes.spawn(async move {
            let began = Instant::now();
            one(write, &name, &secrets, &deployments).await;
            took.lock().unwrap().push(ms(began.elapsed()));
        });
    }
    writes.join_all().await;
    std::mem::take(&mut took.lock().unwrap())
}

fn secrets(bed: &Bed) -> Api<Secret> {
    Api::namespaced(bed.arena.client.clone(), &bed.arena.namespace)
}

async fn one(write: Write, name: &str, secrets: &Api<Secret>, deployments: &Api<DynamicObject>) {
    let value = format!("{:0>2048}", fastrand::u64(..));
    let patch = |patch: Value| {
        let params = PatchParams::default();
        async move { deployments.patch(name, &params, &Patch::Merge(patch)).await }
    };
    match write {
        Write::Secret => {
            let object: Secret = serde_json::from_value(secret(name, &[("k", &value)])).unwrap();
            let params = PostParams::default();
            secrets.replace(name, &params, &object).await.unwrap();
        }
        Write::Label => {
            let label = &value[2040..];
            let labels = json!({ "metadata": { "labels": { "written": label } } });
            patch(labels).await.unwrap();
        }
        Write::Template => {
            let annotations = json!({ "written": value[2040..] });
            let template = json!({ "metadata": { "annotations": annotations } });
            patch(json!({ "spec": { "template": template } }))
                .await
                .unwrap();
        }
    }
}
