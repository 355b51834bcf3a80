//! From the write of a Secret to the changed template, one after another.

use std::time::Instant;

use super::ms;
use crate::{bed::Bed, contender::Contender, report::Samples};

const WRITES: usize = 30;

pub(super) async fn run(contender: &Contender) -> Samples {
    let one = || "web".to_owned();
    let bed = Bed::new("reaction", contender, [one()], [(one(), one())], 16).await;
    let running = contender.start(&bed.arena, |builder| builder).await;
    bed.adopted(contender).await;
    let mut samples = Samples::default();
    for _ in 0..WRITES {
        let count = bed.count();
        let began = Instant::now();
        bed.write("web").await;
        if !running.works() {
            bed.restart("web").await;
        }
        let changed = bed.reaches(count + 1).await;
        samples.add("write to changed template, ms", ms(changed - began));
    }
    running.stop().await;
    samples
}
