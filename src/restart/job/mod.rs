//! Replaces a Job by another Job, and never loses it.
//!
//! The steps, each of which any later leader can repeat:
//!
//! 1. Read the Job. It must be the one about which was decided.
//! 2. Try the new manifest in a dry run. If that is refused, the old Job stays.
//! 3. Store the new manifest ([`crate::cluster::own::stored_jobs`]).
//! 4. Delete the old Job in the foreground, so that pods of both never run side by side. Delete it only if it did not
//!    change since it was read, so that a Job that completes meanwhile stays.
//! 5. When the old Job is gone, create the new one, however long that takes.
//! 6. Delete what was stored.
//!
//! A Job of which nothing is stored is never created again: a user deleted it.
//!
//! A new leader reads what is stored, and the leader reads it again every minute. What is stored, and the Job that is
//! there, tell how far the re-creation came, see `steps`.

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
        note::Note,
        workload::{JobPhase, Workload, replacement},
    },
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
    /// Makes one that knows of no re-creation yet.
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

    /// Returns the namespace of each Job that is being re-created.
    pub fn under_way(&self) -> Vec<String> {
        self.recreations.lock().namespaces()
    }

    /// Begins to re-create a Job: does the steps until the old one is being deleted. `known` is the Job as it was when
    /// the restart was decided.
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
            // It may be stored even so, or another process, which led until now, stored it.
            self.recreations.lock().forget(&stored.uid);
            self.changed.notify_one();
            return Err(failure);
        }
        (self.probe)(Moment::Kept);
        let deleted = steps::delete_old(&self.live.cluster, &stored).await;
        (self.probe)(Moment::Deleted);
        if let Err(
            failure @ (Failure::Gone
            | Failure::Forbidden
            | Failure::Unauthorized
            | Failure::Overloaded),
        ) = deleted
            && self.leadership.leads()
        {
            // A user deleted the Job, or the API server refused: this call deleted nothing, and no other replica is at
            // work on it.
            self.store.drop(&stored.uid).await?;
            self.recreations.lock().forget(&stored.uid);
            self.live.workload(key).await;
            return Err(failure);
        }
        // If the Job changed, or no answer tells whether it is being deleted, the next step finds that out.
        self.recreations.lock().hand_over(&stored.uid);
        self.changed.notify_one();
        Ok(())
    }

    /// Continues every re-creation of a Job, until `stop`.
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
                // Nothing tells when all first lists are complete.
                () = sleep(BEAT), if !works => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Takes in that a Job is gone: re-creations whose Job does not exist can continue.
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
                let key = stored.key();
                teller.metrics.restart_failed(&key, failure.as_str());
                teller.not_recreated(&key, &causes, &failure, attempts);
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
        // The old Job may still be there, and nothing judged it meanwhile.
        self.live.judge.judge(&stored.key(), Occasion::Look);
    }

    /// Changes a re-creation, if it is still there.
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
            let last_restart = last_restart.as_str();
            return judge
                .teller
                .say(&key, &Note::RestartedLate { last_restart });
        };
        judge.teller.restarted(&key, &causes, attempts, None);
        let metrics = &judge.teller.metrics;
        metrics.carried_out(&key, &causes, since.elapsed());
    }
}

#[cfg(test)]
mod tests;
