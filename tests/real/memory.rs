//! What tenants wrote and took away is forgotten in time: memory is then what it was before, or nearly so.

use futures::{StreamExt as _, stream};
use reroll_harness::{
    Arena,
    hostile::{Added, remembered},
};

/// As many as come in five minutes, one a second.
const COUNT: usize = 300;
/// What is looked at. After thousands of long texts the C library keeps what was freed, which is no memory of reroll's but counts
/// as resident: `make bench ARGS=hostile-memory` shows that.
const ROWS: [Added; 2] = [Added::Reviews, Added::Releases];

#[tokio::test]
async fn an_hour_after_a_tenant_took_everything_away_memory_is_what_it_was() {
    let row = async |added: Added| {
        let arena = Arena::new("memory").await;
        let memory = remembered(&arena, arena.reroll(), added, COUNT).await;
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
        .map(|added| Box::pin(row(added)))
        .buffer_unordered(ROWS.len())
        .collect()
        .await;
    let too_much: Vec<_> = all
        .into_iter()
        .filter(|(_, memory)| memory.later * 10 > memory.before * 12)
        .collect();
    assert!(too_much.is_empty(), "{too_much:?}");
}
