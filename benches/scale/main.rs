//! The index of a huge cluster, in one process and without an API server: its memory, and what one event costs where it is
//! small and where it is huge. `make scale` runs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program for one's own machine"
)]

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use reroll::model::{
    DigestKey, Index, Observed, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
    format::FORMAT,
    observed::{Entries, Entry, Formers, KeyState, KeyStates},
    source::KeyLists,
    workload::{KINDS, Workload},
};
use serde_json::{Value, json};

/// Sources of a namespace, of which each fifth is used, by one workload.
const SOURCES: usize = 1000;
/// As many events are timed.
const EVENTS: usize = 20_000;

fn main() {
    println!(
        "| sources | workloads | resident | put in within | a used source changes, p50, p99 | an unused one | a workload is written |\n|---|---|---|---|---|---|---|"
    );
    for namespaces in [5, 50, 500] {
        let (before, began) = (resident(), Instant::now());
        let mut made = Made::new(namespaces);
        let (took, mib) = (began.elapsed(), resident() - before);
        let events = [
            made.time(|made, at| made.change(at / 200 % namespaces, at % 200 * 5)),
            made.time(|made, at| made.change(at / 200 % namespaces, at % 200 * 5 + 1)),
            made.time(|made, at| made.write(at / 200 % namespaces, at % 200)),
        ];
        let [used, unused, written] = events.map(|took| format!("{:.1}, {:.1} µs", took.0, took.1));
        println!(
            "| {} | {} | {mib:.0} MiB | {:.1} s | {used} | {unused} | {written} |",
            namespaces * SOURCES,
            namespaces * SOURCES / 5,
            took.as_secs_f64()
        );
    }
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

/// An index, and what its objects were made of.
struct Made {
    index: Index,
    key: DigestKey,
    version: u64,
}

impl Made {
    fn new(namespaces: usize) -> Self {
        let key = || DigestKey::new(&[7; DigestKey::LENGTH]).unwrap();
        let mut made = Self {
            index: Index::new(key()),
            key: key(),
            version: 1,
        };
        for namespace in 0..namespaces {
            for at in 0..SOURCES {
                made.put(namespace, at);
            }
            for at in 0..SOURCES / 5 {
                made.write(namespace, at);
            }
        }
        for kind in SourceKind::ALL {
            made.index.set_synced(kind);
        }
        made.index.workloads_listed();
        made
    }

    /// Medians and 99th percentiles of an event, in microseconds.
    fn time(&mut self, mut event: impl FnMut(&mut Self, usize) -> Duration) -> (f64, f64) {
        // No neighbour of the last one is in a cache.
        let order = (0..EVENTS).map(|at| at * 7919);
        let mut all: Vec<Duration> = order.map(|at| event(self, at)).collect();
        all.sort();
        let at = |share: usize| all[(EVENTS - 1) * share / 100].as_secs_f64() * 1e6;
        (at(50), at(99))
    }

    fn put(&mut self, namespace: usize, at: usize) -> Duration {
        let source = source(namespace, at);
        let secret = self.secret(namespace, at);
        let version = Version::of_secret(&self.key, &source.namespace, &secret);
        let began = Instant::now();
        black_box(self.index.apply_source(&source, version));
        began.elapsed()
    }

    /// A source changes: what uses it is judged.
    fn change(&mut self, namespace: usize, at: usize) -> Duration {
        let source = source(namespace, at);
        let secret = self.secret(namespace, at);
        let began = Instant::now();
        let version = Version::of_secret(&self.key, &source.namespace, &secret);
        let change = self.index.apply_source(&source, version);
        for user in change.users {
            black_box(self.index.judge(&user, &BTreeMap::new()));
        }
        began.elapsed()
    }

    /// A workload is written, with what was observed.
    fn write(&mut self, namespace: usize, at: usize) -> Duration {
        let key = WorkloadKey {
            kind: &KINDS[0],
            namespace: name_of(namespace),
            name: format!("workload-of-some-team-{at:04}"),
        };
        let object = serde_json::from_value(self.workload(&key, namespace, at)).unwrap();
        let began = Instant::now();
        let workload = Workload::read(key.kind, &object);
        black_box(self.index.apply_workload(&key, workload));
        black_box(self.index.judge(&key, &BTreeMap::new()));
        began.elapsed()
    }

    fn secret(&mut self, namespace: usize, at: usize) -> Secret {
        self.version += 1;
        let value = format!("{:0>200}", self.version);
        let object = json!({
            "metadata": {
                "name": source_name(at), "namespace": name_of(namespace), "uid": uid(namespace, at),
                "resourceVersion": self.version.to_string(), "creationTimestamp": "2026-11-22T00:03:48Z",
            },
            "stringData": {}, "data": { "password": k8s_openapi::ByteString(value.into_bytes()) },
        });
        serde_json::from_value(object).unwrap()
    }

    fn workload(&mut self, key: &WorkloadKey, namespace: usize, at: usize) -> Value {
        self.version += 1;
        let states = [(
            "*".to_owned(),
            KeyState::Seen(reroll::model::digest::Digest::CHANGED),
        )];
        let seen = Entry::Seen {
            uid: uid(namespace, at * 5),
            resource_version: 1000,
            states: KeyStates::from_iter(states),
            immutable: false,
        };
        let observed = Observed {
            format: FORMAT,
            key_id: self.key.id().to_owned(),
            workload_uid: uid(namespace, SOURCES + at),
            created_at: None,
            sequence: 1,
            restarted_for: String::new(),
            entries: Entries::from_iter([(SourceName::secret(source_name(at * 5)), seen)]),
            fold: None,
            formers: Formers::none(),
            lists: KeyLists::default(),
        };
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": key.name, "namespace": key.namespace, "uid": uid(namespace, SOURCES + at),
                "resourceVersion": self.version.to_string(), "generation": 1,
                "creationTimestamp": "2026-11-22T00:03:48Z",
                "annotations": {
                    "reroll.dev/restart-on": "auto", "reroll.dev/observed": observed.print(&self.key),
                },
            },
            "spec": {
                "replicas": 1, "selector": { "matchLabels": { "app": key.name } },
                "template": {
                    "metadata": { "labels": { "app": key.name } },
                    "spec": { "containers": [{
                        "name": "app", "image": "registry.example/app:1",
                        "envFrom": [{ "secretRef": { "name": source_name(at * 5) } }],
                    }] },
                },
            },
        })
    }
}

fn name_of(namespace: usize) -> String {
    format!("namespace-of-a-team-{namespace:03}")
}

fn source_name(at: usize) -> String {
    format!("credentials-of-a-service-{at:04}")
}

fn uid(namespace: usize, at: usize) -> String {
    format!("d2ba14f2-0694-42a8-{namespace:04x}-{at:012x}")
}

fn source(namespace: usize, at: usize) -> SourceKey {
    SourceKey {
        namespace: name_of(namespace),
        source: SourceName::secret(source_name(at)),
    }
}
