//! A whole cluster in one process: reroll itself, an API server and controllers in memory, and time that jumps. What is
//! done, and when, comes from a seed.
//!
//! The oracle shares no code with reroll. Pods note which versions of their sources they started with. When everybody
//! has come to rest, every pod has what is there now, and no workload was restarted more often than its sources changed.
//!
//! `REROLL_SEED` runs one seed, and says what happens; `REROLL_SEEDS` runs that many from it on. A seed draws what is done
//! and when. It does not draw reroll's own chance yet: the jitter of its retries, its digest key, the order of its maps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod cluster;
mod controllers;
mod kubelet;
mod operations;
mod oracle;
mod reroll;

use std::time::Instant;

use tokio::{runtime::Builder, task::LocalSet};

use self::cluster::Cluster;

/// How many schedules there are, and how many operations each has.
const SCHEDULES: u64 = 20;
const OPERATIONS: usize = 60;

fn variable(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test program, told by variables"
    )]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// Runs one schedule. Returns what is wrong in the end.
fn run(seed: u64, tells: bool) -> Result<(), String> {
    if tells {
        let level = tracing_subscriber::filter::LevelFilter::DEBUG;
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_test_writer()
            .try_init();
    }
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let schedule = async {
        let mut cluster = Cluster::new(seed, tells);
        cluster.begin().await;
        for _ in 0..OPERATIONS {
            cluster.operate().await;
        }
        cluster.come_to_rest().await;
        cluster.judge()
    };
    LocalSet::new().block_on(&runtime, schedule)
}

#[test]
fn every_schedule_ends_well() {
    let first = variable("REROLL_SEED");
    let seeds = variable("REROLL_SEEDS").unwrap_or(if first.is_some() { 1 } else { SCHEDULES });
    let (began, start) = (Instant::now(), first.unwrap_or(0));
    for seed in start..start + seeds {
        if let Err(wrong) = run(seed, first.is_some() && seeds == 1) {
            panic!("REROLL_SEED={seed}: {wrong}");
        }
    }
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let pace = seeds as f64 / took;
    eprintln!("{seeds} schedules of {OPERATIONS} operations in {took:.1} s: {pace:.1} a second");
}
