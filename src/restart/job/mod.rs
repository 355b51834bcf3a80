//! Puts another Job in a Job's place, and never loses it.
//!
//! Every step can be repeated by whoever comes next: the Job is read, and must be what was decided about; a dry run
//! proves the manifest of the new one, and where it is refused the old one stays; the manifest is kept ([`crate::cluster::own::stored_jobs`]);
//! the old Job is deleted in the foreground, so that pods of both never run side by side, and only if it did not change
//! since it was read, so that one that completes meanwhile stays; when it is gone the new one is created, however long
//! that takes; then the manifest is kept no more. A Job of which nothing is kept is never brought back: a person deleted
//! it.
//!
//! What is kept is read by whoever becomes leader, and looked at every minute. It says by itself how far it came, see
//! [`steps`].

mod recreations;
mod steps;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    recreations::{Recreation, Recreations},
    steps::Step,
};
use super::{
    moment::{Moment, Probe},
    retry::BEAT,
};
use crate::{
    cluster::{
        Failure,
        lease::Leadership,
        own::stored_jobs::{Store, StoredJob},
    },
    judge::{Occasion, intents::Intent, live::Live},
    model::{
        Cause, WorkloadKey,
        annotation::LAST_RESTART,
        workload::{JOB, JobPhase, Workload, replacement},
    },
    ops::metrics::labels::IntentOutcome,
};

/// Re-creates Jobs.
pub struct Jobs {
    live: Live,
    leadership: Leadership,
    store: Store,
    recreations: Mutex<Recreations>,
    changed: Notify,
    probe: Probe,
}

impl Jobs {
    /// Makes one that knows of none yet.
    pub fn new(live: Live, leadership: Leadership, store: Store, probe: Probe) -> Self {
        Self {
            live,
            leadership,
            store,
            recreations: Mutex::default(),
            changed: Notify::new(),
            probe,
        }
    }

    /// Returns how many Jobs are being re-created.
    pub fn under_way(&self) -> usize {
        self.recreations.lock().len()
    }

    /// Begins to re-create a Job: all until the old one is being deleted. `known`: as it was when that was decided.
    pub(super) async fn recreate(
        &self,
        intent: &Intent,
        known: &Workload,
        causes: &[Cause],
        mark: &str,
        last_restart: &str,
    ) -> Result<(), Failure> {
        let key = &intent.workload;
        match self.recreations.lock().has(&known.uid) {
            Some(false) => {}
            Some(true) => return Ok(()),
            // An earlier process may have begun it.
            None => return Err(Failure::Conflict),
        }
        let asked = self.live.judge.tick();
        let job = self.live.as_known(key, known).await?;
        if Workload::read(key.kind, &job).phase != JobPhase::Active {
            return Err(self.live.changed(key, job, asked));
        }
        let stored = StoredJob {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: known.uid.clone(),
            resource_version: job.metadata.resource_version.clone().unwrap_or_default(),
            manifest: replacement(&job, mark, last_restart),
            at: self.live.judge.state.now(),
        };
        steps::prove(&self.live.cluster, &stored).await?;
        let causes = causes.to_vec();
        self.recreations.lock().begin(&stored, causes, intent.since);
        if let Err(failure) = self.store.store(&stored).await {
            // It may be stored all the same, or another process, which led until now, began it.
            self.recreations.lock().forget(&stored.uid);
            self.changed.notify_one();
            return Err(failure);
        }
        (self.probe)(Moment::Kept);
        let deleted = steps::delete_old(&self.live.cluster, &stored).await;
        (self.probe)(Moment::Deleted);
        if let Err(failure @ (Failure::Gone | Failure::Forbidden | Failure::Overloaded)) = deleted
            && self.leadership.leads()
        {
            // A person deleted it, or nobody may: this deleted nothing, and no other replica is at it.
            self.store.drop(&stored.uid).await?;
            self.recreations.lock().forget(&stored.uid);
            self.live.workload(key).await;
            return Err(failure);
        }
        // Where it changed, or no answer tells whether it is being deleted, that is found out by looking.
        self.recreations.lock().hand_over(&stored.uid);
        self.changed.notify_one();
        Ok(())
    }

    /// Goes on with every Job that is being re-created, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let judge = Arc::clone(&self.live.judge);
        let mut leadership = self.leadership.clone();
        while !stop.is_cancelled() {
            let works = leadership.leads() && judge.is_listed();
            if works {
                self.list_stored().await;
                while let Some(uid) = self.due()
                    && leadership.leads()
                    && !stop.is_cancelled()
                {
                    self.go_on(&uid).await;
                }
            } else {
                *self.recreations.lock() = Recreations::default();
            }
            let next = self.recreations.lock().next().filter(|_| works);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.changed.notified() => {}
                () = judge.replaceable_gone.notified() => self.look_for_gone(),
                () = leadership.changed() => {}
                // Nothing tells when all lists are in.
                () = sleep(BEAT), if !works => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// A Job is gone: those that are to be re-created and are not there can go on.
    fn look_for_gone(&self) {
        let state = &self.live.judge.state;
        let is_there = |key: &WorkloadKey| state.index().workload(key).is_some();
        self.recreations.lock().gone(|key| !is_there(key));
    }

    fn due(&self) -> Option<String> {
        self.recreations.lock().due(Instant::now())
    }

    async fn list_stored(&self) {
        let now = Instant::now();
        if !self.recreations.lock().is_to_list(now) {
            return;
        }
        let listed = self.store.all().await;
        if let Err(failure) = &listed {
            tracing::warn!(
                failure = failure.as_str(),
                "cannot list the Secrets of reroll's namespace that keep Jobs, trying again"
            );
        }
        self.recreations.lock().listed(listed.ok(), now);
    }

    async fn go_on(&self, uid: &str) {
        let Some((stored, over)) = self.recreations.lock().find(uid) else {
            return;
        };
        let step = if over {
            Ok(Step::Over { created: false })
        } else {
            steps::carry_on(&self.live, &stored, &self.probe).await
        };
        match step {
            Ok(Step::Over { created }) => {
                if created {
                    self.tell_created(uid);
                }
                self.unstore(&stored).await;
            }
            Ok(Step::Waits) => {
                self.change(uid, Recreation::waits);
            }
            Err(failure) => {
                let Some((attempts, causes)) = self.change(uid, Recreation::failed) else {
                    return;
                };
                let teller = &self.live.judge.teller;
                teller.metrics.restart_failed(JOB.kind, failure.as_str());
                teller.not_recreated(&stored.key(), &causes, &failure, attempts);
            }
        }
    }

    async fn unstore(&self, stored: &StoredJob) {
        if let Err(failure) = self.store.drop(&stored.uid).await {
            let again = self.change(&stored.uid, Recreation::is_over);
            if again.is_some() {
                tracing::warn!(workload = %stored.key(), failure = failure.as_str(), "cannot delete the Secret that kept a Job, trying again");
            }
            return;
        }
        self.recreations.lock().remove(&stored.uid);
        // It may be the old one still, which nothing took on meanwhile.
        self.live.judge.judge(&stored.key(), Occasion::Look);
    }

    /// Changes one, if it is still there.
    fn change<T>(&self, uid: &str, change: impl FnOnce(&mut Recreation) -> T) -> Option<T> {
        self.recreations.lock().change(uid, change)
    }

    fn tell_created(&self, uid: &str) {
        let Some((stored, told, attempts)) = self.recreations.lock().told(uid) else {
            return;
        };
        let key = stored.key();
        let annotations = stored.manifest.metadata.annotations.unwrap_or_default();
        let last_restart = annotations.get(LAST_RESTART).cloned().unwrap_or_default();
        tracing::info!(workload = %key, causes = last_restart, "created a Job again");
        let judge = &self.live.judge;
        judge
            .docket()
            .intents
            .restarted_at_once(&key, Instant::now());
        let Some((causes, since)) = told else {
            return judge.teller.recreated_late(&key, last_restart);
        };
        judge.teller.restarted(&key, &causes, attempts, None);
        let metrics = &judge.teller.metrics;
        for cause in &causes {
            metrics.restarted(key.kind.kind, cause.kind.as_str());
        }
        metrics.intent_ended(IntentOutcome::Done);
        metrics.reacted(since.elapsed());
    }
}

#[cfg(test)]
mod tests;
