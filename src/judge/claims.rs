//! Confirms the writes that admission saw and no watch has shown: the watch may be behind, or the write was never
//! persisted.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::{
    model::{SourceKey, decide::Lookup},
    ops::metrics::labels::IntentOutcome,
    state::{Claim, State},
};

/// How long a watch may take to show a write that admission saw, before the API server is asked.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);

/// Asks the API server about each claim that is old enough, until `stop`. The intent of a write that was never
/// persisted expires.
pub async fn confirm(live: Live, stop: CancellationToken) {
    let state = Arc::clone(&live.judge.state);
    loop {
        let oldest = state.provisional().oldest();
        let wait = async {
            match oldest {
                Some(at) => sleep_until(at + CONFIRM_AFTER).await,
                None => state.provisional_added.notified().await,
            }
        };
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        let due = state.provisional().take_due(CONFIRM_AFTER, Instant::now());
        for (key, claim) in due {
            confirm_claim(&live, &key, &claim).await;
        }
    }
}

async fn confirm_claim(live: &Live, key: &SourceKey, claim: &Claim) {
    let state = &live.judge.state;
    if shows(state, key, claim) || state.index().users(key).is_empty() {
        return;
    }
    if let Err(failure) = live.source(key).await {
        // The watch, or the list after it, brings every persisted change.
        tracing::debug!(source = %key, %failure, "could not confirm what admission saw");
    }
    if !shows(state, key, claim) {
        state
            .writers()
            .refuse(key, claim.uid.as_deref(), claim.whole);
        let metrics = &live.judge.teller.metrics;
        metrics.intent_ended(IntentOutcome::Expired);
        metrics.provisional_intent_expired();
    }
}

/// Whether the index shows the source as it was admitted.
fn shows(state: &State, key: &SourceKey, claim: &Claim) -> bool {
    match (
        state.index().source(&key.namespace, &key.source),
        &claim.uid,
    ) {
        (Lookup::Present { version, .. }, Some(uid)) => {
            version.uid == *uid && Some(version.whole) == claim.whole
        }
        (Lookup::Absent { .. }, None) => true,
        _ => false,
    }
}
