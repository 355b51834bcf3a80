//! What users do to sources and workloads, of any kind.

use std::{collections::BTreeSet, future::Future};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{Arena, OBSERVED, RerollBuilder, eventually};

/// The kinds of source.
pub const SOURCES: [&str; 2] = ["Secret", "ConfigMap"];

/// Does many things at the same time, as many as one machine can.
pub async fn at_once<T, F: Future<Output = ()>>(
    all: impl IntoIterator<Item = T>,
    act: impl FnMut(T) -> F,
) {
    futures::stream::iter(all)
        .for_each_concurrent(32, act)
        .await;
}

impl Arena {
    /// Returns a reroll with the webhook, and one without it, each with a name.
    pub fn both_ways(&self) -> [(&'static str, RerollBuilder); 2] {
        [
            ("webhook", self.reroll()),
            ("alone", self.reroll().without_webhook()),
        ]
    }

    /// Creates a Secret or ConfigMap.
    pub async fn source(&self, kind: &str, name: &str, data: &[(&str, &str)]) {
        if kind == "Secret" {
            self.secret(name, data).await;
        } else {
            self.config_map(name, data).await;
        }
    }

    /// Sets one key of a Secret or ConfigMap.
    pub async fn set(&self, kind: &str, name: &str, key: &str, value: &str) {
        let field = if kind == "Secret" {
            "stringData"
        } else {
            "data"
        };
        self.patch(kind, name, json!({ field: { key: value } }))
            .await;
    }

    /// Removes one key of a Secret or ConfigMap.
    pub async fn unset(&self, kind: &str, name: &str, key: &str) {
        self.patch(kind, name, json!({ "data": { key: null } }))
            .await;
    }

    /// Deletes a Secret or ConfigMap and creates it again.
    pub async fn recreate(&self, kind: &str, name: &str, data: &[(&str, &str)]) {
        self.delete(kind, name).await;
        self.source(kind, name, data).await;
    }

    /// Sets an annotation of an object's own metadata, or removes it.
    pub async fn annotate(&self, kind: &str, name: &str, key: &str, value: Option<&str>) {
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        self.patch(kind, name, patch).await;
    }

    /// Sets a label of the arena's namespace.
    pub async fn label_namespace(&self, key: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "labels": { key: value } } }));
        Api::<Namespace>::all(self.client.clone())
            .patch(&self.namespace, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Changes the first container of a workload, as a user who edits it.
    pub async fn edit_container(&self, kind: &str, name: &str, field: &str, value: Value) {
        let mut containers =
            self.get(kind, name).await.data["spec"]["template"]["spec"]["containers"].clone();
        containers[0][field] = value;
        let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        self.patch(kind, name, patch).await;
    }

    /// Waits until what is written next has a later time, in seconds, than everything that exists.
    pub async fn later_second(&self) {
        let time = async || {
            let name = format!("marker-{}", fastrand::u64(..));
            let marker = self.secret(&name, &[]).await;
            marker.creation_timestamp()
        };
        let begun = time().await;
        eventually("a later second", async || {
            (time().await > begun).then_some(())
        })
        .await;
    }

    /// Returns what a workload's `observed` holds.
    pub async fn observed(&self, kind: &str, name: &str) -> Option<Value> {
        let text = self.annotation(kind, name, OBSERVED).await?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Waits until a workload's `observed` has an entry of this kind for `secret/NAME` or `configmap/NAME`.
    pub async fn observes(
        &self,
        kind: &str,
        name: &str,
        source: &str,
        so: impl Fn(&Value) -> bool,
    ) {
        let what = format!("{kind} {name} observes {source} so");
        eventually(&what, async || {
            let observed = self.observed(kind, name).await?;
            so(&observed["s"][source]).then_some(())
        })
        .await;
    }

    /// The pods with this `app` label.
    pub async fn pods(&self, app: &str) -> Vec<Pod> {
        Api::<Pod>::namespaced(self.client.clone(), &self.namespace)
            .list(&ListParams::default().labels(&format!("app={app}")))
            .await
            .unwrap()
            .items
    }

    /// The uids of the pods with this `app` label.
    pub async fn pod_uids(&self, app: &str) -> BTreeSet<String> {
        let pods = self.pods(app).await;
        pods.iter().filter_map(ResourceExt::uid).collect()
    }

    /// Waits until this many pods with this `app` label are in this phase, such as `Running`.
    pub async fn pods_are(&self, app: &str, count: usize, phase: &str) {
        eventually(&format!("{count} pods of {app} are {phase}"), async || {
            let pods = self.pods(app).await;
            let so = |pod: &&Pod| {
                pod.status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref())
                    == Some(phase)
            };
            (pods.iter().filter(so).count() == count).then_some(())
        })
        .await;
    }
}
