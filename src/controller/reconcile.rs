//! Judges every workload: once at start-up, when all first lists are in, and every now and then as a safety net.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Controller, Occasion};
use crate::{
    model::{Outcome, SourceKey, decide::Lookup, index::By},
    ops::metrics::labels::IntentOutcome,
    state::Claim,
};

/// How long a write that admission saw may take to show in a watch before it is asked for.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);

impl Controller {
    /// All first lists are complete: decides for every workload, restarts what changed while nobody looked, and nothing
    /// else. `began`: when the process started to list.
    pub fn reconcile_start(&self, began: Instant) {
        self.listed.store(true, Ordering::Release);
        let missed = self.judge_all();
        let took = began.elapsed();
        self.state.metrics.startup_reconciled(took, missed);
        let (sources, workloads) = self.state.index().size();
        tracing::info!(
            sources,
            workloads,
            missed_changes = missed,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "reconciled what changed while reroll was away"
        );
    }

    /// Judges every workload, and forgets old tombstones, every `sweep_interval`.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let period = self.settings.sweep_interval;
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = self.state.now();
            self.state.index_mut().expire(now);
            self.intents().expire(Instant::now());
            self.judge_all();
        }
    }

    pub(super) fn judge_all(&self) -> u64 {
        let all = self.state.index().workloads(None, None);
        let restarts = all
            .iter()
            .filter(|key| self.judge(key, Occasion::Look) == Some(Outcome::Restart));
        restarts.count() as u64
    }

    /// Asks the API for writes that admission saw and no watch has shown: a watch may be behind, or the write was never
    /// persisted, and then its intent expires.
    pub async fn confirm_provisional(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let oldest = self.state.provisional().oldest();
            let wait = async {
                match oldest {
                    Some(at) => tokio::time::sleep_until(at + CONFIRM_AFTER).await,
                    None => self.state.provisional_added.notified().await,
                }
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
            let due = self
                .state
                .provisional()
                .take_due(CONFIRM_AFTER, Instant::now());
            for (key, claim) in due {
                self.confirm_claim(&key, &claim).await;
            }
        }
    }

    async fn confirm_claim(&self, key: &SourceKey, claim: &Claim) {
        if self.shows(key, claim) || self.state.index().users(key).is_empty() {
            return;
        }
        let asked = By::Answer(self.tick());
        match self.read_source(key).await {
            Ok(Some(version)) => self.source_applied(key, version, asked),
            Ok(None) => self.source_missed(key, asked),
            Err(error) => {
                // The watch, or the list after it, brings every persisted change.
                tracing::debug!(source = %key, %error, "could not confirm what admission saw");
            }
        }
        if !self.shows(key, claim) {
            self.state.metrics.intent_ended(IntentOutcome::Expired);
            self.state.metrics.provisional_intent_expired();
        }
    }

    /// Whether the index shows what was admitted.
    fn shows(&self, key: &SourceKey, claim: &Claim) -> bool {
        match (
            self.state.index().source(&key.namespace, &key.source),
            &claim.uid,
        ) {
            (Lookup::Present { version, .. }, Some(uid)) => {
                version.uid == *uid && Some(version.whole) == claim.whole
            }
            (Lookup::Absent { .. }, None) => true,
            _ => false,
        }
    }
}
