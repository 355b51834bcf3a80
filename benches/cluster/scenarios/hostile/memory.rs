//! What reroll remembers of a tenant that has gone, an hour later.

use reroll_harness::{
    Arena,
    hostile::{Added, remembered},
    report::Samples,
};

use crate::contender::Contender;

/// Objects of each row: as many as come in five minutes, one a second. An API server takes seconds for each of the large.
const COUNT: usize = 300;
const LARGE: usize = 20;

fn count(added: Added) -> usize {
    match added {
        Added::Keys | Added::Projected => LARGE,
        _ => COUNT,
    }
}

pub(in super::super) async fn run(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    samples.against("before");
    let Contender::Reroll(binary) = contender else {
        return samples;
    };
    let row = async |added: Added| {
        let arena = Arena::new("bench-memory").await;
        let builder = super::by_default(binary.builder(&arena)).program(binary.program());
        let memory = remembered(&arena, builder, added, count(added)).await;
        eprintln!("{added:?}: {memory:?}");
        memory
    };
    for added in Added::ALL {
        let memory = row(added).await;
        let what = format!("{added:?}, MiB").to_lowercase();
        for (who, bytes) in [
            ("before", memory.before),
            ("with them", memory.with),
            ("an hour later", memory.later),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "megabytes")]
            let mib = bytes as f64 / f64::from(1 << 20);
            samples.of(who, &what, mib);
        }
    }
    samples
}
