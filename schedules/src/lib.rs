//! reroll in a whole cluster in one process: reroll itself, an API server and controllers in memory, and time that
//! jumps. What is done, and when, comes from a seed.
//!
//! A [`Schedule`] is a value: operations of people and faults, with the time between them. [`Schedule::draw`] makes one
//! from a seed, [`run`] lets it happen, and [`shrink()`] looks for the shortest part of it that still goes wrong.
//!
//! The same schedule is the same run, byte for byte, where tokio is built with `--cfg tokio_unstable`: then its seed draws
//! tokio's chance too.
//!
//! The oracle shares no code with reroll. Pods note which versions of their sources they started with. When everybody
//! has come to rest, every pod has what is there now, and no workload was restarted more often than its sources changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "it is a test: what fails in the simulated cluster ends the schedule"
)]
#![allow(
    clippy::similar_names,
    reason = "a line has a life, and what served serves"
)]

mod bad;
mod chance;
mod cluster;
mod drawn;
mod faults;
mod line;
mod operation;
mod oracle;
mod people;
mod person;
mod register;
mod replicas;
mod shrink;
mod telling;
mod webhook;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::LocalSet;

use self::cluster::Cluster;
pub use self::{
    drawn::{Placed, Schedule},
    faults::{Effect, Fault, Hook, Lasts, Requests, Watches, Which, Write},
    operation::{Hang, OnSource, OnWorkload, Operation, Recreation, Remake, Step, Window},
    shrink::shrink,
};

/// How a run tells what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Not at all.
    Silent,
    /// On standard error, with the log of reroll.
    Trace,
}

/// Runs a schedule.
///
/// # Errors
///
/// What is wrong in the end, in words.
pub fn run(schedule: &Schedule, telling: Telling) -> Result<(), String> {
    let runtime = chance::runtime(schedule.seed).map_err(|error| error.to_string())?;
    let whole = async {
        let mut cluster = Cluster::new(schedule, telling);
        cluster.begin(&schedule.steps).await;
        for step in &schedule.steps {
            cluster.operate(step).await;
        }
        cluster.come_to_rest().await;
        let ended = cluster.judge();
        cluster.server.answer_nothing();
        ended
    };
    let ran = || LocalSet::new().block_on(&runtime, whole);
    catch_unwind(AssertUnwindSafe(ran)).unwrap_or_else(|why| {
        let text = why.downcast_ref::<String>().cloned();
        let text = text.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("it panics: {}", text.unwrap_or_default()))
    })
}
