//! What the people who run reroll see: metrics, health, Kubernetes Events, alerts and logs.
//!
//! Nothing here decides anything, and nothing here may be in the way of a restart or of an admission review: every call
//! from the outside returns at once, queues are bounded, and what is dropped is counted.

pub mod alerts;
pub mod events;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod teller;
