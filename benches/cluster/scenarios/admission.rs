//! What a webhook adds to writes that come at a steady rate: reroll's, and one that only says allowed.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    runtime::watcher,
};
use reroll_harness::{
    RerollBuilder, numbered,
    report::{Samples, percentile},
    secret,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::ms;
use crate::{allow::OnlyAllows, bed::Bed, contender::Contender};

/// Each is written once a second or less: the API server tries writes again that meet at one object, and has all the
/// more to do.
const OBJECTS: usize = 200;
const RATE: u32 = 200;
/// Half of it, where the whole is more than two processors can take.
const HALF: u32 = RATE / 2;
/// New templates make ReplicaSets, and that work is not what is measured.
const TEMPLATES_RATE: u32 = 20;
const LASTS: Duration = Duration::from_secs(6);

/// What is written.
#[derive(Clone, Copy)]
enum Write {
    Secret,
    Label,
    Template,
}

const WRITES: [(Write, &str, u32); 4] = [
    (Write::Secret, "PUT Secret at 200/s", RATE),
    (
        Write::Template,
        "PATCH Deployment's template at 20/s",
        TEMPLATES_RATE,
    ),
    (Write::Label, "PATCH Deployment at 100/s", HALF),
    // The last, for it may leave work behind.
    (Write::Label, "PATCH Deployment at 200/s", RATE),
];

pub(super) async fn run(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    samples.against("floor");
    if matches!(contender, Contender::Peer(_)) {
        return samples;
    }
    let pairs = numbered(OBJECTS).map(|name| (name.clone(), name));
    let mut bed = Bed::new("admission", contender, numbered(OBJECTS), pairs, 2 << 10).await;
    bed.quiet().await;
    let without = all(&bed).await;
    let with = match contender {
        Contender::Floor => {
            let only_allows = OnlyAllows::start(&bed.arena).await;
            let with = all(&bed).await;
            only_allows.stop().await;
            with
        }
        Contender::Plainest => {
            // reroll follows it, and knows of no workload to restart.
            bed.users.clear();
            let running = contender.start(&bed, |builder| builder).await;
            let deployments = tokio::spawn(follow(bed.arena.api("Deployment")));
            let with = all(&bed).await;
            deployments.abort();
            running.stop().await;
            with
        }
        Contender::Reroll(_) | Contender::Peer(_) => {
            // What is written is to be seen, not to be restarted for.
            let quiet = |builder: RerollBuilder| {
                let builder = builder.flag("--settle", "10m");
                builder.flag("--settle-max", "10m")
            };
            let running = contender.start(&bed, quiet).await;
            bed.adopted(contender).await;
            bed.quiet().await;
            let with = all(&bed).await;
            running.stop().await;
            with
        }
    };
    for (((_, what, _), without), with) in WRITES.iter().zip(without).zip(with) {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let bare = percentile(&without.took, share);
            let asked = percentile(&with.took, share);
            let name = format!("{what}, {name}, ms");
            samples.of("no webhook", &name, bare);
            samples.add(&name, asked);
            samples.add(&format!("added to {name}"), asked - bare);
        }
        let busy = format!("processors busy with {what}, %");
        samples.of("no webhook", &busy, without.busy);
        samples.add(&busy, with.busy);
    }
    samples
}

/// What a controller with a webhook sees of workloads.
async fn follow(deployments: Api<DynamicObject>) {
    let events = watcher(deployments, watcher::Config::default());
    events.for_each(async |event| drop(event)).await;
}

/// One load.
struct Load {
    /// Each write, in milliseconds.
    took: Vec<f64>,
    /// Of all processors together, until the last write was answered, in percent.
    busy: f64,
}

async fn all(bed: &Bed) -> Vec<Load> {
    let mut all = Vec::new();
    for (write, _, rate) in WRITES {
        // The first make connections.
        load(bed, write, rate, LASTS / 8).await;
        let before = Processors::now();
        let took = load(bed, write, rate, LASTS).await;
        let busy = Processors::now().busy_since(&before);
        all.push(Load { took, busy });
    }
    all
}

/// Time that processors spent so far, in hundredths of a second.
struct Processors {
    idle: f64,
    total: f64,
}

impl Processors {
    /// `man 5 proc_stat`: after the name user, nice, system, idle, iowait, irq, softirq, steal.
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields = stat.split_whitespace().skip(1).take(8);
        let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        Self {
            idle: times.iter().skip(3).take(2).sum(),
            total: times.iter().sum(),
        }
    }

    fn busy_since(&self, before: &Self) -> f64 {
        100.0 * (1.0 - (self.idle - before.idle) / (self.total - before.total))
    }
}

/// Writes at this rate, whether or not earlier writes were answered. Returns how long each took, in milliseconds.
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
