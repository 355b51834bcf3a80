//! A node of the cluster whose kubelet is the test: it runs the pods that are scheduled to it as processes of reroll's
//! binary.
//!
//! kwok runs the other nodes. This one has a taint, so that only pods that tolerate it come here.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::Arena;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::pod;

/// How often a kubelet says that its node lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A node, until it is dropped: then its processes are killed.
pub struct Node {
    pub name: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What the node's pods have in common.
pub struct Shared {
    pub client: Client,
    /// Where pods find the API server.
    pub server: String,
    /// Volumes and kubeconfigs.
    pub folder: tempfile::TempDir,
    /// The logs, kept for people when the test ends.
    pub logs: PathBuf,
    /// By uid, those that are there.
    pub pods: Mutex<BTreeMap<String, Known>>,
    /// What must not happen to a pod, and did.
    pub mishaps: Mutex<Vec<String>>,
}

/// A pod of the node.
#[derive(Clone)]
pub struct Known {
    /// Where it listens.
    pub address: Ipv4Addr,
    pub ready: bool,
    stop: CancellationToken,
}

impl Node {
    /// Joins the cluster. Pods go to the API server by this URL, or straight.
    pub async fn join(arena: &Arena, server: Option<String>) -> Self {
        let name = format!("{}-node", arena.namespace);
        let logs = std::env::temp_dir().join(format!("reroll-tests-{}", std::process::id()));
        std::fs::create_dir_all(&logs).unwrap();
        let straight = arena.cluster.config().await.cluster_url.to_string();
        let shared = Arc::new(Shared {
            client: arena.client.clone(),
            server: server.unwrap_or(straight),
            folder: tempfile::tempdir().unwrap(),
            logs: logs.join(format!("{}.log", arena.namespace)),
            pods: Mutex::default(),
            mishaps: Mutex::default(),
        });
        let node = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
            "spec": { "taints": [{ "key": "tests", "value": "install", "effect": "NoSchedule" }] },
        });
        let nodes = Api::<NodeObject>::all(arena.client.clone());
        let node = serde_json::from_value(node).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(beat(nodes, name.clone()));
        let first = first_address(arena.cluster.name());
        tasks.spawn(look_after(Arc::clone(&shared), name.clone(), first));
        Self {
            name,
            shared,
            _tasks: tasks,
        }
    }

    /// Those that run and are ready.
    pub fn ready(&self) -> Vec<Known> {
        let pods = self.shared.pods.lock().unwrap();
        pods.values().filter(|pod| pod.ready).cloned().collect()
    }

    /// How many there are, ready or not.
    pub fn count(&self) -> usize {
        self.shared.pods.lock().unwrap().len()
    }

    /// All that its pods have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.shared.logs).unwrap_or_default()
    }

    /// Where that is.
    pub fn logs(&self) -> &std::path::Path {
        &self.shared.logs
    }

    /// No container ended by itself, was killed, or ended badly.
    #[track_caller]
    pub fn expect_no_mishap(&self) {
        let mishaps = self.shared.mishaps.lock().unwrap();
        assert!(
            mishaps.is_empty(),
            "{mishaps:#?}, see {}",
            self.shared.logs.display()
        );
    }
}

/// The address where a pod listens that has this one in the API: Endpoints must not have one of the loopback network.
pub fn on_loopback(ip: Ipv4Addr) -> Ipv4Addr {
    let [_, rest @ ..] = ip.octets();
    Ipv4Addr::new(127, rest[0], rest[1], rest[2])
}

/// As `tests/cluster/up` gives each cluster 4096 addresses for its Services, so this does for pods, below those.
fn first_address(cluster: &str) -> u32 {
    let number: u32 = cluster.rsplit_once('-').unwrap().1.parse().unwrap();
    u32::from(Ipv4Addr::new(127, 0, 0, 0)) + number * 4096 + 16
}

async fn beat(nodes: Api<NodeObject>, name: String) {
    loop {
        let now = reroll::state::system_clock()().to_string();
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a test runs pods here",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        });
        let room = json!({ "cpu": "100", "memory": "100Gi", "pods": "100" });
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

/// Runs every pod that the scheduler puts here, until it is deleted.
async fn look_after(shared: Arc<Shared>, node: String, first: u32) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pods = Api::<Pod>::all(shared.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut events = watcher(pods, config).default_backoff().boxed();
    let mut running = JoinSet::new();
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) = event else {
            continue;
        };
        let uid = pod.uid().unwrap();
        let deleted = pod.metadata.deletion_timestamp.is_some();
        if let Some(known) = shared.pods.lock().unwrap().get(&uid) {
            if deleted {
                known.stop.cancel();
            }
            continue;
        }
        if deleted {
            continue;
        }
        let number = first + COUNT.fetch_add(1, Ordering::Relaxed);
        let known = Known {
            address: Ipv4Addr::from(number),
            ready: false,
            stop: CancellationToken::new(),
        };
        let stop = known.stop.clone();
        let address = known.address;
        shared.pods.lock().unwrap().insert(uid, known);
        running.spawn(pod::live(Arc::clone(&shared), pod, address, stop));
    }
}

/// GET from a port of a pod: the status and the body.
pub async fn get(address: Ipv4Addr, port: i32, path: &str) -> Option<(u16, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let get = async {
        let mut stream = tokio::net::TcpStream::connect(format!("{address}:{port}"))
            .await
            .ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: reroll\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    };
    tokio::time::timeout(Duration::from_secs(3), get)
        .await
        .ok()?
}

/// What a status is patched to.
pub fn status(value: &Value) -> Patch<Value> {
    Patch::Strategic(json!({ "status": value }))
}
