//! Runs a CronJob for a change: first it creates the Job, then the patch of `observed` commits.
//!
//! The Job's name follows from the mark, and the mark from what was observed. So after a crash in between, the next
//! leader creates the same Job and finds that it exists. It finds the Job only as long as that exists: a run that has
//! ended and was cleaned up before (a history limit of 0, a TTL) is made again.
//!
//! The CronJob is read directly before, because the index keeps no objects. If it allows only one run at a time
//! (`concurrencyPolicy` is `Forbid` or `Replace`), the new run waits until none is active. No user wants a run killed
//! for a change, and a run that goes on may have the old values.

use kube::{Api, core::DynamicObject};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Failure, Write},
    judge::live::Live,
    model::{
        WorkloadKey,
        workload::{JOB, JobPhase, Workload, is_suspended, run as run_of, run_name, runs_alone},
    },
    state::State,
};

/// Why a CronJob was not run.
pub(super) enum NotRun {
    /// Another run is active, and the CronJob allows only one.
    Busy,
    /// A call failed.
    Failed(Failure),
}

impl From<Failure> for NotRun {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Creates the run of a CronJob for a mark, unless it was created before. `known` is the CronJob as it was when the
/// restart was decided. Returns the Job's name.
pub(super) async fn run(
    live: &Live,
    key: &WorkloadKey,
    known: &Workload,
    mark: &str,
) -> Result<String, NotRun> {
    let asked = live.judge.tick();
    let cron_job = live.as_known(key, known).await?;
    if is_suspended(&cron_job) {
        return Err(live.changed(key, cron_job, asked).into());
    }
    let jobs = live.cluster.jobs(&key.namespace);
    if runs_alone(&cron_job) {
        let last = last_mark(&live.judge.state, key);
        if is_busy(&live.cluster, &jobs, &cron_job, &last, mark).await? {
            return Err(NotRun::Busy);
        }
    }
    let job = run_of(&cron_job, mark);
    match live.cluster.create(&jobs, &job, Write::Real).await {
        Ok(_) => {}
        Err(Failure::Exists) => {
            tracing::info!(workload = %key, "the run for this change was made before");
        }
        Err(failure) => return Err(failure.into()),
    }
    Ok(run_name(&key.name, mark))
}

/// Whether another run than the one for this mark is active: a scheduled one, or the last one that reroll created.
async fn is_busy(
    cluster: &Cluster,
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
    let job = cluster.get(jobs, &run_name(name, last)).await?;
    Ok(job.is_some_and(|job| {
        job.metadata.deletion_timestamp.is_none()
            && Workload::read(&JOB, &job).phase != JobPhase::Over
    }))
}

fn last_mark(state: &State, key: &WorkloadKey) -> String {
    let index = state.index();
    let observed = index.workload(key).and_then(|tracked| tracked.observed());
    observed.map_or_else(String::new, |observed| observed.restarted_for.clone())
}
