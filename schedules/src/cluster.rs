//! What a schedule works with: the API server, who uses it, and the source of chance and time.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use axum::Router;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use parking_lot::Mutex;
use reroll_simulation::api_server::{ApiServer, User};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    controllers::{Deployments, versions},
    kubelet::Kubelet,
    oracle::{Ledger, Marks, note_marks},
    reroll::Replica,
};

pub(crate) const NAMESPACE: &str = "shop";
const BEGIN: &str = "2026-01-01T00:00:00Z";

/// Everything of one schedule.
pub(crate) struct Cluster {
    pub(crate) rng: Rng,
    pub(crate) server: ApiServer,
    /// A person's.
    pub(crate) client: Client,
    pub(crate) kubelet: Rc<RefCell<Kubelet>>,
    pub(crate) ledger: Ledger,
    pub(crate) marks: Rc<RefCell<Marks>>,
    pub(crate) replica: Option<Replica>,
    /// The API server as reroll sees it: its watches may be late.
    pub(crate) view: ApiServer,
    /// What answers reviews while reroll runs, and whether the API server reaches it.
    pub(crate) webhook: Arc<Mutex<Option<Router>>>,
    pub(crate) reached: bool,
    /// Counts what is written, so that no value comes twice.
    pub(crate) count: u64,
    tells: bool,
    began: Instant,
}

/// Returns the time of day, which goes on with tokio's.
pub(crate) fn clock(began: Instant) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let first: Timestamp = BEGIN.parse().unwrap();
    Arc::new(move || first + SignedDuration::try_from(began.elapsed()).unwrap())
}

/// Returns the API of a kind in the namespace of all workloads.
pub(crate) fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let (group, plural) = match kind {
        "Deployment" => ("apps", "deployments"),
        "ReplicaSet" => ("apps", "replicasets"),
        "Secret" => ("", "secrets"),
        "Pod" => ("", "pods"),
        other => panic!("{other}"),
    };
    let gvk = GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

impl Cluster {
    pub(crate) fn new(seed: u64, tells: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (began, mut uids) = (Instant::now(), rng.fork());
        let now = clock(began);
        let uid = move || {
            let number = uids.u128(..);
            let hex = format!("{number:032x}");
            format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            )
        };
        let server = ApiServer::new(move || now(), uid);
        let client = server.client(User::new("person"));
        let view = server.lagging();
        view.keep_up();
        Self {
            kubelet: Rc::new(RefCell::new(Kubelet::default())),
            ledger: Ledger::default(),
            marks: Rc::default(),
            replica: None,
            view,
            webhook: Arc::default(),
            reached: true,
            count: 0,
            rng,
            server,
            client,
            tells,
            began,
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what());
        }
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Creates the namespaces, sources and workloads, and starts everybody.
    pub(crate) async fn begin(&mut self) {
        for name in [NAMESPACE, "reroll", "default"] {
            let labels = json!({ "kubernetes.io/metadata.name": name });
            let object = json!({ "metadata": { "name": name, "labels": labels } });
            let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(self.client.clone());
            let object = serde_json::from_value(object).unwrap();
            namespaces
                .create(&PostParams::default(), &object)
                .await
                .unwrap();
        }
        crate::reroll::register(&self.server).await;
        let controller = self.server.client(User::new(
            "system:serviceaccount:kube-system:deployment-controller",
        ));
        let deployments = Deployments::new(
            &self.server,
            &controller,
            Rc::clone(&self.kubelet),
            self.rng.fork(),
        );
        tokio::task::spawn_local(deployments.run());
        let marks = note_marks(api(&self.client, "Deployment"), Rc::clone(&self.marks));
        tokio::task::spawn_local(marks);
        self.create_all().await;
        self.start_reroll();
        self.rest(Duration::from_mins(2)).await;
    }

    pub(crate) async fn create(&self, kind: &str, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let created = api(&self.client, kind)
            .create(&PostParams::default(), &object)
            .await;
        created.unwrap();
    }

    /// Waits until nothing was written for this long but Leases.
    pub(crate) async fn rest(&self, calm: Duration) {
        let mut quiet = Duration::ZERO;
        let step = Duration::from_secs(1);
        let mut before = versions(&self.server);
        while quiet < calm {
            sleep(step).await;
            let now = versions(&self.server);
            quiet = if now == before {
                quiet + step
            } else {
                Duration::ZERO
            };
            before = now;
        }
    }
}
