//! Benchmarks of what is computed in memory, where a slow line would be felt: at admission a user waits for the answer,
//! and a start digests every source. `make micro` runs them. They compare with their own last run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step ends a program for one's own machine"
)]

mod decisions;
mod digests;
mod made;
mod references;
mod reviews;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let mut criterion = criterion.configure_from_args();
    digests::measure(&mut criterion);
    references::measure(&mut criterion);
    decisions::measure(&mut criterion);
    reviews::measure(&mut criterion);
    criterion.final_summary();
}
