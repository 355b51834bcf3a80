//! The deployment controller, together with that of its `ReplicaSet`s and the kubelet of their pods.
//!
//! As the real one: a template has one `ReplicaSet`, which comes back when the template does; the annotations of the
//! Deployment are copied to the newest; old ones go beyond the history limit; with two replicas and the default strategy
//! a new pod comes before an old one goes. They read from the API server's memory, and write as everybody does.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use fastrand::Rng;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use reroll_simulation::api_server::ApiServer;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::{
    cluster::api,
    kubelet::{self, Kubelet},
};

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// `spec.revisionHistoryLimit`, as it is by default.
const HISTORY: usize = 10;

pub(crate) struct Deployments {
    server: ApiServer,
    all: Api<DynamicObject>,
    sets: Api<DynamicObject>,
    pods: Api<DynamicObject>,
    kubelet: Rc<RefCell<Kubelet>>,
    rng: Rng,
}

impl Deployments {
    pub(crate) fn new(
        server: &ApiServer,
        client: &Client,
        kubelet: Rc<RefCell<Kubelet>>,
        rng: Rng,
    ) -> Self {
        Self {
            server: server.clone(),
            all: api(client, "Deployment"),
            sets: api(client, "ReplicaSet"),
            pods: api(client, "Pod"),
            kubelet,
            rng,
        }
    }

    /// Works until it is aborted.
    pub(crate) async fn run(mut self) {
        let mut done = Vec::new();
        loop {
            let pause = self.rng.u64(5..80);
            sleep(Duration::from_millis(pause)).await;
            let now = versions(&self.server);
            if now == done && !self.starts_any() {
                continue;
            }
            done = now;
            self.start_pods().await;
            for deployment in self.server.objects("deployments.apps") {
                self.sync(&deployment).await;
            }
        }
    }

    fn starts_any(&self) -> bool {
        let pods = self.server.objects("pods");
        pods.iter().any(|pod| {
            let mut kubelet = self.kubelet.borrow_mut();
            kubelet.status(&self.server, pod).is_some()
        })
    }

    async fn start_pods(&self) {
        for pod in self.server.objects("pods") {
            let status = self.kubelet.borrow_mut().status(&self.server, &pod);
            if let Some(status) = status {
                kubelet::write(&self.pods, name(&pod), &status).await;
            }
        }
    }

    fn owned(&self, resource: &str, by: &Value) -> Vec<Arc<Value>> {
        let mut all = self.server.objects(resource);
        all.retain(|one| is_owned(one, by) && one["metadata"]["deletionTimestamp"].is_null());
        all
    }

    /// One step towards what a Deployment asks for. What fails is done at the next one.
    async fn sync(&self, deployment: &Value) {
        let mut sets = self.owned("replicasets.apps", deployment);
        sets.sort_by_key(|set| revision(set));
        let newest = sets.last().map_or(0, |set| revision(set));
        let template = &deployment["spec"]["template"];
        let Some(current) = sets.iter().find(|set| template_of(set) == *template) else {
            self.make_set(deployment, newest + 1).await;
            return;
        };
        let number = match revision(current) {
            older if older < newest => newest + 1,
            own => own,
        };
        self.copy_annotations(deployment, current, number).await;
        let new = self.owned("pods", current);
        let others = sets.iter().filter(|set| uid(set) != uid(current));
        let mut old = Vec::new();
        let mut idle = Vec::new();
        for set in others {
            let pods = self.owned("pods", set);
            if pods.is_empty() {
                idle.push(set);
            }
            old.extend(pods);
        }
        for set in idle.iter().take(idle.len().saturating_sub(HISTORY)) {
            drop(self.sets.delete(name(set), &DeleteParams::default()).await);
        }
        let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        let wanted = usize::try_from(wanted).unwrap();
        self.scale(current, wanted, &new, &old).await;
        self.write_status(deployment, number, &new, &old).await;
    }

    async fn write_status(
        &self,
        deployment: &Value,
        number: u64,
        new: &[Arc<Value>],
        old: &[Arc<Value>],
    ) {
        let ready = new.iter().chain(old).filter(|pod| is_ready(pod)).count();
        let status = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": new.len() + old.len(), "updatedReplicas": new.len(),
            "readyReplicas": ready, "availableReplicas": ready,
        });
        if deployment["status"] == status && revision(deployment) == number {
            return;
        }
        let mut written = deployment.clone();
        written["status"] = status;
        written["metadata"]["annotations"][REVISION] = json!(number.to_string());
        let written: DynamicObject = serde_json::from_value(written).unwrap();
        let params = PostParams::default();
        drop(
            self.all
                .replace_status(name(deployment), &params, &written)
                .await,
        );
    }

    /// Makes or removes one pod.
    async fn scale(&self, current: &Value, wanted: usize, new: &[Arc<Value>], old: &[Arc<Value>]) {
        let ready = new.iter().chain(old).filter(|pod| is_ready(pod)).count();
        let all = new.len() + old.len();
        if new.len() > wanted {
            self.remove(&new[new.len() - 1]).await;
        } else if let Some(stuck) = old.iter().find(|pod| !is_ready(pod)) {
            self.remove(stuck).await;
        } else if new.len() < wanted && all < wanted + 1 {
            self.make_pod(current).await;
        } else if let Some(last) = old.last()
            && ready > wanted
        {
            self.remove(last).await;
        }
    }

    async fn remove(&self, pod: &Value) {
        let params = DeleteParams::default().grace_period(0);
        drop(self.pods.delete(name(pod), &params).await);
    }

    async fn make_set(&self, deployment: &Value, revision: u64) {
        let mut annotations = copied(deployment);
        annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
        let name = format!("{}-{revision}", name(deployment));
        let mut template = deployment["spec"]["template"].clone();
        template["metadata"]["labels"]["pod-template-hash"] = json!(name);
        let labels = &template["metadata"]["labels"];
        let object = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "annotations": annotations, "labels": labels,
                "ownerReferences": [owner("Deployment", deployment)],
            },
            "spec": { "replicas": 0, "selector": { "matchLabels": labels }, "template": template },
        });
        create(&self.sets, object).await;
    }

    async fn copy_annotations(&self, deployment: &Value, set: &Value, revision: u64) {
        let mut annotations = copied(deployment);
        annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
        let mut all = annotations.iter();
        if all.any(|(key, value)| set["metadata"]["annotations"].get(key) != Some(value)) {
            let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
            drop(
                self.sets
                    .patch(name(set), &PatchParams::default(), &patch)
                    .await,
            );
        }
    }

    async fn make_pod(&self, set: &Value) {
        let template = &set["spec"]["template"];
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "generateName": format!("{}-", name(set)),
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [owner("ReplicaSet", set)],
            },
            "spec": template["spec"],
        });
        create(&self.pods, object).await;
    }
}

/// Returns what tells whether anything was written but Leases and Events.
pub(crate) fn versions(server: &ApiServer) -> Vec<String> {
    let resources = ["deployments.apps", "replicasets.apps", "secrets", "pods"];
    let all = resources
        .iter()
        .flat_map(|resource| server.objects(resource));
    all.map(|object| object["metadata"]["resourceVersion"].to_string())
        .collect()
}

async fn create(api: &Api<DynamicObject>, object: Value) {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    drop(api.create(&PostParams::default(), &object).await);
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(crate) fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(crate) fn is_owned(object: &Value, by: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| {
        owners
            .iter()
            .any(|owner| owner["uid"] == by["metadata"]["uid"])
    })
}

fn owner(kind: &str, of: &Value) -> Value {
    let version = "apps/v1";
    json!({
        "apiVersion": version, "kind": kind, "name": name(of), "uid": uid(of), "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// What is copied to a `ReplicaSet`: everything but what kubectl and the controller keep for themselves.
fn copied(deployment: &Value) -> Map<String, Value> {
    let mut all = deployment["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    all.remove(REVISION);
    all.remove("kubectl.kubernetes.io/last-applied-configuration");
    all
}

/// Returns a `ReplicaSet`'s template as the Deployment's that it was made of.
pub(crate) fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    template
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"][0]["status"] == "True"
}
