//! Flags that are fine one by one and make no sense together.

use std::time::Duration;

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
    /// A certificate for a webhook that gets one made on the spot.
    #[error("--webhook-url makes its own certificate: leave --tls-cert and --tls-key out")]
    MadeAndGiven,
    /// Kept certificates without what they are for.
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
    /// A setting of alerts that cannot be used. The value may be a secret, so the error never has it.
    #[error("{flag} {problem}")]
    Alerts {
        /// The flag or variable.
        flag: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}
