//! A hundred Secrets are deleted and created again at once.

use std::time::Instant;

use reroll_harness::{numbered, report::Samples};

use super::ms;
use crate::{
    bed::{Bed, each},
    contender::Contender,
};

const COUNT: usize = 100;

pub(super) async fn run(contender: &Contender) -> Samples {
    let pairs = numbered(COUNT).map(|name| (name.clone(), name));
    let bed = Bed::new("burst", contender, numbered(COUNT), pairs, 16).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    let count = bed.count();
    let began = Instant::now();
    each(numbered(COUNT), async |name: String| {
        bed.recreate(&name).await;
        if !running.works() {
            bed.restart(&name).await;
        }
    })
    .await;
    let last = bed.reaches(count + COUNT).await;
    let mut samples = Samples::default();
    samples.add(
        "first deletion to last changed template, ms",
        ms(last - began),
    );
    running.stop().await;
    samples
}
