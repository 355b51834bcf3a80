//! What the program works with.

use std::time::Duration;

use crate::{
    cluster::connection::ConnectionSettings,
    judge,
    model::{Conventions, workload::Kinds},
    ops::{OpsSettings, alerts::settings::AlertSettings},
    webhook::settings::WebhookSettings,
};

/// Everything that `reroll run` can be told, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which API server, and which part of it.
    pub cluster: ClusterSettings,
    /// What holds for a workload that says nothing, and what annotations are called.
    pub conventions: Conventions,
    /// How restarts are gathered and paced.
    pub restarts: RestartSettings,
    /// The admission webhook; `None` with `--no-webhook`.
    pub webhook: Option<WebhookSettings>,
    /// Alerts to people outside of the cluster; `None` where the user asked for none.
    pub alerts: Option<AlertSettings>,
    /// What was given and does nothing as it is, each with the remedy.
    pub doubts: Vec<&'static str>,
    /// Health, metrics and logs.
    pub ops: OpsSettings,
}

/// Which API server, and which part of it.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The way to the API server.
    pub connection: ConnectionSettings,
    /// The namespaces to work in, sorted, each once; empty means all.
    pub namespaces: Vec<String>,
    /// The kinds of workloads.
    pub kinds: Kinds,
    /// How often to look for those of them that the cluster does not have.
    pub discovery_interval: Duration,
    /// reroll's own namespace: it holds the Lease and the digest key's Secret.
    pub own_namespace: String,
    /// The name of the Lease in it.
    pub lease_name: String,
    /// How long the Lease counts without being renewed.
    pub lease_duration: Duration,
    /// The name of the Secret that holds the digest key.
    pub digest_key_secret: String,
    /// This replica's name in Events and in the Lease: the pod's, or host name and process id outside a cluster.
    pub instance: String,
}

/// How workloads are decided about and restarted.
#[derive(Clone, Debug)]
pub struct RestartSettings {
    /// How restarts are gathered and paced.
    pub judge: judge::Settings,
    /// Restarts in flight at the same time; at least 1.
    pub concurrency: usize,
    /// Flags that were given and do nothing any more, each with what took its place.
    pub replaced: Vec<(&'static str, &'static str)>,
}
