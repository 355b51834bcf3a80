//! Schedules from seeds.

mod scenes;

use std::{fmt, time::Duration};

use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::{BoxedStrategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    bad::{is_braked, is_gated, is_outlived, is_rotating, is_upgraded},
    faults::fault,
    operation::{Hang, Name, OnSource, OnWorkload, Operation, Recreation, Remake, Step, Window},
    world::{EDITIONS, SOURCES, WORKLOADS, plan},
};

/// How many workloads a schedule has.
const PLACED: usize = 3;
/// Of so many schedules there is one in which the namespace is made again.
const REMADE: u64 = 10;

/// What is done, in which order, and the chance of everything else.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The chance of what nobody does on purpose: how long controllers take, uids, jitter.
    pub seed: u64,
    /// The workloads that there are.
    pub workloads: Vec<Placed>,
    /// What is done.
    pub steps: Vec<Step>,
}

/// A workload that there is.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name.
    pub name: Name,
    /// The edition that it begins with.
    pub edition: u8,
    /// The values of `reroll.dev/on-delete` and `reroll.dev/on-recreate`, where it has them.
    pub words: (Option<Name>, Option<Name>),
}

/// A step, or some that belong together, that can be made simpler.
pub(crate) type Tree = Box<dyn ValueTree<Value = Vec<Step>>>;

/// What a schedule is drawn as.
pub(crate) struct Drawn {
    seed: u64,
    workloads: Vec<Placed>,
    pub(crate) steps: Vec<Tree>,
}

impl Drawn {
    /// Draws a schedule of so many operations.
    pub(crate) fn new(seed: u64, operations: usize) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let workloads = placed().new_tree(&mut runner).unwrap().current();
        let names = workloads.iter().map(|placed| placed.name).collect();
        let steps = steps(names, is_gated(seed));
        let (mut drawn, mut count) = (Vec::new(), 0);
        while count < operations {
            let tree: Tree = Box::new(steps.new_tree(&mut runner).unwrap());
            count += tree.current().len();
            drawn.push(tree);
        }
        // Drawn last, so that all else stays what it was.
        if is_remade(seed) {
            let at = (0..drawn.len()).new_tree(&mut runner).unwrap().current();
            let tree = remake_namespace().new_tree(&mut runner).unwrap();
            drawn.insert(at, Box::new(tree));
        }
        if is_rotating(seed) {
            let at = (0..drawn.len()).new_tree(&mut runner).unwrap().current();
            let tree = rotate_key().new_tree(&mut runner).unwrap();
            drawn.insert(at, Box::new(tree));
        }
        Self {
            seed,
            workloads,
            steps: drawn,
        }
    }

    /// Returns the schedule as it is now.
    pub(crate) fn schedule(&self) -> Schedule {
        Schedule {
            seed: self.seed,
            workloads: self.workloads.clone(),
            steps: self.steps.iter().flat_map(ValueTree::current).collect(),
        }
    }
}

impl Schedule {
    /// Draws a schedule of so many operations; a few more, where some belong together.
    pub fn draw(seed: u64, operations: usize) -> Self {
        Drawn::new(seed, operations).schedule()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Placed {
            name,
            edition,
            words,
        } in &self.workloads
        {
            write!(f, "     {name} has edition {edition}")?;
            let (on_delete, on_recreate) = words;
            for (key, word) in [("on-delete", on_delete), ("on-recreate", on_recreate)] {
                if let Some(word) = word {
                    write!(f, ", {key}: {word}")?;
                }
            }
            writeln!(f)?;
        }
        if is_braked(self.seed) {
            writeln!(f, "     brakes are on, and values may be bad")?;
        }
        if is_gated(self.seed) {
            writeln!(f, "     there are waves and windows")?;
        }
        if is_outlived(self.seed) {
            writeln!(f, "     API servers outlive their etcd")?;
        }
        if is_upgraded(self.seed) {
            writeln!(f, "     there are two releases of reroll")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", number + 1)?;
        }
        Ok(())
    }
}

/// Whether the namespace is deleted, and made again, at some time.
fn is_remade(seed: u64) -> bool {
    seed % REMADE == 5
}

fn remake_namespace() -> impl Strategy<Value = Vec<Step>> {
    (millis(0..20_000), wait()).prop_map(|(gap, wait)| {
        let operation = Operation::RemakeNamespace(gap);
        vec![Step { operation, wait }]
    })
}

fn rotate_key() -> impl Strategy<Value = Vec<Step>> {
    wait().prop_map(|wait| {
        let operation = Operation::RotateKey;
        vec![Step { operation, wait }]
    })
}

fn placed() -> impl Strategy<Value = Vec<Placed>> {
    let names: Vec<Name> = WORKLOADS.iter().map(|plan| plan.name).collect();
    let on_delete = prop_oneof![3 => Just(None), 1 => Just(Some("restart"))];
    let on_recreate =
        prop_oneof![4 => Just(None), 1 => Just(Some("content")), 1 => Just(Some("restart"))];
    let words = (edition(), on_delete, on_recreate);
    let words = proptest::collection::vec(words, PLACED);
    (subsequence(names, PLACED), words).prop_map(|(names, words)| {
        let both = names.into_iter().zip(words);
        let placed = both.map(|(name, (edition, on_delete, on_recreate))| Placed {
            name,
            edition,
            words: (on_delete, on_recreate),
        });
        placed.collect()
    })
}

fn steps(workloads: Vec<Name>, gated: bool) -> BoxedStrategy<Vec<Step>> {
    let scene = scenes::scene(&workloads);
    let gate = gate(workloads.clone());
    let step = step(workloads).prop_map(|step| vec![step]);
    if gated {
        prop_oneof![12 => step, 3 => gate, 1 => scene].boxed()
    } else {
        prop_oneof![12 => step, 1 => scene].boxed()
    }
}

/// Draws what people do about the order and the time of restarts.
fn gate(workloads: Vec<Name>) -> impl Strategy<Value = Vec<Step>> {
    let window = prop_oneof![
        2 => Just(Window::None),
        1 => Just(Window::Open),
        2 => Just(Window::Closed),
        1 => Just(Window::Unreadable),
    ];
    let what = prop_oneof![
        3 => (-1..2_i8).prop_map(OnWorkload::Wave),
        3 => window.prop_map(OnWorkload::Window),
        2 => Just(OnWorkload::Release),
    ];
    (select(workloads), what, wait()).prop_map(|(name, what, wait)| {
        let operation = Operation::Workload(name, what);
        vec![Step { operation, wait }]
    })
}

fn step(workloads: Vec<Name>) -> impl Strategy<Value = Step> {
    (operation(workloads), wait()).prop_map(|(operation, wait)| Step { operation, wait })
}

pub(crate) fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn wait() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => millis(0..400), 4 => millis(400..4_000), 2 => millis(4_000..40_000)]
}

fn source() -> impl Strategy<Value = Name> {
    select(&SOURCES[..])
}

fn edition() -> impl Strategy<Value = u8> {
    1..=EDITIONS
}

fn operation(workloads: Vec<Name>) -> BoxedStrategy<Operation> {
    let workload = select(workloads);
    let on_workload = workload
        .clone()
        .prop_flat_map(|name| on_workload(name).prop_map(move |what| (name, what)));
    prop_oneof![
        48 => (source(), on_source()).prop_map(|(name, what)| Operation::Source(name, what)),
        26 => on_workload.prop_map(|(name, what)| Operation::Workload(name, what)),
        5 => hang(workload).prop_map(Operation::HangAndUndo),
        5 => any::<bool>().prop_map(Operation::Hang),
        16 => fault().prop_map(Operation::Fault),
        1 => Just(Operation::BackUp),
        1 => any::<bool>().prop_map(|bump| Operation::Restore { bump }),
        2 => restore(),
        7 => Just(Operation::Rest),
    ]
    .boxed()
}

fn restore() -> impl Strategy<Value = Operation> {
    (source(), millis(0..6_000), any::<bool>()).prop_map(|(source, until, bump)| {
        Operation::BackUpAndRestore {
            source,
            until,
            bump,
        }
    })
}

fn on_source() -> impl Strategy<Value = OnSource> {
    prop_oneof![
        50 => Just(OnSource::Update),
        4 => millis(0..3_000).prop_map(OnSource::UpdateAndBack),
        5 => Just(OnSource::UpdateOther),
        3 => Just(OnSource::Copy),
        22 => recreation().prop_map(OnSource::Recreate),
        4 => Just(OnSource::Delete),
        8 => Just(OnSource::Create),
        5 => Just(OnSource::Label),
        2 => Just(OnSource::Freeze),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(ignored, changes)| OnSource::Ignore { ignored, changes }),
    ]
}

fn recreation() -> impl Strategy<Value = Recreation> {
    let gap = prop_oneof![3 => millis(0..1_500), 1 => millis(1_500..20_000)];
    let [same, owned, immutable] = [0.3, 0.3, 0.1].map(proptest::bool::weighted);
    let meanwhile = proptest::option::weighted(0.2, source());
    (gap, same, owned, immutable, meanwhile).prop_map(|(gap, same, owned, immutable, meanwhile)| {
        Recreation {
            gap,
            same,
            owned,
            immutable,
            meanwhile,
        }
    })
}

fn on_workload(workload: Name) -> impl Strategy<Value = OnWorkload> {
    prop_oneof![
        30 => edition().prop_map(OnWorkload::Edit),
        12 => Just(OnWorkload::Undo),
        6 => Just(OnWorkload::Export),
        5 => Just(OnWorkload::ReplaceByExport),
        6 => edition().prop_map(OnWorkload::ReplaceByManifest),
        6 => any::<bool>().prop_map(OnWorkload::Pause),
        5 => (0..4_u8).prop_map(OnWorkload::Scale),
        5 => any::<bool>().prop_map(OnWorkload::Suspend),
        7 => proptest::bool::weighted(0.7).prop_map(OnWorkload::OptIn),
        6 => (0..3_u8).prop_map(OnWorkload::OptInFor),
        2 => any::<bool>().prop_map(OnWorkload::OnDelete),
        8 => remake(workload).prop_map(OnWorkload::OrphanAndRemake),
        5 => remake(workload).prop_map(OnWorkload::Remake),
        2 => Just(OnWorkload::PutBackObserved),
        2 => Just(OnWorkload::DropObserved),
        1 => Just(OnWorkload::ForgeObserved),
        1 => any::<bool>().prop_map(OnWorkload::Fill),
        4 => Just(OnWorkload::RolloutRestart),
    ]
}

/// Draws a source that a workload uses.
fn used(workload: Name) -> impl Strategy<Value = Name> {
    select(plan(workload).uses(EDITIONS))
}

fn remake(workload: Name) -> impl Strategy<Value = Remake> {
    let gap = prop_oneof![3 => millis(0..2_000), 1 => millis(2_000..20_000)];
    let changes = proptest::option::weighted(0.5, used(workload));
    (any::<bool>(), edition(), gap, changes).prop_map(|(export, edition, gap, changes)| Remake {
        export,
        edition,
        gap,
        changes,
    })
}

fn hang(workload: impl Strategy<Value = Name>) -> impl Strategy<Value = Hang> {
    let source = workload.prop_flat_map(|name| used(name).prop_map(move |source| (name, source)));
    let chance = (source, edition(), any::<bool>(), any::<bool>());
    (chance, millis(0..1_500), millis(0..6_000)).prop_map(
        |(((workload, source), edition, first, by_manifest), between, until)| Hang {
            workload,
            edition,
            source,
            first,
            between,
            until,
            by_manifest,
        },
    )
}
