//! Reads sources that workloads use and of which the watches do not show enough.
//!
//! - No watch shows Secrets of some types: they are read when a workload is written, and at every sweep. What changes of
//!   them is seen only then.
//! - Of a source that nobody uses only the digest of the whole is kept. It is read when a workload begins to use a key of
//!   it, once however many workloads do.
//!
//! Every replica reads them, whether it leads or not: each decides for itself which workloads are up to date. A read that
//! fails is tried again for ever. The log says it once, and once that it ended; a metric counts what waits.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::{
    cluster::Failure,
    model::{SourceKey, index::unshown},
};

/// Reads what is due, and tells the judge, until `stop`.
pub async fn read(live: Live, stop: CancellationToken) {
    let unshown = &live.judge.unshown;
    loop {
        let one = async {
            if let Some(source) = unshown.take(Instant::now()) {
                return see_to(&live, source).await;
            }
            let next = unshown.next();
            tokio::select! {
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = unshown.changed.notified() => {}
            }
        };
        if stop.run_until_cancelled(one).await.is_none() {
            return;
        }
    }
}

async fn see_to(live: &Live, source: SourceKey) {
    let judge = &live.judge;
    // Its last user may be gone, and it may have been asked for again while it was being read.
    let wants_read = unshown::wants_read(&judge.state.index(), &source);
    if wants_read {
        read_one(live, source).await;
    } else if judge.unshown.ended(&source) {
        tracing::info!(%source, "a source that could not be read needs no read any more");
    }
}

async fn read_one(live: &Live, source: SourceKey) {
    let unshown = &live.judge.unshown;
    let Err(failure) = live.source(&source).await else {
        if unshown.ended(&source) {
            tracing::info!(%source, "a source that could not be read was read");
        }
        return;
    };
    // Of an API server that is away, the log tells by itself.
    let is_away = matches!(failure, Failure::Unreachable(_)) && live.cluster.reach().is_doubted();
    if unshown.failed(source.clone(), !is_away, Instant::now()) {
        tracing::warn!(
            %source,
            %failure,
            "cannot read a source that no watch shows in full: its changes restart nothing until it is read, trying again"
        );
    }
}
