//! A certificate chain with its private key, checked before it is served.
//!
//! Invariant: the key of a [`ServingCertificate`] belongs to the first certificate of its chain. No error here quotes
//! what it read: half of it is a private key.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    Error, InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::crypto::provider;

/// Why a chain and a key cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The chain is not well-formed PEM.
    #[error("the certificate is not well-formed PEM ({0}): write the chain as PEM, the leaf first")]
    CertificatePem(&'static str),
    /// The chain is PEM (or anything else), without a certificate in it.
    #[error(
        "there is no CERTIFICATE block in the certificate: write the chain as PEM, the leaf first"
    )]
    NoCertificate,
    /// The leaf is not an X.509 certificate that TLS can use.
    #[error("the first certificate cannot be parsed as X.509 version 3 ({0}): issue it again")]
    CertificateDer(String),
    /// The key is not well-formed PEM.
    #[error(
        "the private key is not well-formed PEM ({0}): write it with its BEGIN and END lines on lines of their own"
    )]
    KeyPem(&'static str),
    /// The key is PEM (or anything else), without a usable private key in it.
    #[error(
        "there is no unencrypted private key in PEM (PKCS#8, PKCS#1 or SEC1): write it without a passphrase"
    )]
    NoKey,
    /// The key is of a kind which TLS does not use.
    #[error(
        "the private key cannot be used for TLS ({0}): use RSA, ECDSA on P-256 or P-384, or Ed25519"
    )]
    UnusableKey(String),
    /// The key belongs to another certificate.
    #[error(
        "the private key does not belong to the first certificate: put the leaf first, and write both from the same issue"
    )]
    Mismatch,
    /// The certificate is expired, and the one in service, which it would replace, is not.
    #[error("the certificate expired at {0}, while the one in service has not: issue it again")]
    Expired(Timestamp),
}

/// A certificate chain, its private key, and when it is valid.
#[derive(Clone, Debug)]
pub struct ServingCertificate {
    key: Arc<CertifiedKey>,
    not_before: i64,
    not_after: i64,
}

impl ServingCertificate {
    /// Reads and checks a chain (leaf first) and its key, both PEM as in a Secret of type `kubernetes.io/tls`. Leaves it to
    /// the caller whether it is valid today.
    ///
    /// # Errors
    /// When either cannot be parsed or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CertificateError::CertificatePem(reason(&error)))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey,
            other => CertificateError::KeyPem(reason(&other)),
        })?;
        Self::from_der(chain, key)
    }

    fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (not_before, not_after) = validity(leaf)?;
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| CertificateError::UnusableKey(error.to_string()))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(CertificateError::Mismatch),
            Err(other) => return Err(CertificateError::CertificateDer(other.to_string())),
        }
        Ok(Self {
            key: Arc::new(key),
            not_before,
            not_after,
        })
    }

    /// Returns what rustls serves.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// Returns whether it is the same chain.
    pub fn same_as(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// Returns from when the leaf is valid, in seconds since 1970.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Returns until when the leaf is valid, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Returns whether `now` is after the leaf's validity. API servers refuse it then.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now.as_second() > self.not_after
    }
}

fn validity(leaf: &CertificateDer<'_>) -> Result<(i64, i64), CertificateError> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| CertificateError::CertificateDer(error.to_string()))?;
    let validity = leaf.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Returns the kind of a PEM error. Its own text quotes the line that is wrong: the whole key, when the newlines were lost.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is not base64",
        pem::Error::SectionTooLarge => "a block is too large",
        _ => "unreadable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tls::{Authority, Issued};

    const YEAR: std::time::Duration = std::time::Duration::from_hours(365 * 24);

    fn issued() -> Issued {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Authority::new(now, YEAR)
            .unwrap()
            .issue(&["reroll.reroll.svc"], now, YEAR)
            .unwrap()
    }

    fn error_of(chain: &str, key: &str) -> CertificateError {
        ServingCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_pair_is_read_with_its_validity() {
        let issued = issued();
        let served = ServingCertificate::from_pem(
            issued.certificate_pem().as_bytes(),
            issued.key_pem().as_bytes(),
        )
        .unwrap();
        assert!(served.not_before() < 1_800_000_000 && 1_800_000_000 < served.not_after());
        assert!(!served.is_expired(Timestamp::from_second(served.not_after()).unwrap()));
        assert!(served.is_expired(Timestamp::from_second(served.not_after() + 1).unwrap()));
    }

    #[test]
    fn each_flaw_has_its_own_error() {
        let (one, other) = (issued(), issued());
        let (chain, key) = (one.certificate_pem(), one.key_pem());
        assert_eq!(error_of("", key), CertificateError::NoCertificate);
        assert_eq!(error_of("garbage", key), CertificateError::NoCertificate);
        assert_eq!(error_of(key, key), CertificateError::NoCertificate);
        assert_eq!(error_of(chain, "garbage"), CertificateError::NoKey);
        assert_eq!(
            error_of(chain, &key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            CertificateError::NoKey
        );
        assert_eq!(error_of(chain, other.key_pem()), CertificateError::Mismatch);
        let cut = chain.rsplit_once("-----END").unwrap().0;
        assert_eq!(
            error_of(cut, key),
            CertificateError::CertificatePem("a block has no END line")
        );
        let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            error_of(not_x509, key),
            CertificateError::CertificateDer(_)
        ));
        let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(
            error_of(chain, not_a_key),
            CertificateError::UnusableKey(_)
        ));
    }

    #[test]
    fn no_error_quotes_the_key() {
        let issued = issued();
        let (chain, key) = (issued.certificate_pem(), issued.key_pem());
        let line = key.lines().nth(1).unwrap();
        let as_text = &line[..8];
        let as_bytes = format!("{:?}", as_text.as_bytes());
        let as_bytes = as_bytes.trim_matches(['[', ']']);
        for broken in [
            key.replace('\n', " "),
            key.replacen('\n', " ", 1),
            key.replace("-----END", "END"),
            key.replace(line, &format!("{line}*")),
        ] {
            let error = error_of(chain, &broken);
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains(as_text) && !said.contains(as_bytes),
                "{said}"
            );
        }
    }
}
