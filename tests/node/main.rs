//! reroll's own binary where containers really run: what pods read, not what templates say.
//!
//! One cluster with two real nodes serves all tests of this program (`tests/cluster/README.md`); each test has namespaces
//! and a reroll of its own. Each pod prints, once, what it was started with, in every way in which a pod can read a
//! source. The tests read that as people do, from the pod's log.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test program: nobody else uses it, and a failed step fails the test"
)]

mod bad_values;
mod changes;
mod converged;
mod deploys;
mod immutable;
mod leftovers;
mod orphan;
mod reads;
mod slow_start;
mod stage;
