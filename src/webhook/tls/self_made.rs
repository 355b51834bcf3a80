//! Certificates that reroll makes itself: an [`Authority`] for the `caBundle`, and leaves that it issues.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::certificate::{CertificateError, ServingCertificate};

/// How long an authority is valid that is kept in memory only. Every start makes another.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(87600);
/// How long its leaf is valid.
const LEAF_LIFETIME: Duration = Duration::from_hours(8760);
/// How far validity reaches back, so that an API server whose clock is behind accepts the certificate.
pub const BACKDATED: Duration = Duration::from_hours(1);

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SelfMadeError {
    /// The host is neither an IP address nor a DNS name, or the cryptography failed.
    #[error("cannot make a certificate: {0}; the host must be an IP address or a DNS name")]
    Make(#[from] rcgen::Error),
    /// What was made cannot be served.
    #[error("the certificate that was made cannot be served: {0}")]
    Serve(#[from] CertificateError),
}

/// A certificate for one host with the authority that an API server must trust, in memory only.
#[derive(Clone, Debug)]
pub struct SelfMade {
    /// The authority's certificate in PEM: the `caBundle` of a webhook configuration.
    pub ca_pem: String,
    /// The leaf with its key.
    pub certificate: ServingCertificate,
}

impl SelfMade {
    /// Makes an authority and a leaf for `host`: an IP address, or a DNS name.
    ///
    /// # Errors
    /// When `host` is neither.
    pub fn for_host(host: &str, now: Timestamp) -> Result<Self, SelfMadeError> {
        let authority = Authority::new(now, AUTHORITY_LIFETIME)?;
        let issued = authority.issue(&[host], now, LEAF_LIFETIME)?;
        Ok(Self {
            ca_pem: authority.pem().to_owned(),
            certificate: issued.serving()?,
        })
    }
}

/// A certificate authority with its key. `Debug` shows no key.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority, valid for `lifetime` from `now`.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn new(now: Timestamp, lifetime: Duration) -> Result<Self, SelfMadeError> {
        let mut params = params(&[], "reroll webhook CA", now, lifetime)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Self::from_pem(pem, &key.serialize_pem())
    }

    /// Reads an authority that was kept. Does not check that the key is its own: see [`Authority::public_key`].
    ///
    /// # Errors
    /// When either cannot be parsed.
    pub fn from_pem(pem: String, key: &str) -> Result<Self, SelfMadeError> {
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(key)?)?;
        Ok(Self { pem, issuer })
    }

    /// Returns the authority's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the public half of its key, as certificates have it.
    pub fn public_key(&self) -> &[u8] {
        self.issuer.key().public_key_raw()
    }

    /// Returns its key in PEM. Secret.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a leaf with a new key for `hosts` (IP addresses or DNS names), valid for `lifetime` from `now`.
    ///
    /// # Errors
    /// When one of `hosts` is neither.
    pub fn issue(
        &self,
        hosts: &[&str],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Issued, SelfMadeError> {
        let mut params = params(hosts, "reroll webhook", now, lifetime)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// A leaf and its key in PEM, as a Secret of type `kubernetes.io/tls` holds them. Not `Debug`: one half is a key.
#[derive(Clone)]
pub struct Issued {
    certificate_pem: String,
    key_pem: String,
}

impl Issued {
    /// Returns a leaf that was kept.
    pub fn from_pem(certificate: &str, key: &str) -> Self {
        Self {
            certificate_pem: certificate.to_owned(),
            key_pem: key.to_owned(),
        }
    }

    /// Returns `tls.crt`.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns `tls.key`. Secret.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Returns the pair, ready to be served.
    ///
    /// # Errors
    /// As [`ServingCertificate::from_pem`].
    pub fn serving(&self) -> Result<ServingCertificate, CertificateError> {
        ServingCertificate::from_pem(self.certificate_pem.as_bytes(), self.key_pem.as_bytes())
    }
}

fn params(
    hosts: &[&str],
    name: &str,
    now: Timestamp,
    lifetime: Duration,
) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    // With a clock before 1970 the certificate begins in 1970, not in the far future.
    let since_1970 = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    params.not_before = now - BACKDATED;
    params.not_after = now + lifetime;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_lives_a_year_from_now() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made = SelfMade::for_host("127.0.0.1", now).unwrap();
        assert_eq!(made.certificate.not_before(), 1_800_000_000 - 3600);
        assert_eq!(
            made.certificate.not_after(),
            1_800_000_000 + 365 * 24 * 3600
        );
        assert!(made.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn a_host_must_be_an_address_or_a_name() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for host in ["::1", "10.0.0.1", "localhost", "reroll.reroll.svc"] {
            SelfMade::for_host(host, now).unwrap();
        }
        let error = SelfMade::for_host("höst", now).unwrap_err();
        assert!(
            error.to_string().contains("IP address or a DNS name"),
            "{error}"
        );
    }
}
