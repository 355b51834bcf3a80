//! What tenants wrote and took away is forgotten in time: memory is then what it was before, or nearly so.

use futures::{StreamExt as _, stream};
use reroll_harness::{
    Arena, binary,
    hostile::{Added, remembered},
};

/// Of each how many: as many as come in five minutes, one a second, and a third of what keeps the API server busy. Of others
/// `make bench ARGS=hostile-memory` shows it.
const ROWS: [(Added, usize); 4] = [
    (Added::Reviews, 300),
    (Added::Releases, 300),
    (Added::Globs, 100),
    (Added::References, 100),
];

#[tokio::test]
async fn an_hour_after_a_tenant_took_everything_away_memory_is_what_it_was() {
    let row = async |(added, count): (Added, usize)| {
        let arena = Arena::new("memory").await;
        // What gives memory back is the product's own.
        let builder = arena.reroll().program(binary("reroll").unwrap());
        let memory = remembered(&arena, builder, added, count).await;
        let mib = |bytes: u64| bytes >> 20;
        eprintln!(
            "{added:?}: {} MiB before, {} with them, {} an hour later",
            mib(memory.before),
            mib(memory.with),
            mib(memory.later)
        );
        (added, memory)
    };
    let all: Vec<_> = stream::iter(ROWS)
        .map(|one| Box::pin(row(one)))
        .buffer_unordered(ROWS.len())
        .collect()
        .await;
    let too_much: Vec<_> = all
        .into_iter()
        .filter(|(_, memory)| memory.later * 10 > memory.before * 12)
        .collect();
    assert!(too_much.is_empty(), "{too_much:?}");
}
