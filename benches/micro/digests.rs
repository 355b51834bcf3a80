//! A Secret as it was decoded, to its version.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use reroll::model::Version;

use crate::made::{NAMESPACE, key, read, secret};

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    let key = key();
    for (name, keys, bytes) in [
        ("1x32B", 1, 32),
        ("10x1KiB", 10, 1 << 10),
        ("1x1MiB", 1, 1 << 20),
    ] {
        let secret = read(&secret("db", keys, bytes));
        group.throughput(Throughput::Bytes((keys * bytes) as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| Version::of_secret(&key, NAMESPACE, black_box(&secret)));
        });
    }
    group.finish();
}
