//! A thousand workloads, random operations, and a model of what must follow from them. The model is written from the
//! contract alone.
//!
//! A seed draws everything. The test prints it, and `REROLL_SEED` sets it. It repeats what is done but not when: what
//! is done at the same time comes in another order each time.
//!
//! Rounds and storms take turns:
//! - In a *round* ([`rounds`]) many independent things are done at the same time. Then reroll comes to rest, and the
//!   number of rollouts of every workload must be exactly the model's ([`world`], [`rules`]). Where a count would not
//!   tell pods that stayed from pods that were replaced, the test looks at the pods too ([`fates`]). In every third
//!   round reroll is killed and started again at any moment. That round has only operations whose result does not
//!   depend on whether the webhook sees them.
//! - In a *storm* ([`storm`]) no user waits for another, and invariants must hold at the end: no template and no pod is
//!   older than what it uses, there are no more rollouts than changes, and none without a change.
//!
//! `REROLL_MODEL_ROUNDS` sets how many rounds there are (6 by default); a storm follows every six.
//!
//! Smaller tests of the same kind lose a round to a restored etcd ([`restored`]), have another installation beside them
//! ([`beside`]), or somebody who does not let reroll have its way ([`guarded`]), or who holds restarts and lets them go
//! ([`gated`]).
//!
//! Left out is what the contract leaves open, and what it takes from a workload:
//! - In a storm, what needs the webhook (undo, replace, a copied manifest, an opt-in) waits while reroll is down. A
//!   workload that lost reroll's annotations then would be adopted afresh, and the model would not know what a write of
//!   the template starts with.
//! - An old `observed` that is restored through the status right after an opt-out may be the very text that a restart
//!   expects which was decided before. So it is restored only when reroll has come to rest since.
//! - When an opt-in is widened while reroll is down, what it newly selects looks like what the template gained. A
//!   running workload restarts for that if it was written since the pods were made.
//! - Whether running pods wait for something required cannot be told while they come and go. Their workloads are not
//!   written then.
//! - With `on-delete: restart`, deleting and creating at once something optional is one rollout or two, depending on what
//!   reroll sees in between. A round does it only where no workload asks for that.
//! - Pods that wait for a required source start with it when it comes, which restarts nothing. So in a storm the model
//!   does not look at what came to a workload whose source was absent when its template was last written.

mod act;
mod beside;
mod chains;
mod fates;
mod gated;
mod guarded;
mod history;
mod manifest;
mod pods;
mod restored;
mod rounds;
mod rules;
mod steps;
mod storm;
mod world;

use std::time::Instant;

use fastrand::Rng;
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;
use reroll_harness::{Arena, Reroll, RerollBuilder};

use self::{
    rules::{Live, Policy},
    steps::{Draw, During, KEYS},
    storm::{Watches, storm},
    world::{Guard, Maker, Opt, Reference, Source, Workload, World},
};
use crate::{MACHINE, variable};

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Size {
    workloads: usize,
    sources: usize,
    /// How many of the last workloads have pods.
    running: usize,
    /// How many things are done in a round.
    in_a_round: usize,
    /// Whether people hold restarts and let them go. Then nothing but sources changes of those that have pods.
    gates: bool,
}

const LARGE: Size = Size {
    workloads: 1000,
    sources: 300,
    running: 45,
    in_a_round: 100,
    gates: false,
};
const SMALL: Size = Size {
    workloads: 100,
    sources: 120,
    running: 12,
    in_a_round: 25,
    gates: false,
};
/// The first sources have many users.
const SHARED: usize = 3;
/// How many rounds until a storm.
const UNTIL_A_STORM: usize = 6;

/// The source of all that is drawn. It prints the seed when the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it failed with REROLL_SEED={}", self.0);
        }
    }
}

impl Seed {
    fn draw() -> Self {
        Self(crate::seed())
    }
}

/// What a test begins with.
struct Drawn {
    /// Prints itself when the test fails.
    seed: Seed,
    rng: Rng,
    world: World,
    planned: Vec<Workload>,
}

impl Drawn {
    fn new(size: Size) -> Self {
        let seed = Seed::draw();
        let mut rng = Rng::with_seed(seed.0);
        let mut world = World::default();
        draw_sources(&mut world, &mut rng, size);
        let planned = draw_workloads(&world, &mut rng, size);
        Self {
            seed,
            rng,
            world,
            planned,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_workloads_do_what_the_model_says() {
    let rounds = variable("REROLL_MODEL_ROUNDS").unwrap_or(UNTIL_A_STORM as u64);
    let Drawn {
        seed: _seed,
        mut rng,
        mut world,
        planned,
    } = Drawn::new(LARGE);

    let _machine = MACHINE.read().await;
    let arena = Arena::new("model").await;
    let began = Instant::now();
    let watches = Watches::start(&arena).await;
    let mut reroll = begin(&arena, &mut world, &watches, &planned).await;
    eprintln!("created after {:?}", began.elapsed());
    for number in 1..=usize::try_from(rounds).unwrap() {
        reroll = one_round(
            &arena,
            &mut world,
            &mut rng,
            &watches,
            reroll,
            (number, LARGE),
        )
        .await;
        eprintln!("round {number} after {:?}", began.elapsed());
        if number % UNTIL_A_STORM == 0 {
            let size = (number, 40, 3);
            reroll = storm(&arena, &mut world, &mut rng, &watches, reroll, size).await;
            rounds::expect(&arena, &mut world, &watches, "after a storm").await;
            eprintln!("storm {number} after {:?}", began.elapsed());
        }
    }
}

/// Creates everything, and starts reroll in the middle. Before reroll is there, only workloads without pods are
/// created: the model does not know whether pods that already run had started without something.
async fn begin(
    arena: &Arena,
    world: &mut World,
    watches: &Watches,
    planned: &[Workload],
) -> Reroll {
    begin_with(arena.reroll(), arena, world, watches, planned).await
}

/// The same with this reroll.
async fn begin_with(
    builder: RerollBuilder,
    arena: &Arena,
    world: &mut World,
    watches: &Watches,
    planned: &[Workload],
) -> Reroll {
    let owner = reroll_harness::config_map(act::OWNER, &[]);
    world.owner = arena.create(&owner).await.uid().unwrap();
    create_sources(arena, world).await;
    let (before, after) = planned.split_at(planned.len() / 2);
    create(arena, world, before).await;
    let reroll = rounds::start(arena, builder).await;
    create(arena, world, after).await;
    rounds::expect(arena, world, watches, "after creation").await;
    reroll
}

async fn one_round(
    arena: &Arena,
    world: &mut World,
    rng: &mut Rng,
    watches: &Watches,
    reroll: Reroll,
    (number, size): (usize, Size),
) -> Reroll {
    let during = if number.is_multiple_of(3) {
        During::Kill
    } else {
        During::Quiet
    };
    let sources: Vec<_> = (0..world.sources.len()).collect();
    let free = |number: &usize| {
        let workload = &world.workloads[*number];
        workload.guard == Guard::Nobody && !(size.gates && workload.running)
    };
    let workloads: Vec<_> = (0..world.workloads.len()).filter(free).collect();
    let mut draw = Draw {
        rng,
        during,
        sources: &sources,
        workloads: &workloads,
        count: u32::try_from(number).unwrap() * 10_000,
        prefix: "copy".to_owned(),
        gates: size.gates,
    };
    let reroll = rounds::round(arena, world, &mut draw, reroll, size.in_a_round).await;
    if size.gates {
        gated::waits_for_no_other(arena, watches, &reroll).await;
    }
    let what = format!("round {number}, {during:?}");
    rounds::expect(arena, world, watches, &what).await;
    reroll
}

fn draw_sources(world: &mut World, rng: &mut Rng, size: Size) {
    for number in 0..size.sources {
        let data = KEYS.into_iter().filter(|key| *key != "c" || rng.bool());
        let data = data.map(|key| (key, 0)).collect();
        let live = (rng.u8(0..12) > 0).then_some(Live { life: 1, data });
        world.sources.push(Source {
            kind: reroll_harness::SOURCES[number % 2],
            name: format!("s{number}"),
            maker: match rng.u8(0..10) {
                0..2 => Maker::Owner,
                2..4 => Maker::Hook,
                _ => Maker::Person,
            },
            lives: 1,
            live,
            users: Vec::new(),
        });
    }
}

fn draw_workloads(world: &World, rng: &mut Rng, size: Size) -> Vec<Workload> {
    let one = |number| {
        let kinds = [
            "Deployment",
            "Deployment",
            "Deployment",
            "StatefulSet",
            "DaemonSet",
        ];
        let kind = kinds[number % kinds.len()];
        let opts = [
            Some("auto"),
            Some("auto"),
            Some("auto"),
            Some("secrets"),
            Some("configmaps"),
            Some("off"),
            None,
        ];
        let opted = rng.choice(opts).unwrap();
        Workload {
            kind,
            name: format!("w{number}"),
            references: draw_references(world, rng),
            policy: Policy {
                content: rng.u8(0..10) == 0,
                on_delete: rng.u8(0..10) == 0,
            },
            guard: Guard::Nobody,
            opted,
            opt: Opt::read(opted),
            running: number >= size.workloads - size.running,
            paused: false,
            closed: false,
            observed: None,
            rollouts: 0,
            saved: None,
            text: None,
            earlier: None,
            hung: None,
            fate: None,
        }
    };
    (0..size.workloads).map(one).collect()
}

fn draw_references(world: &World, rng: &mut Rng) -> Vec<Reference> {
    let mut references: Vec<Reference> = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let again = references.first().filter(|_| rng.u8(0..10) == 0);
        let source = match (again, rng.u8(0..12)) {
            (Some(first), _) => first.source,
            (None, 0) => rng.usize(0..SHARED),
            (None, _) => rng.usize(0..world.sources.len()),
        };
        let part = (rng.u8(0..10) < 6).then(|| rng.choice(KEYS).unwrap());
        references.push(Reference {
            source,
            part,
            // It may well be absent.
            optional: part == Some("c") || rng.u8(0..10) < 3,
            volume: rng.bool(),
        });
    }
    references
}

async fn create_sources(arena: &Arena, world: &World) {
    let there = world.sources.iter().filter_map(|source| {
        let live = source.live.as_ref()?;
        Some((source, live))
    });
    stream::iter(there)
        .for_each_concurrent(16, async |(source, live)| {
            act::create(arena, source, &live.data).await;
        })
        .await;
}

async fn create(arena: &Arena, world: &mut World, planned: &[Workload]) {
    stream::iter(planned)
        .for_each_concurrent(16, async |workload| {
            arena.create(&manifest::first(world, workload)).await;
        })
        .await;
    for workload in planned {
        world.add(workload.clone());
    }
}
