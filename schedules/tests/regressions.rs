//! Schedules that went wrong once, or found what was broken on purpose.
#![allow(clippy::panic, reason = "a failed schedule fails the test")]

use std::time::Duration;

use reroll_schedules::{
    Effect, Fault, Hook, Lasts, OnSource, OnWorkload, Operation, Placed, Recreation, Remake,
    Requests, Schedule, Step, Telling, Watches, Which, run,
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
    all_end_well(&[(name, edition)], steps, which);
}

/// Runs these steps with some workloads, which have to end well.
fn all_end_well(placed: &[(&'static str, u8)], steps: Vec<Step>, which: &str) {
    let workloads = placed.iter().map(|(name, edition)| Placed {
        name,
        edition: *edition,
        words: (None, None),
    });
    let schedule = Schedule {
        seed: 1,
        workloads: workloads.collect(),
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

/// Somebody takes the room that is left while the leader does not hear of it, and a source changes.
#[test]
fn a_restart_may_rest_on_room_that_is_gone_since() {
    let silent = Watches::Stall(Duration::from_secs(7));
    let steps = vec![
        step(
            Operation::Fault(Fault::Watches(Which::Leader, None, silent)),
            0,
        ),
        step(Operation::Workload("queue", OnWorkload::Fill(true)), 0),
        step(Operation::Source("conf-e", OnSource::Update), 10),
        step(Operation::Rest, 0),
    ];
    ends_well("queue", 7, steps, "no room");
}

/// What was recorded goes in the moment before reroll is killed, or what was recorded of a former workload takes its place. With
/// its mark the workload looks as if it had been opted out and in again, so what changes meanwhile is adopted.
#[test]
fn what_is_taken_away_before_a_crash_is_adopted_again() {
    let web = |what, seconds| step(Operation::Workload("web", what), seconds);
    let silent = Watches::Stall(Duration::from_secs(5));
    let again = Remake {
        export: false,
        edition: 1,
        gap: Duration::from_secs(1),
        changes: None,
    };
    for what in [OnWorkload::DropObserved, OnWorkload::PutBackObserved] {
        let away = Fault::Crash {
            away: Duration::from_secs(3),
            updates: vec!["a"],
        };
        let which = format!("{what:?}");
        let steps = vec![
            web(OnWorkload::Remake(again), 30),
            step(Operation::Source("a", OnSource::Update), 60),
            step(Operation::Rest, 0),
            step(
                Operation::Fault(Fault::Watches(Which::Leader, None, silent)),
                0,
            ),
            web(what, 0),
            step(Operation::Fault(away), 60),
            step(Operation::Rest, 0),
        ];
        ends_well("web", 1, steps, &which);
    }
}

/// Another installation has all, because nobody undid what a person wrote over an `observed` of this one. Then that one is gone,
/// somebody puts an old `observed` of this one back, and nobody undoes that: so the rest is taken over without a try.
#[test]
fn what_a_person_overwrites_shows_who_works_there() {
    let refused = Fault::Line(
        Which::Leader,
        Requests::Writes,
        Effect::Refused(503, None),
        Lasts::For(Duration::from_secs(30)),
    );
    let on_db = |what| Operation::Workload("db", what);
    let steps = vec![
        step(Operation::Fault(Fault::Second(Duration::from_mins(1))), 20),
        step(Operation::Fault(refused), 0),
        step(on_db(OnWorkload::ForgeObserved), 25),
        step(Operation::Rest, 0),
        step(on_db(OnWorkload::PutBackObserved), 30),
        step(Operation::Rest, 0),
    ];
    let all = [("db", 1), ("api", 3), ("agent", 2), ("web", 1)];
    all_end_well(&all, steps, "given back");
}

/// An immutable source was made again before a workload opted in for it. The workload is adopted with what came after it, so
/// no Event names pods that have the old one from their kubelet.
#[test]
fn what_went_before_the_opt_in_is_not_told() {
    let a = |what, seconds| step(Operation::Source("a", what), seconds);
    let queue = |what, seconds| step(Operation::Workload("queue", what), seconds);
    let again = OnSource::Recreate(Recreation {
        gap: Duration::from_secs(1),
        same: true,
        owned: false,
        immutable: false,
        meanwhile: None,
    });
    // Its pods have the immutable one, and keep it on their nodes.
    let restarted = Operation::Workload("web", OnWorkload::RolloutRestart);
    let steps = vec![
        queue(OnWorkload::OptInFor(1), 10),
        a(OnSource::Freeze, 10),
        step(restarted, 30),
        a(again, 30),
        queue(OnWorkload::OptIn(true), 5),
        a(OnSource::Update, 30),
        step(Operation::Rest, 0),
    ];
    all_end_well(&[("web", 1), ("queue", 7)], steps, "an opt-in");
}

/// etcd goes back to another workload of the same name, and somebody overwrites what is recorded of it before reroll has listed
/// everything again: nothing tells which version its pods have.
#[test]
fn what_is_overwritten_after_a_restore_is_adopted() {
    let queue = |what, seconds| step(Operation::Workload("queue", what), seconds);
    let again = Remake {
        export: true,
        edition: 2,
        gap: Duration::from_secs(3),
        changes: None,
    };
    for waits in [0, 1, 2, 4] {
        let steps = vec![
            step(Operation::BackUp, 3),
            queue(OnWorkload::OrphanAndRemake(again), 30),
            step(Operation::Restore { bump: true }, waits),
            queue(OnWorkload::ForgeObserved, 0),
            step(Operation::Source("conf-e", OnSource::Update), 60),
            step(Operation::Rest, 0),
        ];
        ends_well("queue", 2, steps, &format!("{waits} s"));
    }
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

/// A source became immutable after a workload was adopted with it, and was made again while reroll was away: nothing tells then
/// that the old one was immutable.
#[test]
fn what_became_immutable_before_a_crash_need_not_be_told() {
    let b = |what, seconds| step(Operation::Source("b", what), seconds);
    let again = OnSource::Recreate(Recreation {
        gap: Duration::ZERO,
        same: false,
        owned: false,
        immutable: false,
        meanwhile: None,
    });
    let away = Fault::Crash {
        away: Duration::from_secs(1),
        updates: Vec::new(),
    };
    let agent = |what| step(Operation::Workload("agent", what), 30);
    let steps = vec![
        b(OnSource::Freeze, 10),
        // Its pods have the immutable one, and keep it on all nodes.
        agent(OnWorkload::OptIn(false)),
        agent(OnWorkload::RolloutRestart),
        step(Operation::Rest, 0),
        step(Operation::Rest, 0),
        step(Operation::Fault(away), 0),
        b(again, 60),
    ];
    all_end_well(&[("agent", 7), ("db", 7)], steps, "a crash");
}

/// A workload opts in for more while reroll is away, and a source that it gains so is written in a key that it does not read. When
/// that was is all that reroll finds.
#[test]
fn what_an_opt_in_gains_unseen_counts_by_its_time() {
    let queue = |what, seconds| step(Operation::Workload("queue", what), seconds);
    let other = |seconds| step(Operation::Source("conf-e", OnSource::UpdateOther), seconds);
    let away = || {
        let away = Duration::from_secs(3);
        let updates = Vec::new();
        step(Operation::Fault(Fault::Crash { away, updates }), 0)
    };
    let only = || queue(OnWorkload::OptInFor(0), 10);
    let after = vec![
        only(),
        away(),
        queue(OnWorkload::OptIn(true), 0),
        other(60),
        step(Operation::Rest, 0),
    ];
    let before = vec![
        only(),
        other(10),
        away(),
        queue(OnWorkload::OptIn(true), 60),
        step(Operation::Rest, 0),
    ];
    ends_well("queue", 3, after, "after the opt-in");
    ends_well("queue", 3, before, "before it");
}

/// Who has opted out goes back to a template of before a restore of etcd. Its mark was there before, so that is no restart.
#[test]
fn an_undo_to_a_template_of_before_a_restore_is_no_restart() {
    let queue = |what, seconds| step(Operation::Workload("queue", what), seconds);
    let changes = || step(Operation::Source("c", OnSource::Update), 60);
    let steps = vec![
        changes(),
        changes(),
        step(Operation::BackUp, 0),
        step(Operation::Restore { bump: true }, 60),
        queue(OnWorkload::OptIn(false), 10),
        step(Operation::Rest, 0),
        queue(OnWorkload::Undo, 60),
        step(Operation::Rest, 0),
    ];
    ends_well("queue", 6, steps, "an undo");
}

/// A workload that was made over its old pods, unseen, is adopted later once more: then what its pods have is adopted as it is.
#[test]
fn what_was_made_over_pods_is_adopted_once() {
    let web = |what, seconds| step(Operation::Workload("web", what), seconds);
    let hook = Fault::Hook(Hook::Away, Duration::from_secs(20));
    let again = Remake {
        export: false,
        edition: 7,
        gap: Duration::from_secs(2),
        changes: None,
    };
    let away = Fault::Crash {
        away: Duration::from_secs(15),
        updates: vec!["a"],
    };
    let steps = vec![
        step(Operation::Fault(hook), 0),
        web(OnWorkload::OrphanAndRemake(again), 30),
        step(Operation::Rest, 0),
        // It has a mark since.
        step(Operation::Source("a", OnSource::Update), 30),
        step(Operation::Rest, 0),
        step(Operation::Fault(away), 0),
        web(OnWorkload::DropObserved, 30),
        step(Operation::Rest, 0),
    ];
    ends_well("web", 7, steps, "adopted again");
}

/// What a workload was adopted with before a backup of etcd it is adopted with after the restore, whatever changed in between.
#[test]
fn what_was_adopted_before_a_backup_is_after_the_restore() {
    let web = |what, seconds| step(Operation::Workload("web", what), seconds);
    for millis in [500, 2_000, 6_000] {
        let lost = Operation::BackUpAndRestore {
            source: "a",
            until: Duration::from_millis(millis),
            bump: true,
        };
        let steps = vec![
            web(OnWorkload::OptIn(false), 5),
            step(Operation::Source("a", OnSource::Update), 5),
            web(OnWorkload::OptIn(true), 5),
            step(Operation::Rest, 0),
            step(lost, 30),
            step(Operation::Rest, 0),
        ];
        ends_well("web", 1, steps, &format!("{millis} ms"));
    }
}

/// A sync replaces a workload while reroll is away, and pods of it wait for a source. What was written in the second in which its
/// template's revision was made counts as older.
#[test]
fn what_is_written_in_the_second_of_a_revision_is_adopted() {
    let web = |what| Operation::Workload("web", what);
    let away = Fault::Crash {
        away: Duration::from_secs(20),
        updates: Vec::new(),
    };
    let edit = Step {
        operation: web(OnWorkload::Edit(3)),
        wait: Duration::from_millis(200),
    };
    let steps = vec![
        step(Operation::Source("b", OnSource::Delete), 10),
        edit,
        step(Operation::Source("a", OnSource::Update), 5),
        step(Operation::Rest, 0),
        step(Operation::Fault(away), 0),
        step(web(OnWorkload::ReplaceByManifest(3)), 30),
        step(Operation::Rest, 0),
    ];
    ends_well("web", 1, steps, "a second");
}

/// etcd is restored without a bump, and watches go on: what a source was before that is lost, and remembered. The webhook reads
/// what it is now, and records that. What is remembered restarts nothing then.
#[test]
fn what_the_webhook_reads_after_a_restore_is_believed() {
    for millis in [1_000, 2_600, 4_000] {
        let lost = Operation::BackUpAndRestore {
            source: "a",
            until: Duration::from_millis(millis),
            bump: false,
        };
        let edit = |edition| step(Operation::Workload("web", OnWorkload::Edit(edition)), 30);
        let steps = vec![
            step(Operation::Source("a", OnSource::Update), 10),
            step(lost, 0),
            edit(3),
            edit(5),
            step(Operation::Rest, 0),
        ];
        ends_well("web", 2, steps, &format!("{millis} ms"));
    }
}
