//! While the reloader is down, a hundred of 300 Secrets are changed and a hundred are recreated. Measures how long it
//! takes until all of their workloads have rolled, and counts whether any other workload did.

use std::time::{Duration, Instant};

use reroll_harness::{numbered, report::Samples};

use super::ms;
use crate::{
    bed::{Bed, each},
    contender::Contender,
};

const ALL: usize = 300;

pub(super) async fn run(contender: &Contender) -> Samples {
    let pairs = numbered(ALL).map(|name| (name.clone(), name));
    let bed = Bed::new("downtime", contender, numbered(ALL), pairs, 16).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    running.stop().await;
    each(
        numbered(ALL).skip(ALL / 3).enumerate(),
        async |(number, name): (usize, String)| {
            if number % 2 == 0 {
                bed.write(&name).await;
            } else {
                bed.recreate(&name).await;
            }
        },
    )
    .await;
    bed.quiet().await;
    let (before, missed) = (bed.count(), ALL - ALL / 3);
    let began = Instant::now();
    let running = contender.start(&bed, |builder| builder).await;
    if !running.works() {
        each(numbered(ALL).skip(ALL / 3), async |name: String| {
            bed.restart(&name).await;
        })
        .await;
    }
    let mut samples = Samples::default();
    // One that forgets never gets there.
    let all = tokio::time::timeout(Duration::from_mins(1), bed.reaches(before + missed)).await;
    if let Ok(last) = all {
        samples.add("start to last changed template, ms", ms(last - began));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let rolled = (bed.count() - before) as f64;
    samples.add("rolled of 200", rolled);
    running.stop().await;
    samples
}
