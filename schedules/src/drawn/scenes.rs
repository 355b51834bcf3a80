//! Scenes: steps that belong together. Each leads to where a promise of the design is easily broken, and where steps that are
//! drawn one by one seldom come.

mod recorded;
mod sources;
mod unseen;

use std::time::Duration;

use proptest::{prelude::*, sample::select, strategy::Union};

use super::{edition, millis, used};
use crate::{
    faults::{Fault, Hook},
    operation::{Name, OnSource, OnWorkload, Operation, Remake, Step},
    world::{EDITIONS, plan},
};

/// After how long a change is restarted for.
const SETTLED: Duration = Duration::from_secs(1);
/// How long pods take to start, and to be replaced.
const ROLLED: Duration = Duration::from_secs(20);

/// What a scene is about.
#[derive(Clone, Debug)]
struct About {
    workload: Name,
    /// All that there are.
    workloads: Vec<Name>,
    /// Two sources that its template refers to, or one twice.
    sources: [Name; 2],
    edition: u8,
    /// A short time, and a longer one.
    times: [Duration; 2],
    /// Any two things that are so or not.
    either: [bool; 2],
}

/// Draws a scene about one of these workloads.
pub(super) fn scene(workloads: &[Name]) -> impl Strategy<Value = Vec<Step>> + use<> {
    let scenes: [fn(&About) -> Vec<Step>; 22] = [
        sources::made_again_by_a_machine,
        sources::away_and_another_changes,
        sources::immutable,
        recorded::old_text,
        recorded::text_goes,
        recorded::narrow_and_wide,
        unseen::deploy,
        unseen::undo,
        recorded::orphans,
        sources::there_and_back,
        recorded::no_room,
        unseen::late_write,
        unseen::stale_review,
        unseen::needed_at_a_start,
        unseen::replaced,
        unseen::undo_that_hangs,
        unseen::bare_template,
        unseen::templates,
        unseen::orphans,
        unseen::late_answer,
        sources::counts_again,
        sources::deleted_in_a_fold,
    ];
    let scenes = scenes.map(|scene| about(workloads.to_vec()).prop_map(move |about| scene(&about)));
    Union::new(scenes)
}

fn about(workloads: Vec<Name>) -> impl Strategy<Value = About> {
    let all = workloads.clone();
    let chosen = select(workloads).prop_flat_map(|name| (Just(name), used(name), used(name)));
    let either = (any::<bool>(), any::<bool>());
    let times = (millis(0..1_500), millis(1_500..8_000));
    (chosen, edition(), times, either).prop_map(
        move |((workload, one, other), edition, times, either)| About {
            workload,
            workloads: all.clone(),
            sources: [one, other],
            edition,
            times: times.into(),
            either: either.into(),
        },
    )
}

impl About {
    fn source(&self, what: OnSource, wait: Duration) -> Step {
        let operation = Operation::Source(self.sources[0], what);
        Step { operation, wait }
    }

    fn other(&self, what: OnSource, wait: Duration) -> Step {
        let operation = Operation::Source(self.sources[1], what);
        Step { operation, wait }
    }

    fn workload(&self, what: OnWorkload, wait: Duration) -> Step {
        let operation = Operation::Workload(self.workload, what);
        Step { operation, wait }
    }

    /// Returns the same of this workload, if there is one, and of these of its sources.
    fn of(&self, workload: Name, sources: [usize; 2]) -> Self {
        if !self.workloads.contains(&workload) {
            return self.clone();
        }
        let all = plan(workload).uses(EDITIONS);
        Self {
            workload,
            sources: sources.map(|at| all[at]),
            ..self.clone()
        }
    }

    /// Its template refers to all that it can.
    fn whole(&self) -> Step {
        self.workload(OnWorkload::Edit(EDITIONS), self.times[1])
    }

    /// It is made anew so, and has never been restarted.
    fn anew(&self) -> Step {
        let remake = Remake {
            export: false,
            edition: EDITIONS,
            gap: self.times[0],
            changes: None,
        };
        self.workload(OnWorkload::Remake(remake), self.times[1])
    }
}

fn rest() -> Step {
    let (operation, wait) = (Operation::Rest, Duration::ZERO);
    Step { operation, wait }
}

fn fault(fault: Fault) -> Step {
    let (operation, wait) = (Operation::Fault(fault), Duration::ZERO);
    Step { operation, wait }
}

/// Nothing reaches the webhook for a while.
fn away(lasts: Duration) -> Step {
    fault(Fault::Hook(Hook::Away, lasts))
}

/// reroll is away for a while, and everything changes that is named here.
fn crash(away: Duration, updates: &[Name]) -> Step {
    let updates = updates.to_vec();
    fault(Fault::Crash { away, updates })
}

/// Pods that start hang from now on, or do not.
fn hang(hangs: bool) -> Step {
    let (operation, wait) = (Operation::Hang(hangs), Duration::ZERO);
    Step { operation, wait }
}
