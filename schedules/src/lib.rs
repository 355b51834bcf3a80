//! reroll in a whole cluster in one process: reroll itself, an API server and controllers in memory, and time that
//! jumps. What is done, and when, comes from a seed.
//!
//! A [`Schedule`] is a value: operations of people and faults, with the time between them. [`Schedule::draw`] makes one
//! from a seed, [`run`] lets it happen, and [`shrink`] looks for the shortest part of it that still goes wrong.
//!
//! The oracle shares no code with reroll. Pods note which versions of their sources they started with. When everybody
//! has come to rest, every pod has what is there now, and no workload was restarted more often than its sources changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "it is a test: what fails in the simulated cluster ends the schedule"
)]

mod cluster;
mod controllers;
mod drawn;
mod kubelet;
mod operation;
mod operations;
mod oracle;
mod reroll;
mod shrink;

use tokio::{runtime::Builder, task::LocalSet};

use self::cluster::Cluster;
pub use self::{
    drawn::Schedule,
    operation::{Operation, Step},
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
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let whole = async {
        let mut cluster = Cluster::new(schedule.seed, telling == Telling::Trace);
        cluster.begin().await;
        for step in &schedule.steps {
            cluster.operate(step).await;
        }
        cluster.come_to_rest().await;
        cluster.judge()
    };
    LocalSet::new().block_on(&runtime, whole)
}
