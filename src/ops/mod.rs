//! What the people who run reroll see: metrics, health, Kubernetes Events, alerts and logs.
//!
//! Nothing here decides anything, and nothing here may hold up a restart or an admission review. Every call from the outside
//! returns at once, queues are bounded, and what is dropped is counted.

pub mod alerts;
pub mod events;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod teller;
pub mod watching;

use std::{net::SocketAddr, time::Duration};

/// Health, metrics and logs.
#[derive(Clone, Debug)]
pub struct OpsSettings {
    /// The address for `/livez`, `/readyz` and `/metrics`.
    pub http_listen: SocketAddr,
    /// How many namespaces metrics name at most; 0: none.
    pub metrics_namespaces: usize,
    /// Whether restarts are shown by the names of Stakater Reloader's metrics, too.
    pub reloader_metrics: bool,
    /// What to log, and how.
    pub log: logging::LogSettings,
    /// How long to keep serving after readiness went away.
    pub drain_delay: Duration,
}
