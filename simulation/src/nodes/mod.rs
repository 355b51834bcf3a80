//! The nodes of a cluster: a scheduler, and on each node a kubelet.
//!
//! A kubelet starts a pod when what it needs is there, and notes which version of each Secret and ConfigMap its
//! containers started with. Whether the pod becomes ready then, never does, or crashes, a function of the test says, by
//! these versions. What is immutable a kubelet reads once, and again only when no pod on its node has named it for a
//! moment, as the real one does.

mod kubelet;
mod needs;
mod scheduler;
mod started;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fastrand::Rng;
use futures::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use self::{kubelet::Kubelet, scheduler::Scheduler};
pub use self::{
    needs::{Need, Source, SourceKind, Way, needs},
    started::{Missing, Started, Version},
};
use crate::{
    api_server::{ApiServer, User, direct::Component, direct::Named},
    controllers::{Delays, Loop, objects::Kind},
};

/// What becomes of a pod's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are ready. Those of a Job end well.
    Ready,
    /// They run, and are never ready.
    NeverReady,
    /// They are ready, and crash so long after they started.
    CrashesAfter(Duration),
    /// They are not made: their configuration is wrong. Their kubelet tries again.
    NoConfig,
}

/// What becomes of a pod, by what its containers started with.
pub type Behaviour = Arc<dyn Fn(&Value, &Started) -> Outcome + Send + Sync>;

/// What the kubelets have in common.
struct Shared {
    behaviour: Mutex<Behaviour>,
    /// By the pod's uid, in the order of the starts.
    starts: Mutex<BTreeMap<String, Vec<Started>>>,
}

impl Shared {
    fn note(&self, pod: &Value, started: Started) {
        let uid = crate::controllers::objects::uid(pod).to_owned();
        self.starts.lock().entry(uid).or_default().push(started);
    }
}

/// The nodes of a cluster.
pub struct Nodes {
    server: ApiServer,
    shared: Arc<Shared>,
    scheduler: Loop,
    kubelets: BTreeMap<String, Loop>,
}

impl Nodes {
    /// Makes nodes of these names in the cluster of an API server.
    pub fn new(
        server: &ApiServer,
        names: &[&str],
        rng: &mut Rng,
        delays: &Delays,
        behaviour: Behaviour,
    ) -> Self {
        let user = User::new("system:kube-scheduler");
        let scheduler = Loop::new(server, user, "kube-scheduler", rng, delays);
        let kubelet = |name: &&str| {
            let user = User {
                name: format!("system:node:{name}"),
                groups: ["system:nodes", "system:authenticated"]
                    .map(str::to_owned)
                    .to_vec(),
            };
            let own = Loop::new(server, user, "kubelet", rng, delays);
            ((*name).to_owned(), own)
        };
        Self {
            server: server.clone(),
            shared: Arc::new(Shared {
                behaviour: Mutex::new(behaviour),
                starts: Mutex::default(),
            }),
            scheduler,
            kubelets: names.iter().map(kubelet).collect(),
        }
    }

    /// Creates the Nodes that are not there yet.
    pub async fn register(&self) {
        for name in self.kubelets.keys() {
            let by = Component {
                user: User::new(format!("system:node:{name}")),
                manager: "kubelet",
            };
            let at = Named {
                row: Kind::Node.row(),
                namespace: None,
                name: "",
                subresource: None,
            };
            let node = json!({ "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } } });
            drop(self.server.create_as(&by, at, node).await);
        }
    }

    /// Lets them work until this is dropped.
    pub async fn run(&self) {
        let kubelets = self.kubelets.iter().map(|(name, own)| {
            let kubelet = Kubelet::new(name, Arc::clone(&self.shared));
            own.run(kubelet)
        });
        let scheduler = self.scheduler.run(Scheduler);
        let all = kubelets.chain([scheduler]);
        all.collect::<FuturesUnordered<_>>().collect::<()>().await;
    }

    /// Says what becomes of pods whose containers start from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock() = behaviour;
    }

    /// Returns what containers started with, by the pod's uid, the first start first.
    pub fn starts(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Started>>> {
        self.shared.starts.lock()
    }

    /// Lets the kubelet of a node be away, or come back: then it has forgotten what it read. The pods run on.
    pub fn set_away(&self, node: &str, away: bool) {
        if let Some(own) = self.kubelets.get(node) {
            own.set_away(away);
        }
    }

    /// Lets the scheduler be away, or come back.
    pub fn set_scheduler_away(&self, away: bool) {
        self.scheduler.set_away(away);
    }

    /// Returns the API server as the kubelet of a node sees it: it may fall behind.
    pub fn view(&self, node: &str) -> Option<&ApiServer> {
        self.kubelets.get(node).map(|own| &own.access.view)
    }
}
