//! reroll under fault: what the network, the API server, etcd and `kill -9` can do to it, with exact counts.
//!
//! It is apart from `tests/real` because these tests load or break a whole control plane. A test that breaks one has a
//! cluster of its own ([`reroll_harness::Arena::on_own_cluster`]); the others share a cluster that no test breaks.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test program: a failed step fails the test"
)]

mod fleet;
mod watches;

mod adoption;
mod away;
mod chaos;
mod lag;
mod looks;
mod model;
mod outage;
mod overload;
mod passing;
mod replicas;
mod restore;
mod stuck;

/// A lock for tests that measure how long users wait. Such a test has the machine to itself, after all others: it takes
/// the lock to write, the others to read.
static MACHINE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Returns the seed of what a test draws: another one each time, if `REROLL_SEED` does not set it.
fn seed() -> u64 {
    let seed = variable("REROLL_SEED").unwrap_or_else(|| fastrand::u32(..).into());
    eprintln!("REROLL_SEED={seed}");
    seed
}

/// Reads a number from the environment that makes a test last longer, or do more.
#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}
