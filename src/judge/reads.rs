//! Reads sources that workloads use and of which the watches do not show enough.
//!
//! - No watch shows Secrets of some types: they are read when a workload is written, and at every sweep. What changes of
//!   them is seen only then.
//! - Of a source that nobody uses only the digest of the whole is kept. It is read when a workload begins to use a key of
//!   it, once however many workloads do.
//!
//! Every replica reads them, whether it leads or not: each decides for itself which workloads are up to date.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::model::{SourceKey, index::unshown};

/// Reads what is due, and tells the judge, until `stop`.
pub async fn read(live: Live, stop: CancellationToken) {
    let judge = &live.judge;
    loop {
        let next = judge.unshown.next();
        let wait = async {
            tokio::select! {
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = judge.unshown.changed.notified() => {}
            }
        };
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        for source in judge.unshown.take(Instant::now()) {
            // Its last user may be gone, and it may have been asked for again while it was being read.
            if unshown::wants_read(&judge.state.index(), &source) {
                read_one(&live, source).await;
            }
        }
    }
}

async fn read_one(live: &Live, source: SourceKey) {
    if let Err(failure) = live.source(&source).await {
        // Where that holds a workload, the restarter says so.
        tracing::debug!(%source, %failure, "cannot read a source that no watch shows in full, trying again");
        live.judge.unshown.read_again(source, Instant::now());
    }
}
