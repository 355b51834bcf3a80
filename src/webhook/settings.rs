//! What the admission webhook is told.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::Uri;

use super::{certificates::KeptSettings, tls::TlsVersion, warnings::Told};

/// The admission webhook.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// The address to serve on.
    pub listen: SocketAddr,
    /// The certificate to serve with.
    pub certificate: CertificateSource,
    /// The name of the webhook configurations, where it is known and reroll does not register them itself.
    pub configurations: Option<String>,
    /// The authorities of clients that may call; `None` lets every client call.
    pub client_ca: Option<PathBuf>,
    /// The oldest TLS version to accept.
    pub tls_min_version: TlsVersion,
    /// How often to look whether the certificate has changed.
    pub tls_poll_interval: Duration,
    /// The largest request body to read, in bytes.
    pub max_body: usize,
    /// The time that the workload webhook may spend reading referenced sources.
    pub get_budget: Duration,
    /// Which warnings are told at the prompt.
    pub told: Told,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Two PEM files, which cert-manager or an administrator renews.
    Files {
        /// The certificate chain, leaf first.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A Secret, in which reroll keeps and renews its own.
    Kept(KeptSettings),
    /// Made in memory at the start, for the URL that this process registers.
    MadeFor(LocalRegistration),
}

/// Registration of the webhook by this process: for development, or for a reroll outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRegistration {
    /// Where the API server reaches this process. It is `https`, and port 0 stands for the port listened on.
    pub url: Uri,
    /// The name of the webhook configurations.
    pub name: String,
    /// Register at an API server that is not on loopback, too.
    pub allow_remote_api_server: bool,
}

impl WebhookSettings {
    /// Returns the registration by this process, if it is to make one.
    pub fn local(&self) -> Option<&LocalRegistration> {
        match &self.certificate {
            CertificateSource::MadeFor(local) => Some(local),
            CertificateSource::Files { .. } | CertificateSource::Kept(_) => None,
        }
    }
}
