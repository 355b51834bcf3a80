//! Schedules that went wrong once, or found what was broken on purpose.
#![allow(clippy::panic, reason = "a failed schedule fails the test")]

use std::time::Duration;

use reroll_schedules::{
    Fault, Hook, OnSource, OnWorkload, Operation, Placed, Recreation, Remake, Schedule, Step,
    Telling, run,
};

/// How many operations a schedule has where nothing else is said.
const OPERATIONS: usize = 60;

#[test]
fn the_first_schedules_end_well() {
    for seed in 0..4 {
        let schedule = Schedule::draw(seed, OPERATIONS);
        if let Err(wrong) = run(&schedule, Telling::Silent) {
            panic!("make simulate SEED={seed}: {wrong}");
        }
    }
}

/// Runs these steps with one workload, which has to end well. `which` names them where there are several.
fn ends_well(name: &'static str, edition: u8, steps: Vec<Step>, which: &str) {
    let schedule = Schedule {
        seed: 1,
        workloads: vec![Placed {
            name,
            edition,
            words: (None, None),
        }],
        steps,
    };
    if let Err(wrong) = run(&schedule, Telling::Silent) {
        panic!("{which}: {wrong}\n{schedule}");
    }
}

fn step(operation: Operation, seconds: u64) -> Step {
    Step {
        operation,
        wait: Duration::from_secs(seconds),
    }
}

/// What goes wrong with the webhook while it is made again.
const HOOKS: [Option<Hook>; 2] = [None, Some(Hook::Away)];

/// A `DaemonSet` of this edition that is deleted without its pods, and made again of the same template: it counts its
/// templates from 1 again.
fn made_again(export: bool, edition: u8, hook: Option<Hook>) -> Vec<Step> {
    let how = Remake {
        export,
        edition,
        gap: Duration::from_secs(2),
        changes: None,
    };
    let remade = step(
        Operation::Workload("agent", OnWorkload::OrphanAndRemake(how)),
        60,
    );
    let away = hook.map(|hook| {
        let lasts = Duration::from_secs(30);
        step(Operation::Fault(Fault::Hook(hook, lasts)), 1)
    });
    away.into_iter().chain([remade]).collect()
}

/// Its pods carry the number that the next change of its template brings.
#[test]
fn pods_that_a_daemon_set_adopted_are_replaced_whatever_their_number_is() {
    let edit = |edition| step(Operation::Workload("agent", OnWorkload::Edit(edition)), 60);
    let changes = || step(Operation::Source("conf-e", OnSource::Update), 60);
    for hook in HOOKS {
        let again = |export| made_again(export, 3, hook);
        for (number, steps) in [
            [vec![edit(3)], again(false), vec![changes()]].concat(),
            [vec![edit(3)], again(true), vec![changes()]].concat(),
            [
                vec![edit(4), edit(3)],
                again(false),
                vec![changes(), changes()],
            ]
            .concat(),
            [
                vec![changes(), edit(3)],
                again(false),
                vec![changes(), changes()],
            ]
            .concat(),
        ]
        .into_iter()
        .enumerate()
        {
            ends_well("agent", 2, steps, &format!("{number}, {hook:?}"));
        }
    }
}

/// What is made again in the place of an ignored source is news, also to a workload that has opted in for more before.
#[test]
fn what_comes_in_the_place_of_an_ignored_source_restarts() {
    let ignore = OnSource::Ignore {
        ignored: true,
        changes: false,
    };
    let again = OnSource::Recreate(Recreation {
        gap: Duration::from_secs(1),
        same: true,
        owned: false,
        immutable: false,
        meanwhile: None,
    });
    let workload = |what| step(Operation::Workload("queue", what), 10);
    let steps = vec![
        step(Operation::Source("conf-e", ignore), 10),
        workload(OnWorkload::OptInFor(2)),
        workload(OnWorkload::OptIn(true)),
        step(Operation::Rest, 0),
        step(Operation::Source("conf-e", again), 10),
    ];
    ends_well("queue", 7, steps, "an ignored source");
}

/// What was recorded is gone, and a source changed, while reroll was away. The old pods stay until new ones can start.
#[test]
fn what_was_missed_restarts_nothing_while_pods_could_not_start() {
    let source = |name, what, seconds| step(Operation::Source(name, what), seconds);
    let workload = |what, seconds| step(Operation::Workload("batch", what), seconds);
    let away = Fault::Crash {
        away: Duration::from_secs(20),
        updates: vec!["conf-d"],
    };
    let steps = vec![
        source("b", OnSource::Delete, 0),
        step(Operation::Rest, 0),
        step(Operation::Fault(away), 2),
        workload(OnWorkload::DropObserved, 60),
        step(Operation::Rest, 0),
        source("b", OnSource::Create, 0),
        step(Operation::Rest, 0),
    ];
    ends_well("batch", 7, steps, "what was missed");
}

/// After a restore of etcd its numbers are used again: a source that comes then may have a lower one than it had in what is
/// lost.
#[test]
fn a_source_that_is_created_after_a_restore_is_seen_whatever_its_number_is() {
    let away = Duration::from_secs(1);
    for waits in [2, 5, 10, 30] {
        let conf = |what, seconds| step(Operation::Source("conf-e", what), seconds);
        let steps = vec![
            conf(OnSource::Delete, 60),
            step(Operation::BackUp, 0),
            conf(OnSource::Create, 60),
            conf(OnSource::Update, 60),
            conf(OnSource::Update, 60),
            step(Operation::Restore { bump: false }, waits),
            // Only the watch shows it.
            step(Operation::Fault(Fault::Hook(Hook::Away, away)), 0),
            conf(OnSource::Create, 60),
        ];
        ends_well("agent", 3, steps, &format!("{waits} s"));
    }
}
