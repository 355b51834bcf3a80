//! The user's way: `helm install` of the chart into a real cluster, and everything after that as a user would do it.
//!
//! The chart is installed as it is. The Deployment controller makes pods of it, and a [`node::Node`] of the test runs
//! them as processes of reroll's own binary, with the arguments, variables, files and account token that the pod says.
//! Only the user at `helm` and `kubectl` is an administrator. API servers reach the pods by the chart's Service and the
//! certificate for its name, through a [`service::KubeProxy`]. [`cert_manager::Certifier`] writes what cert-manager
//! would.
//!
//! A container has a file system and a network of its own, and a process has not. So the arguments are changed in two
//! places, and nowhere else: paths below a volume's mount point, and the address to listen on.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test program: a failed step fails the test"
)]

mod cert_manager;
mod node;
mod pod;
mod release;
mod service;
mod volumes;

mod auto;
mod beside;
mod clients;
mod gitops;
mod lives;
mod modes;
mod refusals;
mod rights;
mod rules;
mod upgrades;
