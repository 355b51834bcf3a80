//! The pods of a workload: whether they have started, how old they are, and which sources they use.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::{Api, api::ListParams};
use litemap::LiteMap;

use super::{Cluster, Failure};
use crate::model::{
    SourceName, WorkloadKey,
    decide::Ages,
    source::{References, containers_using, references},
    version::used_keys,
    workload::selector,
};

/// Lists the pods that a workload's selector selects; `None` where it has no selector.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn of(cluster: &Cluster, key: &WorkloadKey) -> Result<Option<Vec<Pod>>, Failure> {
    let Some(object) = cluster.workload(key).await? else {
        return Ok(Some(Vec::new()));
    };
    let Some(selector) = selector(key.kind, &object) else {
        return Ok(None);
    };
    let pods = Api::<Pod>::namespaced(cluster.client(), &key.namespace);
    let params = ListParams::default().labels_from(&selector);
    let pods = cluster.list(&pods, &params).await?;
    Ok(Some(pods.items))
}

/// Lists the pods of a namespace.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn in_namespace(cluster: &Cluster, namespace: &str) -> Result<Vec<Pod>, Failure> {
    let pods = Api::<Pod>::namespaced(cluster.client(), namespace);
    let pods = cluster.list(&pods, &ListParams::default()).await?;
    Ok(pods.items)
}

/// Shows the pods of a namespace one by one, page by page: there may be very many, and few matter.
///
/// # Errors
/// When the API server refuses, or does not answer in time. Some were shown then.
pub async fn each_in_namespace(
    cluster: &Cluster,
    namespace: &str,
    see: impl FnMut(&Pod),
) -> Result<(), Failure> {
    each_within(cluster, Some(namespace), see).await
}

/// Shows the pods of a namespace, or of all, one by one, page by page.
///
/// # Errors
/// When the API server refuses, or does not answer in time. Some were shown then.
pub async fn each_within(
    cluster: &Cluster,
    namespace: Option<&str>,
    mut see: impl FnMut(&Pod),
) -> Result<(), Failure> {
    let client = cluster.client();
    let api = match namespace {
        Some(namespace) => Api::<Pod>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let see = |pod: Pod| see(&pod);
    cluster.each(&api, ListParams::default(), see).await
}

/// Whether a container that needs one of these sources has ever started in any pod. Each pod's own spec says what its
/// containers need: pods of an earlier revision may not have needed what is missing.
pub fn have_started(pods: &[Pod], missing: &[SourceName]) -> bool {
    let state = |state: Option<&ContainerState>| {
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let started = |status: &ContainerStatus| {
        state(status.state.as_ref()) || state(status.last_state.as_ref())
    };
    pods.iter().any(|pod| {
        let template = serde_json::json!({ "spec": pod.spec });
        let names = containers_using(&template, missing);
        let status = pod.status.iter();
        let mut statuses = status.flat_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
        });
        statuses.any(|status| names.contains(&status.name) && started(status))
    })
}

/// Returns when a pod was made, in unix seconds, and what it uses; `None` for a pod that has ended or is being deleted.
pub fn seen(pod: &Pod) -> Option<(i64, References)> {
    let made = pod.metadata.creation_timestamp.as_ref()?.0.as_second();
    (!goes(pod)).then(|| (made, references(&serde_json::json!({ "spec": pod.spec }))))
}

pub(super) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Returns those of these sources that a pod's own spec names.
pub(super) fn names(pod: &Pod, sources: &[SourceName]) -> impl Iterator<Item = SourceName> {
    let uses = references(&serde_json::json!({ "spec": pod.spec }));
    let named = sources
        .iter()
        .filter(move |source| uses.contains_key(*source));
    named.cloned()
}

/// Whether a pod has ended, or is being deleted.
pub fn goes(pod: &Pod) -> bool {
    is_over(pod) || pod.metadata.deletion_timestamp.is_some()
}

/// Whether a pod has ended.
pub(super) fn is_over(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Returns, for each key of these sources, when the oldest pod that uses it was made, in unix seconds. `pods` are as
/// [`seen`] returns them.
pub fn ages_of(pods: impl IntoIterator<Item = (i64, References)>, sources: &[SourceName]) -> Ages {
    let mut ages: Ages = BTreeMap::new();
    for (made, uses) in pods {
        for source in sources {
            let Some(usage) = uses.get(source).filter(|usage| usage.is_read()) else {
                continue;
            };
            let oldest: &mut LiteMap<String, i64> = ages.entry(source.clone()).or_default();
            for used in used_keys(usage) {
                let known = oldest.get(used).copied().unwrap_or(i64::MAX);
                oldest.insert(used.to_owned(), made.min(known));
            }
        }
    }
    ages
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(made: &str, spec: &Value, status: &Value, deleted: bool) -> Pod {
        let deleted = deleted.then_some("2026-01-02T00:00:00Z");
        let pod = json!({
            "metadata": { "creationTimestamp": made, "deletionTimestamp": deleted },
            "spec": spec, "status": status,
        });
        serde_json::from_value(pod).unwrap()
    }

    fn env(keys: &[&str]) -> Value {
        let env = keys.iter().map(|key| {
            json!({ "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": key } } })
        });
        json!({ "containers": [{ "name": "c", "env": env.collect::<Vec<_>>() }] })
    }

    #[test]
    fn the_oldest_pod_that_uses_a_key_counts() {
        let running = json!({ "phase": "Running" });
        let pending = json!({ "phase": "Pending" });
        let failed = json!({ "phase": "Failed" });
        let (a, b, both) = (env(&["a"]), env(&["b"]), env(&["a", "b"]));
        let pods = [
            pod("1970-01-01T00:00:10Z", &a, &running, false),
            pod("1970-01-01T00:00:30Z", &both, &running, false),
            pod("1970-01-01T00:00:20Z", &b, &pending, false),
            pod("1970-01-01T00:00:01Z", &both, &failed, false),
            pod("1970-01-01T00:00:02Z", &both, &running, true),
        ];
        let (used, other) = (SourceName::secret("s"), SourceName::secret("t"));
        let ages = ages_of(pods.iter().filter_map(seen), &[used.clone(), other.clone()]);
        let of = |key: &str| ages.get(&used).and_then(|ages| ages.get(key).copied());
        assert_eq!((of("a"), of("b"), of("c")), (Some(10), Some(20), None));
        assert_eq!(ages.get(&other), None);
    }
}
