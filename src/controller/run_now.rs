//! Runs a CronJob for a change: the Job is made first, and the patch of `observed` commits.
//!
//! The Job's name follows from the mark, and the mark from what was observed, so whoever comes after a crash in between
//! makes the same Job and finds it there. It is found as long as it exists: a run that is over and cleaned up (a history
//! limit of 0, a TTL) before anybody came back is made again.
//!
//! The CronJob is read right before, for the index keeps no objects. Where it lets only one run at a time
//! (`concurrencyPolicy` is `Forbid` or `Replace`), the run waits until none is active: nobody wants one killed for
//! a change, and one that goes on may have the old values.

use kube::{
    Api,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Controller,
    failure::{Failure, within},
};
use crate::model::{
    WorkloadKey,
    annotation::{FIELD_MANAGER, OBSERVED},
    index::Tick,
    workload::{JOB, JobPhase, Workload, is_suspended, run, run_name, runs_alone},
};

/// Why a CronJob was not run.
pub(super) enum NotRun {
    /// Another run is active, and must be the only one.
    Busy,
    /// It did not work out.
    Failed(Failure),
}

impl From<Failure> for NotRun {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Controller {
    /// Makes the run of a CronJob for a mark, unless it was made before. `known`: as it was when that was decided. Gives
    /// the Job's name.
    pub(super) async fn run_now(
        &self,
        key: &WorkloadKey,
        known: &Workload,
        mark: &str,
    ) -> Result<String, NotRun> {
        let asked = self.tick();
        let cron_job = self.as_known(key, known).await?;
        if is_suspended(&cron_job) {
            return Err(self.changed(key, cron_job, asked).into());
        }
        let jobs = self.jobs(&key.namespace);
        if runs_alone(&cron_job)
            && self
                .is_busy(&jobs, &cron_job, &self.last_mark(key), mark)
                .await?
        {
            return Err(NotRun::Busy);
        }
        let job = run(&cron_job, mark);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match timeout(self.request_timeout, jobs.create(&params, &job)).await {
            Err(_) => Err(Failure::Timeout.into()),
            Ok(Ok(_)) => Ok(run_name(&key.name, mark)),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {
                tracing::info!(workload = %key, "the run for this change was made before");
                Ok(run_name(&key.name, mark))
            }
            Ok(Err(error)) => Err(Failure::of(&error).into()),
        }
    }

    /// Whether a run other than the one for this mark is active: one on schedule, or the last that was made here.
    async fn is_busy(
        &self,
        jobs: &Api<DynamicObject>,
        cron_job: &DynamicObject,
        last: &str,
        mark: &str,
    ) -> Result<bool, Failure> {
        let name = cron_job.metadata.name.as_deref().unwrap_or_default();
        let own = run_name(name, mark);
        let active = cron_job.data.pointer("/status/active");
        let mut active = active.and_then(Value::as_array).into_iter().flatten();
        if active.any(|job| job["name"] != own.as_str()) {
            return Ok(true);
        }
        let last = run_name(name, last);
        let job = within(self.request_timeout, jobs.get_opt(&last)).await?;
        Ok(job.is_some_and(|job| {
            job.metadata.deletion_timestamp.is_none()
                && Workload::read(&JOB, &job).phase != JobPhase::Over
        }))
    }

    fn last_mark(&self, key: &WorkloadKey) -> String {
        let index = self.state.index();
        let observed = index.workload(key).and_then(|tracked| tracked.observed());
        observed.map_or_else(String::new, |observed| observed.restarted_for.clone())
    }

    /// A workload as the API server has it, where it is still what was decided about.
    pub(super) async fn as_known(
        &self,
        key: &WorkloadKey,
        known: &Workload,
    ) -> Result<DynamicObject, Failure> {
        let (api, asked) = (self.workloads(key), self.tick());
        let found = within(self.request_timeout, api.get_opt(&key.name)).await?;
        let Some(object) = found else {
            self.workload_missed(key, asked);
            return Err(Failure::Gone);
        };
        let annotations = object.metadata.annotations.as_ref();
        let same = object.metadata.uid.as_deref() == Some(&known.uid)
            && object.metadata.deletion_timestamp.is_none()
            && annotations.and_then(|all| all.get(OBSERVED)) == known.observed.as_ref();
        if same {
            Ok(object)
        } else {
            Err(self.changed(key, object, asked))
        }
    }

    /// It is not what was decided about: the next try decides from what it is.
    pub(super) fn changed(&self, key: &WorkloadKey, object: DynamicObject, asked: Tick) -> Failure {
        self.take_over(key, object, asked);
        Failure::Conflict
    }

    pub(super) fn jobs(&self, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(JOB.group, JOB.version, JOB.kind);
        let row = ApiResource::from_gvk_with_plural(&gvk, JOB.plural);
        Api::namespaced_with(self.client.clone(), namespace, &row)
    }
}
