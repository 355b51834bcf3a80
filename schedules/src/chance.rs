//! Where chance comes from: all of it from the seed of a schedule, so that the same seed is the same schedule.
//!
//! - [`runtime`] seeds the order in `select!` and in which waiting tasks are woken. That takes `--cfg tokio_unstable`.
//! - It seeds `fastrand`'s generator of this thread as well. backon draws the jitter of retries from that, and [`chance`]
//!   the digest key.

use std::{io, sync::Arc};

use reroll::chance::Chance;
use tokio::runtime::{Builder, Runtime};

/// Returns a runtime of one thread, whose time jumps, and lets all chance of this thread begin anew.
pub(crate) fn runtime(seed: u64) -> io::Result<Runtime> {
    fastrand::seed(seed);
    let mut runtime = Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    runtime.build()
}

/// Returns random bytes for reroll.
pub(crate) fn chance() -> Chance {
    Arc::new(|bytes| {
        fastrand::fill(bytes);
        Ok(())
    })
}
