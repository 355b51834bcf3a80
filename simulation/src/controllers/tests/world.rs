//! A cluster for a test.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    api_server::{
        ApiServer, User,
        direct::{Component, Named},
        patch::Change,
        resources::ROWS,
    },
    controllers::{Controllers, Delays},
    nodes::{Nodes, Outcome},
};

pub(super) struct World {
    pub(super) server: ApiServer,
    pub(super) controllers: Controllers,
    pub(super) nodes: Nodes,
    by: Component,
}

/// Runs a story in a cluster of three nodes, on a clock that jumps.
pub(super) fn run(seed: u64, story: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(seed);
        world.nodes.register().await;
        for name in ["default", "n"] {
            world
                .create_in("namespaces", None, json!({ "metadata": { "name": name } }))
                .await;
        }
        tokio::select! {
            () = story(&world) => {}
            () = world.controllers.run() => {}
            () = world.nodes.run() => {}
        }
    });
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let server = ApiServer::seeded("2026-01-01T00:00:00Z".parse().unwrap(), &mut rng);
        let delays = Delays::default();
        let ready = Arc::new(|_: &Value, _: &_| Outcome::Ready);
        let nodes = ["node-0", "node-1", "node-2"];
        Self {
            controllers: Controllers::new(&server, &mut rng, &delays),
            nodes: Nodes::new(&server, &nodes, &mut rng, &delays, ready),
            by: Component {
                user: User::new("person"),
                manager: "kubectl",
            },
            server,
        }
    }

    async fn create_in(&self, resource: &str, namespace: Option<&str>, object: Value) {
        let at = named(resource, namespace, "");
        self.server.create_as(&self.by, at, object).await.unwrap();
    }

    pub(super) async fn create(&self, resource: &str, object: Value) {
        self.create_in(resource, Some("n"), object).await;
    }

    pub(super) async fn patch(&self, resource: &str, name: &str, patch: Value) {
        let at = named(resource, Some("n"), name);
        let change = Change::Merge(patch);
        self.server.change_as(&self.by, at, change).await.unwrap();
    }

    pub(super) async fn delete(&self, resource: &str, name: &str, options: Value) {
        let at = named(resource, Some("n"), name);
        self.server.delete_as(&self.by, at, &options).await.unwrap();
    }

    pub(super) fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        self.server.objects(resource)
    }

    pub(super) fn get(&self, resource: &str, name: &str) -> Arc<Value> {
        let mut all = self.objects(resource).into_iter();
        all.find(|one| one["metadata"]["name"] == name).unwrap()
    }

    fn pods_of(&self, app: &str) -> Vec<Arc<Value>> {
        let mut pods = self.objects("pods");
        pods.retain(|pod| pod["metadata"]["labels"]["app"] == app);
        pods
    }

    /// Returns how many pods an app has.
    pub(super) fn pods(&self, app: &str) -> usize {
        self.pods_of(app).len()
    }

    /// Returns the value of the only key of the Secret that each pod of an app started with the last time.
    pub(super) fn values(&self, app: &str) -> Vec<String> {
        let starts = self.nodes.starts();
        let value = |pod: &Arc<Value>| {
            let last = starts
                .get(pod["metadata"]["uid"].as_str().unwrap())
                .unwrap();
            let version = last.last().unwrap().versions.values().next().unwrap();
            let version = version.as_ref().unwrap();
            (*version.data().get("k").unwrap()).to_owned()
        };
        self.pods_of(app).iter().map(value).collect()
    }

    /// Waits until nothing has been written for two minutes.
    pub(super) async fn rest(&self) {
        loop {
            let before = self.server.revision();
            sleep(Duration::from_mins(2)).await;
            if self.server.revision() == before {
                return;
            }
        }
    }
}

fn named<'a>(resource: &str, namespace: Option<&'a str>, name: &'a str) -> Named<'a> {
    let row = ROWS.iter().position(|row| row.qualified() == resource);
    Named {
        row: row.unwrap(),
        namespace,
        name,
        subresource: None,
    }
}

pub(super) fn secret(name: &str, value: &str) -> Value {
    json!({ "metadata": { "name": name }, "stringData": { "k": value } })
}

fn template(app: &str) -> Value {
    let secret = json!({ "secretRef": { "name": "s" } });
    let container = json!({ "name": "app", "image": "app:1", "envFrom": [secret] });
    json!({ "metadata": { "labels": { "app": app } }, "spec": { "containers": [container] } })
}

fn workload(name: &str) -> Value {
    let selector = json!({ "matchLabels": { "app": name } });
    json!({ "metadata": { "name": name }, "spec": { "selector": selector, "template": template(name) } })
}

pub(super) fn deployment(name: &str, replicas: u32) -> Value {
    let mut workload = workload(name);
    workload["spec"]["replicas"] = json!(replicas);
    workload
}

pub(super) fn stateful_set(name: &str, replicas: u32) -> Value {
    let mut workload = deployment(name, replicas);
    workload["spec"]["serviceName"] = json!(name);
    workload
}

pub(super) fn daemon_set(name: &str) -> Value {
    workload(name)
}

/// Returns the reason of a condition.
pub(super) fn reason<'a>(object: &'a Value, condition: &str) -> &'a str {
    let found = crate::controllers::objects::condition(object, condition);
    found
        .and_then(|one| one["reason"].as_str())
        .unwrap_or("none")
}

pub(super) fn sum(text: &str) -> u64 {
    text.bytes().fold(7, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

fn job_spec() -> Value {
    let mut template = template("j");
    template["spec"]["restartPolicy"] = json!("Never");
    json!({ "template": template })
}

pub(super) fn job(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": job_spec() })
}

pub(super) fn cron_job(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "schedule": "*/5 * * * *", "jobTemplate": { "spec": job_spec() } } })
}

impl World {
    pub(super) async fn delete_namespace(&self) {
        let at = named("namespaces", None, "n");
        self.server
            .delete_as(&self.by, at, &json!({}))
            .await
            .unwrap();
    }

    pub(super) fn uids(&self, resource: &str) -> Vec<String> {
        let all = self.objects(resource);
        let all = all.iter().map(|one| one["metadata"]["uid"].to_string());
        all.collect()
    }
}
