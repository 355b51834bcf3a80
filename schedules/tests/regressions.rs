//! Schedules that went wrong once, or found what was broken on purpose.
#![allow(clippy::panic, reason = "a failed schedule fails the test")]

use reroll_schedules::{Schedule, Telling, run};

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
