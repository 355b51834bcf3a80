//! How long a start takes beside Helm's releases, which are Secrets that no workload uses.

use std::time::Instant;

use reroll_harness::{
    Arena,
    hostile::{leave, release},
    report::Samples,
};

use super::{ALONE, bed, cost, ms, namespaces, start, tenant};
use crate::{
    bed::{Bed, each},
    contender::{Contender, Running},
};

const RELEASES: usize = 300;
const BYTES: usize = 700 << 10;
/// Starts with, and without.
const STARTS: usize = 3;

pub(in super::super) async fn run(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    samples.against(ALONE);
    let bed = bed(contender).await;
    let tenants = [tenant().await];
    let all = namespaces(&bed, &tenants);
    let running = start(contender, &bed, super::Row::Globs, &all).await;
    bed.adopted(contender).await;
    running.stop().await;
    ready(contender, &bed, &all, &mut samples, Some(ALONE)).await;
    releases(&tenants[0]).await;
    ready(contender, &bed, &all, &mut samples, None).await;
    leave(&tenants[0]).await;
    samples
}

async fn releases(tenant: &Arena) {
    each(0..RELEASES, async |number| {
        tenant.create(&release(number, BYTES)).await;
    })
    .await;
}

async fn ready(
    contender: &Contender,
    bed: &Bed,
    namespaces: &[String],
    samples: &mut Samples,
    who: Option<&str>,
) {
    for _ in 0..STARTS {
        bed.quiet().await;
        let began = Instant::now();
        let running = start(contender, bed, super::Row::Globs, namespaces).await;
        let took = ms(began.elapsed());
        let Running::Reroll(reroll) = &running else {
            return;
        };
        let cost = cost(reroll);
        for (what, value) in [
            ("until ready, ms", took),
            ("CPU until ready, s", cost.cpu_seconds),
            ("peak until ready, MiB", cost.peak_mib),
        ] {
            match who {
                Some(who) => samples.of(who, what, value),
                None => samples.add(what, value),
            }
        }
        running.stop().await;
    }
}
