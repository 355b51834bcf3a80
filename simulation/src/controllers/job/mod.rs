//! The job controller, for Jobs without indexes and policies.
//!
//! As the real one it keeps pods by a finalizer until it has counted them.

mod status;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use self::status::Count;
use super::{
    access::Access,
    claim::Claim,
    objects::{Kind, condition, controller_of, is_deleted, key, namespace, number},
    pods::{is_active, of_owner},
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

/// The finalizer of pods that are not counted yet.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The pause after the first failure; after each other it is twice as long.
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);

/// The controller.
#[derive(Default)]
pub(crate) struct Jobs {
    /// How many pods of a Job had failed, and when that was seen.
    failures: BTreeMap<String, (i64, Instant)>,
}

/// What it works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// A Job.
    Job(String),
    /// A pod whose Job is gone.
    Orphan(String),
}

/// Whether a Job has ended.
pub(crate) fn is_finished(job: &Value) -> bool {
    ["Complete", "Failed"].iter().any(|kind| is_true(job, kind))
}

fn is_true(job: &Value, kind: &str) -> bool {
    condition(job, kind).is_some_and(|one| one["status"] == "True")
}

fn is_tracked(pod: &Value) -> bool {
    let finalizers = pod["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|all| all.iter().any(|one| one == TRACKING))
}

impl Controller for Jobs {
    type Key = Item;

    fn watches(&self) -> Vec<usize> {
        [Kind::Job, Kind::Pod].map(Kind::row).to_vec()
    }

    fn forget(&mut self) {
        self.failures.clear();
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<Item>) {
        let mut jobs = Vec::new();
        if change.row == Kind::Job.row() {
            jobs.push((change.key.clone(), Duration::ZERO));
            if change.after.is_none() {
                self.failures.remove(&change.key);
            }
        } else {
            worker::controllers_by(change, Kind::Job, &mut jobs);
            worker::adopters(access, change, Kind::Job, &mut jobs);
            if change.after.as_ref().is_some_and(|pod| is_tracked(pod)) {
                dirty.push((Item::Orphan(change.key.clone()), Duration::ZERO));
            }
        }
        dirty.extend(jobs.into_iter().map(|(key, later)| (Item::Job(key), later)));
    }

    async fn sync(&mut self, access: &Access, item: &Item) -> Result<Next, Refusal> {
        match item {
            Item::Orphan(key) => release_orphan(access, key).await,
            Item::Job(key) => self.sync_job(access, key).await,
        }
    }
}

/// Lets a pod go whose Job is gone.
async fn release_orphan(access: &Access, key: &str) -> Result<Next, Refusal> {
    let found = access.get(Kind::Pod, key);
    let Some(pod) = found.filter(|pod| is_tracked(pod)) else {
        return Ok(None);
    };
    let owner = controller_of(&pod).filter(|owner| owner["kind"] == "Job");
    let job = owner.and_then(|owner| {
        let name = owner["name"].as_str().unwrap_or_default();
        let job = access.live(Kind::Job, &format!("{}/{name}", namespace(&pod)))?;
        (job["metadata"]["uid"] == owner["uid"]).then_some(job)
    });
    if job.is_none_or(|job| is_finished(&job)) {
        untrack(access, &pod).await?;
    }
    Ok(None)
}

async fn untrack(access: &Access, pod: &Value) -> Result<(), Refusal> {
    let remove = |live: &Value| {
        let all = live["metadata"]["finalizers"].as_array()?;
        let others: Vec<&Value> = all.iter().filter(|one| *one != TRACKING).collect();
        Some(json!({ "metadata": { "finalizers": others } }))
    };
    match access.patch(Kind::Pod.row(), pod, None, remove).await {
        Err(refusal) if refusal.code == 404 => Ok(()),
        other => other,
    }
}

impl Jobs {
    async fn sync_job(&mut self, access: &Access, key: &str) -> Result<Next, Refusal> {
        let Some(job) = access.get(Kind::Job, key).filter(|job| !is_finished(job)) else {
            return Ok(None);
        };
        let claim = Claim::new(access, Kind::Job, &job);
        let pods = claim.claim(Kind::Pod, namespace(&job), |_| true).await?;
        let mut count = Count::of(&job, &pods);
        let pause = self.pause(key, count.failed);
        let suspended = job["spec"]["suspend"] == true;
        let limit = number(&job, "/spec/backoffLimit");
        let deadline = status::time_left(access, &job);
        count.end = if is_true(&job, "SuccessCriteriaMet") {
            Some(status::End::Complete)
        } else if let Some(target) = condition(&job, "FailureTarget") {
            let late = target["reason"] == "DeadlineExceeded";
            Some(if late {
                status::End::Deadline
            } else {
                status::End::BackoffLimit
            })
        } else if count.failed > limit {
            Some(status::End::BackoffLimit)
        } else if deadline.is_some_and(|left| left.is_zero()) {
            Some(status::End::Deadline)
        } else {
            None
        };
        let active: Vec<_> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let mut next = deadline;
        if count.end.is_some() || suspended {
            remove(access, &active).await?;
            count.remove(&active);
        } else if !is_deleted(&job) {
            let made = self::make(access, &job, &mut count, &active, pause).await?;
            next = made.into_iter().chain(next).min();
        }
        if count.end.is_none() && count.is_complete(&job) {
            count.end = Some(status::End::Complete);
        }
        status::track(access, &job, &pods, &count).await?;
        Ok(next)
    }

    /// Returns how long no pod is made after a failure.
    fn pause(&mut self, key: &str, failed: i64) -> Duration {
        if failed == 0 {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let seen = self.failures.entry(key.to_owned()).or_insert((0, now));
        if seen.0 < failed {
            *seen = (failed, now);
        }
        let doubled = u32::try_from(failed - 1).unwrap_or(10).min(10);
        let pause = (BACK_OFF * 2_u32.pow(doubled)).min(LONGEST_BACK_OFF);
        (seen.1 + pause).saturating_duration_since(now)
    }
}

/// Deletes pods that count as nothing.
async fn remove(access: &Access, pods: &[Arc<Value>]) -> Result<(), Refusal> {
    for pod in pods {
        untrack(access, pod).await?;
        access.delete(Kind::Pod, pod).await?;
    }
    Ok(())
}

/// Makes the pods that are missing. Returns when to come back for that.
async fn make(
    access: &Access,
    job: &Value,
    count: &mut Count,
    active: &[Arc<Value>],
    pause: Duration,
) -> Result<Next, Refusal> {
    let parallel = number(job, "/spec/parallelism");
    let wanted = match job["spec"]["completions"].as_i64() {
        Some(completions) => parallel.min(completions - count.succeeded),
        None if count.succeeded > 0 => count.active,
        None => parallel,
    };
    if count.active > wanted {
        let more = usize::try_from(count.active - wanted.max(0)).unwrap_or(0);
        let more: Vec<_> = active.iter().take(more).cloned().collect();
        remove(access, &more).await?;
        count.remove(&more);
    }
    if count.active >= wanted {
        return Ok(None);
    }
    if !pause.is_zero() {
        return Ok(Some(pause));
    }
    while count.active < wanted {
        let mut pod = of_owner(Kind::Job, job);
        pod["metadata"]["finalizers"] = json!([TRACKING]);
        access.create(Kind::Pod, namespace(job), pod).await?;
        count.active += 1;
    }
    Ok(None)
}

/// The controller that deletes Jobs that have ended some time ago, where they ask for it.
pub(crate) struct TtlAfterFinished;

impl Controller for TtlAfterFinished {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        vec![Kind::Job.row()]
    }

    fn concerned(&mut self, _: &Access, change: &Change, dirty: &mut Dirty<String>) {
        let ends = |job: &&Arc<Value>| {
            job["spec"]["ttlSecondsAfterFinished"].is_number() && is_finished(job)
        };
        if let Some(job) = change.after.as_ref().filter(ends) {
            dirty.push((key(job), Duration::ZERO));
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let live = access.live(Kind::Job, key);
        let Some(job) = live.filter(|job| is_finished(job) && !is_deleted(job)) else {
            return Ok(None);
        };
        let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else {
            return Ok(None);
        };
        let left = status::since_end(access, &job, Duration::from_secs(seconds));
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let preconditions = json!({ "uid": job["metadata"]["uid"] });
        let options = json!({ "preconditions": preconditions, "propagationPolicy": "Foreground" });
        access.delete_with(Kind::Job.row(), &job, &options).await?;
        Ok(None)
    }
}
