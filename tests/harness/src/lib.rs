//! What tests, benchmarks and the demo are built on: clusters, a proxy that injects faults, namespaces with objects,
//! reroll as a process, and an independent count of restarts.
//!
//! It knows reroll only by its programs, flags and annotations, as a user does, so it does not depend on the library. A
//! step that fails panics, because it fails the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a failed step fails the test"
)]

pub mod cluster;
pub mod generate;
pub mod gitops;
pub mod hostile;
pub mod plot;
pub mod proxy;
pub mod report;
pub mod turns;

mod acts;
mod arena;
mod binaries;
mod connections;
mod https;
mod identity;
mod kubelet;
mod manifests;
mod many;
mod moved;
mod offline;
mod offset;
mod pods;
mod policy;
mod process;
mod recorder;
mod replica;

use std::time::Duration;

use tokio::time::{Instant, interval, sleep};

pub use self::{
    acts::{SOURCES, at_once},
    arena::{Arena, Said},
    binaries::binary,
    https::Https,
    kubelet::{Behaves, Kubelet},
    manifests::*,
    many::{HELD, each, held, numbered},
    moved::MovedClocks,
    offline::Offline,
    offset::Offset,
    pods::{Pods, running},
    policy::Policy,
    process::{Reroll, RerollBuilder},
    recorder::Recorder,
    replica::LEADER,
};

/// The longest that anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Acts every second, with a number from 1 on, until it is dropped.
pub async fn every_second(mut act: impl AsyncFnMut(usize)) {
    let mut ticks = interval(Duration::from_secs(1));
    for number in 1.. {
        ticks.tick().await;
        act(number).await;
    }
}

/// Waits until `look` returns something. Panics after [`PATIENCE`], with what was waited for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(25)).await;
    }
}
