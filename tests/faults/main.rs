//! reroll under fault: what the network, the API server, etcd and `kill -9` can do to it, with exact counts.
//!
//! Apart from `tests/real`, because these load or break a whole control plane: a test that breaks one has a cluster of
//! its own ([`support::Arena::on_own_cluster`]), the others share one that nobody breaks.

#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test program, which uses a part of the harness: a failed step fails the test"
)]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../real/support/mod.rs"]
mod support;

mod model;
mod outage;
mod passing;
mod stuck;
