//! reroll: rolls Kubernetes workloads when a Secret or ConfigMap they use changes or is recreated.

pub mod config;
pub mod controller;
pub mod model;
pub mod ops;
pub mod run;
pub mod sources;
pub mod state;
pub mod webhook;
