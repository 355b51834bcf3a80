//! A pod template, to the sources that it uses.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use reroll::model::source::references;

use crate::made::template;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("references");
    for (containers, each) in [(1, 2), (50, 10)] {
        let template = template(containers, each);
        assert_eq!(references(&template).len(), containers * each);
        group.throughput(Throughput::Elements((containers * each) as u64));
        group.bench_function(
            BenchmarkId::from_parameter(format!("{containers}x{each}")),
            |bencher| bencher.iter(|| references(black_box(&template))),
        );
    }
    group.finish();
}
