//! The CPU time that changes cost: those that restart workloads, and those of Secrets that no workload uses.

use std::time::Duration;

use reroll_harness::{numbered, report::Samples};

use crate::{
    bed::{Bed, each},
    contender::Contender,
};

const PAIRS: usize = 100;
const CHANGES: usize = 1000;

pub(super) async fn run(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    if matches!(contender, Contender::Floor) {
        return samples;
    }
    let pairs = numbered(PAIRS).map(|name| (name.clone(), name));
    let idle = (0..PAIRS).map(unused);
    let secrets = numbered(PAIRS).chain(idle);
    let bed = Bed::new("changes", contender, secrets, pairs, 2 << 10).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    let before = running.cost().cpu_seconds;
    each(0..CHANGES, async |number| {
        bed.write(&unused(number % PAIRS)).await;
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let between = running.cost().cpu_seconds;
    samples.add("CPU of 1,000 changes that nobody uses, s", between - before);
    for _ in 0..CHANGES / PAIRS {
        let count = bed.count();
        each(numbered(PAIRS), async |name: String| bed.write(&name).await).await;
        bed.reaches(count + PAIRS).await;
    }
    let cost = running.cost().cpu_seconds - between;
    samples.add("CPU of 1,000 changes and restarts, s", cost);
    running.stop().await;
    samples
}

fn unused(number: usize) -> String {
    format!("unused{number}")
}
