//! The user's way: `helm install` of the chart into a real cluster, and everything after that as a person would do it.
//!
//! The chart is installed as it is. The pods that the Deployment controller makes of it are run by a [`node::Node`] of the
//! test, as processes of reroll's own binary, with the arguments, variables, files and account token that the pod
//! says; nobody is an administrator but the person at `helm` and `kubectl`. API servers reach them by the chart's Service and
//! the certificate for its name, through a [`service::KubeProxy`]. [`cert_manager::Certifier`] writes what cert-manager would.
//!
//! What a container would have and a process has not is a file system and a network of its own: paths below a volume's
//! mount point, and the address to listen on, are put right in the arguments; nothing else is.

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

mod clients;
mod lives;
mod modes;
mod refusals;
mod rights;
mod rules;
mod upgrades;
