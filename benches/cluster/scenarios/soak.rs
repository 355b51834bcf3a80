//! Memory over minutes of churn: Secrets and Deployments are created, changed, recreated and deleted all the time.

use std::time::{Duration, Instant};

use reroll_harness::{
    numbered,
    report::{Samples, percentile},
    secret, workload,
};
use serde_json::json;

use crate::{
    bed::{Bed, each},
    contender::Contender,
};

const STANDING: usize = 200;
/// Names that come and go.
const PASSING: usize = 500;
const LASTS: Duration = Duration::from_mins(10);
/// Acts in a row between two looks at the memory.
const ROUND: usize = 250;

pub(super) async fn run(contender: &Contender, repeat: usize) -> Samples {
    let mut samples = Samples::default();
    // Once is long enough.
    if matches!(contender, Contender::Floor) || repeat > 0 {
        return samples;
    }
    let pairs = numbered(STANDING).map(|name| (name.clone(), name));
    let bed = Bed::new("soak", contender, numbered(STANDING), pairs, 2 << 10).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    let (began, mut all, mut acts) = (Instant::now(), Vec::new(), 0_usize);
    while began.elapsed() < LASTS {
        each(0..ROUND, async |_| act(&bed, contender).await).await;
        acts += ROUND;
        let rss = running.cost().rss_mib;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        samples.point("RSS over minutes of churn, MiB", minutes, rss);
        all.push(rss);
    }
    let sixth = all.len() / 6;
    samples.add(
        "RSS in the second sixth, MiB",
        percentile(&all[sixth..2 * sixth], 0.5),
    );
    samples.add(
        "RSS in the last sixth, MiB",
        percentile(&all[5 * sixth..], 0.5),
    );
    #[expect(clippy::cast_precision_loss, reason = "some ten thousands")]
    samples.add("writes", acts as f64);
    running.stop().await;
    samples
}

async fn act(bed: &Bed, contender: &Contender) {
    let standing = format!("w{:02}", fastrand::usize(..STANDING));
    let passing = format!("passing{}", fastrand::usize(..PASSING));
    match fastrand::u8(..8) {
        0..3 => bed.try_write(&standing).await,
        3 => {
            // Two at once may meet.
            bed.try_delete("Secret", &standing).await;
            bed.try_create(&secret(&standing, &[("k", "recreated")]))
                .await;
        }
        4 | 5 => {
            let value = "x".repeat(2 << 10);
            bed.try_create(&secret(&passing, &[("k", &value)])).await;
        }
        6 => {
            let pod =
                json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": passing } }] }] });
            bed.try_create(&workload(
                "Deployment",
                &passing,
                &[contender.annotation()],
                pod,
            ))
            .await;
        }
        _ => {
            let kind = if fastrand::bool() {
                "Secret"
            } else {
                "Deployment"
            };
            bed.try_delete(kind, &passing).await;
        }
    }
}
