//! Schedules from seeds.

use std::{fmt, time::Duration};

use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    operation::{Name, Operation, Step},
    operations::{DEPLOYMENTS, SECRETS},
};

/// What is done, in which order, and the chance of everything else.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The chance of what nobody does on purpose: how long controllers take, uids, jitter.
    pub seed: u64,
    /// What is done.
    pub steps: Vec<Step>,
}

/// A step that can be made simpler.
pub(crate) type Tree = Box<dyn ValueTree<Value = Step>>;

impl Schedule {
    /// Draws a schedule of so many operations.
    pub fn draw(seed: u64, operations: usize) -> Self {
        Self::of(seed, &trees(seed, operations))
    }

    pub(crate) fn of(seed: u64, trees: &[Tree]) -> Self {
        let steps = trees.iter().map(ValueTree::current).collect();
        Self { seed, steps }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", number + 1)?;
        }
        Ok(())
    }
}

/// Draws the steps of a schedule.
pub(crate) fn trees(seed: u64, operations: usize) -> Vec<Tree> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let step = step();
    let mut draw = || -> Tree { Box::new(step.new_tree(&mut runner).unwrap()) };
    (0..operations).map(|_| draw()).collect()
}

fn step() -> impl Strategy<Value = Step> {
    (operation(), wait()).prop_map(|(operation, wait)| Step { operation, wait })
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn wait() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => millis(0..400), 4 => millis(400..4_000), 2 => millis(4_000..40_000)]
}

fn source() -> impl Strategy<Value = Name> {
    select(&SECRETS[..])
}

fn workload() -> impl Strategy<Value = Name> {
    select(&DEPLOYMENTS[..]).prop_map(|(name, _)| name)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        35 => source().prop_map(Operation::Update),
        15 => (source(), millis(0..1_500)).prop_map(|(source, gap)| Operation::Recreate { source, gap }),
        8 => source().prop_map(Operation::Label),
        10 => (workload(), 0..6_u8).prop_map(|(workload, edition)| Operation::Edit { workload, edition }),
        3 => workload().prop_map(Operation::Undo),
        4 => hang_and_undo(),
        7 => any::<bool>().prop_map(Operation::Hang),
        6 => crash(),
        4 => any::<bool>().prop_map(Operation::Lag),
        4 => any::<bool>().prop_map(Operation::Reach),
        4 => Just(Operation::Compact),
    ]
}

fn hang_and_undo() -> impl Strategy<Value = Operation> {
    let chance = (workload(), 0..6_u8, 0..8_usize, any::<bool>());
    (chance, millis(0..1_500), millis(0..6_000)).prop_map(
        |((workload, edition, source, first), between, until)| Operation::HangAndUndo {
            workload,
            edition,
            source,
            first,
            between,
            until,
        },
    )
}

fn crash() -> impl Strategy<Value = Operation> {
    let updates = proptest::collection::vec(source(), 0..3);
    (millis(0..20_000), updates).prop_map(|(away, updates)| Operation::Crash { away, updates })
}
