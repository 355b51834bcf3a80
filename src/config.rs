//! Flags and environment: the one place that reads them.
//!
//! [`Cli`] is what a person types, [`Settings`] is what the program works with: plain values that have been checked,
//! so nothing behind this module has to ask whether a flag makes sense. Every flag of `reroll run` can also be given as
//! an environment variable. None of their names may look like `REROLL_PORT` or `REROLL_…_SERVICE_HOST`: the kubelet sets
//! variables of that form in every pod beside a Service called `reroll` (a test keeps this true).

mod alerts;
mod args;
mod convert;
mod kinds;
mod selector;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use clap::{CommandFactory as _, FromArgMatches as _};
use kube::config::{KubeConfigOptions, Kubeconfig};

pub use crate::webhook::{
    certificates::{KeptSettings, Lifetimes},
    tls::TlsVersion,
};
use crate::{
    judge,
    model::{Conventions, workload::Kinds},
};
pub use alerts::{AlertKind, AlertSettings, AlertSinkKind, AlertTarget, AlertUrl, AlertUrlError};
pub use args::{Cli, Command, LogFormat, RunArgs};
pub use values::{ValueError, parse_duration, parse_size};

/// Everything that `reroll run` can be told, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which API server, and which part of it.
    pub cluster: ClusterSettings,
    /// What holds where nothing is said, and what annotations are called.
    pub conventions: Conventions,
    /// How restarts are gathered and paced.
    pub restarts: RestartSettings,
    /// The admission webhook; `None` with `--no-webhook`.
    pub webhook: Option<WebhookSettings>,
    /// Alerts to people outside of the cluster; `None` where nobody asked for them.
    pub alerts: Option<AlertSettings>,
    /// Health, metrics and logs.
    pub ops: OpsSettings,
}

/// Which API server, and which part of it.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// A kubeconfig file; `None` means the usual inference.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig context; `None` means the current one.
    pub context: Option<String>,
    /// The namespaces to work in, sorted, each once; empty means all.
    pub namespaces: Vec<String>,
    /// The kinds of workloads.
    pub kinds: Kinds,
    /// How often to look for those of them that the cluster does not have.
    pub discovery_interval: Duration,
    /// Where reroll itself lives: the Lease and the digest key's Secret.
    pub own_namespace: String,
    /// Name of the Lease in it.
    pub lease_name: String,
    /// How long the Lease counts without being renewed.
    pub lease_duration: Duration,
    /// The name of the Secret that holds the digest key.
    pub digest_key_secret: String,
    /// The longest that one API call may take.
    pub request_timeout: Duration,
    /// Who this replica is, in Events and in the Lease: the pod's name, or host name and process id outside a cluster.
    pub instance: String,
}

/// How workloads are decided about and restarted.
#[derive(Clone, Debug)]
pub struct RestartSettings {
    /// How restarts are gathered and paced.
    pub judge: judge::Settings,
    /// Restarts in flight at the same time; at least 1.
    pub concurrency: usize,
}

/// The admission webhook.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// The address to serve on.
    pub listen: SocketAddr,
    /// The certificate's files; `None` only with `kept`, or with `local`, where a certificate is made on the spot.
    pub certificate: Option<CertificateFiles>,
    /// Certificates that reroll makes and renews itself.
    pub kept: Option<KeptSettings>,
    /// The authorities of clients that may call; `None` for everybody.
    pub client_ca: Option<PathBuf>,
    /// The oldest TLS version to accept.
    pub tls_min_version: TlsVersion,
    /// How often the certificate's files are looked at.
    pub tls_poll_interval: Duration,
    /// Registration at the API server by this process.
    pub local: Option<LocalRegistration>,
    /// The largest request body to read, in bytes.
    pub max_body: usize,
    /// The time that the workload webhook may spend reading referenced sources.
    pub get_budget: Duration,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Registration of the webhook by this process: for development, or a reroll that runs outside the cluster.
#[derive(Clone, Debug)]
pub struct LocalRegistration {
    /// Where the API server reaches this process; `https`, and port 0 stands for the port listened on.
    pub url: Uri,
    /// The name of the webhook configurations.
    pub name: String,
    /// Register at an API server that is not on loopback, too.
    pub allow_remote_api_server: bool,
}

/// Health, metrics and logs.
#[derive(Clone, Debug)]
pub struct OpsSettings {
    /// The address for `/livez`, `/readyz` and `/metrics`.
    pub http_listen: SocketAddr,
    /// The log's format.
    pub log_format: LogFormat,
    /// The log's filter directives, checked.
    pub log: String,
    /// How long to keep serving after readiness went away.
    pub drain_delay: Duration,
}

/// Flags that are fine one by one and make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Only half of a key pair.
    #[error("{given} needs {missing} as well: a certificate and its key come together")]
    HalfKeyPair {
        /// The flag that was given.
        given: &'static str,
        /// The flag that was not.
        missing: &'static str,
    },
    /// A webhook that no API server can trust.
    #[error(
        "the webhook needs a certificate: give --tls-cert and --tls-key, or --certificates-secret to have reroll keep its \
         own, or --webhook-url to register it from here with a certificate made on the spot, or --no-webhook to run \
         without it"
    )]
    NoCertificate,
    /// Two ways to a certificate.
    #[error("--certificates-secret and {0} exclude each other: there is one certificate to serve")]
    TwoCertificates(&'static str),
    /// Kept certificates for nobody.
    #[error("--certificates-secret needs {0} as well")]
    KeptFor(&'static str),
    /// A webhook that is wanted and not wanted.
    #[error("--no-webhook and --webhook-url exclude each other")]
    NoWebhookWithUrl,
    /// Two rows for one kind.
    #[error(
        "--workload-kind names {0}, which is known already: give each kind once, and leave it out of --optional-kinds to \
         describe it in another way"
    )]
    KindTwice(String),
    /// Namespaces to work in, and namespaces to leave alone.
    #[error(
        "--namespaces and --ignore-namespaces exclude each other: leave it out of the first list"
    )]
    NamespacesAndIgnored,
    /// Namespaces by name, and by label.
    #[error(
        "--namespaces and --namespace-selector exclude each other: labels of namespaces can only be seen in all of them"
    )]
    NamespacesAndSelector,
    /// Nothing to look at.
    #[error("--ignore-resources names all: nothing would ever restart")]
    EverythingIgnored,
    /// A maximum below the minimum.
    #[error("--settle-max ({max:?}) is shorter than --settle ({settle:?})")]
    SettleMax {
        /// `--settle`.
        settle: Duration,
        /// `--settle-max`.
        max: Duration,
    },
    /// A setting of alerts that cannot be used. The value may be a secret and is not told.
    #[error("{flag} {problem}")]
    Alerts {
        /// The flag or variable.
        flag: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

// === impl Settings ===

impl Settings {
    /// Checks the flags together and turns them into settings.
    pub fn new(args: RunArgs) -> Result<Self, ConfigError> {
        args.check()?;
        Ok(args.into())
    }
}

/// What an empty command line in an empty environment gives, for tests: the webhook is on, and has no certificate yet.
impl Default for Settings {
    fn default() -> Self {
        let command = RunArgs::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = command.get_matches_from(["run"]);
        RunArgs::from_arg_matches(&matches)
            .expect("every flag has a default")
            .into()
    }
}

impl ClusterSettings {
    /// The client configuration: `--kubeconfig` and `--context` where given, else `KUBECONFIG`, `~/.kube/config` or the
    /// pod's service account, in kube's order.
    ///
    /// Built-in retries are off: kube repeats 429, 503 and 504 up to 15 times with delays that grow to 1000 s, the Lease
    /// and every timeout here need the answer.
    pub async fn client_config(&self) -> Result<kube::Config, ClientConfigError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match (&self.kubeconfig, &self.context) {
            (Some(path), _) => {
                kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
            }
            (None, Some(_)) => kube::Config::from_kubeconfig(&options).await?,
            (None, None) => kube::Config::infer().await?,
        };
        config.default_retry = false;
        // What nobody else limits: lists, and watches until they are answered.
        config.connect_timeout = Some(self.request_timeout);
        config.write_timeout = Some(self.request_timeout);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Ok(config)
    }
}

/// How long a connection to the API server may bring nothing: longer than a watch that shows nothing is kept.
const SILENCE: Duration = Duration::from_secs(40);

/// No way to reach an API server could be worked out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// `--kubeconfig` or `--context` names something that cannot be used.
    #[error("--kubeconfig or --context cannot be used: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// Neither a kubeconfig nor a service account was found.
    #[error("found neither a kubeconfig nor a service account; give --kubeconfig: {0}")]
    Infer(#[from] kube::config::InferConfigError),
}

#[cfg(test)]
mod tests;
