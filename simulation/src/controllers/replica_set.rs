//! The replicaset controller.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    access::Access,
    claim::Claim,
    objects::{
        Kind, annotation, condition, controller_of, created, is_controlled_by, is_deleted,
        namespace, number, replicas, time, uid, without_zeros,
    },
    pods::{is_active, is_available, is_over, is_ready, of_owner},
    worker::{self, Controller, Dirty, Next},
};
use crate::api_server::{
    answer::Refusal,
    selectors::{labels_hold, of_object},
    store::Change,
};

/// The controller. It notes nothing.
pub(crate) struct ReplicaSets;

impl Controller for ReplicaSets {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::ReplicaSet, Kind::Pod].map(Kind::row).to_vec()
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::ReplicaSet.row() {
            dirty.push((change.key.clone(), Duration::ZERO));
        } else {
            worker::controllers_by(change, Kind::ReplicaSet, dirty);
            worker::adopters(access, change, Kind::ReplicaSet, dirty);
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(set) = access.get(Kind::ReplicaSet, key) else {
            return Ok(None);
        };
        let claim = Claim::new(access, Kind::ReplicaSet, &set);
        let pods = claim.claim(Kind::Pod, namespace(&set), is_active).await?;
        let ending = access.in_namespace(Kind::Pod, namespace(&set), |pod| {
            is_controlled_by(pod, &set) && is_deleted(pod) && !is_over(pod) && claim.matches(pod)
        });
        let managed = if is_deleted(&set) {
            Ok(())
        } else {
            manage(access, &set, &pods).await
        };
        let status = status(access, &set, &pods, ending.len(), managed.as_ref().err());
        let same = status == set["status"];
        if !same {
            access.put_status(Kind::ReplicaSet, &set, &status).await?;
        }
        managed?;
        let ready = number(&status, "/readyReplicas");
        let waits = ready != number(&status, "/availableReplicas");
        let seconds = number(&set, "/spec/minReadySeconds");
        Ok((waits && seconds > 0).then(|| next_check(&pods, seconds, access.time())))
    }
}

/// Returns when the next pod will have been ready for so many seconds.
pub(crate) fn next_check(pods: &[Arc<Value>], seconds: i64, now: Timestamp) -> Duration {
    let ready = pods.iter().filter(|pod| is_ready(pod));
    let waits = ready.filter(|pod| !is_available(pod, seconds, now));
    let left = waits.map(|pod| {
        let since = condition(pod, "Ready").map(|one| time(&one["lastTransitionTime"]));
        let passed = since.map_or(0, |since| now.duration_since(since).as_millis());
        u64::try_from(i128::from(seconds) * 1000 - passed).unwrap_or(0)
    });
    Duration::from_millis(left.min().unwrap_or(0) + 1)
}

async fn manage(access: &Access, set: &Value, pods: &[Arc<Value>]) -> Result<(), Refusal> {
    let (has, wants) = (pods.len(), usize::try_from(replicas(set)).unwrap_or(0));
    for _ in has..wants {
        let pod = of_owner(Kind::ReplicaSet, set);
        let created = access.create(Kind::Pod, namespace(set), pod).await;
        if let Err(refusal) = created {
            // Nothing is created in a namespace that goes.
            let ends = refusal.message.contains("is being terminated");
            return if ends { Ok(()) } else { Err(refusal) };
        }
    }
    if has > wants {
        for pod in first_to_go(access, set, pods, has - wants) {
            access.delete(Kind::Pod, &pod).await?;
        }
    }
    Ok(())
}

/// Returns the pods that are deleted when there are too many.
fn first_to_go(access: &Access, set: &Value, pods: &[Arc<Value>], count: usize) -> Vec<Arc<Value>> {
    let mut all = pods.to_vec();
    if count < all.len() {
        let related = related(access, set);
        let mut on_node: BTreeMap<String, usize> = BTreeMap::new();
        for pod in &related {
            *on_node.entry(node(pod).to_owned()).or_default() += 1;
        }
        let rank = |pod: &Value| on_node.get(node(pod)).copied().unwrap_or(0);
        let now = access.time();
        all.sort_by(|a, b| before(a, b, [rank(a), rank(b)], now));
    }
    all.truncate(count);
    all
}

/// Returns the active pods of all sets that have the same owner.
fn related(access: &Access, set: &Value) -> Vec<Arc<Value>> {
    let owner = controller_of(set).map(|owner| owner["uid"].clone());
    let sets = access.in_namespace(Kind::ReplicaSet, namespace(set), |other| {
        uid(other) == uid(set)
            || owner.is_some() && controller_of(other).map(|one| one["uid"].clone()) == owner
    });
    access.in_namespace(Kind::Pod, namespace(set), |pod| {
        is_active(pod) && sets.iter().any(|set| is_controlled_by(pod, set))
    })
}

fn node(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

/// Which of two pods goes first.
fn before(a: &Value, b: &Value, ranks: [usize; 2], now: Timestamp) -> Ordering {
    let phase = |pod: &Value| match pod["status"]["phase"].as_str() {
        Some("Pending") => 0,
        Some("Unknown") => 1,
        _ => 2,
    };
    let cost = |pod: &Value| -> i64 {
        let cost = annotation(pod, "controller.kubernetes.io/pod-deletion-cost");
        cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
    };
    let restarts = |pod: &Value| {
        let all = pod["status"]["containerStatuses"].as_array();
        let counts = all.into_iter().flatten();
        counts.map(|one| number(one, "/restartCount")).max()
    };
    let since_ready = |pod: &Value| {
        let ready = condition(pod, "Ready").filter(|_| is_ready(pod));
        ready.map_or(0, |ready| age(&ready["lastTransitionTime"], now))
    };
    let since_created = |pod: &Value| age(&json!(created(pod)), now);
    let assigned = |pod: &Value| !node(pod).is_empty();
    (assigned(a), phase(a), is_ready(a), cost(a))
        .cmp(&(assigned(b), phase(b), is_ready(b), cost(b)))
        .then(ranks[1].cmp(&ranks[0]))
        .then_with(|| since_ready(a).cmp(&since_ready(b)))
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| since_created(a).cmp(&since_created(b)))
        .then_with(|| uid(a).cmp(uid(b)))
}

/// Returns the logarithm of how long ago something was: pods of about the same age are alike.
fn age(since: &Value, now: Timestamp) -> u32 {
    let nanoseconds = now.duration_since(time(since)).as_nanos().max(0);
    u128::BITS - nanoseconds.unsigned_abs().leading_zeros()
}

fn status(
    access: &Access,
    set: &Value,
    pods: &[Arc<Value>],
    ending: usize,
    failed: Option<&Refusal>,
) -> Value {
    let now = access.time();
    let seconds = number(set, "/spec/minReadySeconds");
    let labels =
        of_object(&json!({ "matchLabels": set["spec"]["template"]["metadata"]["labels"] }));
    let count = |counts: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| counts(pod)).count();
    let mut conditions: Vec<Value> = set["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let known = condition(set, "ReplicaFailure").is_some();
    match failed {
        Some(refusal) if !known => conditions.push(json!({
            "type": "ReplicaFailure", "status": "True", "message": refusal.message,
            "reason": if pods.len() < usize::try_from(replicas(set)).unwrap_or(0) { "FailedCreate" } else { "FailedDelete" },
            "lastTransitionTime": access.now(),
        })),
        None => conditions.retain(|one| one["type"] != "ReplicaFailure"),
        Some(_) => {}
    }
    without_zeros(
        json!({
            "replicas": pods.len(),
            "fullyLabeledReplicas": count(&|pod| labels_hold(&labels, &pod["metadata"]["labels"])),
            "readyReplicas": count(&is_ready),
            "availableReplicas": count(&|pod| is_available(pod, seconds, now)),
            "terminatingReplicas": ending,
            "observedGeneration": set["metadata"]["generation"],
            "conditions": (!conditions.is_empty()).then_some(conditions),
        }),
        &["replicas", "terminatingReplicas"],
    )
}
