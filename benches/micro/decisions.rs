//! Decisions for one adopted workload: when nothing changed, and when one of its sources did. Also what the webhook
//! asks the index while a user waits: which workloads a change of a Secret would restart.

use std::{collections::BTreeMap, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput};
use reroll::model::{
    Decision, Index, Policy, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
    annotation::RESTART_ON,
    decide::{Known, Lookup, NO_SOURCES, Pods, Subject, decide},
    index::{PREVIEWED, Preview},
    observed::Templates,
    policy::Defaults,
    source::{References, references},
    workload::{KINDS, OlderPods, Workload},
};
use serde_json::{Value, json};

use crate::made::{NAMESPACE, key, read, secret, template};

pub(crate) fn measure(criterion: &mut Criterion) {
    decide_one(criterion);
    preview_all(criterion);
    judge_folds(criterion);
}

fn decide_one(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for count in [1, 10, 100] {
        group.throughput(Throughput::Elements(count as u64));
        let uses = references(&template(1, count));
        assert_eq!(uses.len(), count);
        let mut index = Index::new(key());
        index.set_synced(SourceKind::Secret);
        for source in uses.keys() {
            apply(&mut index, source, "1000", "a");
        }
        let asks = [(RESTART_ON.to_owned(), "auto".to_owned())];
        let (policy, _) = Policy::read(&asks.into_iter().collect(), Defaults::default());
        let subject = subject(&uses, &policy);
        let judge = |index: &Index, known: Known| {
            let live = |source: &SourceName| index.source(NAMESPACE, source);
            decide(&subject, known, &live, index.key())
        };
        let adopted = judge(&index, Known::Nothing).next().cloned().unwrap();
        let known = Known::Observed(&adopted);

        assert!(matches!(judge(&index, known), Decision::Keep(_)));
        group.bench_function(BenchmarkId::new("keep", count), |bencher| {
            bencher.iter(|| judge(black_box(&index), known));
        });
        apply(&mut index, uses.keys().next_back().unwrap(), "1001", "b");
        assert!(matches!(judge(&index, known), Decision::Restart(_)));
        group.bench_function(BenchmarkId::new("restart", count), |bencher| {
            bencher.iter(|| judge(black_box(&index), known));
        });
    }
    group.finish();
}

/// Workloads that use ten sources each, one of which all of them share.
fn preview_all(criterion: &mut Criterion) {
    const SOURCES: usize = 10;
    let mut group = criterion.benchmark_group("preview");
    for users in [1, 100, 2000] {
        let mut index = Index::new(key());
        index.set_synced(SourceKind::Secret);
        let template = template(1, SOURCES);
        let sources: Vec<_> = references(&template).keys().cloned().collect();
        for source in &sources {
            apply(&mut index, source, "1000", "a");
        }
        for number in 0..users {
            adopt(&mut index, &format!("web-{number}"), &template);
        }
        let shared = named(&sources[0]);
        let version = version(&sources[0], "1001", "b");
        let becomes = Lookup::Present {
            version: &version,
            fresh: true,
        };
        let preview = Preview::of_change(&index, &shared, becomes);
        assert_eq!(preview.restarts.len(), users.min(PREVIEWED));
        group.throughput(Throughput::Elements(users as u64));
        group.bench_function(BenchmarkId::from_parameter(users), |bencher| {
            bencher.iter(|| Preview::of_change(black_box(&index), &shared, becomes));
        });
    }
    group.finish();
}

/// Workloads that opt in for every Secret of their namespace: what is observed of so many is folded. One Secret has been
/// written, with other data or only with other labels, and one of the workloads is judged.
fn judge_folds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fold");
    for count in [200_usize, 2000] {
        let mut index = Index::new(key());
        index.set_synced(SourceKind::Secret);
        let sources: Vec<_> = (0..count)
            .map(|number| SourceName::secret(format!("secret-{number:05}")))
            .collect();
        for source in &sources {
            apply(&mut index, source, "1000", "a");
        }
        let workload = adopt_as(&mut index, "web", &template(1, 0), "secret/*");
        group.throughput(Throughput::Elements(count as u64));
        let nothing = BTreeMap::new();
        for (what, value) in [("labels", "a"), ("data", "b")] {
            apply(&mut index, &sources[count / 2], "1001", value);
            group.bench_function(BenchmarkId::new(what, count), |bencher| {
                bencher.iter(|| black_box(&index).assess(&workload, &nothing));
            });
        }
    }
    group.finish();
}

/// A watch shows a Deployment of this name.
fn adopt(index: &mut Index, name: &str, template: &Value) {
    adopt_as(index, name, template, "auto");
}

fn adopt_as(index: &mut Index, name: &str, template: &Value, opt_in: &str) -> WorkloadKey {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": NAMESPACE, "uid": name, "annotations": { RESTART_ON: opt_in } },
        "spec": { "template": template },
    });
    let key = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
    };
    let workload = Workload::read(key.kind, &serde_json::from_value(object).unwrap());
    index.apply_workload(&key, workload);
    drop(index.judge(&key, &BTreeMap::new()));
    key
}

/// A watch shows this value of a source.
fn apply(index: &mut Index, source: &SourceName, resource_version: &str, value: &str) {
    index.apply_source(&named(source), version(source, resource_version, value));
}

fn named(source: &SourceName) -> SourceKey {
    SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: source.clone(),
    }
}

fn version(source: &SourceName, resource_version: &str, value: &str) -> Version {
    let mut secret = read(&secret(&source.name, 0, 0));
    secret.metadata.resource_version = Some(resource_version.to_owned());
    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
    secret.data = Some([("k".to_owned(), value)].into());
    Version::of_secret(&key(), NAMESPACE, &secret)
}

fn subject<'a>(uses: &'a References, policy: &'a Policy) -> Subject<'a> {
    Subject {
        uid: "0f4a1d0e-6f39-4c43-a1f5-3b3a0c6a9f11",
        created: 1_795_000_000,
        generation: 3,
        restarted_for: Some(""),
        uses,
        policy,
        templates: Templates {
            now: uses,
            before: None,
        },
        widened: None,
        pods: Pods {
            started: None,
            ages: None,
            older: OlderPods::Gone,
            formers_gone: false,
            unseen: false,
            outlive_marks: false,
            aborted: false,
        },
        sequence: 0,
        examined: true,
        stopped: false,
        after_machines: &NO_SOURCES,
    }
}
