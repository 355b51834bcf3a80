//! Which revision of a Deployment somebody deployed before the one that it has. Revisions that differ by restarts only are one deploy.

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{
    Resource,
    api::ListParams,
    core::{Request, Selector},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, Failure};
use crate::model::{adopted::REVISIONS, workload::deployed};

/// A list of `ReplicaSet`s, with only the fields that count here.
#[derive(Debug, Default, Deserialize)]
struct Sets {
    items: Vec<Set>,
}

#[derive(Debug, Deserialize)]
struct Set {
    metadata: kube::core::ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Value,
}

/// Whose deploys are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// `metadata.namespace`
    pub namespace: &'a str,
    /// `metadata.uid`
    pub uid: &'a str,
    /// What selects its `ReplicaSet`s.
    pub selector: &'a Selector,
    /// What is deployed now, see [`deployed`].
    pub now: &'a Value,
}

/// Returns the number of the newest revision that is another deploy; `None` where none is kept.
///
/// The list has no limit, for the reason that that of `revisions` has none.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn before(cluster: &Cluster, of: Of<'_>) -> Result<Option<i64>, Failure> {
    let params = ListParams::default().labels_from(of.selector);
    let request = Request::new(ReplicaSet::url_path(&(), Some(of.namespace))).list(&params);
    let request = request.map_err(|_| Failure::Forbidden)?;
    let sets: Sets = cluster.call(cluster.client().request(request)).await?;
    Ok(newest(sets, of))
}

fn newest(sets: Sets, of: Of<'_>) -> Option<i64> {
    let owned = |set: &Set| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.uid == of.uid)
    };
    let others = sets.items.into_iter().filter(owned).filter_map(|set| {
        let annotations = set.metadata.annotations.as_ref()?;
        let number = annotations.get(REVISIONS[0])?.parse().ok()?;
        (deployed(set.spec.template) != *of.now).then_some(number)
    });
    others.max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(owner: &str, number: &str, image: &str, mark: &str) -> Value {
        json!({
            "metadata": {
                "name": format!("web-{number}"),
                "annotations": { "deployment.kubernetes.io/revision": number },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": owner }],
            },
            "spec": { "template": {
                "metadata": {
                    "labels": { "app": "web", "pod-template-hash": number },
                    "annotations": { "reroll.dev/restarted-for": mark },
                },
                "spec": { "containers": [{ "image": image }] },
            } },
        })
    }

    #[test]
    fn it_is_the_newest_that_differs_by_more_than_restarts() {
        let now = deployed(json!({
            "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "image": "b" }] },
        }));
        let selector = Selector::default();
        let of = Of {
            namespace: "shop",
            uid: "u",
            selector: &selector,
            now: &now,
        };
        let rows = [
            (
                vec![
                    set("u", "9", "a", ""),
                    set("u", "10", "a", "m"),
                    set("u", "11", "b", ""),
                    set("u", "12", "b", "n"),
                ],
                Some(10),
            ),
            (
                vec![set("u", "11", "b", ""), set("u", "12", "b", "n")],
                None,
            ),
            (vec![set("other", "3", "a", "")], None),
            (Vec::new(), None),
        ];
        for (items, expected) in rows {
            let sets = serde_json::from_value(json!({ "items": items })).unwrap();
            assert_eq!(newest(sets, of), expected);
        }
    }
}
