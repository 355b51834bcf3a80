//! TLS for the port which the API server dials.
//!
//! - [`ServingCertificate`]: a chain and its private key, checked against each other.
//! - [`CertificateResolver`]: the one that is served now; replaced while running, read once in each handshake.
//! - [`CertificateFiles`]: a certificate from two PEM files (a mounted Secret), which it follows when they change.
//! - [`SelfMade`]: a certificate made in memory, for a reroll that runs outside of the cluster.
//!
//! rustls gets its provider (aws-lc-rs) wherever it wants one: nothing here relies on the default of the process.

mod certificate;
mod config;
mod crypto;
mod files;
mod resolver;
mod self_made;

pub use certificate::{CertificateError, ServingCertificate};
pub use config::{ClientsError, TlsVersion, UnknownTlsVersion, clients_of, server_config};
#[cfg(test)]
pub(super) use crypto::provider;
pub use files::{CertificateFiles, CertificateFilesError};
pub use resolver::CertificateResolver;
pub use self_made::{Authority, BACKDATED, Issued, SelfMade, SelfMadeError};
