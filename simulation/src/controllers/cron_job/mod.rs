//! The cronjob controller.

mod schedule;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::schedule::Schedule;
use super::{
    access::Access,
    job::is_finished,
    objects::{
        Kind, annotations, condition, created, is_controlled_by, is_deleted, key, name, namespace,
        time, uid,
    },
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

/// The annotation of a Job with the time that it was made for.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The controller. It notes nothing.
pub(crate) struct CronJobs;

impl Controller for CronJobs {
    type Key = String;
    const WAITS_FOR_OWN_WRITES: bool = false;

    fn watches(&self) -> Vec<usize> {
        [Kind::CronJob, Kind::Job].map(Kind::row).to_vec()
    }

    fn concerned(&mut self, _: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::CronJob.row() {
            dirty.push((change.key.clone(), Duration::ZERO));
        } else {
            worker::controllers_by(change, Kind::CronJob, dirty);
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(cron_job) = access.get(Kind::CronJob, key) else {
            return Ok(None);
        };
        let jobs = access.in_namespace(Kind::Job, namespace(&cron_job), |job| {
            is_controlled_by(job, &cron_job)
        });
        let mut run = Run {
            access,
            cron_job: Value::clone(&cron_job),
            jobs,
        };
        run.forget_old().await?;
        run.note_ended();
        let next = if is_deleted(&cron_job) {
            Ok(None)
        } else {
            run.start().await
        };
        if run.cron_job["status"] != cron_job["status"] {
            access.update_status(Kind::CronJob, run.cron_job).await?;
        }
        next
    }
}

/// One pass over a CronJob.
struct Run<'a> {
    access: &'a Access,
    /// Its status is changed on the way.
    cron_job: Value,
    jobs: Vec<Arc<Value>>,
}

impl Run<'_> {
    fn active(&self) -> Vec<Value> {
        let active = self.cron_job["status"]["active"].as_array();
        active.cloned().unwrap_or_default()
    }

    fn set_active(&mut self, active: &[Value]) {
        if active.is_empty() {
            if let Some(status) = self.cron_job["status"].as_object_mut() {
                status.remove("active");
            }
        } else {
            self.cron_job["status"]["active"] = json!(active);
        }
    }

    /// Deletes the Jobs that have ended, beyond the history limits.
    async fn forget_old(&self) -> Result<(), Refusal> {
        for (field, kind, usual) in [
            ("successfulJobsHistoryLimit", "Complete", 3),
            ("failedJobsHistoryLimit", "Failed", 1),
        ] {
            let limit = self.cron_job["spec"][field].as_u64().unwrap_or(usual);
            let ended = |job: &&Arc<Value>| {
                is_finished(job) && condition(job, kind).is_some_and(|one| one["status"] == "True")
            };
            let mut ended: Vec<_> = self.jobs.iter().filter(ended).collect();
            ended.sort_by_key(|job| {
                let began = job["status"]["startTime"].as_str();
                (
                    began.unwrap_or(created(job)).to_owned(),
                    name(job).to_owned(),
                )
            });
            let more = ended
                .len()
                .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            for job in ended.into_iter().take(more) {
                let options = json!({ "propagationPolicy": "Background" });
                let row = Kind::Job.row();
                self.access.delete_with(row, job, &options).await?;
            }
        }
        Ok(())
    }

    /// Takes Jobs that have ended, or are gone, from the active ones.
    fn note_ended(&mut self) {
        let namespace = namespace(&self.cron_job).to_owned();
        let mut active = self.active();
        active.retain(|one| {
            let own = self.jobs.iter().find(|job| one["uid"] == uid(job));
            let name = one["name"].as_str().unwrap_or_default();
            own.map_or_else(
                || {
                    let key = format!("{namespace}/{name}");
                    self.access.live(Kind::Job, &key).is_some()
                },
                |job| !is_finished(job),
            )
        });
        let succeeded = self.jobs.iter().filter(|job| is_finished(job));
        let succeeded = succeeded.filter_map(|job| job["status"]["completionTime"].as_str());
        let last = succeeded.max().map(ToOwned::to_owned);
        self.set_active(&active);
        let before = self.cron_job["status"]["lastSuccessfulTime"].as_str();
        if let Some(last) = last
            && before.is_none_or(|before| before < last.as_str())
        {
            self.cron_job["status"]["lastSuccessfulTime"] = json!(last);
        }
    }

    /// Makes the Job that is due. Returns when to come back.
    async fn start(&mut self) -> Result<Next, Refusal> {
        let spec = &self.cron_job["spec"];
        let schedule = Schedule::read(spec["schedule"].as_str().unwrap_or_default());
        let Some(schedule) = schedule.filter(|_| spec["suspend"] != true) else {
            return Ok(None);
        };
        let now = self.access.time();
        let last = self.cron_job["status"].get("lastScheduleTime");
        let since = last.map_or_else(|| time(&json!(created(&self.cron_job))), time);
        let next = schedule.next(now);
        let next = next.map(|next| {
            let left = next.duration_since(now) + SignedDuration::from_millis(100);
            Duration::try_from(left).unwrap_or_default()
        });
        let Some(due) = schedule.last(since, now) else {
            return Ok(next);
        };
        let deadline = spec["startingDeadlineSeconds"].as_i64();
        let late = |seconds| now.duration_since(due) > SignedDuration::from_secs(seconds);
        let policy = spec["concurrencyPolicy"].as_str().unwrap_or_default();
        let busy = !self.active().is_empty();
        if deadline.is_some_and(late) || policy == "Forbid" && busy {
            return Ok(next);
        }
        if policy == "Replace" && busy {
            self.replace().await?;
        }
        self.make(due).await?;
        Ok(next)
    }

    async fn replace(&mut self) -> Result<(), Refusal> {
        for job in self.active() {
            let own = self.jobs.iter().find(|one| job["uid"] == uid(one));
            if let Some(own) = own {
                let options = json!({ "propagationPolicy": "Background" });
                let row = Kind::Job.row();
                self.access.delete_with(row, own, &options).await?;
            }
        }
        self.set_active(&[]);
        Ok(())
    }

    async fn make(&mut self, due: Timestamp) -> Result<(), Refusal> {
        let cron_job = &self.cron_job;
        let template = &cron_job["spec"]["jobTemplate"];
        let mut notes = annotations(template);
        notes.insert(SCHEDULED.to_owned(), json!(due.to_string()));
        let mut job = json!({
            "metadata": {
                "name": format!("{}-{}", name(cron_job), due.as_second() / 60), "namespace": namespace(cron_job),
                "annotations": notes, "ownerReferences": [Kind::CronJob.controls(cron_job)],
            },
            "spec": template["spec"],
        });
        if let Some(labels) = template["metadata"].get("labels") {
            job["metadata"]["labels"] = labels.clone();
        }
        let created = self
            .access
            .create(Kind::Job, namespace(cron_job), job.clone());
        let created = match created.await {
            Ok(created) => created,
            Err(refusal) if refusal.reason == "AlreadyExists" => {
                let found = self.access.live(Kind::Job, &key(&job));
                let ours = found.filter(|found| is_controlled_by(found, cron_job));
                let known =
                    |found: &Arc<Value>| self.active().iter().any(|one| one["uid"] == uid(found));
                let Some(found) = ours.filter(|found| !known(found)) else {
                    return Ok(());
                };
                found
            }
            Err(refusal) => return Err(refusal),
        };
        let mut active = self.active();
        active.push(json!({
            "kind": "Job", "apiVersion": "batch/v1", "namespace": namespace(&created), "name": name(&created),
            "uid": uid(&created), "resourceVersion": created["metadata"]["resourceVersion"],
        }));
        self.set_active(&active);
        self.cron_job["status"]["lastScheduleTime"] = json!(due.to_string());
        Ok(())
    }
}
