//! What the listener of the webhook speaks, and with which clients.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, pem::PemObject},
    server::{
        NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    version::{TLS12, TLS13},
};

use super::crypto::provider;

/// The lowest TLS version that a client may speak. Written `1.2` and `1.3` in a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3, where a proxy between the API server and reroll, or a scanner, needs 1.2.
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

/// These authorities verify no client.
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
    /// The file holds no authority.
    #[error("{} holds no certificate of an authority that can be used; expected PEM", .0.display())]
    Unusable(PathBuf),
}

/// Returns the verifier of clients that may call: those with a certificate of the authorities in a PEM file.
///
/// # Errors
/// When the file cannot be read, or holds no authority.
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

/// Returns what the listener of the webhook speaks: TLS from `lowest` up, HTTP/2 or HTTP/1.1 by ALPN.
///
/// `clients` verifies the client's certificate. Without it any client may connect: an API server has a certificate only
/// where its `AdmissionConfiguration` names one.
///
/// Sessions are not resumed. API servers never ask for it, and each connection gets the certificate of the day.
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
