//! Puts another Job in a Job's place, and never loses it.
//!
//! Every step can be repeated by whoever comes next: the Job is read, and must be what was decided about; a dry run
//! proves the manifest of the new one, and where it is refused the old one stays; the manifest is kept ([`super::kept`]);
//! the old Job is deleted in the foreground, so that pods of both never run side by side, and only if it did not change
//! since it was read, so that one that completes meanwhile stays; when it is gone the new one is created, however long
//! that takes; then the manifest is kept no more. A Job of which nothing is kept is never brought back: a person deleted
//! it.
//!
//! What is kept is read by whoever becomes leader, and looked at every minute. It says by itself how far it came, see
//! [`Controller::carry_on`].

mod queue;

use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
    core::DynamicObject,
};
use tokio::time::timeout;

pub(super) use self::queue::Recreations;
use super::{
    Controller,
    failure::{Failure, within},
    intents::Intent,
    kept::{Kept, Store},
    restart::Moment,
};
use crate::model::{
    Cause, Decision,
    annotation::{FIELD_MANAGER, OBSERVED},
    index::Overlay,
    workload::{JOB, JobPhase, Workload, replacement},
};

/// No request that was sent so long ago, in seconds, can still be carried out.
const REQUESTS_END: i64 = 120;

/// How far it came.
enum Step {
    /// Nothing is left to do, whether it was this process that created the new Job or not.
    Over { created: bool },
    /// The old Job is not gone yet.
    Waits,
}

impl Controller {
    /// The same, keeping Jobs that are being re-created.
    #[must_use]
    pub fn with_kept(self, store: Store) -> Self {
        Self {
            kept: Some(store),
            ..self
        }
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
        let (key, store) = (&intent.workload, self.kept.as_ref().ok_or(Failure::Other)?);
        match self.recreations().has(&known.uid) {
            Some(false) => {}
            Some(true) => return Ok(()),
            // An earlier process may have begun it.
            None => return Err(Failure::Conflict),
        }
        let asked = self.tick();
        let job = self.as_known(key, known).await?;
        if Workload::read(key.kind, &job).phase != JobPhase::Active {
            return Err(self.changed(key, job, asked));
        }
        let kept = Kept {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: known.uid.clone(),
            resource_version: job.metadata.resource_version.clone().unwrap_or_default(),
            manifest: replacement(&job, mark, last_restart),
            at: self.state.now(),
        };
        self.prove(&kept).await?;
        self.recreations()
            .begin(&kept, causes.to_vec(), intent.since);
        if let Err(failure) = store.keep(&kept).await {
            // It may be kept all the same, or another process, which led until now, began it.
            self.recreations().forget(&kept.uid);
            self.recreations_changed.notify_one();
            return Err(failure);
        }
        (self.probe)(Moment::Kept);
        let deleted = self.delete_old(&kept).await;
        (self.probe)(Moment::Deleted);
        if let Err(failure @ (Failure::Gone | Failure::Forbidden | Failure::Overloaded)) = deleted
            && self.leadership.leads()
        {
            // A person deleted it, or nobody may: this deleted nothing, and nobody else is at it.
            store.drop(&kept.uid).await?;
            self.recreations().forget(&kept.uid);
            self.read_workload(key).await;
            return Err(failure);
        }
        // Where it changed, or nobody knows whether it is being deleted, that is found out by looking.
        self.recreations().hand_over(&kept.uid);
        self.recreations_changed.notify_one();
        Ok(())
    }

    /// Does what comes next, by what is there:
    /// - the old Job, as it was when that was decided: it was not deleted, or not yet. It is now, if it still has to be;
    /// - the old Job, changed: it was not deleted, and no request that is still under way can, so it stays;
    /// - the old Job, being deleted: wait;
    /// - nothing: create the new one;
    /// - another Job: somebody, or an earlier process, created it.
    async fn carry_on(&self, kept: &Kept) -> Result<Step, Failure> {
        let (key, api) = (kept.key(), self.jobs(&kept.namespace));
        let job = within(self.request_timeout, api.get_opt(&kept.name)).await?;
        let Some(job) = job else {
            return self.create_new(kept, &api).await;
        };
        if job.metadata.uid.as_deref() != Some(&kept.uid) {
            return Ok(Step::Over { created: false });
        }
        if job.metadata.deletion_timestamp.is_some() {
            return Ok(Step::Waits);
        }
        if job.metadata.resource_version.as_deref() != Some(&kept.resource_version) {
            return Ok(Step::Over { created: false });
        }
        let judged = self.state.index_mut().judge(&key, &Overlay::new());
        let restarts = judged
            .decision
            .is_some_and(|decision| matches!(decision, Decision::Restart(_)));
        if restarts && !judged.suspended {
            return match self.delete_old(kept).await {
                Ok(()) | Err(Failure::Conflict | Failure::Gone) => Ok(Step::Waits),
                Err(failure) => Err(failure),
            };
        }
        let sure = self.state.now() - kept.at > REQUESTS_END;
        Ok(if sure {
            Step::Over { created: false }
        } else {
            Step::Waits
        })
    }

    /// Whether the API server would take the new Job. Under another name, for its own is taken.
    async fn prove(&self, kept: &Kept) -> Result<(), Failure> {
        let mut manifest = kept.manifest.clone();
        let base: String = kept.name.chars().take(50).collect();
        manifest.metadata.generate_name = Some(base);
        manifest.metadata.name = None;
        let params = PostParams {
            dry_run: true,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let api = self.jobs(&kept.namespace);
        within(self.request_timeout, api.create(&params, &manifest))
            .await
            .map(drop)
    }

    async fn delete_old(&self, kept: &Kept) -> Result<(), Failure> {
        let params = DeleteParams::foreground().preconditions(Preconditions {
            uid: Some(kept.uid.clone()),
            resource_version: Some(kept.resource_version.clone()),
        });
        let api = self.jobs(&kept.namespace);
        within(self.request_timeout, api.delete(&kept.name, &params)).await?;
        tracing::info!(workload = %kept.key(), "deleted a Job, to create it again");
        Ok(())
    }

    async fn create_new(&self, kept: &Kept, api: &Api<DynamicObject>) -> Result<Step, Failure> {
        let job = self.stamped(kept);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let answer = timeout(self.request_timeout, api.create(&params, &job)).await;
        (self.probe)(Moment::Created);
        match answer {
            Err(_) => Err(Failure::Timeout),
            Ok(Ok(_)) => Ok(Step::Over { created: true }),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {
                Ok(Step::Over { created: false })
            }
            Ok(Err(error)) => match Failure::of(&error) {
                // There is no such namespace any more.
                Failure::Gone => Ok(Step::Over { created: false }),
                failure => Err(failure),
            },
        }
    }

    /// With the versions of right now: its pods start with these or with later ones, which restart it again.
    fn stamped(&self, kept: &Kept) -> DynamicObject {
        let mut job = kept.manifest.clone();
        let mut translated = job.clone();
        let vocabulary = &self.conventions.vocabulary;
        vocabulary.translate_workload(&JOB, &mut translated);
        let workload = Workload::read(&JOB, &translated);
        let now = self.state.now();
        let observed = self
            .state
            .index()
            .observed_of_new(&kept.key(), &workload, now);
        let annotations = job.metadata.annotations.get_or_insert_default();
        annotations.extend(observed.map(|text| (OBSERVED.to_owned(), text)));
        job
    }
}
