//! The steps of a re-creation. Each looks first at what is there, so that any process can continue where another ended.

use kube::{
    Api,
    api::{DeleteParams, Preconditions},
    core::DynamicObject,
};

use crate::{
    cluster::{Cluster, Failure, Write, own::stored_jobs::StoredJob},
    judge::live::Live,
    model::{
        Decision,
        annotation::OBSERVED,
        workload::{JOB, Workload},
    },
    restart::moment::{Moment, Probe},
    state::State,
};

/// The age in seconds after which no request that was sent can still take effect.
const REQUESTS_END: i64 = 120;

/// How far a re-creation came.
pub(super) enum Step {
    /// Nothing is left to do. `created`: it was this process that created the new Job.
    Over { created: bool },
    /// The old Job is not gone yet.
    Waits,
}

/// Does the next step, by what is there:
/// - the old Job, as it was when the restart was decided: delete it if the restart is still needed. If not, it stays,
///   which is sure when no earlier deletion can still be under way;
/// - the old Job, changed: it stays, because a deletion that is still under way takes only the unchanged one;
/// - the old Job, being deleted: wait;
/// - no Job: create the new one;
/// - another Job: a user or an earlier process created it.
pub(super) async fn carry_on(
    live: &Live,
    stored: &StoredJob,
    probe: &Probe,
) -> Result<Step, Failure> {
    let (state, api) = (&live.judge.state, live.cluster.jobs(&stored.namespace));
    let job = live.cluster.get(&api, &stored.name).await?;
    let Some(job) = job else {
        let created = create_new(&live.cluster, &api, &stamped(state, stored)).await;
        probe(Moment::Created);
        return created;
    };
    if job.metadata.uid.as_deref() != Some(&stored.uid) {
        return Ok(Step::Over { created: false });
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Ok(Step::Waits);
    }
    if job.metadata.resource_version.as_deref() != Some(&stored.resource_version) {
        return Ok(Step::Over { created: false });
    }
    let judged = live.judge.judge_taken(&stored.key());
    let restarts = matches!(judged.decision, Some(Decision::Restart(_)));
    if restarts && judged.stop.is_none() {
        return match delete_old(&live.cluster, stored).await {
            Ok(()) | Err(Failure::Conflict | Failure::Gone) => Ok(Step::Waits),
            Err(failure) => Err(failure),
        };
    }
    let sure = state.now() - stored.at > REQUESTS_END;
    Ok(if sure {
        Step::Over { created: false }
    } else {
        Step::Waits
    })
}

/// Asks whether the API server would accept the new Job. The dry run uses another name, because the Job's own is taken.
pub(super) async fn prove(cluster: &Cluster, stored: &StoredJob) -> Result<(), Failure> {
    let mut manifest = stored.manifest.clone();
    let base: String = stored.name.chars().take(50).collect();
    manifest.metadata.generate_name = Some(base);
    manifest.metadata.name = None;
    let api = cluster.jobs(&stored.namespace);
    let tried = cluster.create(&api, &manifest, Write::DryRun);
    tried.await.map(drop)
}

/// Deletes the old Job in the foreground, if it has not changed.
pub(super) async fn delete_old(cluster: &Cluster, stored: &StoredJob) -> Result<(), Failure> {
    let params = DeleteParams::foreground().preconditions(Preconditions {
        uid: Some(stored.uid.clone()),
        resource_version: Some(stored.resource_version.clone()),
    });
    let api = cluster.jobs(&stored.namespace);
    cluster.delete(&api, &stored.name, &params).await?;
    tracing::info!(workload = %stored.key(), "deleted a Job, to create it again");
    Ok(())
}

async fn create_new(
    cluster: &Cluster,
    api: &Api<DynamicObject>,
    job: &DynamicObject,
) -> Result<Step, Failure> {
    match cluster.create(api, job, Write::Real).await {
        Ok(_) => Ok(Step::Over { created: true }),
        // Another process was faster, or the namespace no longer exists.
        Err(Failure::Exists | Failure::Gone) => Ok(Step::Over { created: false }),
        Err(failure) => Err(failure),
    }
}

/// Returns the new Job with the versions of right now. Its pods start with these versions, or with later ones, which
/// then restart it again.
fn stamped(state: &State, stored: &StoredJob) -> DynamicObject {
    let mut job = stored.manifest.clone();
    let mut translated = job.clone();
    let vocabulary = &state.setup.conventions.vocabulary;
    vocabulary.translate_workload(&JOB, &mut translated);
    let workload = Workload::read(&JOB, &translated);
    let (key, now) = (stored.key(), state.now());
    let observed = state.index().observed_of_new(&key, &workload, now);
    let annotations = job.metadata.annotations.get_or_insert_default();
    annotations.extend(observed.map(|text| (OBSERVED.to_owned(), text)));
    job
}
