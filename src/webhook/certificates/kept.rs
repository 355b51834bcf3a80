//! What the Secret holds: the authorities that are trusted, the key of the newest, and the leaf with its key.
//!
//! `caBundle` becomes `ca.crt`, the newest authority first; `ca.key` signs; `tls.crt` and `tls.key` are served. No error
//! quotes what was read.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

use super::due::{Facts, Leaf, Lifetimes, Step, Validity};
use crate::webhook::tls::{Authority, BACKDATED, Issued, SelfMadeError, ServingCertificate};

const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const LEAF: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";

/// The Secret does not hold certificates that reroll can go on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// It holds no authority.
    #[error("it has no certificate in {AUTHORITIES}")]
    NoAuthority,
    /// One of its fields is no text, or no certificate.
    #[error("its {0} cannot be read")]
    Unreadable(&'static str),
    /// Its authority cannot sign.
    #[error("its {AUTHORITY_KEY} cannot be used: {0}")]
    Authority(#[from] SelfMadeError),
    /// Somebody put another authority beside its key, as cert-manager does that takes the Secret over.
    #[error("its {AUTHORITY_KEY} is not the key of {AUTHORITIES}")]
    OtherKey,
}

/// What reroll keeps.
pub(super) struct Kept {
    newest: Authority,
    /// PEM of the others that are trusted.
    others: Vec<String>,
    leaf: Option<(Issued, ServingCertificate)>,
}

impl Kept {
    /// Makes everything.
    ///
    /// # Errors
    /// When one of `hosts` is no DNS name, or the cryptography fails.
    pub(super) fn begin(
        hosts: &[&str],
        now: Timestamp,
        lifetimes: Lifetimes,
    ) -> Result<Self, SelfMadeError> {
        let mut kept = Self {
            newest: Authority::new(now, lifetimes.authority)?,
            others: Vec::new(),
            leaf: None,
        };
        kept.issue(hosts, now, lifetimes)?;
        Ok(kept)
    }

    /// Reads the Secret's data. A leaf that cannot be served counts as absent.
    ///
    /// # Errors
    /// When it holds no authority to go on with.
    pub(super) fn read(data: &BTreeMap<String, ByteString>) -> Result<Self, Unusable> {
        let text = |field: &'static str| {
            let bytes = data.get(field).map_or(&[][..], |value| &value.0);
            std::str::from_utf8(bytes).map_err(|_| Unusable::Unreadable(field))
        };
        let mut authorities = blocks(text(AUTHORITIES)?)?.into_iter();
        let newest = authorities.next().ok_or(Unusable::NoAuthority)?;
        let newest = Authority::from_pem(newest, text(AUTHORITY_KEY)?)?;
        let certificate = der(newest.pem()).ok_or(Unusable::Unreadable(AUTHORITIES))?;
        if public_key(&certificate).as_deref() != Some(newest.public_key()) {
            return Err(Unusable::OtherKey);
        }
        let (chain, key) = (text(LEAF), text(LEAF_KEY));
        let leaf = chain.ok().zip(key.ok()).and_then(|(chain, key)| {
            let issued = Issued::from_pem(chain, key);
            let serving = issued.serving().ok()?;
            Some((issued, serving))
        });
        Ok(Self {
            newest,
            others: authorities.collect(),
            leaf,
        })
    }

    /// Goes on from certificates that somebody else made, such as a cert-manager that is gone: their authority is trusted, and
    /// their leaf is served, until a new authority's leaf can take its place. `None` where the leaf is not theirs, or no good.
    pub(super) fn adopt(
        data: &BTreeMap<String, ByteString>,
        hosts: &[&str],
        now: Timestamp,
        lifetimes: Lifetimes,
    ) -> Option<Self> {
        let text = |field: &str| std::str::from_utf8(&data.get(field)?.0).ok();
        let others = blocks(text(AUTHORITIES)?).ok()?;
        let issued = Issued::from_pem(text(LEAF)?, text(LEAF_KEY)?);
        let serving = issued.serving().ok()?;
        let chain = blocks(issued.certificate_pem()).ok()?;
        let (leaf, between) = chain.split_first()?;
        let leaf = der(leaf)?;
        let (_, leaf) = parse_x509_certificate(&leaf).ok()?;
        let is_theirs = others
            .iter()
            .chain(between)
            .any(|signer| der(signer).is_some_and(|signer| is_signed_by(&leaf, &signer)));
        let is_good = names(&leaf) == sorted(hosts) && now.as_second() < validity(&leaf).until;
        (is_theirs && is_good && !others.is_empty()).then_some(())?;
        Some(Self {
            newest: Authority::new(now, lifetimes.authority).ok()?,
            others,
            leaf: Some((issued, serving)),
        })
    }

    /// Returns what a Secret holds to serve of which somebody else is the owner.
    pub(super) fn foreign(data: &BTreeMap<String, ByteString>) -> Option<ServingCertificate> {
        let text = |field: &str| std::str::from_utf8(&data.get(field)?.0).ok();
        Issued::from_pem(text(LEAF)?, text(LEAF_KEY)?)
            .serving()
            .ok()
    }

    /// Returns the Secret's data.
    pub(super) fn print(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::from([
            (AUTHORITIES, self.bundle()),
            (AUTHORITY_KEY, self.newest.key_pem()),
        ]);
        if let Some((issued, _)) = &self.leaf {
            data.insert(LEAF, issued.certificate_pem().to_owned());
            data.insert(LEAF_KEY, issued.key_pem().to_owned());
        }
        data.into_iter()
            .map(|(field, text)| (field.to_owned(), ByteString(text.into_bytes())))
            .collect()
    }

    /// Returns what `caBundle` is to be, in PEM.
    pub(super) fn bundle(&self) -> String {
        let newest = self.newest.pem().to_owned();
        [newest]
            .into_iter()
            .chain(self.others.iter().cloned())
            .collect()
    }

    /// Returns what is to be served.
    pub(super) fn serving(&self) -> Option<&ServingCertificate> {
        self.leaf.as_ref().map(|(_, serving)| serving)
    }

    /// Returns what decides what is due.
    ///
    /// # Errors
    /// When the newest authority is no certificate.
    pub(super) fn facts(&self, hosts: &[&str], published: bool) -> Result<Facts, Unusable> {
        let unreadable = || Unusable::Unreadable(AUTHORITIES);
        let newest = der(self.newest.pem()).ok_or_else(unreadable)?;
        let (_, newest) = parse_x509_certificate(&newest).map_err(|_| unreadable())?;
        let leaf = self.leaf.as_ref().and_then(|(issued, _)| {
            let leaf = der(issued.certificate_pem())?;
            let (_, leaf) = parse_x509_certificate(&leaf).ok()?;
            Some(Leaf {
                validity: validity(&leaf),
                by_newest: leaf.verify_signature(Some(newest.public_key())).is_ok(),
                named: names(&leaf) == sorted(hosts),
            })
        });
        Ok(Facts {
            newest: validity(&newest),
            others: self.others.len(),
            leaf,
            published,
        })
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When one of `hosts` is no DNS name, or the cryptography fails.
    pub(super) fn act(
        &mut self,
        step: Step,
        hosts: &[&str],
        now: Timestamp,
        lifetimes: Lifetimes,
    ) -> Result<(), SelfMadeError> {
        match step {
            Step::Begin => *self = Self::begin(hosts, now, lifetimes)?,
            Step::AddAuthority => {
                let newest = Authority::new(now, lifetimes.authority)?;
                let before = std::mem::replace(&mut self.newest, newest);
                // An older one than that was to retire long ago.
                self.others = vec![before.pem().to_owned()];
            }
            Step::IssueLeaf { .. } => self.issue(hosts, now, lifetimes)?,
            Step::Retire => self.others.clear(),
        }
        Ok(())
    }

    fn issue(
        &mut self,
        hosts: &[&str],
        now: Timestamp,
        lifetimes: Lifetimes,
    ) -> Result<(), SelfMadeError> {
        let issued = self.newest.issue(hosts, now, lifetimes.leaf)?;
        let serving = issued.serving()?;
        self.leaf = Some((issued, serving));
        Ok(())
    }
}

/// Returns each certificate of a bundle as PEM of its own.
fn blocks(text: &str) -> Result<Vec<String>, Unusable> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let block = |rest: &str| {
        let block = format!("{BEGIN}{}\n", rest.trim_end());
        let readable = der(&block).is_some();
        readable
            .then_some(block)
            .ok_or(Unusable::Unreadable(AUTHORITIES))
    };
    text.split(BEGIN).skip(1).map(block).collect()
}

fn der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

fn is_signed_by(leaf: &X509Certificate<'_>, signer: &[u8]) -> bool {
    parse_x509_certificate(signer)
        .is_ok_and(|(_, signer)| leaf.verify_signature(Some(signer.public_key())).is_ok())
}

fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    let backdated = i64::try_from(BACKDATED.as_secs()).unwrap_or(0);
    Validity {
        made: validity.not_before.timestamp() + backdated,
        until: validity.not_after.timestamp(),
    }
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names
        .into_iter()
        .flat_map(|names| &names.value.general_names);
    let names: Vec<_> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect();
    sorted(&names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn sorted(names: &[impl AsRef<str>]) -> Vec<String> {
    let mut names: Vec<_> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::webhook::certificates::due::due;

    const LIFETIMES: Lifetimes = Lifetimes {
        authority: Duration::from_mins(150),
        leaf: Duration::from_mins(15),
    };
    const HOSTS: [&str; 3] = ["reroll.reroll.svc", "::1", "127.0.0.1"];
    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START + seconds).unwrap()
    }

    fn begun() -> Kept {
        Kept::begin(&HOSTS, at(0), LIFETIMES).unwrap()
    }

    fn again(kept: &Kept) -> Kept {
        Kept::read(&kept.print()).unwrap()
    }

    #[test]
    fn what_is_kept_reads_as_it_was() {
        let kept = begun();
        let read = again(&kept);
        assert_eq!(read.print(), kept.print());
        let facts = read.facts(&HOSTS, true).unwrap();
        assert_eq!(facts, kept.facts(&HOSTS, true).unwrap());
        let leaf = facts.leaf.unwrap();
        assert!(leaf.by_newest && leaf.named);
        assert_eq!(facts.newest.made, START);
        assert_eq!(leaf.validity.until, START + 900);
        assert_eq!(due(&facts, START, LIFETIMES), None);
        let others = read.facts(&["elsewhere"], true).unwrap();
        assert!(!others.leaf.unwrap().named);
    }

    /// What cert-manager leaves behind: no `ca.key`.
    fn of_somebody_else() -> BTreeMap<String, ByteString> {
        let mut data = begun().print();
        data.remove(AUTHORITY_KEY);
        data
    }

    #[test]
    fn certificates_of_somebody_else_are_served_until_others_are_trusted() {
        let data = of_somebody_else();
        assert!(Kept::read(&data).is_err());
        let served = Kept::foreign(&data).unwrap();
        let adopted = Kept::adopt(&data, &HOSTS, at(10), LIFETIMES).unwrap();
        let mut kept = again(&adopted);
        assert!(kept.serving().unwrap().same_as(&served));
        let theirs = String::from_utf8(data[AUTHORITIES].0.clone()).unwrap();
        assert!(kept.bundle().ends_with(&theirs) && kept.bundle() != theirs);
        // It goes on as with an authority of its own that is replaced.
        let step =
            |kept: &Kept, now| due(&kept.facts(&HOSTS, true).unwrap(), START + now, LIFETIMES);
        assert_eq!(step(&kept, 10), None);
        let planned = Step::IssueLeaf { planned: true };
        assert_eq!(step(&kept, 100), Some(planned));
        kept.act(planned, &HOSTS, at(100), LIFETIMES).unwrap();
        assert_eq!(step(&kept, 189), None);
        assert_eq!(step(&kept, 190), Some(Step::Retire));
    }

    /// As cert-manager takes over a Secret that reroll kept: it leaves the field that it does not know.
    #[test]
    fn a_key_of_another_authority_signs_nothing() {
        let mut data = of_somebody_else();
        let another = begun().print()[AUTHORITY_KEY].clone();
        data.insert(AUTHORITY_KEY.to_owned(), another);
        assert!(matches!(Kept::read(&data), Err(Unusable::OtherKey)));
        let adopted = Kept::adopt(&data, &HOSTS, at(10), LIFETIMES).unwrap();
        assert!(Kept::read(&adopted.print()).is_ok());
    }

    #[test]
    fn what_cannot_be_gone_on_from_is_made_anew() {
        let adopt = |data: &BTreeMap<_, _>, hosts: &[&str], now| {
            Kept::adopt(data, hosts, at(now), LIFETIMES).is_some()
        };
        let good = of_somebody_else();
        assert!(adopt(&good, &HOSTS, 10));
        let mut mixed = good.clone();
        let another = begun().print()[AUTHORITIES].clone();
        mixed.insert(AUTHORITIES.to_owned(), another);
        assert!(!adopt(&mixed, &HOSTS, 10), "signed by somebody else");
        assert!(!adopt(&good, &["elsewhere"], 10), "for another name");
        assert!(!adopt(&good, &HOSTS, 900), "expired");
        for field in [AUTHORITIES, LEAF, LEAF_KEY] {
            let mut data = good.clone();
            data.remove(field);
            assert!(!adopt(&data, &HOSTS, 10), "without {field}");
        }
    }

    #[test]
    fn an_authority_is_trusted_beside_the_next_one() {
        let mut kept = begun();
        let first = kept.bundle();
        kept.act(Step::AddAuthority, &HOSTS, at(10), LIFETIMES)
            .unwrap();
        let mut kept = again(&kept);
        assert!(kept.bundle().ends_with(&first));
        let facts = kept.facts(&HOSTS, true).unwrap();
        assert_eq!((facts.others, facts.leaf.unwrap().by_newest), (1, false));
        let planned = Step::IssueLeaf { planned: true };
        kept.act(planned, &HOSTS, at(20), LIFETIMES).unwrap();
        assert!(
            again(&kept)
                .facts(&HOSTS, true)
                .unwrap()
                .leaf
                .unwrap()
                .by_newest
        );
        kept.act(Step::Retire, &HOSTS, at(30), LIFETIMES).unwrap();
        let kept = again(&kept);
        assert!(!kept.bundle().contains(&first));
        assert!(kept.facts(&HOSTS, true).unwrap().leaf.unwrap().by_newest);
    }

    #[test]
    fn what_cannot_be_used_is_said_and_never_quoted() {
        let whole = begun().print();
        let with = |field: &str, value: &str| {
            let mut data = whole.clone();
            data.insert(field.to_owned(), ByteString(value.as_bytes().to_vec()));
            data
        };
        let secret = String::from_utf8(whole[AUTHORITY_KEY].0.clone()).unwrap();
        for data in [
            BTreeMap::new(),
            with(AUTHORITIES, ""),
            with(
                AUTHORITIES,
                "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
            ),
            with(AUTHORITY_KEY, ""),
            with(AUTHORITY_KEY, &secret[..90]),
        ] {
            let error = Kept::read(&data).err().unwrap();
            let said = format!("{error} {error:?}");
            assert!(!said.contains(&secret[40..60]), "{said}");
        }
        // A leaf can be issued again.
        for data in [with(LEAF, "x"), with(LEAF_KEY, &secret)] {
            let facts = Kept::read(&data).unwrap().facts(&HOSTS, true).unwrap();
            assert_eq!(facts.leaf, None);
            let unplanned = Some(Step::IssueLeaf { planned: false });
            assert_eq!(due(&facts, START, LIFETIMES), unplanned);
        }
    }
}
