//! Judges every workload: once at start, when all first lists are complete, and regularly as a safety net.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Judge, Occasion, opting};
use crate::model::{Decision, index::unshown};

impl Judge {
    /// Reconciles at start, when all first lists are complete: decides for every workload. Intents are filed for what
    /// changed while reroll was down, and for nothing else. `began` is when the process started to list.
    pub fn reconcile_start(&self, began: Instant) {
        self.listed.store(true, Ordering::Release);
        opting::tell_of_all(self);
        let missed = self.judge_all();
        let took = began.elapsed();
        self.teller.metrics.startup_reconciled(took, missed);
        let (sources, workloads) = self.state.index().size();
        tracing::info!(
            sources,
            workloads,
            missed_changes = missed,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "reconciled what changed while reroll was away"
        );
    }

    /// Takes in that all workloads are known, of the kinds included that not every cluster has.
    pub fn workloads_listed(&self) {
        self.state.index_mut().workloads_listed();
        tracing::info!("the first lists of all kinds of workloads are in");
    }

    /// Judges every workload and forgets old tombstones at every sweep interval, until `stop`.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let period = self.settings.sweep_interval;
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = self.state.now();
            self.state.index_mut().expire(now);
            let names: BTreeSet<_> = self.state.index().names().map(ToOwned::to_owned).collect();
            self.state
                .peers(|peers, _| peers.retain(|name| names.contains(name)));
            self.docket().intents.expire();
            self.turns.lock().expire(Instant::now());
            self.judge_all();
        }
    }

    /// Judges every workload, and again where a read shows what no watch does. Returns how many need a restart.
    pub fn judge_all(&self) -> u64 {
        let unshown = unshown::all(&self.state.index());
        self.unshown.read_by_turns(unshown, Instant::now());
        let all = self.state.index().workloads(None, None);
        let restarts = all.iter().filter(|key| {
            let decision = self.judge(key, Occasion::Look);
            matches!(decision, Some(Decision::Restart(_)))
        });
        restarts.count() as u64
    }
}
