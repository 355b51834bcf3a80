//! How many pods of a Job have ended how, and what its status says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    super::{
        access::Access,
        objects::{Kind, condition, is_deleted, number, time, uid},
        pods::{is_active, is_ready},
    },
    is_tracked, untrack,
};
use crate::api_server::answer::Refusal;

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    BackoffLimit,
    Deadline,
}

impl End {
    /// Returns the condition before the end, that of the end, the reason and the message.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Complete => [
                "SuccessCriteriaMet",
                "Complete",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            ],
            Self::BackoffLimit => [
                "FailureTarget",
                "Failed",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ],
            Self::Deadline => [
                "FailureTarget",
                "Failed",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ],
        }
    }
}

/// The pods of a Job.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) active: i64,
    ready: i64,
    terminating: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    /// The uids of pods that are to be counted.
    new_succeeded: BTreeSet<String>,
    new_failed: BTreeSet<String>,
    pub(super) end: Option<End>,
}

impl Count {
    pub(super) fn of(job: &Value, pods: &[Arc<Value>]) -> Self {
        let listed = |field: &str| -> BTreeSet<String> {
            let all = job["status"]["uncountedTerminatedPods"][field].as_array();
            let all = all.into_iter().flatten().filter_map(Value::as_str);
            all.map(ToOwned::to_owned).collect()
        };
        let (mut new_succeeded, mut new_failed) = (listed("succeeded"), listed("failed"));
        for pod in pods.iter().filter(|pod| is_tracked(pod)) {
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => drop(new_succeeded.insert(uid(pod).to_owned())),
                Some("Failed") => drop(new_failed.insert(uid(pod).to_owned())),
                _ if is_deleted(pod) => drop(new_failed.insert(uid(pod).to_owned())),
                _ => {}
            }
        }
        let active = || pods.iter().filter(|pod| is_active(pod));
        let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let terminating = pods.iter().filter(|pod| {
            let over = matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            );
            is_deleted(pod) && !over
        });
        Self {
            active: length(active().count()),
            ready: length(active().filter(|pod| is_ready(pod)).count()),
            terminating: length(terminating.count()),
            succeeded: number(job, "/status/succeeded") + length(new_succeeded.len()),
            failed: number(job, "/status/failed") + length(new_failed.len()),
            new_succeeded,
            new_failed,
            end: None,
        }
    }

    /// Pods were deleted.
    pub(super) fn remove(&mut self, pods: &[Arc<Value>]) {
        for pod in pods {
            self.active -= 1;
            self.terminating += 1;
            self.ready -= i64::from(is_ready(pod));
        }
    }

    pub(super) fn is_complete(&self, job: &Value) -> bool {
        let enough = match job["spec"]["completions"].as_i64() {
            Some(completions) => self.succeeded >= completions,
            None => self.succeeded > 0,
        };
        enough && self.active == 0
    }

    fn status(&self, access: &Access, job: &Value, counted: bool) -> Value {
        let now = access.now();
        let mut status = job["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        let suspended = job["spec"]["suspend"] == true;
        if status["startTime"].is_null() && !suspended {
            status["startTime"] = json!(now);
        }
        let length = |set: &BTreeSet<String>| i64::try_from(set.len()).unwrap_or(0);
        let (mut succeeded, mut failed) = (
            self.succeeded - length(&self.new_succeeded),
            self.failed - length(&self.new_failed),
        );
        let mut uncounted = json!({});
        if counted {
            (succeeded, failed) = (self.succeeded, self.failed);
        } else {
            for (field, set) in [
                ("succeeded", &self.new_succeeded),
                ("failed", &self.new_failed),
            ] {
                if !set.is_empty() {
                    uncounted[field] = json!(set);
                }
            }
        }
        for (field, value) in [
            ("active", self.active),
            ("succeeded", succeeded),
            ("failed", failed),
        ] {
            if value == 0 {
                if let Some(status) = status.as_object_mut() {
                    status.remove(field);
                }
            } else {
                status[field] = json!(value);
            }
        }
        status["ready"] = json!(self.ready);
        status["terminating"] = json!(self.terminating);
        status["uncountedTerminatedPods"] = uncounted;
        self.conditions(&mut status, suspended, counted, &now);
        status
    }

    fn conditions(&self, status: &mut Value, suspended: bool, counted: bool, now: &str) {
        let mut all = match status["conditions"].take() {
            Value::Array(all) => all,
            _ => Vec::new(),
        };
        let mut set = |kind: &str, is: &str, reason: &str, message: &str| {
            let known = all.iter().position(|one| one["type"] == kind);
            if known.is_some_and(|at| all[at]["status"] == is) {
                return;
            }
            let condition = json!({
                "type": kind, "status": is, "reason": reason, "message": message, "lastProbeTime": now,
                "lastTransitionTime": now,
            });
            match known {
                Some(at) => all[at] = condition,
                None if is == "False" => {}
                None => all.push(condition),
            }
        };
        if let Some(end) = self.end {
            let [before, last, reason, message] = end.words();
            set(before, "True", reason, message);
            if counted && self.terminating == 0 {
                set(last, "True", reason, message);
                if end == End::Complete {
                    status["completionTime"] = json!(now);
                }
            }
        } else if suspended {
            set("Suspended", "True", "JobSuspended", "Job suspended");
        } else {
            set("Suspended", "False", "JobResumed", "Job resumed");
        }
        if let Some(status) = status.as_object_mut() {
            status.remove("conditions");
        }
        if !all.is_empty() {
            status["conditions"] = json!(all);
        }
        if suspended && let Some(status) = status.as_object_mut() {
            status.remove("startTime");
        }
    }
}

/// Writes what is to be counted, lets the pods go, and counts them.
pub(super) async fn track(
    access: &Access,
    job: &Value,
    pods: &[Arc<Value>],
    count: &Count,
) -> Result<(), Refusal> {
    let is_new =
        |pod: &Value| count.new_succeeded.contains(uid(pod)) || count.new_failed.contains(uid(pod));
    let mut written = Arc::new(job.clone());
    let first = count.status(access, job, false);
    if first != job["status"] {
        let mut changed = job.clone();
        changed["status"] = first;
        written = access.update_status(Kind::Job, changed).await?;
    }
    for pod in pods.iter().filter(|pod| is_new(pod) && is_tracked(pod)) {
        untrack(access, pod).await?;
    }
    let second = count.status(access, &written, true);
    if second != written["status"] {
        let mut changed = Value::clone(&written);
        changed["status"] = second;
        access.update_status(Kind::Job, changed).await?;
    }
    Ok(())
}

/// Returns how much of a Job's `activeDeadlineSeconds` is left.
pub(super) fn time_left(access: &Access, job: &Value) -> Option<Duration> {
    let deadline = job["spec"]["activeDeadlineSeconds"].as_u64()?;
    let began = job["status"].get("startTime")?;
    let passed = access.time().duration_since(time(began));
    let passed = Duration::try_from(passed).unwrap_or_default();
    Some(Duration::from_secs(deadline).saturating_sub(passed))
}

/// Returns how much of a time after the end of a Job is left.
pub(super) fn since_end(access: &Access, job: &Value, after: Duration) -> Duration {
    let end = ["Complete", "Failed"]
        .iter()
        .find_map(|kind| condition(job, kind));
    let ended = end.map_or_else(|| access.time(), |end| time(&end["lastTransitionTime"]));
    let passed = Duration::try_from(access.time().duration_since(ended)).unwrap_or_default();
    after.saturating_sub(passed)
}
