//! One Secret that many Deployments use, without pacing.

use std::time::Instant;

use reroll_harness::{numbered, report::Samples};

use super::ms;
use crate::{
    bed::{Bed, each},
    contender::Contender,
};

pub(super) async fn run(contender: &Contender, count: usize) -> Samples {
    let users = numbered(count).map(|name| (name, "shared".to_owned()));
    let bed = Bed::new("fan-out", contender, ["shared".to_owned()], users, 16).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    let before = bed.count();
    let cpu = running.cost().cpu_seconds;
    let began = Instant::now();
    bed.write("shared").await;
    if !running.works() {
        each(numbered(count), async |name: String| {
            bed.restart(&name).await;
        })
        .await;
    }
    let last = bed.reaches(before + count).await;
    let mut samples = Samples::default();
    samples.add("write to last changed template, ms", ms(last - began));
    if running.works() {
        samples.add("CPU, s", running.cost().cpu_seconds - cpu);
    }
    running.stop().await;
    samples
}
