//! Brakes: *when* a restart that is due is made, and what became of those that were made.
//!
//! A brake never changes what is decided. What it holds stays pending, is decided again when the brake opens, and is then
//! one restart for everything that changed meanwhile.
//!
//! Brakes remember nothing. What they need stands on the workloads: in `reroll.dev/rollout` ([`Opened`]), in the status
//! ([`Progress`]), and in the pods ([`look`]). So a restarted process, another leader and the command line come to the same answer.
//!
//! Reading order: [`versions`] (for what a restart is), [`needed`] (for which of
//! them it needs room), [`look`] (what the pods show), [`verdict`] (what became of it), [`failed`]
//! (why it failed), [`once`] (the same to somebody who looks once),
//! [`together`] (what belongs together, to the same), [`wave`] (an order that was asked for), [`slow_start`] (of one version of one source), [`turns`] (who goes first), [`spread`]
//! (over namespaces), [`distance`] (between restarts of one workload), [`converged`] (whether everybody has a version).
//!
//! [`Opened`]: super::workload::Opened
//! [`Progress`]: super::workload::Progress

pub mod converged;
pub mod distance;
pub mod failed;
pub mod look;
pub mod needed;
pub mod once;
pub mod slow_start;
pub mod spread;
pub mod together;
pub mod turns;
pub mod verdict;
pub mod versions;
pub mod wave;

pub use verdict::Verdict;

/// Returns the time so long after another; the latest there is, where that cannot be told.
pub fn later(at: jiff::Timestamp, by: jiff::SignedDuration) -> jiff::Timestamp {
    at.checked_add(by).unwrap_or(jiff::Timestamp::MAX)
}
