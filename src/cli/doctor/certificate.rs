//! Whether an API server can trust what the webhook serves: the authorities of `caBundle`, and the certificate in the Secret.
//!
//! rustls judges the chain, as an API server would. No byte of a Secret is printed but times and what a certificate is for.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use x509_parser::parse_x509_certificate;

use super::report::Line;
use crate::cli::findings::Finding;

/// A certificate that lives no longer than this, and than a quarter of its life, should have been renewed.
const SOON: i64 = 14 * 86_400;

const RENEW: &str = "the log of whoever makes it (cert-manager, reroll, or you) says more";

/// A certificate, and when it is valid, in seconds since 1970.
struct Certificate {
    der: CertificateDer<'static>,
    from: i64,
    until: i64,
}

/// Reads certificates; `None` where one cannot be read, or there are none.
fn read(pem: &[u8]) -> Option<Vec<Certificate>> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|der| {
        let der = der.ok()?;
        let validity = parse_x509_certificate(&der).ok()?.1.validity().clone();
        let (from, until) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        Some(Certificate { der, from, until })
    });
    let certificates: Option<Vec<_>> = certificates.collect();
    certificates.filter(|all| !all.is_empty())
}

/// Says whether `caBundle` of a configuration holds an authority that counts today.
pub(super) fn authority(of: &str, bundle: &[u8], now: Timestamp) -> Line {
    let bad = |words: String| Line::found(Finding::NotTrusted, words).then(RENEW);
    if bundle.is_empty() {
        return bad(format!(
            "{of} has no caBundle: API servers trust nobody for it"
        ));
    }
    let Some(all) = read(bundle) else {
        return bad(format!(
            "caBundle of {of} holds no certificates that can be read"
        ));
    };
    let last = all.iter().max_by_key(|one| one.until);
    let Some(last) = last.filter(|last| last.until > now.as_second()) else {
        return bad(format!("the authority in caBundle of {of} is expired"));
    };
    let words = format!("caBundle of {of} is valid until {}", day(last.until));
    if last.ends_soon(now) {
        return Line::found(Finding::ExpiresSoon, words).then(RENEW);
    }
    Line::fine(words)
}

/// Says whether API servers that trust these authorities trust this chain for this name. `of`: the Secret.
pub(super) fn serving(
    of: &str,
    chain: Option<&[u8]>,
    (bundle, host): (&[u8], &str),
    now: Timestamp,
) -> Line {
    let bad = |words: String| Line::found(Finding::NotTrusted, words).then(RENEW);
    let Some(chain) = chain else {
        return bad(format!("Secret {of} has no tls.crt"));
    };
    let Some(chain) = read(chain) else {
        return bad(format!(
            "tls.crt of Secret {of} holds no certificates that can be read"
        ));
    };
    let [leaf, between @ ..] = chain.as_slice() else {
        return bad(format!("tls.crt of Secret {of} is empty"));
    };
    if leaf.until <= now.as_second() {
        return bad(format!(
            "the certificate in Secret {of} expired on {}",
            day(leaf.until)
        ));
    }
    if let Err(why) = verify(leaf, between, (bundle, host), now) {
        return bad(format!("the certificate in Secret {of} {why}"));
    }
    let words = format!(
        "the certificate in Secret {of} is for {host}, and valid until {}",
        day(leaf.until)
    );
    if leaf.ends_soon(now) {
        return Line::found(Finding::ExpiresSoon, words).then(RENEW);
    }
    Line::fine(words)
}

fn verify(
    leaf: &Certificate,
    between: &[Certificate],
    (bundle, host): (&[u8], &str),
    now: Timestamp,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    // rustls does not ask when an authority expires, and API servers do.
    let valid = |one: &Certificate| one.until > now.as_second();
    let authorities = read(bundle).unwrap_or_default().into_iter();
    roots.add_parsable_certificates(authorities.filter(valid).map(|one| one.der));
    let unsigned = || "is signed by no authority of caBundle".to_owned();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().map_err(|_| unsigned())?;
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| format!("is for no name such as {host}"))?;
    let between: Vec<_> = between.iter().map(|one| one.der.clone()).collect();
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let trusts = verifier.verify_server_cert(&leaf.der, &between, &name, &[], time);
    match trusts {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(why)) => Err(match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("is not for {host}, by which API servers call it")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("is not valid before {}", day(leaf.from))
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => unsigned(),
            other => format!("is not to be trusted: {other}"),
        }),
        Err(other) => Err(format!("is not to be trusted: {other}")),
    }
}

impl Certificate {
    fn ends_soon(&self, now: Timestamp) -> bool {
        let left = self.until - now.as_second();
        left < SOON && left < (self.until - self.from) / 4
    }
}

fn day(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds);
    at.map_or_else(
        |_| "a time that cannot be read".to_owned(),
        |at| at.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    const HOST: &str = "reroll.sys.svc";

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    /// Days from now on.
    type Days = (i64, i64);

    fn params(names: &[&str], (from, until): Days) -> CertificateParams {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let at = |days: i64| {
            let seconds = u64::try_from(now().as_second() + days * 86_400).unwrap();
            (std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).into()
        };
        (params.not_before, params.not_after) = (at(from), at(until));
        params
    }

    /// An authority: its certificate, and who signs by it.
    fn authority_of(days: Days) -> (String, Issuer<'static, KeyPair>) {
        let mut params = params(&[], days);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    fn leaf(by: &Issuer<'static, KeyPair>, name: &str, days: Days) -> String {
        let key = KeyPair::generate().unwrap();
        params(&[name], days).signed_by(&key, by).unwrap().pem()
    }

    #[test]
    fn authorities_are_there_and_valid() {
        let (good, _) = authority_of((-10, 3650));
        let (soon, _) = authority_of((-3640, 10));
        let (over, _) = authority_of((-20, -1));
        let both = [over.clone(), good.clone()].concat();
        for (bundle, expected) in [
            (good.as_bytes(), None),
            (both.as_bytes(), None),
            (soon.as_bytes(), Some("RR225")),
            (over.as_bytes(), Some("RR224")),
            (b"", Some("RR224")),
            (b"no certificate", Some("RR224")),
        ] {
            assert_eq!(
                authority("ValidatingWebhookConfiguration x", bundle, now()).code(),
                expected
            );
        }
    }

    #[test]
    fn what_is_served_is_trusted_for_its_name() {
        let (bundle, by) = authority_of((-10, 3650));
        let (others, by_others) = authority_of((-10, 3650));
        let (over, by_over) = authority_of((-20, -1));
        let good = leaf(&by, HOST, (-10, 80));
        let rows = [
            (Some(good.clone()), &bundle, None),
            // It lives for a day, as its issuer wants it.
            (Some(leaf(&by, HOST, (0, 1))), &bundle, None),
            (Some(leaf(&by, HOST, (-80, 10))), &bundle, Some("RR225")),
            (Some(leaf(&by, HOST, (-80, -1))), &bundle, Some("RR224")),
            (Some(leaf(&by, HOST, (1, 80))), &bundle, Some("RR224")),
            (
                Some(leaf(&by, "other.sys.svc", (-10, 80))),
                &bundle,
                Some("RR224"),
            ),
            (
                Some(leaf(&by_others, HOST, (-10, 80))),
                &bundle,
                Some("RR224"),
            ),
            (Some(good.clone()), &others, Some("RR224")),
            (Some(leaf(&by_over, HOST, (-10, 80))), &over, Some("RR224")),
            (Some("no certificate".to_owned()), &bundle, Some("RR224")),
            (None, &bundle, Some("RR224")),
        ];
        for (number, (chain, bundle, expected)) in rows.into_iter().enumerate() {
            let chain = chain.as_ref().map(String::as_bytes);
            let line = serving("sys/tls", chain, (bundle.as_bytes(), HOST), now());
            assert_eq!(line.code(), expected, "row {number}: {line:?}");
        }
    }
}
