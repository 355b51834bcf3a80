//! Pods that run on simulated nodes: when each was created, compared exactly, and rollouts that are held in the middle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Arena, eventually, workload};

/// The name of the quota that holds rollouts.
const HOLD: &str = "hold";

/// When each pod was created, as the resourceVersion of its creation. All objects of a cluster share one count of
/// resourceVersions, so this is compared exactly with the last write of a Secret.
pub struct Pods {
    born: Arc<Mutex<BTreeMap<String, u64>>>,
    /// The `app` label of each, and what names its revision, but for those of Deployments.
    apps: Arc<Mutex<BTreeMap<String, (String, String)>>>,
    _watch: JoinSet<()>,
}

impl Pods {
    /// Watches from now on. A pod that is there already counts as older than everything.
    pub async fn watch(arena: &Arena) -> Self {
        let born: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let listed = Arc::new(Mutex::new(false));
        let mut watch = JoinSet::new();
        let api = Api::<Pod>::namespaced(arena.client.clone(), &arena.namespace);
        let apps: Arc<Mutex<BTreeMap<String, (String, String)>>> = Arc::default();
        let (all, done, labels) = (Arc::clone(&born), Arc::clone(&listed), Arc::clone(&apps));
        watch.spawn(async move {
            let mut events = watcher(api, watcher::Config::default())
                .default_backoff()
                .boxed();
            while let Some(event) = events.next().await {
                let (pod, first_seen) = match event {
                    Ok(watcher::Event::InitApply(pod)) => (pod, 0),
                    // The first that a watch shows of a pod is how it was created.
                    Ok(watcher::Event::Apply(pod)) => {
                        let created = pod.resource_version().unwrap().parse().unwrap();
                        (pod, created)
                    }
                    Ok(watcher::Event::InitDone) => {
                        *done.lock().unwrap() = true;
                        continue;
                    }
                    _ => continue,
                };
                let uid = pod.uid().unwrap();
                if let Some(app) = pod.labels().get("app") {
                    let revision = pod.labels().get("controller-revision-hash");
                    let made = (app.clone(), revision.cloned().unwrap_or_default());
                    labels.lock().unwrap().insert(uid.clone(), made);
                }
                all.lock().unwrap().entry(uid).or_insert(first_seen);
            }
        });
        eventually("the pods are watched", async || {
            listed.lock().unwrap().then_some(())
        })
        .await;
        Self {
            born,
            apps,
            _watch: watch,
        }
    }

    /// The revisions of all pods with this `app` label that there have ever been, one for each pod.
    pub fn ever(&self, app: &str) -> Vec<String> {
        let apps = self.apps.lock().unwrap();
        let own = apps.values().filter(|(one, _)| one == app);
        own.map(|(_, revision)| revision.clone()).collect()
    }

    /// Waits until a workload's rollout is complete. Returns the resourceVersion at which its oldest pod was created.
    pub async fn oldest(&self, arena: &Arena, kind: &str, name: &str) -> u64 {
        eventually(&format!("{kind} {name} has rolled out"), async || {
            let wanted = rolled_out(arena, kind, name).await?;
            let alive = alive(arena, name).await;
            let born = self.born.lock().unwrap();
            let births: Option<Vec<u64>> = alive.iter().map(|uid| born.get(uid).copied()).collect();
            let births = births.filter(|births| births.len() == wanted)?;
            births.into_iter().min()
        })
        .await
    }

    /// Checks, once a workload's rollout is complete, that each of its pods was created after a write of this version.
    pub async fn are_later(&self, arena: &Arena, kind: &str, name: &str, version: u64) {
        let oldest = self.oldest(arena, kind, name).await;
        assert!(
            oldest > version,
            "{kind}: a pod of {oldest}, Secret of {version}"
        );
    }
}

/// Returns how many pods the workload has, if all are of its newest revision, ready, and the only ones.
async fn rolled_out(arena: &Arena, kind: &str, name: &str) -> Option<usize> {
    let object = arena.get(kind, name).await;
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    if status["observedGeneration"].as_i64() != object.metadata.generation {
        return None;
    }
    let (wanted, counts) = match kind {
        "DaemonSet" => (
            &status["desiredNumberScheduled"],
            ["updatedNumberScheduled", "numberAvailable"].as_slice(),
        ),
        _ => (
            &spec["replicas"],
            ["updatedReplicas", "replicas", "readyReplicas"].as_slice(),
        ),
    };
    let wanted = wanted.as_u64().filter(|count| *count > 0)?;
    let reached = counts
        .iter()
        .all(|count| status[count].as_u64() == Some(wanted));
    reached.then(|| usize::try_from(wanted).unwrap())
}

async fn alive(arena: &Arena, name: &str) -> Vec<String> {
    let pods = Api::<Pod>::namespaced(arena.client.clone(), &arena.namespace);
    let params = ListParams::default().labels(&format!("app={name}"));
    let list = pods.list(&params).await.unwrap();
    list.items.iter().filter_map(ResourceExt::uid).collect()
}

/// A workload that really runs two pods, or one on each of the cluster's nodes.
pub fn running(kind: &str, name: &str, annotations: &[(&str, &str)], pod: Value) -> Value {
    let mut manifest = workload(kind, name, annotations, pod);
    if kind == "DaemonSet" {
        manifest["spec"]["template"]["spec"]
            .as_object_mut()
            .unwrap()
            .remove("nodeSelector");
    } else {
        manifest["spec"]["replicas"] = json!(2);
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    }
    manifest
}

impl Arena {
    /// Waits until a workload's rollout is complete.
    pub async fn complete(&self, kind: &str, name: &str) {
        eventually(&format!("{kind} {name} has rolled out"), async || {
            let wanted = rolled_out(self, kind, name).await?;
            (alive(self, name).await.len() == wanted).then_some(())
        })
        .await;
    }

    /// The resourceVersion of an object.
    pub async fn version(&self, kind: &str, name: &str) -> u64 {
        let object = self.get(kind, name).await;
        object.resource_version().unwrap().parse().unwrap()
    }

    /// Holds every rollout in the middle: pods go, and no controller can create new ones.
    pub async fn hold_rollouts(&self) {
        let quota = json!({ "metadata": { "name": HOLD }, "spec": { "hard": { "pods": "0" } } });
        self.quotas()
            .create(
                &PostParams::default(),
                &serde_json::from_value(quota).unwrap(),
            )
            .await
            .unwrap();
        eventually("no pod can be made", async || {
            (!self.pods_can_be_made().await).then_some(())
        })
        .await;
    }

    /// Lets rollouts go on.
    pub async fn release_rollouts(&self) {
        self.quotas()
            .delete(HOLD, &DeleteParams::default())
            .await
            .unwrap();
        eventually("pods can be made", async || {
            self.pods_can_be_made().await.then_some(())
        })
        .await;
        self.hurry_controllers().await;
    }

    /// Controllers that failed wait long until they try again, but look at once when a pod or a ReplicaSet changes.
    pub async fn hurry_controllers(&self) {
        let label = json!({ "metadata": { "labels": { "released": "true" } } });
        for kind in ["Pod", "ReplicaSet"] {
            let api = self.api(kind);
            for object in api.list(&ListParams::default()).await.unwrap() {
                let (params, patch) = (PatchParams::default(), Patch::Merge(&label));
                // It may be gone by now.
                drop(api.patch(&object.name_any(), &params, &patch).await);
            }
        }
    }

    fn quotas(&self) -> Api<ResourceQuota> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn pods_can_be_made(&self) -> bool {
        let pod = json!({
            "metadata": { "generateName": "probe-" },
            "spec": { "containers": [{ "name": "main", "image": "registry.example/app:1" }] },
        });
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        Api::<Pod>::namespaced(self.client.clone(), &self.namespace)
            .create(&dry_run, &serde_json::from_value(pod).unwrap())
            .await
            .is_ok()
    }

    /// Waits until a rollout is under way and cannot go on: its revision exists, its pods do not.
    pub async fn in_the_middle(&self, kind: &str, name: &str, revisions: usize) {
        let owned = if kind == "Deployment" {
            "ReplicaSet"
        } else {
            "ControllerRevision"
        };
        eventually(&format!("{kind} {name} is in the middle"), async || {
            let object = self.get(kind, name).await;
            let status = &object.data["status"];
            let ready = match kind {
                "DaemonSet" => &status["numberAvailable"],
                _ => &status["readyReplicas"],
            };
            let old_pods = ready.as_u64().unwrap_or(0) > 0;
            let seen = status["observedGeneration"].as_i64() == object.metadata.generation;
            let list = self.api(owned).list(&ListParams::default()).await.unwrap();
            let uid = object.uid().unwrap();
            let own = |owned: &&kube::api::DynamicObject| {
                owned
                    .owner_references()
                    .iter()
                    .any(|owner| owner.uid == uid)
            };
            let made = list.items.iter().filter(own).count() >= revisions;
            (old_pods && seen && made).then_some(())
        })
        .await;
    }
}
