//! The kubelet: it starts pods with what is there, and notes what that was.

use std::collections::{BTreeMap, btree_map::Entry};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use reroll_simulation::api_server::ApiServer;
use serde_json::{Value, json};

/// A version of a Secret: its uid and its data.
pub(crate) type Version = (String, Value);

/// What pods started with.
#[derive(Default)]
pub(crate) struct Kubelet {
    /// By the pod's uid and the Secret's name.
    pub(crate) started: BTreeMap<String, BTreeMap<String, Version>>,
    /// No pod that starts becomes ready: what it was started with hangs.
    pub(crate) hangs: bool,
}

/// Returns the Secrets that a pod spec needs.
pub(crate) fn needs(spec: &Value) -> Vec<String> {
    let containers = spec["containers"].as_array().into_iter().flatten();
    let sources = containers.flat_map(|one| one["envFrom"].as_array().into_iter().flatten());
    sources
        .filter_map(|source| source["secretRef"]["name"].as_str().map(ToOwned::to_owned))
        .collect()
}

/// Returns the version of a Secret; `None` where there is none.
pub(crate) fn live(server: &ApiServer, name: &str) -> Option<Version> {
    let all = server.objects("secrets");
    let secret = all.iter().find(|secret| {
        secret["metadata"]["name"] == name
            && secret["metadata"]["namespace"] == crate::cluster::NAMESPACE
    })?;
    let uid = secret["metadata"]["uid"].as_str()?.to_owned();
    Some((uid, secret["data"].clone()))
}

impl Kubelet {
    /// Starts a pod if what it needs is there. Returns its status, where that becomes another one.
    pub(crate) fn status(&mut self, server: &ApiServer, pod: &Value) -> Option<Value> {
        let uid = pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if let Entry::Vacant(starts) = self.started.entry(uid) {
            let needs = needs(&pod["spec"]);
            let versions: Option<BTreeMap<_, _>> = needs
                .into_iter()
                .map(|name| Some((name.clone(), live(server, &name)?)))
                .collect();
            starts.insert(versions?);
        }
        let ready = if self.hangs && pod["status"]["phase"] != "Running" {
            "False"
        } else {
            "True"
        };
        let is = &pod["status"]["conditions"][0]["status"];
        if is == "True" || is == ready {
            return None;
        }
        Some(json!({
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": ready }],
            "containerStatuses": [{
                "name": "app", "ready": ready == "True", "restartCount": 0, "image": "app", "imageID": "app",
                "state": { "running": {} },
            }],
        }))
    }
}

/// Writes a pod's status. The pod may be gone.
pub(crate) async fn write(pods: &Api<DynamicObject>, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    drop(
        pods.patch_status(name, &PatchParams::default(), &patch)
            .await,
    );
}
