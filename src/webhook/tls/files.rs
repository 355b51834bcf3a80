//! A certificate from two PEM files that somebody else renews: cert-manager or a person, by way of a mounted Secret.
//!
//! The files are polled and compared by content. A kubelet replaces a mounted Secret by swapping a `..data` symlink,
//! which file notification on the files themselves does not see.
//!
//! Invariant: a pair that cannot be served never replaces one that can.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CertificateError, CertificateResolver, ServingCertificate};

/// Why no certificate can be had from the files.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFilesError {
    /// One of the files cannot be read.
    #[error("cannot read {}: {source}; is the Secret there, mounted, and readable by this user?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// They were read, and do not hold a certificate and its key.
    #[error("cannot serve the certificate {} with the key {}: {source}", certificate.display(), key.display())]
    Unusable {
        /// The file of the chain.
        certificate: PathBuf,
        /// The file of the private key.
        key: PathBuf,
        /// What is wrong with them.
        source: CertificateError,
    },
}

/// How following the files has gone, for metrics.
#[derive(Debug, Default)]
pub struct ReloadStats {
    reloaded: AtomicU64,
    rejected: AtomicU64,
    out_of_date: AtomicBool,
}

impl ReloadStats {
    /// How many times a new pair was taken into service.
    pub fn reloaded(&self) -> u64 {
        self.reloaded.load(Ordering::Relaxed)
    }

    /// How many times the files changed to something that cannot be served (each content counts once).
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Whether the files hold something else than what is served now, because it cannot be served. The one to alert on.
    pub fn out_of_date(&self) -> bool {
        self.out_of_date.load(Ordering::Relaxed)
    }
}

/// A certificate chain and its private key in two PEM files, `tls.crt` and `tls.key` of a Secret.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    last: Seen,
    resolver: Arc<CertificateResolver>,
    stats: Arc<ReloadStats>,
    expiry_said: bool,
}

/// What the files were when they were last read; says whether there is anything new to say about them.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable(PathBuf, io::ErrorKind),
}

impl CertificateFiles {
    /// Reads and checks the pair. One that is expired, or not valid yet, is taken with a warning: clocks are wrong more
    /// often than certificates, and a webhook that starts can be given a better pair while it runs.
    ///
    /// # Errors
    /// When a file cannot be read, or what they hold cannot be served.
    pub async fn load(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        now: Timestamp,
    ) -> Result<Self, CertificateFilesError> {
        let (certificate, key) = (certificate.into(), key.into());
        let (last, served) = read(&certificate, &key).await;
        let served = served?;
        if now.as_second() < served.not_before() {
            warn!(certificate = %certificate.display(), not_before = served.not_before(),
                "the webhook's certificate is not valid yet: compare the clocks of this node and of its issuer");
        }
        let resolver = Arc::new(CertificateResolver::new(served));
        let mut files = Self {
            certificate,
            key,
            last,
            resolver,
            stats: Arc::default(),
            expiry_said: false,
        };
        files.say_when_expired(now);
        Ok(files)
    }

    /// What to serve from. It follows the files for as long as [`Self::follow`] runs.
    pub fn resolver(&self) -> Arc<CertificateResolver> {
        Arc::clone(&self.resolver)
    }

    /// How following the files goes.
    pub fn stats(&self) -> Arc<ReloadStats> {
        Arc::clone(&self.stats)
    }

    /// Looks at the files every `interval` and takes a changed pair into service, until `shutdown`.
    pub async fn follow(
        mut self,
        interval: Duration,
        clock: impl Fn() -> Timestamp + Send,
        shutdown: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                ticks.tick().await;
                self.look(clock()).await;
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    async fn look(&mut self, now: Timestamp) {
        let (seen, read) = read(&self.certificate, &self.key).await;
        if seen != self.last {
            self.last = seen;
            match read.and_then(|pair| self.refuse_worse(pair, now)) {
                Ok(pair) => self.take(pair),
                Err(error) => self.keep(&error),
            }
        }
        self.say_when_expired(now);
    }

    /// Somebody put an old backup in place of a good certificate.
    fn refuse_worse(
        &self,
        pair: ServingCertificate,
        now: Timestamp,
    ) -> Result<ServingCertificate, CertificateFilesError> {
        if !pair.is_expired(now) || self.resolver.served().is_expired(now) {
            return Ok(pair);
        }
        let expired = Timestamp::from_second(pair.not_after()).unwrap_or(Timestamp::MIN);
        Err(unusable(
            &self.certificate,
            &self.key,
            CertificateError::Expired(expired),
        ))
    }

    fn take(&mut self, pair: ServingCertificate) {
        info!(certificate = %self.certificate.display(), not_after = pair.not_after(), "serving a new certificate");
        self.resolver.replace(pair);
        self.expiry_said = false;
        self.stats.reloaded.fetch_add(1, Ordering::Relaxed);
        self.stats.out_of_date.store(false, Ordering::Relaxed);
    }

    fn keep(&self, error: &CertificateFilesError) {
        warn!(%error, not_after = self.resolver.not_after(), "keeping the certificate in service");
        self.stats.rejected.fetch_add(1, Ordering::Relaxed);
        self.stats.out_of_date.store(true, Ordering::Relaxed);
    }

    fn say_when_expired(&mut self, now: Timestamp) {
        if !self.expiry_said && self.resolver.served().is_expired(now) {
            self.expiry_said = true;
            warn!(certificate = %self.certificate.display(), not_after = self.resolver.not_after(),
                "the webhook's certificate is expired and API servers refuse it: renew it");
        }
    }
}

async fn read(
    certificate: &Path,
    key: &Path,
) -> (Seen, Result<ServingCertificate, CertificateFilesError>) {
    match read_both(certificate, key).await {
        Ok((chain, private)) => {
            let mut digest = Sha256::new();
            digest.update(u64::try_from(chain.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(&chain);
            digest.update(&private);
            let pair = ServingCertificate::from_pem(&chain, &private);
            let pair = pair.map_err(|source| unusable(certificate, key, source));
            (Seen::Content(digest.finalize().into()), pair)
        }
        Err((path, source)) => {
            let path = path.to_owned();
            (
                Seen::Unreadable(path.clone(), source.kind()),
                Err(CertificateFilesError::Read { path, source }),
            )
        }
    }
}

/// Both files from one generation: a kubelet that swaps the directory between the two reads would otherwise give the
/// certificate of one pair with the key of another. The chain is read again after the key; if it moved, both are.
async fn read_both<'a>(
    certificate: &'a Path,
    key: &'a Path,
) -> Result<(Vec<u8>, Vec<u8>), (&'a Path, io::Error)> {
    let mut chain = tokio::fs::read(certificate)
        .await
        .map_err(|error| (certificate, error))?;
    let mut private = tokio::fs::read(key).await.map_err(|error| (key, error))?;
    for _ in 0..3 {
        let again = tokio::fs::read(certificate)
            .await
            .map_err(|error| (certificate, error))?;
        if again == chain {
            break;
        }
        chain = again;
        private = tokio::fs::read(key).await.map_err(|error| (key, error))?;
    }
    Ok((chain, private))
}

fn unusable(certificate: &Path, key: &Path, source: CertificateError) -> CertificateFilesError {
    CertificateFilesError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
