//! A certificate from two PEM files that cert-manager renews, or a person, by way of a mounted Secret.
//!
//! The files are polled and compared by content. A kubelet replaces a mounted Secret by swapping a `..data` symlink. A
//! notification about the files themselves does not see that.
//!
//! Invariant: a pair that cannot be served never replaces one that can.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    certificate::{CertificateError, ServingCertificate},
    resolver::CertificateResolver,
};
use crate::ops::metrics::Metrics;

/// Why the files give no certificate.
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
    /// The files do not hold a certificate and its key.
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

/// A certificate chain and its private key in two PEM files, `tls.crt` and `tls.key` of a Secret.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    last: LastRead,
    resolver: Arc<CertificateResolver>,
    metrics: Arc<Metrics>,
    expiry_said: bool,
}

/// What the files were when they were last read. Nothing is said about the same files twice.
#[derive(Debug, PartialEq, Eq)]
enum LastRead {
    Content([u8; 32]),
    Unreadable(PathBuf, io::ErrorKind),
}

impl CertificateFiles {
    /// Reads and checks the pair. Warns of one that is expired, or not valid yet, and takes it: clocks are wrong more often
    /// than certificates, and a webhook that starts can be given a better pair while it runs.
    ///
    /// # Errors
    /// When a file cannot be read, or what they hold cannot be served.
    pub async fn load(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        metrics: Arc<Metrics>,
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
            metrics,
            expiry_said: false,
        };
        files.say_when_expired(now);
        Ok(files)
    }

    /// Returns what to serve from. It follows the files for as long as [`Self::follow`] runs.
    pub fn resolver(&self) -> Arc<CertificateResolver> {
        Arc::clone(&self.resolver)
    }

    /// Looks at the files every `interval`, and takes a changed pair into service, until `shutdown`.
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

    /// Refuses an expired pair while a good one is served, such as an old backup that an administrator restored.
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
        self.metrics.certificate_out_of_date(false);
    }

    fn keep(&self, error: &CertificateFilesError) {
        warn!(%error, not_after = self.resolver.not_after(), "keeping the certificate in service");
        self.metrics.certificate_not_reloaded();
        self.metrics.certificate_out_of_date(true);
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
) -> (LastRead, Result<ServingCertificate, CertificateFilesError>) {
    match read_both(certificate, key).await {
        Ok((chain, private)) => {
            let mut digest = Sha256::new();
            digest.update(u64::try_from(chain.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(&chain);
            digest.update(&private);
            let pair = ServingCertificate::from_pem(&chain, &private);
            let pair = pair.map_err(|source| unusable(certificate, key, source));
            (LastRead::Content(digest.finalize().into()), pair)
        }
        Err((path, source)) => {
            let path = path.to_owned();
            (
                LastRead::Unreadable(path.clone(), source.kind()),
                Err(CertificateFilesError::Read { path, source }),
            )
        }
    }
}

/// Reads both files of one generation. A kubelet may swap the directory between the two reads, which would give the
/// certificate of one pair with the key of another. So the chain is read again after the key; if it changed, both are.
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
