//! Many workloads are adopted: how long each kind takes, and how long somebody's own rollout takes meanwhile.
//!
//! The floor writes as much on each, one after the other and all kinds side by side, whether or not their controllers keep
//! up.

use std::time::{Duration, Instant};

use futures::{StreamExt, future::join_all};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    runtime::{
        wait::await_condition,
        watcher::{Config, Event, watcher},
    },
};
use reroll_harness::{Arena, OBSERVED, env_from, numbered, report::Samples, workload};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::ms;
use crate::{
    bed::{Bed, each},
    contender::Contender,
};

/// Of ten workloads.
const OF_TEN: [(&str, usize); 3] = [("Deployment", 4), ("StatefulSet", 3), ("DaemonSet", 3)];
/// Somebody's own rollouts without the adoption.
const ROLLOUTS: usize = 30;
/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(500);
/// What was not done by then is not waited for.
const LATE: Duration = Duration::from_mins(1);
/// As long as what is written on a workload with one source.
const WRITTEN: usize = 200;

pub(super) async fn run(contender: &Contender, count: usize, repeat: usize) -> Samples {
    let mut samples = Samples::default();
    // It takes minutes.
    if repeat > 0 {
        return samples;
    }
    let bed = Bed::new("adoption", contender, ["s".to_owned()], [], 16).await;
    let kinds = OF_TEN.map(|(kind, of_ten)| (kind, count / 10 * of_ten));
    for (kind, count) in kinds {
        each(numbered(count), async |name: String| {
            let object = workload(kind, &name, &[contender.annotation()], env_from("s"));
            bed.arena.create(&object).await;
        })
        .await;
    }
    let own = Own::new().await;
    bed.quiet().await;
    for _ in 0..ROLLOUTS {
        samples.add("own rollout without, ms", own.roll().await);
        sleep(BETWEEN).await;
    }
    let running = contender.start(&bed, |builder| builder).await;
    let began = Instant::now();
    let works = running.works();
    let adopted = join_all(kinds.map(async |(kind, count)| {
        let api = bed.arena.api(kind);
        let write = async {
            if !works {
                write_all(&api, count).await;
            }
        };
        let (at, ()) = tokio::join!(written(api.clone(), count), write);
        (kind, count, (at - began).as_secs_f64())
    }));
    let beside = async {
        loop {
            samples.add("own rollout beside it, ms", own.roll().await);
            sleep(BETWEEN).await;
        }
    };
    let adopted = tokio::select! {
        adopted = adopted => adopted,
        () = beside => return samples,
    };
    for (kind, count, took) in adopted {
        samples.add(&format!("{count} {kind}s adopted, s"), took);
    }
    if works {
        samples.add("CPU, s", running.cost().cpu_seconds);
        samples.add("peak, MiB", running.cost().peak_mib);
    }
    running.stop().await;
    samples
}

/// Writes as much as an adoption does.
async fn write_all(api: &Api<DynamicObject>, count: usize) {
    let patch = json!({ "metadata": { "annotations": { OBSERVED: "x".repeat(WRITTEN) } } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    for name in numbered(count) {
        let written = api.patch_metadata(&name, &params, &patch).await;
        written.expect("it can be written");
    }
}

/// Waits until so many are written. Returns when the last of them was.
async fn written(api: Api<DynamicObject>, count: usize) -> Instant {
    let mut written = std::collections::HashSet::new();
    let mut events = watcher(api, Config::default()).boxed();
    while written.len() < count {
        let event = events.next().await.expect("a watch goes on");
        let (Event::Apply(object) | Event::InitApply(object)) = event.expect("it does not fail")
        else {
            continue;
        };
        if object.annotations().contains_key(OBSERVED) {
            written.insert(object.name_any());
        }
    }
    Instant::now()
}

/// A Deployment of somebody else, in another namespace, with one pod.
struct Own {
    api: Api<DynamicObject>,
    // It is there for as long as its workloads are.
    _arena: Arena,
}

impl Own {
    async fn new() -> Self {
        let arena = Arena::new("bench-own").await;
        let mut object = workload("Deployment", "own", &[], json!({ "containers": [{}] }));
        object["spec"]["replicas"] = json!(1);
        arena.create(&object).await;
        let own = Self {
            api: arena.api("Deployment"),
            _arena: arena,
        };
        own.roll().await;
        own
    }

    /// Rolls it. Returns after how many milliseconds its new pod was ready.
    async fn roll(&self) -> f64 {
        let began = Instant::now();
        let value = fastrand::u64(..).to_string();
        let annotations = json!({ "annotations": { "n": value } });
        let patch = Patch::Merge(json!({ "spec": { "template": { "metadata": annotations } } }));
        let patched = self.api.patch("own", &PatchParams::default(), &patch).await;
        let generation = patched.expect("it can be written").metadata.generation;
        let rolled = |object: Option<&DynamicObject>| {
            let status = object.map(|object| &object.data["status"]);
            status.is_some_and(|status| {
                let counts = ["replicas", "updatedReplicas", "availableReplicas"];
                status["observedGeneration"].as_i64() >= generation
                    && counts.iter().all(|count| status[count] == json!(1))
            })
        };
        let rolls = await_condition(self.api.clone(), "own", rolled);
        match timeout(LATE, rolls).await {
            Ok(rolled) => drop(rolled.expect("a watch does not fail here")),
            Err(_) => eprintln!("a rollout took longer than {LATE:?}"),
        }
        ms(began.elapsed())
    }
}
