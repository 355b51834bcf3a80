//! A test's own two namespaces: one for its workloads, one for its reroll.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{Recorder, RerollBuilder, cluster::Cluster, eventually};

/// A test's namespaces in the shared cluster.
pub struct Arena {
    /// Where its workloads are.
    pub namespace: String,
    /// Where its reroll keeps the digest key.
    pub own_namespace: String,
    /// The administrator's.
    pub client: Client,
    /// Where all of this is.
    pub cluster: &'static Cluster,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Whether it succeeded.
    pub ok: bool,
}

impl Said {
    /// The command must have succeeded.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "it is the check that most want"
    )]
    pub fn ok(self) -> Self {
        assert!(self.ok, "failed: {}{}", self.out, self.err);
        self
    }
}

impl Arena {
    /// In the cluster that all tests of this process share.
    pub async fn new(name: &str) -> Self {
        Self::on(Cluster::shared(), name).await
    }

    /// In a cluster of its own, which the test may break. It lives until the process ends.
    pub async fn on_own_cluster(name: &str) -> Self {
        Self::on_new(Cluster::start, name).await
    }

    /// In a cluster of its own whose controller-manager has Kubernetes' default limits.
    pub async fn on_limited_cluster(name: &str) -> Self {
        Self::on_new(Cluster::start_with_default_limits, name).await
    }

    async fn on_new(start: fn() -> anyhow::Result<Cluster>, name: &str) -> Self {
        let start = tokio::task::spawn_blocking(move || start().unwrap());
        let cluster = Box::leak(Box::new(start.await.unwrap()));
        Self::on(cluster, name).await
    }

    /// In this cluster.
    pub async fn on(cluster: &'static Cluster, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let client = cluster.client().await;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{name}-{}-{number}", std::process::id());
        let own_namespace = format!("{namespace}-sys");
        for name in [&namespace, &own_namespace] {
            let object = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
            Api::<Namespace>::all(client.clone())
                .create(&PostParams::default(), &object)
                .await
                .unwrap();
        }
        Self {
            namespace,
            own_namespace,
            client,
            cluster,
        }
    }

    /// A reroll for this arena, not started yet.
    pub fn reroll(&self) -> RerollBuilder {
        RerollBuilder::new(self)
    }

    /// Another installation of reroll, not started yet: with a namespace, a user and a digest key of its own.
    pub async fn installation(&self, name: &str) -> RerollBuilder {
        let namespace = format!("{}-{name}", self.namespace);
        let kubeconfig = self.administrator(&namespace).await;
        self.reroll()
            .kubeconfig(kubeconfig)
            .log_as(&namespace)
            .flag("--own-namespace", &namespace)
            .flag("--instance", &namespace)
            .flag("--webhook-name", &namespace)
    }

    /// Starts to count changes of pod templates.
    pub async fn record(&self) -> Recorder {
        Recorder::start(self).await
    }

    // === objects ===

    /// The objects of this kind in the namespace of its workloads.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, plural) = match kind {
            "Deployment" => ("apps", "deployments"),
            "StatefulSet" => ("apps", "statefulsets"),
            "DaemonSet" => ("apps", "daemonsets"),
            "ReplicaSet" => ("apps", "replicasets"),
            "ControllerRevision" => ("apps", "controllerrevisions"),
            "CronJob" => ("batch", "cronjobs"),
            "Job" => ("batch", "jobs"),
            "Secret" => ("", "secrets"),
            "ConfigMap" => ("", "configmaps"),
            "Pod" => ("", "pods"),
            "Event" => ("", "events"),
            "Node" => ("", "nodes"),
            other => panic!("no such kind: {other}"),
        };
        let row =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &row)
    }

    /// Creates any object from a manifest.
    pub async fn create(&self, manifest: &Value) -> DynamicObject {
        let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
        let api = self.api(manifest["kind"].as_str().unwrap());
        api.create(&PostParams::default(), &object).await.unwrap()
    }

    /// An object as it is now.
    pub async fn get(&self, kind: &str, name: &str) -> DynamicObject {
        self.api(kind).get(name).await.unwrap()
    }

    /// Merge-patches an object, as a person would: not as reroll.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> DynamicObject {
        let params = PatchParams {
            field_manager: Some("test".to_owned()),
            ..PatchParams::default()
        };
        self.api(kind)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Creates a Secret.
    pub async fn secret(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        let manifest = crate::secret(name, data);
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        api.create(
            &PostParams::default(),
            &serde_json::from_value(manifest).unwrap(),
        )
        .await
        .unwrap()
    }

    /// Creates a `ConfigMap`.
    pub async fn config_map(&self, name: &str, data: &[(&str, &str)]) -> ConfigMap {
        let manifest = crate::config_map(name, data);
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        api.create(
            &PostParams::default(),
            &serde_json::from_value(manifest).unwrap(),
        )
        .await
        .unwrap()
    }

    /// Sets keys of a Secret.
    pub async fn update_secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: Value = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        self.patch("Secret", name, json!({ "stringData": data }))
            .await;
    }

    /// Deletes a Secret and creates it again.
    pub async fn recreate_secret(&self, name: &str, data: &[(&str, &str)]) {
        self.delete("Secret", name).await;
        self.secret(name, data).await;
    }

    /// The names and annotations of an object's `metadata`.
    pub async fn annotation(&self, kind: &str, name: &str, key: &str) -> Option<String> {
        self.get(kind, name).await.annotations().get(key).cloned()
    }

    /// Waits until the workload's `observed` is there, and names its uid.
    pub async fn adopted(&self, kind: &str, name: &str) {
        eventually(&format!("{kind} {name} is adopted"), async || {
            let object = self.get(kind, name).await;
            let observed = object.annotations().get("reroll.dev/observed")?;
            observed.contains(&object.uid()?).then_some(())
        })
        .await;
    }

    /// The Events on an object, as `reason: note`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let list = Api::<Event>::namespaced(self.client.clone(), &self.namespace)
            .list(&params)
            .await
            .unwrap();
        let line = |event: Event| {
            format!(
                "{}: {}",
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default()
            )
        };
        list.items.into_iter().map(line).collect()
    }

    /// Waits for an Event on an object that contains this text.
    pub async fn event(&self, name: &str, text: &str) -> String {
        eventually(&format!("an Event on {name} says \"{text}\""), async || {
            self.events(name)
                .await
                .into_iter()
                .find(|event| event.contains(text))
        })
        .await
    }

    /// Returns how often Events on an object had this reason, repetitions included.
    pub async fn event_count(&self, name: &str, reason: &str) -> i32 {
        let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let list = Api::<Event>::namespaced(self.client.clone(), &self.namespace)
            .list(&params)
            .await
            .unwrap();
        let own = list
            .items
            .iter()
            .filter(|event| event.reason.as_deref() == Some(reason));
        own.map(|event| {
            let series = event.series.as_ref().and_then(|series| series.count);
            series.unwrap_or(1)
        })
        .sum()
    }

    /// Waits until a Deployment's rollout of this revision has begun.
    pub async fn revision(&self, name: &str, number: u32) {
        let revision = "deployment.kubernetes.io/revision";
        eventually(&format!("Deployment {name} is at {number}"), async || {
            let now = self.annotation("Deployment", name, revision).await?;
            (now == number.to_string()).then_some(())
        })
        .await;
    }

    // === the user's way ===

    /// Runs kubectl in the arena's namespace, with this on standard input.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.cluster.kubectl();
        command
            .args(["--namespace", &self.namespace])
            .args(arguments);
        run(command, input).await
    }

    /// Runs kubectl in the arena's namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> Said {
        self.kubectl_with(arguments, "").await
    }

    /// Registers a webhook that does not answer, so that writes of Secrets in the arena's namespace are refused, as far as this
    /// field of it selects them.
    pub async fn refuse_secrets(&self, selects: &str, them: Value) {
        let mut webhook = json!({
            "name": "refuses.example.com", "failurePolicy": "Fail", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
            "clientConfig": { "url": "https://127.0.0.1:1/" },
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"],
                "operations": ["CREATE", "UPDATE", "DELETE"],
            }],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": self.namespace } },
        });
        webhook[selects] = them;
        let registered = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": format!("{}-refuses", self.namespace) },
            "webhooks": [webhook],
        });
        let create = ["create", "-f", "-"];
        self.kubectl_with(&create, &registered.to_string())
            .await
            .ok();
    }

    /// Runs helm in the arena's namespace.
    pub async fn helm(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.tool("helm"));
        command
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .args(["--namespace", &self.namespace])
            .args(arguments);
        run(command, "").await
    }

    /// The path of one of the cluster's binaries.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.cluster.tool(name)
    }
}

/// Runs it to its end, with this on standard input.
pub(crate) async fn run(mut command: Command, input: &str) -> Said {
    let input = input.to_owned();
    let work = move || {
        use std::io::Write as _;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(work).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        out: text(&output.stdout),
        err: text(&output.stderr),
        ok: output.status.success(),
    }
}
