//! Which nodes have pods that name a source: kubelets there may keep an immutable object that is gone.
//!
//! A kubelet drops it when no pod of its node names it any more. A `StatefulSet` replaces its pods one after the other, from
//! the highest ordinal down, and each only when its predecessor is gone, the kubelet's part included. So where only its pods
//! name the source, a node forgets it unless the new pod comes while another of the old ones is there. Of every other kind
//! the new pod may come before the kubelet is done with the old one, also on a node that has no other: then nothing outside
//! the kubelet shows which data the new one has.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;

use super::{
    Cluster, Failure,
    pods::{self, goes, is_over, names, node},
};
use crate::model::{SourceName, WorkloadKey};

/// The nodes on which pods name a source, with those pods.
pub type Nodes = BTreeMap<SourceName, BTreeMap<String, Holders>>;

/// Whose pods name a source on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holders {
    /// Only pods of the workload, which replaces them in turn. This is their lowest ordinal.
    InTurn(u32),
    /// Others too, or pods of a workload that does not.
    Any,
}

impl Holders {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::InTurn(one), Self::InTurn(other)) => Self::InTurn(one.min(other)),
            _ => Self::Any,
        }
    }
}

/// Returns on which nodes of a workload's namespace pods name each of these sources.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn nodes(
    cluster: &Cluster,
    key: &WorkloadKey,
    sources: &[SourceName],
) -> Result<Nodes, Failure> {
    let object = cluster.workload(key).await?;
    let in_turn = object.filter(|object| key.kind.ordinals && replaces_in_turn(&object.data));
    let in_turn = in_turn.and_then(|object| object.metadata.uid);
    let mut nodes = Nodes::new();
    let see = |pod: &Pod| add(&mut nodes, pod, in_turn.as_deref(), sources);
    pods::each_in_namespace(cluster, &key.namespace, see).await?;
    Ok(nodes)
}

fn replaces_in_turn(object: &Value) -> bool {
    let at_once = object.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    at_once.is_none_or(|at_once| *at_once == 1)
}

fn add(nodes: &mut Nodes, pod: &Pod, in_turn: Option<&str>, sources: &[SourceName]) {
    let Some(node) = node(pod).filter(|_| !is_over(pod)) else {
        return;
    };
    let owner = pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    let own = owner.is_some_and(|owner| Some(owner.uid.as_str()) == in_turn);
    let ordinal = ordinal(pod).filter(|_| own);
    let holder = ordinal.map_or(Holders::Any, Holders::InTurn);
    for source in names(pod, sources) {
        let there = nodes.entry(source).or_default();
        let holders = there.get(node).map_or(holder, |known| known.and(holder));
        there.insert(node.to_owned(), holders);
    }
}

fn ordinal(pod: &Pod) -> Option<u32> {
    pod.name_any().rsplit_once('-')?.1.parse().ok()
}

/// Returns the names of those of a workload's pods that may have the old data, because they name a source on a node that
/// had pods with it before the rollout, and has pods now; `None` while not all of its pods have a node.
pub fn stale(pods: &[Pod], had: &Nodes, has: &Nodes) -> Option<BTreeMap<SourceName, Vec<String>>> {
    let mut found: BTreeMap<SourceName, Vec<String>> = BTreeMap::new();
    let pods: Vec<_> = pods.iter().filter(|pod| !goes(pod)).collect();
    if pods.iter().any(|pod| node(pod).is_none()) {
        return None;
    }
    for (source, before) in had {
        let names = |pod: &&&Pod| names(pod, std::slice::from_ref(source)).next().is_some();
        for pod in pods.iter().filter(names) {
            let there = node(pod)?;
            let Some(before) = before.get(there) else {
                continue;
            };
            let now = has.get(source).and_then(|nodes| nodes.get(there));
            let is_kept = match (before, now) {
                // Made while the lowest of the old ones was there. It keeps the object for those that come later.
                (Holders::InTurn(lowest), Some(Holders::InTurn(_)) | None) => {
                    let own = pods.iter().filter(names);
                    let mut own = own.filter(|pod| node(pod) == Some(there));
                    own.any(|pod| ordinal(pod).is_none_or(|ordinal| ordinal > *lowest))
                }
                _ => true,
            };
            if is_kept {
                found
                    .entry(source.clone())
                    .or_default()
                    .push(pod.name_any());
            }
        }
    }
    for pods in found.values_mut() {
        pods.sort_unstable();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UID: &str = "the-set";

    /// A pod of this name on this node that names Secret `s`.
    fn pod(name: &str, node: Option<&str>) -> Value {
        let env =
            json!([{ "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }]);
        json!({
            "metadata": { "name": name },
            "spec": { "nodeName": node, "containers": [{ "name": "c", "env": env }] },
            "status": { "phase": "Running" },
        })
    }

    fn of_the_set(name: &str, node: &str) -> Value {
        let mut pod = pod(name, Some(node));
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": UID, "controller": true,
        }]);
        pod
    }

    fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[field] = value;
        pod
    }

    fn nodes_of(pods: &[Value]) -> Nodes {
        let mut nodes = Nodes::new();
        for pod in pods {
            let pod = serde_json::from_value(pod.clone()).unwrap();
            add(&mut nodes, &pod, Some(UID), &[SourceName::secret("s")]);
        }
        nodes
    }

    /// Who is named of the new pods. Others than the workload's are there before and after.
    fn named(old: &[Value], new: &[Value], others: &[Value]) -> Option<Vec<String>> {
        let pods: Vec<_> = new
            .iter()
            .cloned()
            .map(|pod| serde_json::from_value(pod).unwrap())
            .collect();
        let had = nodes_of(&[old, others].concat());
        let has = nodes_of(&[new, others].concat());
        let found = stale(&pods, &had, &has)?;
        Some(found.into_values().flatten().collect())
    }

    #[test]
    fn pods_on_nodes_that_had_it_are_named() {
        let old = [pod("a", Some("n1")), pod("b", Some("n2"))];
        let over = with(pod("over", Some("n1")), "/status/phase", json!("Failed"));
        let goes = with(
            pod("goes", Some("n1")),
            "/metadata/deletionTimestamp",
            json!("2026-01-02T00:00:00Z"),
        );
        let without = with(
            pod("without", Some("n1")),
            "/spec/containers",
            json!([{ "name": "c" }]),
        );
        let mut new = vec![
            pod("y", Some("n2")),
            pod("x", Some("n1")),
            pod("elsewhere", Some("n3")),
            over.clone(),
            goes,
            without,
        ];
        let both = Some(vec!["x".to_owned(), "y".to_owned()]);
        assert_eq!(named(&old, &new, &[]), both);
        // What has ended keeps nothing.
        let ended = with(over, "/spec/nodeName", json!("n3"));
        assert_eq!(
            named(&[old[0].clone(), old[1].clone(), ended], &new, &[]),
            both
        );
        new.push(pod("unscheduled", None));
        assert_eq!(named(&old, &new, &[]), None);
    }

    /// The old pods, the new ones, others that are there all the time; and who is named.
    type Row<'a> = (&'a [Value], &'a [Value], &'a [Value], &'a [&'a str]);

    #[test]
    fn pods_that_are_replaced_in_turn_are_named_where_another_old_one_was() {
        let set = |places: &[(u32, &str)]| -> Vec<Value> {
            let pod = |(ordinal, node): &(u32, &str)| of_the_set(&format!("web-{ordinal}"), node);
            places.iter().map(pod).collect()
        };
        let alone = set(&[(0, "n1"), (1, "n2")]);
        let together = set(&[(0, "n1"), (1, "n1")]);
        let other = [pod("other", Some("n1"))];
        let rows: [Row<'_>; 7] = [
            // Each was the only one of its node.
            (&alone, &alone, &[], &[]),
            (&alone, &set(&[(0, "n2"), (1, "n2")]), &[], &[]),
            (&alone, &together, &[], &["web-0", "web-1"]),
            (&alone, &alone, &other, &["web-0"]),
            (&together, &together, &[], &["web-0", "web-1"]),
            // web-1 was made elsewhere, and web-0 was the last of its node.
            (&together, &alone, &[], &[]),
            (
                &set(&[(1, "n1"), (2, "n1"), (0, "n2")]),
                &set(&[(1, "n1"), (2, "n1"), (0, "n1")]),
                &[],
                &["web-0", "web-1", "web-2"],
            ),
        ];
        for (number, (old, new, others, expected)) in rows.into_iter().enumerate() {
            let named = named(old, new, others).unwrap();
            assert_eq!(named, expected, "row {number}");
        }
    }

    #[test]
    fn who_takes_several_at_a_time_does_not_replace_in_turn() {
        let of = |spec: Value| replaces_in_turn(&json!({ "spec": { "updateStrategy": spec } }));
        assert!(of(json!(null)) && of(json!({ "rollingUpdate": { "partition": 0 } })));
        assert!(of(json!({ "rollingUpdate": { "maxUnavailable": 1 } })));
        assert!(!of(json!({ "rollingUpdate": { "maxUnavailable": 2 } })));
        assert!(!of(json!({ "rollingUpdate": { "maxUnavailable": "1%" } })));
    }
}
