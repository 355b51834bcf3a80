//! cert-manager's part, with its own kinds: Certificates become Secrets, and its cainjector writes `caBundle`.

use std::{path::Path, process::Command, sync::Mutex, time::Duration};

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    core::v1::Secret,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use reroll::{state::system_clock, webhook::tls::Authority};
use reroll_harness::{Arena, cluster::Cluster};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

const LIFETIME: Duration = Duration::from_hours(2160);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const ISSUED: &str = "cert-manager.io/certificate-name";
const INJECT: &str = "cert-manager.io/inject-ca-from";

/// It looks after one namespace, until it is dropped.
pub struct Certifier {
    _task: JoinSet<()>,
}

struct Work {
    client: Client,
    namespace: String,
}

impl Certifier {
    /// Installs the kinds where they are not there yet, and begins to work.
    pub async fn start(arena: &Arena) -> Self {
        apply_kinds(arena.cluster).await;
        let work = Work {
            client: arena.client.clone(),
            namespace: arena.own_namespace.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                work.issue().await;
                work.inject(&Api::<ValidatingWebhookConfiguration>::all(
                    work.client.clone(),
                ))
                .await;
                work.inject(&Api::<MutatingWebhookConfiguration>::all(
                    work.client.clone(),
                ))
                .await;
                sleep(LOOK_EVERY).await;
            }
        });
        Self { _task: task }
    }
}

/// Takes cert-manager's kinds away, with all objects of them. Its Secrets stay.
pub async fn remove_kinds(arena: &Arena) {
    let delete = ["delete", "--wait", "--filename", &definitions()];
    arena.kubectl(&delete).await.ok();
}

/// Installs cert-manager's kinds, without anybody who works on them.
pub async fn bring_kinds(arena: &Arena) {
    let file = definitions();
    let apply = ["apply", "--server-side", "--filename", &file];
    arena.kubectl(&apply).await.ok();
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=5m",
        "--filename",
        &file,
    ];
    arena.kubectl(&wait).await.ok();
}

fn definitions() -> String {
    let up = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/up");
    let path = Command::new(up)
        .args(["path", "cert-manager-crds"])
        .output()
        .unwrap();
    assert!(path.status.success(), "{path:?}");
    String::from_utf8(path.stdout).unwrap().trim().to_owned()
}

/// cert-manager's own kinds, once per cluster.
async fn apply_kinds(cluster: &'static Cluster) {
    static ONCE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let apply = move || {
        let mut applied = ONCE.lock().unwrap();
        if applied.iter().any(|name| name == cluster.name()) {
            return;
        }
        let path = definitions();
        for arguments in [
            vec!["apply", "--server-side", "--filename", &path],
            vec![
                "wait",
                "--for=condition=Established",
                "--timeout=5m",
                "--filename",
                &path,
            ],
        ] {
            let said = cluster.kubectl().args(arguments).output().unwrap();
            assert!(said.status.success(), "{said:?}");
        }
        applied.push(cluster.name().to_owned());
    };
    tokio::task::spawn_blocking(apply).await.unwrap();
}

impl Work {
    /// Makes the Secrets of all Certificates that have none. Authorities come before what they sign.
    async fn issue(&self) {
        let (certificates, issuers) = (self.of_kind("Certificate"), self.of_kind("Issuer"));
        for certificate in certificates.list(&ListParams::default()).await.unwrap() {
            let spec = &certificate.data["spec"];
            let name = spec["secretName"].as_str().unwrap();
            let found = self.secrets().get_opt(name).await.unwrap();
            // One that is somebody else's becomes its own.
            let is_own = |secret: &Secret| secret.annotations().contains_key(ISSUED);
            if found.as_ref().is_some_and(is_own) {
                continue;
            }
            let now = system_clock()();
            let data = if spec["isCA"] == true {
                let authority = Authority::new(now, LIFETIME).unwrap();
                json!({ "ca.crt": authority.pem(), "tls.crt": authority.pem(), "tls.key": authority.key_pem() })
            } else {
                let issuer = spec["issuerRef"]["name"].as_str().unwrap();
                let Some(issuer) = issuers.get_opt(issuer).await.unwrap() else {
                    continue;
                };
                let signer = issuer.data["spec"]["ca"]["secretName"].as_str().unwrap();
                let Some(signer) = self.secrets().get_opt(signer).await.unwrap() else {
                    continue;
                };
                let authority =
                    Authority::from_pem(text(&signer, "tls.crt"), &text(&signer, "tls.key"));
                let authority = authority.unwrap();
                let hosts = spec["dnsNames"].as_array().unwrap().iter();
                let hosts: Vec<_> = hosts.map(|host| host.as_str().unwrap()).collect();
                let leaf = authority.issue(&hosts, now, LIFETIME).unwrap();
                json!({ "ca.crt": authority.pem(), "tls.crt": leaf.certificate_pem(), "tls.key": leaf.key_pem() })
            };
            let secret = json!({
                "metadata": { "name": name, "annotations": { ISSUED: certificate.name_any() } },
                "type": "kubernetes.io/tls", "stringData": data,
            });
            if found.is_some() {
                let patch =
                    json!({ "metadata": secret["metadata"], "stringData": secret["stringData"] });
                let params = PatchParams::default();
                self.secrets()
                    .patch(name, &params, &Patch::Merge(patch))
                    .await
                    .unwrap();
                continue;
            }
            let secret = serde_json::from_value(secret).unwrap();
            self.secrets()
                .create(&PostParams::default(), &secret)
                .await
                .unwrap();
        }
    }

    /// Writes the authority into every webhook that asks for that of a Certificate of this namespace.
    async fn inject<K>(&self, configurations: &Api<K>)
    where
        K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
    {
        for configuration in configurations.list(&ListParams::default()).await.unwrap() {
            let from = configuration.annotations().get(INJECT);
            let Some((namespace, name)) = from.and_then(|from| from.split_once('/')) else {
                continue;
            };
            if namespace != self.namespace {
                continue;
            }
            let Ok(certificate) = self.of_kind("Certificate").get(name).await else {
                continue;
            };
            let secret = certificate.data["spec"]["secretName"].as_str().unwrap();
            let Some(secret) = self.secrets().get_opt(secret).await.unwrap() else {
                continue;
            };
            let bundle = &secret.data.unwrap()["ca.crt"];
            let now = serde_json::to_value(&configuration).unwrap();
            let webhooks = now["webhooks"].as_array().unwrap().iter().enumerate();
            let wanted = json!(bundle);
            let lines: Vec<Value> = webhooks
                .filter(|(_, webhook)| webhook["clientConfig"]["caBundle"] != wanted)
                .map(|(number, _)| json!({ "op": "add", "path": format!("/webhooks/{number}/clientConfig/caBundle"), "value": wanted }))
                .collect();
            if lines.is_empty() {
                continue;
            }
            let patch = Patch::<K>::Json(serde_json::from_value(json!(lines)).unwrap());
            // It may be gone again.
            drop(
                configurations
                    .patch(&configuration.name_any(), &PatchParams::default(), &patch)
                    .await,
            );
        }
    }

    fn of_kind(&self, kind: &str) -> Api<DynamicObject> {
        let row = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &row)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn text(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}
