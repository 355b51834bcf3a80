//! What the program gets from outside: time, chance, and the way to the API server.
//!
//! It is the one place where a simulation hands these in. What is not here comes from tokio, whose time a simulation stops
//! and whose chance it seeds, and from `fastrand`, whose generator it seeds (see [`crate::chance`]).

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::doors::Doors;
use crate::{
    chance::{Chance, system_chance},
    model::{format::FORMAT, peer::TRY_AGAIN},
    restart::moment::Probe,
    state::{Clock, system_clock},
};

/// What the program gets from outside, so that tests can replace it.
#[derive(Clone)]
pub struct Surroundings {
    /// Returns the time of day.
    pub clock: Clock,
    /// Fills the digest key where there is none.
    pub chance: Chance,
    /// Called at named moments of a restart.
    pub probe: Probe,
    /// The format of `observed` that is written.
    pub format: u64,
    /// After how long a namespace of another installation is tried again.
    pub try_again: RangeInclusive<Duration>,
    /// How it reaches the API server, and is reached.
    pub doors: Doors,
}

impl Default for Surroundings {
    /// Returns what the product runs with.
    fn default() -> Self {
        Self {
            clock: system_clock(),
            chance: system_chance(),
            probe: Arc::new(|_| {}),
            format: FORMAT,
            try_again: TRY_AGAIN,
            doors: Doors::Network,
        }
    }
}
