//! TLS for the port which the API server dials.
//!
//! - [`ServingCertificate`]: a chain and its private key, checked against each other.
//! - [`CertificateResolver`]: the one that is served now; replaced while running, read once in each handshake.
//! - [`CertificateFiles`]: a certificate from two PEM files, followed when they change (a mounted Secret).
//! - [`SelfMade`]: a certificate made in memory, for a reroll that runs outside of the cluster.
//!
//! The provider is named wherever rustls wants one (aws-lc-rs): nothing here relies on the default of the process.

mod certificate;
mod files;
mod resolver;
mod self_made;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

pub use certificate::{CertificateError, ServingCertificate};
pub use files::{CertificateFiles, CertificateFilesError, ReloadStats};
pub use resolver::CertificateResolver;
pub use self_made::{Authority, BACKDATED, Issued, SelfMade, SelfMadeError};

/// The lowest TLS version that a client may speak. Written `1.2` and `1.3` in a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3, for a proxy or a scanner between the API server and reroll that needs it.
    V1_2,
    /// TLS 1.3 only. Every supported API server speaks it.
    #[default]
    V1_3,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        })
    }
}

/// The text is not a TLS version that reroll can serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS version must be 1.2 or 1.3, not `{0}`")]
pub struct UnknownTlsVersion(String);

impl FromStr for TlsVersion {
    type Err = UnknownTlsVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            other => Err(UnknownTlsVersion(other.to_owned())),
        }
    }
}

/// The cryptography that all TLS of the webhook uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// No client can be told by these authorities.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds no authority.
    #[error("{} holds no certificate of an authority that can be used; expected PEM", .0.display())]
    Unusable(PathBuf),
}

/// Who may call: clients with a certificate of the authorities in a PEM file.
///
/// # Errors
/// When there are none in it.
pub async fn clients_of(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, ClientsError> {
    let pem = tokio::fs::read(path).await;
    let pem = pem.map_err(|source| ClientsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut roots = RootCertStore::empty();
    let ders = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    roots.add_parsable_certificates(ders);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build();
    verifier
        .map_err(|_| ClientsError::Unusable(path.to_owned()))
        .map(|verifier| verifier as _)
}

/// What the listener of the webhook speaks: TLS from `lowest` up, HTTP/2 or HTTP/1.1 by ALPN.
///
/// `clients` verifies the client's certificate; without it any client may connect, which is what an API server needs
/// that was not given an `AdmissionConfiguration` with a client certificate.
///
/// Sessions are not resumed. API servers never ask for it, and each connection then gets the certificate of the day.
///
/// # Errors
/// Only when the provider supports none of the versions, which aws-lc-rs does.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    lowest: TlsVersion,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match lowest {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        let error = "1.1".parse::<TlsVersion>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "TLS version must be 1.2 or 1.3, not `1.1`"
        );
    }
}
