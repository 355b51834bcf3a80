//! The admission webhook: where it listens, with which certificate, and who registers it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::Uri;
use clap::{ArgAction, Args, builder::BoolishValueParser};

use crate::{
    config::{
        choice::one_of,
        values::{between, parse_object_name, parse_size, parse_webhook_url},
    },
    webhook::{tls::TlsVersion, warnings::Told},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Webhook")]
pub(in crate::config) struct WebhookArgs {
    /// The address for admission reviews
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REROLL_WEBHOOK_LISTEN",
        default_value = "0.0.0.0:8443"
    )]
    pub(in crate::config) webhook_listen: SocketAddr,

    /// The certificate chain to serve, as PEM; reroll reads it again when it changes
    #[arg(long, value_name = "FILE", env = "REROLL_TLS_CERT")]
    pub(in crate::config) tls_cert: Option<PathBuf>,

    /// The certificate's private key, as PEM; reroll reads it again when it changes
    #[arg(long, value_name = "FILE", env = "REROLL_TLS_KEY")]
    pub(in crate::config) tls_key: Option<PathBuf>,

    /// Keep certificates in this Secret of --own-namespace; reroll makes and renews them
    ///
    /// The leader makes them, and writes the authority into the webhook configurations that --webhook-configurations names.
    #[arg(long, value_name = "NAME", env = "REROLL_CERTIFICATES_SECRET", value_parser = parse_object_name)]
    pub(in crate::config) certificates_secret: Option<String>,

    /// The DNS names by which API servers call the webhook, separated by commas; for --certificates-secret
    #[arg(long, value_name = "NAMES", env = "REROLL_WEBHOOK_HOSTS", value_delimiter = ',', value_parser = parse_object_name)]
    pub(in crate::config) webhook_hosts: Vec<String>,

    /// The name of the webhook configurations, which a metric shows to be there; with --certificates-secret reroll keeps their
    /// caBundle up to date
    #[arg(long, value_name = "NAME", env = "REROLL_WEBHOOK_CONFIGURATIONS", value_parser = parse_object_name)]
    pub(in crate::config) webhook_configurations: Option<String>,

    /// How long an authority of --certificates-secret is valid; reroll makes the next when a third of that is left
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_AUTHORITY_LIFETIME",
        default_value = "87600h",
        allow_hyphen_values = true,
        value_parser = between("10s", "876000h")
    )]
    pub(in crate::config) authority_lifetime: Duration,

    /// How long a serving certificate of --certificates-secret is valid; reroll makes the next when a third of that is left
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_CERTIFICATE_LIFETIME",
        default_value = "2160h",
        allow_hyphen_values = true,
        value_parser = between("10s", "876000h")
    )]
    pub(in crate::config) certificate_lifetime: Duration,

    /// Accept only clients with a certificate of these authorities, as PEM
    ///
    /// API servers present a certificate to webhooks only if their admission configuration says so.
    #[arg(long, value_name = "FILE", env = "REROLL_CLIENT_CA")]
    pub(in crate::config) client_ca: Option<PathBuf>,

    /// The oldest TLS version to accept: 1.2 or 1.3
    #[arg(
        long,
        value_name = "VERSION",
        env = "REROLL_TLS_MIN_VERSION",
        default_value = "1.3"
    )]
    pub(in crate::config) tls_min_version: TlsVersion,

    /// How often to check whether the certificate has changed
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_TLS_POLL_INTERVAL",
        default_value = "10s",
        allow_hyphen_values = true,
        value_parser = between("100ms", "1h")
    )]
    pub(in crate::config) tls_poll_interval: Duration,

    /// Run only the restart controller
    #[arg(long, env = "REROLL_NO_WEBHOOK", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(in crate::config) no_webhook: bool,

    /// Register the webhook at the API server under this URL, until reroll exits
    ///
    /// For development, and for a reroll outside the cluster. The API server must be able to reach the URL. Port 0
    /// stands for the port that reroll listens on. Without --tls-cert, reroll makes a certificate.
    #[arg(long, value_name = "URL", env = "REROLL_WEBHOOK_URL", value_parser = parse_webhook_url)]
    pub(in crate::config) webhook_url: Option<Uri>,

    /// The name of the webhook configurations that --webhook-url creates
    #[arg(
        long,
        value_name = "NAME",
        env = "REROLL_WEBHOOK_NAME",
        default_value = "reroll-local",
        value_parser = parse_object_name
    )]
    pub(in crate::config) webhook_name: String,

    /// Let --webhook-url register at an API server that is not on loopback
    #[arg(
        long,
        env = "REROLL_ALLOW_REMOTE_API_SERVER",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    pub(in crate::config) allow_remote_api_server: bool,

    /// The largest admission review to accept
    #[arg(long, value_name = "SIZE", env = "REROLL_MAX_BODY", default_value = "17MiB", value_parser = parse_size)]
    pub(in crate::config) max_body: usize,

    /// How long the workload webhook may read referenced sources before it answers from memory
    #[arg(long, value_name = "DURATION", env = "REROLL_GET_BUDGET", default_value = "250ms", allow_hyphen_values = true, value_parser = between("0s", "30s"))]
    pub(in crate::config) get_budget: Duration,

    /// Which warnings the webhook shows at the prompt
    ///
    /// With kubectl --warnings-as-errors each of them makes kubectl fail, after the write.
    #[arg(
        long,
        value_name = "WHICH",
        env = "REROLL_WEBHOOK_WARNINGS",
        default_value = Told::All.as_str(),
        value_parser = one_of(&WARNINGS, Told::as_str)
    )]
    pub(in crate::config) webhook_warnings: Told,
}

const WARNINGS: [(Told, &str); 3] = [
    (Told::All, "what is wrong, and what a write restarts"),
    (Told::Problems, "only what is wrong"),
    (Told::None, "nothing"),
];
