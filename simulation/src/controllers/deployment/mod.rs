//! The deployment controller.
//!
//! A template has one `ReplicaSet`, which comes back when the template does. What it decides, and in which order, is that
//! of Kubernetes 1.36 (`pkg/controller/deployment`), so that states in between are the same, too.

pub(crate) mod numbers;
mod rolling;
mod scale;
pub(crate) mod sets;
mod status;

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use self::{sets::Sets, status::Progress};
use super::{
    access::Access,
    claim::Claim,
    objects::{Kind, condition, is_deleted, key, namespace, number, owners, uid},
    pods::is_over,
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

/// The controller. It notes nothing.
pub(crate) struct Deployments;

/// A Deployment that is worked on.
struct Rollout<'a> {
    access: &'a Access,
    /// As it was read; its status and its revision are changed on the way.
    deployment: Arc<Value>,
}

impl Controller for Deployments {
    type Key = String;
    const WAITS_FOR_OWN_WRITES: bool = false;

    fn watches(&self) -> Vec<usize> {
        [Kind::Deployment, Kind::ReplicaSet, Kind::Pod]
            .map(Kind::row)
            .to_vec()
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::Deployment.row() {
            dirty.push((change.key.clone(), Duration::ZERO));
        } else if change.row == Kind::ReplicaSet.row() {
            worker::controllers_by(change, Kind::Deployment, dirty);
            worker::adopters(access, change, Kind::Deployment, dirty);
        } else if let (Some(pod), None) = (&change.before, &change.after) {
            dirty.extend(recreates(access, pod).map(|key| (key, Duration::ZERO)));
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(deployment) = access.get(Kind::Deployment, key) else {
            return Ok(None);
        };
        let claim = Claim::new(access, Kind::Deployment, &deployment);
        let namespace = namespace(&deployment);
        let all = claim.claim(Kind::ReplicaSet, namespace, |_| true).await?;
        let mut rollout = Rollout {
            access,
            deployment: Arc::clone(&deployment),
        };
        rollout.sync(all).await
    }
}

/// Returns the Deployment of a pod that is gone, where it waits for that.
fn recreates(access: &Access, pod: &Value) -> Option<String> {
    let owner = owners(pod).iter().find(|one| one["kind"] == "ReplicaSet")?;
    let key_of = |owner: &Value| {
        let name = owner["name"].as_str().unwrap_or_default();
        format!("{}/{name}", namespace(pod))
    };
    let set = access.get(Kind::ReplicaSet, &key_of(owner))?;
    let owner = owners(&set)
        .iter()
        .find(|one| one["kind"] == "Deployment")?;
    let deployment = access.get(Kind::Deployment, &key_of(owner))?;
    (deployment["spec"]["strategy"]["type"] == "Recreate").then(|| key(&deployment))
}

impl Rollout<'_> {
    fn is_paused(&self) -> bool {
        self.deployment["spec"]["paused"] == true
    }

    fn has_deadline(&self) -> bool {
        let deadline = self.deployment["spec"]["progressDeadlineSeconds"].as_i64();
        deadline.is_some_and(|seconds| seconds != i64::from(i32::MAX))
    }

    async fn sync(&mut self, all: Vec<Arc<Value>>) -> Result<Next, Refusal> {
        if is_deleted(&self.deployment) {
            let sets = self.sets(all, false).await?;
            self.sync_status(&sets).await?;
            return Ok(None);
        }
        self.note_pause().await?;
        if self.is_paused() || self.is_scaled(all.clone()).await? {
            return self.sync_size(all).await.map(|()| None);
        }
        if self.deployment["spec"]["strategy"]["type"] == "Recreate" {
            self.recreate(all).await
        } else {
            self.roll(all).await
        }
    }

    /// Scales, without a rollout.
    async fn sync_size(&mut self, all: Vec<Arc<Value>>) -> Result<(), Refusal> {
        let mut sets = self.sets(all, false).await?;
        self.scale_all(&mut sets).await?;
        if self.is_paused() {
            self.clean_up(&sets).await?;
        }
        self.sync_status(&sets).await
    }

    /// Whether `spec.replicas` is not what the sets were scaled by.
    async fn is_scaled(&mut self, all: Vec<Arc<Value>>) -> Result<bool, Refusal> {
        let sets = self.sets(all, false).await?;
        let wanted = number(&self.deployment, "/spec/replicas");
        let desired = |set: &Arc<Value>| numbers::noted(set, sets::DESIRED);
        Ok(sets
            .active()
            .iter()
            .filter_map(desired)
            .any(|desired| desired != wanted))
    }

    async fn note_pause(&mut self) -> Result<(), Refusal> {
        if !self.has_deadline() {
            return Ok(());
        }
        let progressing = condition(&self.deployment, status::PROGRESSING);
        let reason = progressing.and_then(|one| one["reason"].as_str());
        if reason == Some(status::TIMED_OUT) {
            return Ok(());
        }
        let noted = reason == Some("DeploymentPaused");
        let (reason, message) = match (self.is_paused(), noted) {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return Ok(()),
        };
        let now = self.access.now();
        let condition = status::new(status::PROGRESSING, "Unknown", reason, message, &now);
        status::set(&mut self.changed()["status"], condition);
        self.write_status().await
    }

    /// Writes the Deployment's status, and the annotation with its revision, as they are here.
    async fn write_status(&self) -> Result<(), Refusal> {
        let deployment = Value::clone(&self.deployment);
        let written = self.access.update_status(Kind::Deployment, deployment);
        written.await.map(|_| ())
    }

    /// Writes the Deployment's status, as the last that is done with it.
    async fn end_with(&mut self, status: Value) -> Result<(), Refusal> {
        self.changed()["status"] = status;
        let deployment = Arc::unwrap_or_clone(std::mem::take(&mut self.deployment));
        let written = self.access.update_status(Kind::Deployment, deployment);
        written.await.map(|_| ())
    }

    /// Returns the Deployment, to change it here.
    fn changed(&mut self) -> &mut Value {
        Arc::make_mut(&mut self.deployment)
    }

    async fn recreate(&mut self, all: Vec<Arc<Value>>) -> Result<Next, Refusal> {
        let mut sets = self.sets(all.clone(), false).await?;
        let mut scaled = false;
        for at in 0..sets.old.len() {
            if super::objects::replicas(&sets.old[at]) > 0 {
                scaled |= self.scale(&mut sets.old[at], 0, false).await?;
            }
        }
        if scaled || self.old_pods_run(&sets) {
            return self.sync_progress(&sets).await;
        }
        if sets.new.is_none() {
            sets = self.sets(all, true).await?;
        }
        let wanted = number(&self.deployment, "/spec/replicas");
        if let Some(new) = &mut sets.new {
            self.scale(new, wanted, false).await?;
        }
        if status::is_complete(&self.deployment, &self.deployment["status"]) {
            self.clean_up(&sets).await?;
        }
        self.sync_progress(&sets).await
    }

    fn old_pods_run(&self, sets: &Sets) -> bool {
        let count = |set: &Arc<Value>| number(set, "/status/replicas");
        if sets.old.iter().map(count).sum::<i64>() > 0 {
            return true;
        }
        let namespace = namespace(&self.deployment);
        let runs = |pod: &Value| {
            let mut all = sets.old.iter();
            all.any(|set| owners(pod).iter().any(|owner| owner["uid"] == uid(set))) && !is_over(pod)
        };
        let pods = self.access.in_namespace(Kind::Pod, namespace, runs);
        !pods.is_empty()
    }

    async fn roll(&mut self, all: Vec<Arc<Value>>) -> Result<Next, Refusal> {
        let mut sets = self.sets(all, true).await?;
        let moved = self.grow(&mut sets).await? || self.shrink(&mut sets).await?;
        if !moved && status::is_complete(&self.deployment, &self.deployment["status"]) {
            self.clean_up(&sets).await?;
        }
        self.sync_progress(&sets).await
    }

    async fn sync_status(&mut self, sets: &Sets) -> Result<(), Refusal> {
        let status = self.status(sets);
        if status == self.deployment["status"] {
            return Ok(());
        }
        self.end_with(status).await
    }

    async fn sync_progress(&mut self, sets: &Sets) -> Result<Next, Refusal> {
        match self.progress(sets) {
            Progress::Same(next) => Ok(next),
            Progress::Status(status) => {
                self.end_with(status).await?;
                Ok(None)
            }
        }
    }
}
