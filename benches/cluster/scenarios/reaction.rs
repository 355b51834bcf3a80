//! From the write of a Secret to the changed template, one after another.

use std::time::{Duration, Instant};

use reroll_harness::{RerollBuilder, report::Samples};

use super::ms;
use crate::{bed::Bed, contender::Contender};

const WRITES: usize = 30;
/// As many as a workload may be restarted in a row with default settings.
const WRITES_BY_DEFAULT: usize = 10;
/// The quiet period with default settings.
const SETTLE: Duration = Duration::from_secs(1);

/// Without a quiet period.
pub(super) async fn run(contender: &Contender) -> Samples {
    measure(contender, WRITES, Duration::ZERO, |builder| builder).await
}

/// With default settings; the quiet period, which is what it says, is taken off.
pub(super) async fn run_by_default(contender: &Contender) -> Samples {
    let quiet = match contender {
        Contender::Reroll(_) => SETTLE,
        Contender::Floor | Contender::Plainest | Contender::Peer(_) => Duration::ZERO,
    };
    let defaults = |builder: RerollBuilder| {
        let set = ["--settle", "--restart-rate", "--adopt-rate"];
        set.into_iter().fold(builder, RerollBuilder::without)
    };
    measure(contender, WRITES_BY_DEFAULT, quiet, defaults).await
}

async fn measure(
    contender: &Contender,
    writes: usize,
    quiet: Duration,
    adjust: impl FnOnce(RerollBuilder) -> RerollBuilder,
) -> Samples {
    let one = || "web".to_owned();
    let bed = Bed::new("reaction", contender, [one()], [(one(), one())], 16).await;
    let running = contender.start(&bed, adjust).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    let mut samples = Samples::default();
    for _ in 0..writes {
        let count = bed.count();
        let began = Instant::now();
        bed.write("web").await;
        if !running.works() {
            bed.restart("web").await;
        }
        let changed = bed.reaches(count + 1).await;
        samples.add(
            "write to changed template, ms",
            ms(changed - began) - ms(quiet),
        );
    }
    running.stop().await;
    samples
}
