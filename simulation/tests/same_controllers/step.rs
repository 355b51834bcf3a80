//! What people do in a story, and where it rests.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use reroll_simulation::controllers::undo;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// One step of a story.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request. Its path is in the namespace of the story.
    Ask(&'static str, String, Value),
    /// As `kubectl rollout undo`.
    Undo(Kind, &'static str, Option<i64>),
    /// Some of the pods with this label `app` are deleted.
    DeletePods(&'static str, usize),
    /// Waits until an object has a field.
    UntilSet(Kind, &'static str, &'static str),
    /// Waits until there are so many objects.
    UntilCount(Kind, usize),
    /// The namespace is deleted, and made again.
    NewNamespace,
    /// Nothing happens any more, and what there is is compared.
    Rest(String),
}

/// The kinds of the stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    Job,
    CronJob,
    Pod,
    ConfigMap,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ControllerRevision,
        Self::Job,
        Self::CronJob,
        Self::Pod,
        Self::ConfigMap,
    ];

    /// Returns the path in a namespace.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Deployment => "apps/v1/deployments",
            Self::ReplicaSet => "apps/v1/replicasets",
            Self::StatefulSet => "apps/v1/statefulsets",
            Self::DaemonSet => "apps/v1/daemonsets",
            Self::ControllerRevision => "apps/v1/controllerrevisions",
            Self::Job => "batch/v1/jobs",
            Self::CronJob => "batch/v1/cronjobs",
            Self::Pod => "v1/pods",
            Self::ConfigMap => "v1/configmaps",
        }
    }
}

/// A cluster to which a story is told.
pub(crate) struct Teller {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Teller {
    /// Does what a step says; a rest is not done here. Returns false where it waited in vain.
    pub(crate) async fn does(&self, step: &Step, patience: Duration) -> bool {
        match step {
            Step::Ask(method, path, body) => self.ask(method, path, body).await,
            Step::Undo(kind, name, to) => self.undo(*kind, name, *to).await,
            Step::DeletePods(app, count) => self.delete_pods(app, *count).await,
            Step::UntilSet(..) | Step::UntilCount(..) => {
                let began = Instant::now();
                while !self.is_there(step).await {
                    if began.elapsed() > patience {
                        return false;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
            Step::NewNamespace => {
                self.delete_namespace().await;
                while !self.namespace_is_gone().await {
                    sleep(Duration::from_millis(200)).await;
                }
                self.create_namespace().await;
            }
            Step::Rest(_) => {}
        }
        true
    }

    fn url(&self, path: &str) -> String {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, own) = if parts[0] == "v1" {
            ("api/v1".to_owned(), &parts[1..])
        } else {
            (format!("apis/{}/{}", parts[0], parts[1]), &parts[2..])
        };
        format!("/{group}/namespaces/{}/{}", self.namespace, own.join("/"))
    }

    pub(crate) async fn send(&self, method: &str, url: &str, body: &Value) -> (u16, Value) {
        let content = match (method, body) {
            ("PATCH", Value::Array(_)) => "application/json-patch+json",
            ("PATCH", _) => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("Content-Type", content)
            .body(Body::from(bytes))
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn list(&self, kind: Kind) -> Vec<Value> {
        let url = self.url(kind.path());
        let (_, list) = self.send("GET", &url, &Value::Null).await;
        list["items"].as_array().cloned().unwrap_or_default()
    }

    async fn get(&self, kind: Kind, name: &str) -> Value {
        let url = format!("{}/{name}", self.url(kind.path()));
        self.send("GET", &url, &Value::Null).await.1
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) {
        let (code, answer) = self.send(method, &self.url(path), body).await;
        assert!(code < 300, "{method} {path} {body}: {answer}");
    }

    pub(crate) async fn undo(&self, kind: Kind, name: &str, to: Option<i64>) {
        let object = self.get(kind, name).await;
        let patch = if kind == Kind::Deployment {
            let sets = self.list(Kind::ReplicaSet).await;
            undo::deployment(&object, &sets, to)
        } else {
            let revisions = self.list(Kind::ControllerRevision).await;
            undo::by_history(&object, &revisions, to)
        };
        let patch = patch.expect("there is something to undo");
        let at = format!("{}/{name}", kind.path());
        self.ask("PATCH", &at, &patch).await;
    }

    pub(crate) async fn delete_pods(&self, app: &str, count: usize) {
        let mut pods = self.list(Kind::Pod).await;
        pods.retain(|pod| {
            pod["metadata"]["labels"]["app"] == app
                && pod["metadata"].get("deletionTimestamp").is_none()
        });
        assert!(pods.len() >= count, "{app} has {} pods", pods.len());
        for pod in pods.iter().take(count) {
            let path = format!("v1/pods/{}", pod["metadata"]["name"].as_str().unwrap());
            self.ask("DELETE", &path, &Value::Null).await;
        }
    }

    /// Whether a step of waiting is over.
    pub(crate) async fn is_there(&self, step: &Step) -> bool {
        match step {
            Step::UntilSet(kind, name, pointer) => {
                let object = self.get(*kind, name).await;
                object.pointer(pointer).is_some()
            }
            Step::UntilCount(kind, count) => self.list(*kind).await.len() == *count,
            _ => true,
        }
    }

    pub(crate) async fn create_namespace(&self) -> u16 {
        let object = json!({ "metadata": { "name": self.namespace } });
        self.send("POST", "/api/v1/namespaces", &object).await.0
    }

    pub(crate) async fn delete_namespace(&self) {
        let url = format!("/api/v1/namespaces/{}", self.namespace);
        let (code, answer) = self.send("DELETE", &url, &Value::Null).await;
        assert!(code < 300, "{answer}");
    }

    pub(crate) async fn namespace_is_gone(&self) -> bool {
        let url = format!("/api/v1/namespaces/{}", self.namespace);
        self.send("GET", &url, &Value::Null).await.0 == 404
    }
}
