//! The daemonset controller.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    access::Access,
    claim::Claim,
    deployment::numbers::{Round, scaled},
    history::{self, HASH, number_of, renumber},
    objects::{
        Kind, annotation, created, is_deleted, label, name, namespace, number, without_zeros,
    },
    pods::{from_template, is_available, is_over, is_ready},
    replica_set::next_check,
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

/// The annotation of a DaemonSet with the number of changes of its template, and the label of its pods with the same.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
const GENERATION: &str = "pod-template-generation";

/// The controller. It notes nothing.
pub(crate) struct DaemonSets;

impl Controller for DaemonSets {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::DaemonSet, Kind::Pod, Kind::Node]
            .map(Kind::row)
            .to_vec()
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::DaemonSet.row() {
            dirty.push((change.key.clone(), Duration::ZERO));
        } else if change.row == Kind::Node.row() {
            if change.before.is_none() || change.after.is_none() {
                let all = access.all(Kind::DaemonSet);
                dirty.extend(
                    all.iter()
                        .map(|set| (super::objects::key(set), Duration::ZERO)),
                );
            }
        } else {
            worker::controllers_by(change, Kind::DaemonSet, dirty);
            worker::adopters(access, change, Kind::DaemonSet, dirty);
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(set) = access.get(Kind::DaemonSet, key) else {
            return Ok(None);
        };
        if is_deleted(&set) {
            return Ok(None);
        }
        let (current, old) = revisions(access, &set).await?;
        let claim = Claim::new(access, Kind::DaemonSet, &set);
        let pods = claim.claim(Kind::Pod, namespace(&set), |_| true).await?;
        let nodes = access.all(Kind::Node);
        let mut sync = Sync {
            access,
            set: &set,
            hash: label(&current, HASH).unwrap_or_default().to_owned(),
            nodes: nodes.iter().map(|node| name(node).to_owned()).collect(),
            by_node: BTreeMap::new(),
            now: access.time(),
        };
        for pod in &pods {
            if let Some(node) = node_of(pod).filter(|_| !(is_over(pod) && is_deleted(pod))) {
                let node = node.to_owned();
                sync.by_node.entry(node).or_default().push(Arc::clone(pod));
            }
        }
        let managed = sync.manage().await;
        let status = sync.status();
        if status != set["status"] {
            access.put_status(Kind::DaemonSet, &set, &status).await?;
        }
        managed?;
        forget_old(access, &set, &old, &pods).await?;
        let seconds = number(&set, "/spec/minReadySeconds");
        let waits = number(&status, "/numberReady") != number(&status, "/numberAvailable");
        Ok((waits && seconds > 0).then(|| next_check(&pods, seconds, access.time())))
    }
}

/// Returns the node that a pod is on, or has to go to.
pub(crate) fn node_of(pod: &Value) -> Option<&str> {
    if let Some(node) = pod["spec"]["nodeName"].as_str() {
        return Some(node);
    }
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    pod.pointer(required)?.as_str()
}

/// Returns the revision of the template, and the others.
async fn revisions(access: &Access, set: &Value) -> Result<(Arc<Value>, Vec<Arc<Value>>), Refusal> {
    let all = history::of(access, Kind::DaemonSet, set).await?;
    let is_current = |one: &Arc<Value>| history::brings_back(one, set);
    let (mut same, old): (Vec<_>, Vec<_>) = all.into_iter().partition(is_current);
    let next = old.iter().map(|one| number_of(one)).max().unwrap_or(0) + 1;
    let Some(kept) = same.pop() else {
        let created = history::create(access, Kind::DaemonSet, set, next).await?;
        return Ok((created, old));
    };
    for other in &same {
        access.delete(Kind::ControllerRevision, other).await?;
    }
    if number_of(&kept) < next {
        renumber(access, &kept, next).await?;
    }
    Ok((kept, old))
}

/// Deletes the oldest revisions beyond the history limit, but for those that pods have.
async fn forget_old(
    access: &Access,
    set: &Value,
    old: &[Arc<Value>],
    pods: &[Arc<Value>],
) -> Result<(), Refusal> {
    let Some(limit) = set["spec"]["revisionHistoryLimit"].as_u64() else {
        return Ok(());
    };
    let more = old
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    let is_live = |revision: &Value| {
        let hash = label(revision, HASH);
        pods.iter().any(|pod| label(pod, HASH) == hash)
    };
    for revision in old.iter().filter(|one| !is_live(one)).take(more) {
        access.delete(Kind::ControllerRevision, revision).await?;
    }
    Ok(())
}

/// One pass over a DaemonSet.
struct Sync<'a> {
    access: &'a Access,
    set: &'a Value,
    /// The label of pods of the template.
    hash: String,
    nodes: Vec<String>,
    by_node: BTreeMap<String, Vec<Arc<Value>>>,
    now: Timestamp,
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    /// The nodes that get a pod.
    create: Vec<String>,
    delete: Vec<Arc<Value>>,
}

impl Sync<'_> {
    fn runs_on(&self, node: &str) -> bool {
        self.nodes.iter().any(|one| one == node)
    }

    fn has_hash(&self, pod: &Value) -> bool {
        label(pod, HASH) == Some(&self.hash)
    }

    /// Whether a pod counts as one of the template. As in the real one, the same number of changes of the template is
    /// enough, though it be a pod that another DaemonSet of this name has left.
    fn is_updated(&self, pod: &Value) -> bool {
        let generation = annotation(self.set, TEMPLATE_GENERATION);
        self.has_hash(pod) || generation.is_some() && label(pod, GENERATION) == generation
    }

    fn is_available(&self, pod: &Value) -> bool {
        is_available(pod, number(self.set, "/spec/minReadySeconds"), self.now)
    }

    fn limit(&self, field: &str) -> i64 {
        let rolling = &self.set["spec"]["updateStrategy"]["rollingUpdate"];
        let total = i64::try_from(self.nodes.len()).unwrap_or(0);
        scaled(&rolling[field], total, Round::Up)
    }

    async fn manage(&self) -> Result<(), Refusal> {
        let plan = self.missing_and_superfluous();
        let nothing = plan.create.is_empty() && plan.delete.is_empty();
        self.carry_out(plan).await?;
        // The real one waits until it has seen what it did.
        if nothing && self.set["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
            let plan = if self.limit("maxSurge") == 0 {
                self.replacements()
            } else {
                self.surge()
            };
            self.carry_out(plan).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, plan: Plan) -> Result<(), Refusal> {
        for node in plan.create {
            let created = self
                .access
                .create(Kind::Pod, namespace(self.set), self.new_pod(&node));
            match created.await {
                Err(refusal) if !refusal.message.contains("is being terminated") => {
                    return Err(refusal);
                }
                _ => {}
            }
        }
        for pod in plan.delete {
            self.access.delete(Kind::Pod, &pod).await?;
        }
        Ok(())
    }

    /// Each node has one pod, or two while one replaces the other.
    fn missing_and_superfluous(&self) -> Plan {
        let mut plan = Plan::default();
        let surges = self.limit("maxSurge") > 0;
        for node in &self.nodes {
            let Some(pods) = self.by_node.get(node) else {
                plan.create.push(node.clone());
                continue;
            };
            let (over, mut running): (Vec<_>, Vec<_>) = pods
                .iter()
                .filter(|pod| !is_deleted(pod))
                .cloned()
                .partition(|pod| is_over(pod));
            plan.delete.extend(over);
            running.sort_by(|a, b| (created(a), name(a)).cmp(&(created(b), name(b))));
            if !surges {
                plan.delete.extend(running.into_iter().skip(1));
                continue;
            }
            if running.is_empty() {
                plan.create.push(node.clone());
            }
            if running.len() > 1 {
                self.keep_two(running, &mut plan);
            }
        }
        for (node, pods) in &self.by_node {
            if !self.runs_on(node) {
                let waits = |pod: &&Arc<Value>| pod["spec"]["nodeName"].is_null();
                plan.delete.extend(pods.iter().filter(waits).cloned());
            }
        }
        plan
    }

    fn keep_two(&self, running: Vec<Arc<Value>>, plan: &mut Plan) {
        let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| self.has_hash(pod));
        if let (Some(new), Some(old)) = (new.first(), old.first())
            && (!is_ready(old) || self.is_available(new))
        {
            plan.delete.push(Arc::clone(old));
        }
        plan.delete.extend(new.into_iter().skip(1));
        plan.delete.extend(old.into_iter().skip(1));
    }

    /// Returns the pod of the template and the other one; `None` where there are more.
    fn two<'b>(&self, pods: &'b [Arc<Value>]) -> Option<[Option<&'b Arc<Value>>; 2]> {
        let (new, old): (Vec<_>, Vec<_>) = pods
            .iter()
            .filter(|pod| !is_deleted(pod))
            .partition(|pod| self.is_updated(pod));
        (new.len() < 2 && old.len() < 2).then(|| [new.first().copied(), old.first().copied()])
    }

    fn all_nodes(&self) -> BTreeMap<&str, &[Arc<Value>]> {
        let with = self.by_node.iter();
        let mut all: BTreeMap<&str, &[Arc<Value>]> = with
            .map(|(node, pods)| (node.as_str(), pods.as_slice()))
            .collect();
        for node in &self.nodes {
            all.entry(node).or_default();
        }
        all
    }

    /// Returns the old pods that may go, so that not too many nodes are without an available one.
    fn replacements(&self) -> Plan {
        let mut most = self.limit("maxUnavailable");
        if most == 0 && !self.nodes.is_empty() {
            most = 1;
        }
        let (mut missing, mut replaced, mut candidates) = (0, Vec::new(), Vec::new());
        for pods in self.all_nodes().into_values() {
            match self.two(pods) {
                None | Some([None, None] | [Some(_), Some(_)]) => missing += 1,
                Some([Some(new), None]) => missing += i64::from(!self.is_available(new)),
                Some([None, Some(old)]) if !self.is_available(old) => {
                    replaced.push(Arc::clone(old));
                    missing += 1;
                }
                Some([None, Some(old)]) => candidates.push(Arc::clone(old)),
            }
        }
        let more = usize::try_from(most - missing).unwrap_or(0);
        replaced.extend(candidates.into_iter().take(more));
        Plan {
            create: Vec::new(),
            delete: replaced,
        }
    }

    /// Returns the nodes that may have a second pod, and the old pods whose successor is available.
    fn surge(&self) -> Plan {
        let most = self.limit("maxSurge");
        let (mut plan, mut candidates, mut surging) = (Plan::default(), Vec::new(), 0);
        for (node, pods) in self.all_nodes() {
            match self.two(pods) {
                None => surging += 1,
                Some([_, None]) => {}
                Some([None, Some(old)]) if !self.is_available(old) => {
                    plan.create.push(node.to_owned());
                }
                Some([None, Some(_)]) => candidates.push(node.to_owned()),
                Some([Some(new), Some(_)]) if !self.is_available(new) => surging += 1,
                Some([Some(_), Some(old)]) => plan.delete.push(Arc::clone(old)),
            }
        }
        let more = usize::try_from(most - surging).unwrap_or(0);
        plan.create.extend(candidates.into_iter().take(more));
        plan
    }

    fn new_pod(&self, node: &str) -> Value {
        let (set, prefix) = (self.set, format!("{}-", name(self.set)));
        let mut pod = from_template(&set["spec"]["template"], &prefix, Kind::DaemonSet, set);
        let labels = &mut pod["metadata"]["labels"];
        labels[HASH] = json!(self.hash);
        if let Some(generation) = annotation(set, TEMPLATE_GENERATION) {
            labels[GENERATION] = json!(generation);
        }
        let field = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({ "nodeSelectorTerms": [{ "matchFields": [field] }] });
        pod
    }

    fn status(&self) -> Value {
        let (mut current, mut ready, mut available, mut updated) = (0, 0, 0, 0);
        for node in &self.nodes {
            let Some(pods) = self.by_node.get(node) else {
                continue;
            };
            current += 1;
            let oldest = pods.iter().min_by(|a, b| {
                let by = |pod: &Value| {
                    let waits = pod["spec"]["nodeName"].is_null();
                    (waits, created(pod).to_owned(), name(pod).to_owned())
                };
                by(a).cmp(&by(b))
            });
            let Some(pod) = oldest else { continue };
            ready += i64::from(is_ready(pod));
            available += i64::from(self.is_available(pod));
            updated += i64::from(self.is_updated(pod));
        }
        let desired = i64::try_from(self.nodes.len()).unwrap_or(0);
        without_zeros(
            json!({
                "observedGeneration": self.set["metadata"]["generation"],
                "desiredNumberScheduled": desired, "currentNumberScheduled": current, "numberMisscheduled": 0,
                "numberReady": ready, "numberAvailable": available, "numberUnavailable": desired - available,
                "updatedNumberScheduled": updated,
                "collisionCount": self.set["status"].get("collisionCount"),
            }),
            &[
                "desiredNumberScheduled",
                "currentNumberScheduled",
                "numberMisscheduled",
                "numberReady",
                "collisionCount",
            ],
        )
    }
}
