//! One workload that was adopted: what follows for it while nothing changed, and when one of its sources did.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use reroll::model::{
    Index, Outcome, Policy, SourceKey, SourceKind, SourceName, Version,
    decide::{Known, Subject, decide},
    policy::Defaults,
    source::{References, references},
};

use crate::made::{NAMESPACE, key, read, secret, template};

pub(crate) fn measure(criterion: &mut Criterion) {
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
        let asks = [("reroll.dev/restart-on".to_owned(), "auto".to_owned())];
        let (policy, _) = Policy::read(&asks.into(), Defaults::default());
        let subject = subject(&uses, &policy);
        let judge = |index: &Index, known: Known| {
            let live = |source: &SourceName| index.source(NAMESPACE, source);
            decide(&subject, known, &live, index.key())
        };
        let adopted = judge(&index, Known::Nothing).next.unwrap();
        let known = Known::Observed(&adopted);

        assert_eq!(judge(&index, known).outcome, Outcome::Keep);
        group.bench_function(BenchmarkId::new("keep", count), |bencher| {
            bencher.iter(|| judge(black_box(&index), known));
        });
        apply(&mut index, uses.keys().next_back().unwrap(), "1001", "b");
        assert_eq!(judge(&index, known).outcome, Outcome::Restart);
        group.bench_function(BenchmarkId::new("restart", count), |bencher| {
            bencher.iter(|| judge(black_box(&index), known));
        });
    }
    group.finish();
}

/// A watch shows this value of a source.
fn apply(index: &mut Index, source: &SourceName, resource_version: &str, value: &str) {
    let mut secret = read(&secret(&source.name, 0, 0));
    secret.metadata.resource_version = Some(resource_version.to_owned());
    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
    secret.data = Some([("k".to_owned(), value)].into());
    let version = Version::of_secret(&key(), NAMESPACE, &secret);
    let key = SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: source.clone(),
    };
    index.apply_source(&key, version);
}

fn subject<'a>(uses: &'a References, policy: &'a Policy) -> Subject<'a> {
    Subject {
        uid: "0f4a1d0e-6f39-4c43-a1f5-3b3a0c6a9f11",
        created: 1_795_000_000,
        generation: 3,
        restarted_for: Some(""),
        uses,
        policy,
        started: None,
    }
}
