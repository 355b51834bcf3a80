//! A node whose kubelet is the test: pods run nowhere, and it writes the statuses that a real kubelet wrote for pods that
//! behaved so (`tests/node/bad_values.json`). What a pod does follows from the value of a Secret or ConfigMap when it started.
//!
//! Pods come here by `nodeName`, so no scheduler is asked, from any namespace.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::Arena;

/// How often a kubelet says that its node lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a pod does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaves {
    /// It runs, and is ready.
    Well,
    /// A key that its container needs is missing.
    ConfigError,
    /// Its container ends at once, again and again.
    EndsAtOnce,
    /// Its container ends after so long, again and again.
    EndsAfter(Duration),
    /// It runs, and is ready after so long.
    ReadyAfter(Duration),
    /// It runs and is never ready.
    NeverReady,
}

/// A node, until it is dropped.
pub struct Kubelet {
    /// The node's name.
    pub node: String,
    tasks: JoinSet<()>,
}

/// What decides how pods behave: the value of a key of a Secret or ConfigMap.
#[derive(Clone)]
struct Rule {
    client: Client,
    behaviour: Arc<dyn Fn(&str) -> Behaves + Send + Sync>,
}

impl Kubelet {
    /// Joins the cluster. How a pod behaves follows from the value that its first variable has when it starts.
    pub async fn join(
        arena: &Arena,
        behaviour: impl Fn(&str) -> Behaves + Send + Sync + 'static,
    ) -> Self {
        Self::join_as(arena, "node", behaviour).await
    }

    /// The same, for one more node: with a name that ends so.
    pub async fn join_as(
        arena: &Arena,
        name: &str,
        behaviour: impl Fn(&str) -> Behaves + Send + Sync + 'static,
    ) -> Self {
        let node = format!("{}-{name}", arena.namespace);
        let nodes = Api::<Node>::all(arena.client.clone());
        let object = json!({
            "metadata": { "name": node, "labels": { "kubernetes.io/hostname": node } },
            "spec": { "taints": [{ "key": "tests", "value": "kubelet", "effect": "NoSchedule" }] },
        });
        let object = serde_json::from_value(object).unwrap();
        nodes.create(&PostParams::default(), &object).await.unwrap();
        let rule = Rule {
            client: arena.client.clone(),
            behaviour: Arc::new(behaviour),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(beat(nodes, node.clone()));
        tasks.spawn(look_after(rule, node.clone()));
        Self { node, tasks }
    }

    /// Its node goes down: whatever happens to its pods, nobody says so.
    pub async fn goes_down(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Returns a workload whose pods come here, so many of them.
    pub fn runs(&self, mut manifest: Value, replicas: usize) -> Value {
        let kind = manifest["kind"].as_str().unwrap_or_default().to_owned();
        let spec = &mut manifest["spec"];
        match kind.as_str() {
            "DaemonSet" => {}
            // A longer one counts in place of reroll's.
            "Deployment" => {
                spec["replicas"] = json!(replicas);
                spec["progressDeadlineSeconds"] = json!(5);
            }
            _ => spec["replicas"] = json!(replicas),
        }
        spec["template"]["spec"]["nodeName"] = json!(self.node);
        spec["template"]["spec"]["nodeSelector"] = json!(null);
        spec["template"]["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        spec["template"]["spec"]["terminationGracePeriodSeconds"] = json!(0);
        manifest
    }
}

async fn beat(nodes: Api<Node>, name: String) {
    loop {
        let now = now();
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a test plays the kubelet",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        });
        let room = json!({ "cpu": "1000", "memory": "1000Gi", "pods": "1000" });
        let status = json!({ "conditions": [condition], "capacity": room, "allocatable": room });
        let patch = Patch::Strategic(json!({ "status": status }));
        drop(
            nodes
                .patch_status(&name, &PatchParams::default(), &patch)
                .await,
        );
        sleep(HEARTBEAT).await;
    }
}

async fn look_after(rule: Rule, node: String) {
    let pods = Api::<Pod>::all(rule.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut events = watcher(pods, config).default_backoff().boxed();
    let mut lives = JoinSet::new();
    let mut known: BTreeMap<String, CancellationToken> = BTreeMap::new();
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) = event else {
            continue;
        };
        let (uid, name) = (pod.uid().unwrap(), pod.name_any());
        let pods = Api::<Pod>::namespaced(rule.client.clone(), &pod.namespace().unwrap());
        if pod.metadata.deletion_timestamp.is_some() {
            if let Some(stop) = known.get(&uid) {
                stop.cancel();
            }
            let now = DeleteParams::default().grace_period(0);
            lives.spawn(async move { drop(pods.delete(&name, &now).await) });
            continue;
        }
        if let Entry::Vacant(unknown) = known.entry(uid) {
            let stop = unknown.insert(CancellationToken::new()).clone();
            let rule = rule.clone();
            lives.spawn(async move {
                stop.run_until_cancelled(live(rule, pods, pod)).await;
            });
        }
    }
}

async fn live(rule: Rule, pods: Api<Pod>, pod: Pod) {
    let value = rule.value(&pod).await;
    let behaves = (rule.behaviour)(&value);
    let write = async |status: Value| {
        let patch = Patch::Strategic(json!({ "status": status }));
        drop(
            pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
                .await,
        );
    };
    let mut last = json!({});
    let mut restarts = 0;
    loop {
        let started = now();
        let running = json!({ "running": { "startedAt": started } });
        let runs_for = match behaves {
            Behaves::Well => None,
            Behaves::ConfigError => {
                let waiting = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "couldn't find key k in Secret" } });
                return write(status(false, "Pending", &waiting, 0, &last)).await;
            }
            Behaves::ReadyAfter(after) => {
                write(status(false, "Running", &running, 0, &last)).await;
                sleep(after).await;
                None
            }
            Behaves::NeverReady => {
                return write(status(false, "Running", &running, 0, &last)).await;
            }
            Behaves::EndsAtOnce => Some(Duration::ZERO),
            Behaves::EndsAfter(after) => Some(after),
        };
        write(status(
            runs_for != Some(Duration::ZERO),
            "Running",
            &running,
            restarts,
            &last,
        ))
        .await;
        let Some(runs_for) = runs_for else {
            return;
        };
        sleep(runs_for).await;
        last = json!({ "terminated": { "reason": "Error", "exitCode": 3, "startedAt": started, "finishedAt": now() } });
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off restarting failed container" } });
        write(status(false, "Running", &waiting, restarts, &last)).await;
        // A kubelet waits for longer each time.
        sleep(Duration::from_secs(1 << restarts.min(6))).await;
        restarts += 1;
    }
}

impl Rule {
    async fn value(&self, pod: &Pod) -> String {
        let variables = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.containers[0].env.clone());
        let from = variables
            .into_iter()
            .flatten()
            .find_map(|one| one.value_from);
        let Some(from) = from else {
            return String::new();
        };
        let namespace = pod.namespace().unwrap();
        loop {
            let value = if let Some(from) = &from.secret_key_ref {
                let secrets = Api::<Secret>::namespaced(self.client.clone(), &namespace);
                let data = secrets.get_opt(&from.name).await.ok().flatten();
                let value = data.and_then(|data| data.data?.remove(&from.key));
                value.map(|value| String::from_utf8(value.0).unwrap_or_default())
            } else if let Some(from) = &from.config_map_key_ref {
                let maps = Api::<ConfigMap>::namespaced(self.client.clone(), &namespace);
                let data = maps.get_opt(&from.name).await.ok().flatten();
                data.and_then(|data| data.data?.remove(&from.key))
            } else {
                Some(String::new())
            };
            if let Some(value) = value {
                return value;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn status(ready: bool, phase: &str, state: &Value, restarts: u32, last: &Value) -> Value {
    let word = if ready { "True" } else { "False" };
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status, "lastTransitionTime": now() });
    json!({
        "phase": phase, "startTime": now(),
        "conditions": [
            condition("PodScheduled", "True"), condition("Initialized", "True"),
            condition("ContainersReady", word), condition("Ready", word),
        ],
        "containerStatuses": [{
            "name": "containers-0", "image": "i", "imageID": "i", "ready": ready, "started": ready,
            "restartCount": restarts, "state": state, "lastState": last,
        }],
    })
}

#[expect(clippy::disallowed_methods, reason = "a kubelet has a clock")]
fn now() -> String {
    let now = std::time::SystemTime::now();
    k8s_openapi::jiff::Timestamp::try_from(now)
        .unwrap()
        .to_string()
}
