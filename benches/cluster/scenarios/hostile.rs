//! What a hostile tenant, or a stranger at reroll's ports, costs another namespace: its writes, its restarts, and reroll itself.
//!
//! Each row is measured of the same process with and without the hostility, by turns: what else the machine does meets both.
//! What tenants do keeps API server, controllers and etcd busy as well; so that is measured too, beside a reroll that does
//! not look at their namespaces.

mod memory;
mod others;
mod ports;
mod releases;
mod seen;
mod tenants;

use std::{sync::Arc, time::Duration};

use reroll_harness::{
    Arena, Https, Reroll, RerollBuilder, config_map, hostile::leave, numbered, report::Samples,
};
use tokio::task::JoinSet;

use self::others::{Seen, observe};
pub(super) use self::{memory::run as memory, releases::run as releases};
use super::ms;
use crate::{
    bed::{Bed, each},
    contender::{Contender, Running},
};

/// Who is hostile, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Globs,
    Expressions,
    Reviews,
    Everything,
    Slow,
    Objects,
    Probes,
    References,
    Rollouts,
    Two,
}

/// Before others are looked at, after hostility has begun or ended.
const SETTLES: Duration = Duration::from_secs(2);
/// How often others are looked at without it, and with it.
const TURNS: usize = 3;
/// The contender that has no tenant.
const ALONE: &str = "no tenant";
/// The contender whose tenant is in a namespace that reroll does not look at.
const UNSEEN: &str = "tenant that reroll does not see";

/// Whom it is done to.
struct Target {
    /// The namespaces of tenants.
    tenants: Vec<Arc<Arena>>,
    /// The namespace of others.
    others: String,
    /// The webhook's port, for a client without a certificate.
    webhook: Https,
    /// The port for probes.
    probes: String,
}

impl Row {
    /// Whether tenants do it, who need a namespace, or strangers at the ports.
    fn has_tenants(self) -> bool {
        !matches!(self, Self::Reviews | Self::Slow | Self::Probes)
    }

    fn adjust(self, builder: RerollBuilder) -> RerollBuilder {
        match self {
            Self::Rollouts => builder.flag("--rolling-limit", "3"),
            _ => builder,
        }
    }

    /// Makes what tenants have before they are at work.
    async fn prepare(self, tenants: &[Arc<Arena>]) {
        let [first, second] = tenants else { return };
        match self {
            Self::Globs => tenants::globs(first).await,
            Self::Expressions => tenants::expressions(first).await,
            Self::Everything => tenants::everything(first).await,
            Self::Objects => tenants::objects(first).await,
            Self::References => tenants::references(first).await,
            Self::Rollouts => tenants::rollouts(first).await,
            Self::Two => {
                tenants::globs(first).await;
                tenants::everything(second).await;
            }
            Self::Reviews | Self::Slow | Self::Probes => {}
        }
    }

    /// Is hostile until it is dropped.
    fn work(self, target: &Target) -> JoinSet<()> {
        let mut work = JoinSet::new();
        let tenant = |at: usize| Arc::clone(&target.tenants[at]);
        match self {
            Self::Globs => tenants::write_globs(&mut work, &tenant(0)),
            Self::Expressions => tenants::write_long_names(&mut work, &tenant(0)),
            Self::Everything => tenants::write_everything(&mut work, &tenant(0)),
            Self::Objects => tenants::write_objects(&mut work, &tenant(0)),
            Self::References => tenants::write_references(&mut work, &tenant(0)),
            Self::Rollouts => tenants::write_rollouts(&mut work, &tenant(0)),
            Self::Two => {
                tenants::write_globs(&mut work, &tenant(0));
                tenants::write_everything(&mut work, &tenant(1));
            }
            Self::Reviews => ports::reviews(&mut work, &target.webhook, &target.others),
            Self::Slow => ports::slow(&mut work, &target.webhook),
            Self::Probes => ports::probes(&mut work, &target.probes),
        }
        work
    }
}

pub(super) async fn run(contender: &Contender, row: Row) -> Samples {
    let mut samples = Samples::default();
    samples.against(ALONE);
    let bed = bed(contender).await;
    let tenants = [tenant().await, tenant().await];
    let all = namespaces(&bed, &tenants);
    let Some([alone, beside]) = pairs(contender, &bed, row, &tenants, &all).await else {
        return samples;
    };
    alone.report(&mut samples, Some(ALONE));
    beside.report(&mut samples, None);
    beside.report_growth(&mut samples, None, &alone);
    if row.has_tenants() {
        let only = &all[..1];
        if let Some([alone, unseen]) = pairs(contender, &bed, row, &tenants, only).await {
            unseen.report(&mut samples, Some(UNSEEN));
            unseen.report_growth(&mut samples, Some(UNSEEN), &alone);
        }
    }
    for tenant in tenants {
        leave(&tenant).await;
    }
    samples
}

/// What others see without and with the hostility, by turns, of a reroll that looks at these namespaces.
async fn pairs(
    contender: &Contender,
    bed: &Bed,
    row: Row,
    tenants: &[Arc<Arena>],
    namespaces: &[String],
) -> Option<[Seen; 2]> {
    let mut running = start(contender, bed, row, namespaces).await;
    bed.adopted(contender).await;
    bed.quiet().await;
    let Running::Reroll(reroll) = &mut running else {
        return None;
    };
    let target = Target {
        tenants: tenants.to_vec(),
        others: bed.arena.namespace.clone(),
        webhook: Https::to(reroll, &bed.arena).await,
        probes: reroll.http_address().to_owned(),
    };
    let [mut alone, mut beside] = [Seen::default(), Seen::default()];
    for turn in 0..TURNS {
        tokio::time::sleep(SETTLES).await;
        alone.add(observe(bed, reroll).await);
        // They are there since an earlier process, where there was one.
        if turn == 0 && tenants::is_empty(&tenants[0]).await {
            row.prepare(tenants).await;
        }
        let work = row.work(&target);
        tokio::time::sleep(SETTLES).await;
        beside.add(observe(bed, reroll).await);
        drop(work);
    }
    running.stop().await;
    Some([alone, beside])
}

async fn tenant() -> Arc<Arena> {
    Arc::new(Arena::new("bench-tenant").await)
}

fn namespaces(bed: &Bed, tenants: &[Arc<Arena>]) -> Vec<String> {
    let tenants = tenants.iter().map(|tenant| tenant.namespace.clone());
    std::iter::once(bed.arena.namespace.clone())
        .chain(tenants)
        .collect()
}

/// The namespace of others: with Deployments that are restarted, and more objects that are written.
async fn bed(contender: &Contender) -> Bed {
    let pairs = numbered(others::RESTARTED).map(|name| (name.clone(), name));
    let written = others::written().map(|name| (name.clone(), name));
    let secrets = numbered(others::RESTARTED)
        .chain(others::written())
        .chain(others::unused());
    let bed = Bed::new("hostile", contender, secrets, pairs.chain(written), 2 << 10).await;
    each(others::unused(), async |name: String| {
        let object = config_map(&name, &[("k", "v")]);
        bed.arena.create(&object).await;
    })
    .await;
    bed
}

async fn start(contender: &Contender, bed: &Bed, row: Row, namespaces: &[String]) -> Running {
    let adjust = |builder: RerollBuilder| {
        row.adjust(by_default(builder).flag("--namespaces", &namespaces.join(",")))
    };
    contender.start(bed, adjust).await
}

/// As it is shipped: every default, also of the time that a review may take.
fn by_default(builder: RerollBuilder) -> RerollBuilder {
    let set = ["--settle", "--restart-rate", "--adopt-rate"];
    set.into_iter()
        .fold(builder, RerollBuilder::without)
        .impatient()
}

/// How often a second something is done, or how long it is done.
const fn times_a_second(times: u32) -> Duration {
    Duration::from_millis(1000 / times as u64)
}

/// What a process costs from here on.
fn cost(reroll: &Reroll) -> crate::contender::Cost {
    crate::contender::cost(reroll.pid())
}
