//! The files as a kubelet and as people write them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::webhook::tls::{Authority, Issued};

const YEAR: i64 = 365 * 24 * 3600;
const LIFETIME: std::time::Duration = std::time::Duration::from_hours(365 * 24);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn now() -> Timestamp {
    at(1_800_000_000)
}

fn issued(now: Timestamp) -> Issued {
    Authority::new(now, LIFETIME)
        .unwrap()
        .issue(&["localhost"], now, LIFETIME)
        .unwrap()
}

/// A mounted Secret: `tls.crt -> ..data/tls.crt`, `..data -> ..generation`.
struct Volume(tempfile::TempDir);

impl Volume {
    fn with(issued: &Issued) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        volume.swap(issued.certificate_pem(), issued.key_pem());
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), volume.0.path().join(name)).unwrap();
        }
        volume
    }

    /// What a kubelet does when the Secret changes.
    fn swap(&self, chain: &str, key: &str) {
        let generation = tempfile::Builder::new()
            .prefix("..")
            .tempdir_in(self.0.path())
            .unwrap()
            .keep();
        fs::write(generation.join("tls.crt"), chain).unwrap();
        fs::write(generation.join("tls.key"), key).unwrap();
        symlink(
            generation.file_name().unwrap(),
            self.0.path().join("..data_tmp"),
        )
        .unwrap();
        fs::rename(
            self.0.path().join("..data_tmp"),
            self.0.path().join("..data"),
        )
        .unwrap();
    }

    async fn load(&self) -> Result<CertificateFiles, CertificateFilesError> {
        CertificateFiles::load(
            self.0.path().join("tls.crt"),
            self.0.path().join("tls.key"),
            Arc::new(Metrics::new()),
            now(),
        )
        .await
    }
}

/// How many changes were refused, and whether one still is, as metrics show it.
fn shown(files: &CertificateFiles) -> (u64, u64) {
    let text = files.metrics.encode().unwrap();
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.next().expect(name).parse().unwrap()
    };
    (
        value("reroll_certificate_reload_failures_total "),
        value("reroll_certificate_out_of_date "),
    )
}

#[tokio::test]
async fn a_swapped_volume_is_taken() {
    let volume = Volume::with(&issued(now()));
    let mut files = volume.load().await.unwrap();
    files.look(now()).await;
    let served = files.resolver.served();
    assert_eq!(served.not_after(), 1_800_000_000 + YEAR, "nothing changed");

    let next = issued(at(1_800_000_000 + 60));
    volume.swap(next.certificate_pem(), next.key_pem());
    files.look(now()).await;
    assert_eq!(files.resolver.not_after(), 1_800_000_000 + 60 + YEAR);
    assert_eq!(shown(&files), (0, 0));
}

#[tokio::test]
async fn a_broken_pair_keeps_the_old_and_counts_once() {
    let first = issued(now());
    let volume = Volume::with(&first);
    let mut files = volume.load().await.unwrap();
    let served = files.resolver.served();

    let other = issued(now());
    let broken = [
        (other.certificate_pem(), first.key_pem()),
        ("garbage", "garbage"),
        (first.certificate_pem(), ""),
    ];
    for (count, (chain, key)) in (1..).zip(broken) {
        volume.swap(chain, key);
        files.look(now()).await;
        files.look(now()).await;
        assert_eq!(shown(&files), (count, 1));
        assert!(Arc::ptr_eq(&served, &files.resolver.served()));
    }

    fs::remove_file(volume.0.path().join("..data")).unwrap();
    files.look(now()).await;
    files.look(now()).await;
    assert_eq!(shown(&files), (4, 1));
    assert!(Arc::ptr_eq(&served, &files.resolver.served()));

    volume.swap(other.certificate_pem(), other.key_pem());
    files.look(now()).await;
    assert_eq!(shown(&files), (4, 0));
    assert!(!Arc::ptr_eq(&served, &files.resolver.served()));
}

#[tokio::test]
async fn an_expired_pair_replaces_only_an_expired_one() {
    let volume = Volume::with(&issued(now()));
    let mut files = volume.load().await.unwrap();
    let expired = issued(at(1_800_000_000 - 2 * YEAR));
    volume.swap(expired.certificate_pem(), expired.key_pem());
    files.look(now()).await;
    assert_eq!(files.resolver.not_after(), 1_800_000_000 + YEAR);
    assert_eq!(shown(&files), (1, 1));

    let late = at(1_800_000_000 + 3 * YEAR);
    let less_expired = issued(at(1_800_000_000 + YEAR));
    volume.swap(less_expired.certificate_pem(), less_expired.key_pem());
    files.look(late).await;
    assert_eq!(files.resolver.not_after(), 1_800_000_000 + 2 * YEAR);
}

#[tokio::test]
async fn an_expired_pair_is_served_at_start() {
    let expired = issued(at(1_800_000_000 - 2 * YEAR));
    let files = Volume::with(&expired).load().await.unwrap();
    assert!(files.expiry_said);
}

#[tokio::test]
async fn errors_at_start_name_the_file_and_the_remedy() {
    let (one, other) = (issued(now()), issued(now()));
    let volume = Volume::with(&one);
    volume.swap(one.certificate_pem(), other.key_pem());
    let error = volume.load().await.unwrap_err().to_string();
    assert!(
        error.contains("tls.crt") && error.contains("tls.key"),
        "{error}"
    );
    assert!(
        error.contains("does not belong to the first certificate: put the leaf first"),
        "{error}"
    );

    fs::remove_file(volume.0.path().join("tls.key")).unwrap();
    let error = volume.load().await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read ") && error.contains("tls.key"),
        "{error}"
    );
}

#[tokio::test]
async fn following_ends_when_told() {
    let files = Volume::with(&issued(now())).load().await.unwrap();
    let shutdown = CancellationToken::new();
    // It does not end because it looks again.
    let following = tokio::spawn(files.follow(Duration::from_hours(1), now, shutdown.clone()));
    shutdown.cancel();
    tokio::time::timeout(Duration::from_mins(5), following)
        .await
        .unwrap()
        .unwrap();
}
