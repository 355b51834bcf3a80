//! The statefulset controller.
//!
//! As the real one, with `OrderedReady` it goes from one pod to the next and waits for each. So a pod that never becomes
//! ready is not replaced, whatever its template becomes: only a person who deletes it helps.

mod pods;
mod revisions;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use self::{pods::ordinal, revisions::Revisions};
use super::{
    access::Access,
    claim::Claim,
    history::HASH,
    objects::{Kind, is_deleted, label, name, namespace, number, replicas, without_zeros},
    pods::{is_available, is_over, is_ready},
    replica_set::next_check,
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

/// The controller. It notes nothing.
pub(crate) struct StatefulSets;

impl Controller for StatefulSets {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::StatefulSet, Kind::Pod].map(Kind::row).to_vec()
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::StatefulSet.row() {
            dirty.push((change.key.clone(), Duration::ZERO));
        } else {
            worker::controllers_by(change, Kind::StatefulSet, dirty);
            worker::adopters(access, change, Kind::StatefulSet, dirty);
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(set) = access.get(Kind::StatefulSet, key) else {
            return Ok(None);
        };
        let revisions = super::history::of(access, Kind::StatefulSet, &set).await?;
        let claim = Claim::new(access, Kind::StatefulSet, &set);
        let is_member = |pod: &Value| {
            let parent = name(pod).rsplit_once('-').map(|(parent, _)| parent);
            parent == Some(name(&set))
        };
        let pods = claim.claim(Kind::Pod, namespace(&set), is_member).await?;
        let chosen = Revisions::of(access, &set, &revisions).await?;
        let sync = Sync {
            access,
            set: &set,
            current: chosen.current,
            update: chosen.update,
            now: access.time(),
        };
        let (status, failed) = sync.update(&pods).await;
        let status = sync.completed(status);
        if sync.differs(&status) {
            access.put_status(Kind::StatefulSet, &set, &status).await?;
        }
        failed?;
        sync.forget_old(&revisions, &pods).await?;
        let seconds = number(&set, "/spec/minReadySeconds");
        let waits = number(&status, "/readyReplicas") != number(&status, "/availableReplicas");
        Ok((waits && seconds > 0).then(|| next_check(&pods, seconds, access.time())))
    }
}

/// One pass over a StatefulSet.
struct Sync<'a> {
    access: &'a Access,
    set: &'a Value,
    /// The revision of pods that are not to be updated.
    current: Arc<Value>,
    /// The revision of the template.
    update: Arc<Value>,
    now: Timestamp,
}

/// A pod as it is, or as it will be.
struct Replica {
    pod: Arc<Value>,
    is_created: bool,
}

/// Whether a pass goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    On,
    Stop,
}

impl Sync<'_> {
    fn is_ordered(&self) -> bool {
        self.set["spec"]["podManagementPolicy"] != "Parallel"
    }

    fn is_ready(pod: &Value) -> bool {
        pod["status"]["phase"] == "Running" && is_ready(pod)
    }

    fn is_available(&self, pod: &Value) -> bool {
        let seconds = number(self.set, "/spec/minReadySeconds");
        is_available(pod, seconds, self.now)
    }

    fn is_unavailable(&self, pod: &Value) -> bool {
        !self.is_available(pod) || is_deleted(pod)
    }

    fn partition(&self) -> i64 {
        number(self.set, "/spec/updateStrategy/rollingUpdate/partition")
    }

    /// Returns the pods that there are to be, in the order of their ordinals, and those that are too many, the last
    /// first.
    fn divide(&self, pods: &[Arc<Value>]) -> (Vec<Replica>, Vec<Arc<Value>>) {
        let first = number(self.set, "/spec/ordinals/start");
        let wanted = first..first + replicas(self.set);
        let mut condemned: Vec<_> = pods.to_vec();
        condemned.retain(|pod| ordinal(pod).is_some_and(|at| !wanted.contains(&at)));
        condemned.sort_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
        let replica = |at: i64| {
            let found = pods.iter().find(|pod| ordinal(pod) == Some(at));
            match found {
                Some(pod) => Replica {
                    pod: Arc::clone(pod),
                    is_created: true,
                },
                None => Replica {
                    pod: Arc::new(self.new_pod(at, first)),
                    is_created: false,
                },
            }
        };
        (wanted.clone().map(replica).collect(), condemned)
    }

    /// Goes over the pods. Returns the status, and what failed.
    async fn update(&self, pods: &[Arc<Value>]) -> (Value, Result<(), Refusal>) {
        let existing = pods.iter().map(|pod| &**pod);
        if is_deleted(self.set) {
            return (self.status(existing), Ok(()));
        }
        let (mut replicas, condemned) = self.divide(pods);
        let unavailable = replicas.iter().map(|one| &one.pod);
        let unavailable = unavailable.chain(condemned.iter().rev());
        let first = unavailable
            .filter(|pod| self.is_unavailable(pod))
            .map(|pod| name(pod).to_owned())
            .next();
        let done = self.go_over(&mut replicas, &condemned, first).await;
        let there = replicas.iter().filter(|one| one.is_created);
        let there = there.map(|one| &*one.pod);
        let mut status = self.status(there.chain(condemned.iter().map(|pod| &**pod)));
        match done {
            Ok(Step::Stop) => (status, Ok(())),
            Err(refusal) => (status, Err(refusal)),
            Ok(Step::On) => {
                let failed = self.replace_old(&replicas, &mut status).await;
                (status, failed)
            }
        }
    }

    async fn go_over(
        &self,
        replicas: &mut [Replica],
        condemned: &[Arc<Value>],
        unavailable: Option<String>,
    ) -> Result<Step, Refusal> {
        let is_ordered = self.is_ordered();
        for replica in replicas {
            if self.keep(replica).await? == Step::Stop && is_ordered {
                return Ok(Step::Stop);
            }
        }
        for pod in condemned {
            if self.remove(pod, unavailable.as_deref()).await? == Step::Stop && is_ordered {
                return Ok(Step::Stop);
            }
        }
        Ok(Step::On)
    }

    /// Sees to it that a pod is there. `Stop`: the next one has to wait.
    async fn keep(&self, replica: &mut Replica) -> Result<Step, Refusal> {
        let is_ordered = self.is_ordered();
        if replica.is_created && is_over(&replica.pod) {
            if !is_deleted(&replica.pod) {
                self.access.delete(Kind::Pod, &replica.pod).await?;
            }
            return Ok(Step::Stop);
        }
        if !replica.is_created {
            let pod = Value::clone(&replica.pod);
            let created = self
                .access
                .create(Kind::Pod, namespace(self.set), pod)
                .await?;
            // The real one counts a pod only when it has seen it.
            drop(created);
            return Ok(if is_ordered { Step::Stop } else { Step::On });
        }
        let pod = &replica.pod;
        let waits = is_deleted(pod) || !Self::is_ready(pod) || !self.is_available(pod);
        if waits && is_ordered {
            return Ok(Step::Stop);
        }
        if label(pod, pods::NAME) != Some(name(pod)) {
            let patch = json!({ "metadata": { "labels": { pods::NAME: name(pod) } } });
            let row = Kind::Pod.row();
            self.access.patch(row, pod, None, |_| Some(patch)).await?;
        }
        Ok(Step::On)
    }

    /// Removes a pod that is too many. `Stop`: the next one has to wait.
    async fn remove(&self, pod: &Value, unavailable: Option<&str>) -> Result<Step, Refusal> {
        if is_deleted(pod) {
            return Ok(Step::Stop);
        }
        let is_first = unavailable == Some(name(pod));
        let waits = !Self::is_ready(pod) || !self.is_available(pod);
        if waits && self.is_ordered() && !is_first {
            return Ok(Step::Stop);
        }
        self.access.delete(Kind::Pod, pod).await?;
        Ok(Step::Stop)
    }

    /// Deletes the last pod that is not of the template, unless one after it is not available.
    async fn replace_old(&self, replicas: &[Replica], status: &mut Value) -> Result<(), Refusal> {
        if self.set["spec"]["updateStrategy"]["type"] == "OnDelete" {
            return Ok(());
        }
        let first = usize::try_from(self.partition()).unwrap_or(0);
        for replica in replicas.iter().skip(first).rev() {
            let pod = &replica.pod;
            if label(pod, HASH) != Some(name(&self.update)) && !is_deleted(pod) {
                self.access.delete(Kind::Pod, pod).await?;
                let fewer = number(status, "/currentReplicas") - 1;
                status["currentReplicas"] = json!(fewer);
                return Ok(());
            }
            if self.is_unavailable(pod) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn status<'b>(&self, pods: impl Iterator<Item = &'b Value>) -> Value {
        let (mut all, mut ready, mut available, mut current, mut updated) = (0, 0, 0, 0, 0);
        for pod in pods {
            all += 1;
            if Self::is_ready(pod) {
                ready += 1;
                available += i64::from(self.is_available(pod));
            }
            if !is_deleted(pod) {
                let is = |revision: &Value| i64::from(label(pod, HASH) == Some(name(revision)));
                current += is(&self.current);
                updated += is(&self.update);
            }
        }
        json!({
            "observedGeneration": self.set["metadata"]["generation"], "replicas": all, "readyReplicas": ready,
            "availableReplicas": available, "currentReplicas": current, "updatedReplicas": updated,
            "currentRevision": name(&self.current), "updateRevision": name(&self.update),
            "collisionCount": number(self.set, "/status/collisionCount"),
        })
    }

    /// Makes the revision of the template the current one, where all pods have it.
    fn completed(&self, mut status: Value) -> Value {
        let wanted = replicas(self.set);
        let all = ["/updatedReplicas", "/readyReplicas", "/replicas"];
        let done = all.iter().all(|pointer| number(&status, pointer) == wanted);
        if done && self.set["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
            status["currentReplicas"] = status["updatedReplicas"].clone();
            status["currentRevision"] = status["updateRevision"].clone();
        }
        without_zeros(status, &["replicas", "availableReplicas", "collisionCount"])
    }

    fn differs(&self, status: &Value) -> bool {
        let seen = |status: &Value| number(status, "/observedGeneration");
        let mut new = status.clone();
        let mut old = self.set["status"].clone();
        let later = seen(status) > seen(&old);
        for status in [&mut new, &mut old] {
            if let Some(status) = status.as_object_mut() {
                status.remove("observedGeneration");
                status.remove("collisionCount");
                status.remove("conditions");
            }
        }
        later || new != old
    }

    /// Deletes the oldest revisions beyond the history limit, but for those that pods have.
    async fn forget_old(
        &self,
        revisions: &[Arc<Value>],
        pods: &[Arc<Value>],
    ) -> Result<(), Refusal> {
        let Some(limit) = self.set["spec"]["revisionHistoryLimit"].as_u64() else {
            return Ok(());
        };
        let is_live = |revision: &Value| {
            let own = name(revision);
            own == name(&self.current)
                || own == name(&self.update)
                || pods.iter().any(|pod| label(pod, HASH) == Some(own))
        };
        let old: Vec<_> = revisions.iter().filter(|one| !is_live(one)).collect();
        let more = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for revision in old.into_iter().take(more) {
            self.access
                .delete(Kind::ControllerRevision, revision)
                .await?;
        }
        Ok(())
    }
}
