//! Reads sources because somebody begins to use single keys of them.
//!
//! Of a source that nobody uses only the digest of the whole is kept. When a workload begins to use a key of it, every
//! replica reads it, whether it leads or not: each decides for itself which workloads are up to date. They are read one
//! after the other, each once however many workloads ask for it, and again later where that fails.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::live::Live;

/// How long to wait after a read that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads what is to be read, until `stop`.
pub async fn read_what_is_used(live: Live, stop: CancellationToken) {
    let unread = &live.judge.unread;
    while let Some(source) = stop.run_until_cancelled(unread.next()).await {
        let read = stop.run_until_cancelled(live.source(&source)).await;
        if let Some(Err(failure)) = read {
            tracing::warn!(%source, %failure, "cannot read a source that a workload begins to use, trying again");
            unread.add(source);
            stop.run_until_cancelled(sleep(AGAIN_AFTER)).await;
        }
    }
}
