//! What every test stands on: namespaces, a reroll, objects, and an independent count of restarts.

mod acts;
mod arena;
mod https;
mod identity;
mod manifests;
mod many;
mod pods;
mod process;
mod recorder;
mod registration;
mod replica;

pub use acts::{SOURCES, at_once};
pub use arena::{Arena, Said};
pub use https::Https;
pub use manifests::*;
pub use many::{each, numbered};
pub use pods::{Pods, running};
pub use process::{Reroll, RerollBuilder};
pub use recorder::Recorder;
pub use replica::LEADER;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Waits until `look` gives something; panics, saying what was waited for, after [`PATIENCE`].
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
