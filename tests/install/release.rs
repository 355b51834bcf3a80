//! A release of the chart, and what a person does with it.

use std::path::PathBuf;

use reroll_harness::{Arena, RESTART_ON, Recorder, Said, eventually};
use serde_json::{Value, json};

use crate::{cert_manager::Certifier, node::Node, service::KubeProxy};

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/reroll");

/// A release and the part of a cluster that it needs. Dropped as a whole.
pub struct Release {
    pub arena: Arena,
    pub node: Node,
    /// Of the release, and of most that it installs.
    pub name: String,
    /// What every installation of this test has besides the chart's own.
    values: Value,
    folder: tempfile::TempDir,
    _proxy: KubeProxy,
    _cert_manager: Option<Certifier>,
}

impl Release {
    /// Nothing is installed yet. Values are those of the test, and of this cluster.
    pub async fn new(arena: Arena, server: Option<String>, values: &Value) -> Self {
        let node = Node::join(&arena, server).await;
        let mut own = json!({
            // Services on ports below 1024 need root, on a machine that has no kube-proxy in its kernel.
            "webhook": { "service": { "port": 8443 } },
            "nodeSelector": { "kubernetes.io/hostname": node.name },
            "tolerations": [{ "operator": "Exists" }],
        });
        // Which kinds a cluster has that tests share depends on the others.
        let cert_manager = json!({ "certificates": { "mode": "certManager" } });
        merge(&mut own, &cert_manager);
        merge(&mut own, values);
        let enabled = own["webhook"]["enabled"] != false;
        let wanted = enabled && own["certificates"]["mode"] == "certManager";
        Self {
            name: format!("reroll-{}", arena.namespace),
            node,
            values: own,
            folder: tempfile::tempdir().unwrap(),
            _proxy: KubeProxy::start(&arena),
            _cert_manager: if wanted {
                Some(Certifier::start(&arena).await)
            } else {
                None
            },
            arena,
        }
    }

    /// `helm` in reroll's own namespace.
    pub async fn helm(&self, arguments: &[&str]) -> Said {
        let namespace = ["--namespace", &self.arena.own_namespace];
        self.arena.helm(&[&namespace, arguments].concat()).await
    }

    /// `kubectl` in reroll's own namespace.
    pub async fn kubectl_own(&self, arguments: &[&str]) -> Said {
        let namespace = ["--namespace", &self.arena.own_namespace];
        self.arena.kubectl(&[&namespace, arguments].concat()).await
    }

    /// Installs the chart, and waits as its notes say.
    pub async fn install(&self) {
        self.helm_install(&json!({})).await;
        self.rolled_out().await;
    }

    /// `helm test`, as the notes say.
    pub async fn helm_test(&self) {
        let said = self.helm(&["test", &self.name, "--timeout=3m"]).await;
        assert!(said.ok, "{said:?}; the log: {}", self.node.log());
    }

    /// Tries to upgrade by these arguments, without the values of before but for what they say.
    pub async fn try_upgrade(&self, arguments: &[&str]) -> Said {
        let upgrade = ["upgrade", &self.name, CHART];
        self.helm(&[&upgrade, arguments].concat()).await
    }

    /// What the pods of the release are told to run with.
    pub async fn arguments(&self) -> String {
        let path = "--output=jsonpath={.spec.template.spec.containers[0].args}";
        let get = ["get", "deployment", &self.name, path];
        self.kubectl_own(&get).await.ok().out
    }

    /// Installs the chart with these values besides.
    pub async fn helm_install(&self, values: &Value) {
        self.helm_chart("install", values).await;
    }

    /// Installs another chart with the values of this test.
    pub async fn install_from(&self, chart: &str) {
        let values = self.values_file(&json!({}));
        let values = values.to_str().unwrap();
        let arguments = ["install", &self.name, chart, "--values", values];
        self.helm(&arguments).await.ok();
    }

    /// Upgrades to these values besides, and waits.
    pub async fn upgrade(&self, values: &Value) {
        self.helm_chart("upgrade", values).await;
        self.rolled_out().await;
    }

    pub async fn rollback(&self, revision: &str) {
        self.helm(&["rollback", &self.name, revision]).await.ok();
        self.rolled_out().await;
    }

    /// Uninstalls it, and waits until its pods have ended.
    pub async fn uninstall(&self) {
        self.helm(&["uninstall", &self.name]).await.ok();
        eventually("the pods are gone", async || {
            (self.node.count() == 0).then_some(())
        })
        .await;
    }

    /// Objects of every kind that can be listed, but for those that Kubernetes makes by itself.
    pub async fn objects(&self, arguments: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        for namespaced in ["--namespaced=true", "--namespaced=false"] {
            let kinds = ["api-resources", "--verbs=list", "--output=name", namespaced];
            let said = self.arena.kubectl(&kinds).await.ok();
            let left_out = [
                "events",
                "events.events.k8s.io",
                "endpoints",
                "pods.metrics.k8s.io",
            ];
            let kinds: Vec<_> = said
                .out
                .lines()
                .filter(|kind| !left_out.contains(kind))
                .collect();
            let kinds = kinds.join(",");
            let get = ["get", &kinds, "--output=name", "--ignore-not-found"];
            let said = self.kubectl_own(&[&get, arguments].concat()).await.ok();
            all.extend(said.out.lines().map(ToOwned::to_owned));
            if arguments.is_empty() {
                break;
            }
        }
        all.retain(|name| {
            !["configmap/kube-root-ca.crt", "serviceaccount/default"].contains(&name.as_str())
        });
        all.sort();
        all
    }

    /// What is in reroll's own namespace.
    pub async fn own_objects(&self) -> Vec<String> {
        self.objects(&[]).await
    }

    /// What the chart makes of the values, and these.
    pub async fn rendered(&self, values: &Value) -> String {
        self.helm_chart("template", values).await.out
    }

    /// Has helm do this with the chart, as this release, with these values besides.
    async fn helm_chart(&self, verb: &str, values: &Value) -> Said {
        let values = self.values_file(values);
        let values = values.to_str().unwrap();
        let arguments = [verb, &self.name, CHART, "--values", values];
        self.helm(&arguments).await.ok()
    }

    fn values_file(&self, more: &Value) -> PathBuf {
        let mut values = self.values.clone();
        merge(&mut values, more);
        let path = self
            .folder
            .path()
            .join(format!("{:08x}.json", fastrand::u32(..)));
        std::fs::write(&path, values.to_string()).unwrap();
        path
    }

    /// Waits as the chart's notes say.
    pub async fn rolled_out(&self) {
        let deployment = format!("deployment/{}", self.name);
        let arguments = ["rollout", "status", &deployment, "--timeout=4m"];
        let said = self.kubectl_own(&arguments).await;
        assert!(said.ok, "{said:?}; the log: {}", self.node.log());
    }

    /// Waits until the old pods have ended, after an upgrade.
    pub async fn only_new_pods(&self, count: usize) {
        eventually("the old pods are gone", async || {
            (self.node.count() == count).then_some(())
        })
        .await;
    }

    // === what is done with it ===

    /// A Deployment of a person who has never heard of reroll, with a Secret, both by kubectl.
    pub async fn app(&self, name: &str) {
        let from = [
            "create",
            "secret",
            "generic",
            name,
            "--from-literal=key=one",
        ];
        self.arena.kubectl(&from).await.ok();
        let mut manifest = reroll_harness::deployment(name, name, "key");
        manifest["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        self.arena
            .kubectl_with(&["create", "--filename=-"], &manifest.to_string())
            .await
            .ok();
    }

    /// Opts a Deployment in by kubectl, and waits until it is adopted.
    pub async fn annotate(&self, name: &str) {
        let opt_in = format!("{RESTART_ON}=auto");
        self.arena
            .kubectl(&["annotate", "deployment", name, &opt_in])
            .await
            .ok();
        self.arena.adopted("Deployment", name).await;
    }

    /// Waits until a write of a Secret that is in use is answered with a warning: the API server asks reroll.
    pub async fn asked(&self, name: &str) {
        let patch = [
            "patch",
            "secret",
            name,
            "--dry-run=server",
            "--patch",
            r#"{"stringData":{"key":"probe"}}"#,
        ];
        let warning = format!("Warning: reroll: Secret {name} restarts Deployment {name}");
        let mut last = String::new();
        eventually("the API server asks reroll", async || {
            let said = self.arena.kubectl(&patch).await.ok();
            if last != said.err {
                last.clone_from(&said.err);
                eprintln!("{last}");
            }
            said.err.contains(&warning).then_some(())
        })
        .await;
    }

    /// Deletes a Secret and creates it with the same data, by kubectl; both are warned of at the prompt.
    pub async fn recreate(&self, name: &str) {
        let deleted = self.arena.kubectl(&["delete", "secret", name]).await.ok();
        assert!(deleted.err.contains("Warning: reroll: "), "{deleted:?}");
        let from = [
            "create",
            "secret",
            "generic",
            name,
            "--from-literal=key=one",
        ];
        let created = self.arena.kubectl(&from).await.ok();
        let warning =
            format!("Warning: reroll: recreated Secret {name} restarts Deployment {name}");
        assert!(created.err.contains(&warning), "{created:?}");
    }

    /// After everything has taken effect, a Deployment has rolled so often.
    pub async fn expect(&self, recorder: &Recorder, name: &str, rollouts: usize) {
        recorder.settle(&self.arena).await;
        recorder.expect("Deployment", name, rollouts);
        self.node.expect_no_mishap();
    }
}

/// Values laid over values, as helm does it.
pub fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}
