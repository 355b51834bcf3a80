//! What is measured.

mod admission;
mod adoption;
mod burst;
mod changes;
mod downtime;
mod fan_out;
mod hostile;
mod reaction;
mod soak;
mod start;

use std::fmt;

use clap::ValueEnum;
use reroll_harness::report::Samples;

use crate::contender::Contender;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One Secret is written, one Deployment rolls; one after another.
    Reaction,
    /// The same with default settings, less the quiet period.
    ReactionByDefault,
    /// A hundred Secrets are deleted and created again.
    Burst,
    /// One Secret, 500 Deployments.
    FanOut500,
    /// One Secret, 2,000 Deployments.
    FanOut2000,
    /// 300 Deployments: a hundred of their Secrets are changed and a hundred recreated during a downtime.
    Downtime,
    /// A start with 20,000 Secrets of 2 KiB and 1,000 Deployments.
    Start20k,
    /// A start with 50,000 Secrets of 2 KiB and 10,000 Deployments.
    Start50k,
    /// A start with 300 Secrets of 1 MB.
    StartLarge,
    /// A start with 80 MB of Secrets that no workload uses: 2,000 of 40 kB.
    StartUnreferenced,
    /// Starts with 1,000, 10,000 and 50,000 Secrets and 100, 1,000 and 10,000 Deployments.
    Growth,
    /// A minute in which nothing changes, with 20,000 Secrets and 1,000 Deployments.
    Idle,
    /// What a webhook adds to 200 writes a second of Secrets, and of Deployments; the floor is one that only says
    /// allowed.
    Admission,
    /// 1,000 workloads are adopted, and somebody's own rollout meanwhile.
    Adoption1k,
    /// The same of 10,000.
    Adoption10k,
    /// CPU time of 1,000 changes.
    Changes,
    /// Memory over minutes of churn.
    Soak,
    /// Slow start, simulated with the brakes themselves, for users and hours that no test can wait for.
    SlowStart,
    /// What a hostile tenant, or a stranger, costs others: all of the following.
    Hostile,
    /// A thousand globs of 120 letters, and as many as are read, beside a hundred Secrets with long names that are written.
    HostileGlobs,
    /// Twenty Deployments with lists of up to 1,024 expressions, beside the same.
    HostileExpressions,
    /// Forged reviews at the webhook's port, of 38 KB and with as much as is read.
    HostileReviews,
    /// Twenty Deployments with `secret/*` over 2,000 Secrets, of which two a second are written.
    HostileEverything,
    /// Slow requests on HTTP/2: three connections that are full of them, and one with four large ones.
    HostileSlow,
    /// A ConfigMap of 60,000 keys that comes and goes, and Deployments of 12,000 projected sources that are written.
    HostileObjects,
    /// 8,000 requests at the port for probes that never end their header.
    HostileProbes,
    /// A template with 1,000 references, written five times a second.
    HostileReferences,
    /// Three rollouts of one namespace that hang, and a rolling limit of three.
    HostileRollouts,
    /// A start beside 300 Helm releases of 700 KiB.
    HostileReleases,
    /// Two tenants at once: globs, and `secret/*`.
    HostileTwo,
    /// What is remembered of 300 objects that a tenant took away, when an hour has passed.
    HostileMemory,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Scenario {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|scenario| *scenario != Self::Hostile).collect()
    }

    /// Those that it stands for: itself, but for one name for several.
    pub fn parts(self) -> Vec<Self> {
        match self {
            Self::Hostile => Self::all()
                .into_iter()
                .filter(|part| part.is_hostile())
                .collect(),
            one => vec![one],
        }
    }

    fn is_hostile(self) -> bool {
        self.hostile().is_some()
            || matches!(
                self,
                Self::Hostile | Self::HostileReleases | Self::HostileMemory
            )
    }

    fn hostile(self) -> Option<hostile::Row> {
        Some(match self {
            Self::HostileGlobs => hostile::Row::Globs,
            Self::HostileExpressions => hostile::Row::Expressions,
            Self::HostileReviews => hostile::Row::Reviews,
            Self::HostileEverything => hostile::Row::Everything,
            Self::HostileSlow => hostile::Row::Slow,
            Self::HostileObjects => hostile::Row::Objects,
            Self::HostileProbes => hostile::Row::Probes,
            Self::HostileReferences => hostile::Row::References,
            Self::HostileRollouts => hostile::Row::Rollouts,
            Self::HostileTwo => hostile::Row::Two,
            _ => return None,
        })
    }

    /// Those who do it: the plainest controller where reroll reacts, or is asked.
    pub fn contenders(self, all: &[Contender]) -> impl Iterator<Item = &Contender> {
        let plain = matches!(
            self,
            Self::Reaction
                | Self::ReactionByDefault
                | Self::Burst
                | Self::FanOut500
                | Self::FanOut2000
                | Self::Admission
        );
        all.iter().filter(move |contender| match contender {
            Contender::Plainest => plain,
            // It is reroll that tenants and strangers turn against.
            Contender::Floor | Contender::Peer(_) => !self.is_hostile(),
            Contender::Reroll(_) => true,
        })
    }

    /// Runs it once.
    pub async fn run(self, contender: &Contender, repeat: usize) -> Samples {
        match self {
            Self::Reaction => reaction::run(contender).await,
            Self::ReactionByDefault => reaction::run_by_default(contender).await,
            Self::Burst => burst::run(contender).await,
            Self::FanOut500 => fan_out::run(contender, 500).await,
            Self::FanOut2000 => fan_out::run(contender, 2000).await,
            Self::Downtime => downtime::run(contender).await,
            Self::Start20k => start::run(contender, start::MANY, repeat).await,
            Self::Start50k => start::run(contender, start::HUGE, repeat).await,
            Self::StartLarge => start::run(contender, start::LARGE, repeat).await,
            Self::StartUnreferenced => start::run(contender, start::UNREFERENCED, repeat).await,
            Self::Growth => start::grow(contender).await,
            Self::Idle => start::idle(contender).await,
            Self::Admission => admission::run(contender).await,
            Self::Adoption1k => adoption::run(contender, 1000, repeat).await,
            Self::Adoption10k => adoption::run(contender, 10_000, repeat).await,
            Self::Changes => changes::run(contender).await,
            Self::Soak => soak::run(contender, repeat).await,
            Self::HostileReleases => hostile::releases(contender).await,
            Self::HostileMemory => hostile::memory(contender).await,
            _ => match self.hostile() {
                Some(row) => hostile::run(contender, row).await,
                None => Samples::default(),
            },
        }
    }
}

/// Milliseconds.
fn ms(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
