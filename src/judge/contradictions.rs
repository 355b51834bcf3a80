//! Takes in what the webhook read and no watch has shown: etcd's own word, older than what is known.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Judge;
use crate::model::index::By;

/// Takes in the reads that contradict the index, until `stop`.
pub async fn take_in(judge: Arc<Judge>, stop: CancellationToken) {
    let added = || judge.state.contradicted_added.notified();
    while stop.run_until_cancelled(added()).await.is_some() {
        let reads = judge.state.contradictions().take();
        for (key, asked, version) in reads {
            match version {
                Some(version) => judge.source_applied(&key, version, By::Answer(asked)),
                None => judge.source_missed(&key, By::Answer(asked)),
            }
        }
    }
}
