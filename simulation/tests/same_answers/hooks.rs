//! The webhooks of the test: the same functions behind TLS for the real API server, and directly for the copy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::Path, http::StatusCode, routing::post};
use k8s_openapi::ByteString;
use reroll_simulation::api_server::ApiServer;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::side::{Side, Step};

/// The label that says what webhooks do to an object.
pub(crate) const LABEL: &str = "hook";
/// The webhooks, in the order of their calls.
const NAMES: [&str; 6] = [
    "mark.same.example.com",
    "add.same.example.com",
    "tear.same.example.com",
    "validate.same.example.com",
    "validate-ignored.same.example.com",
    "validate-needed.same.example.com",
];

pub(crate) struct Hooks {
    seen: Arc<Mutex<Vec<Value>>>,
    url: String,
    authority: String,
}

struct Tls(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.0.accept().await else {
                continue;
            };
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Hooks {
    /// Serves the webhooks, and lets the copy call them.
    pub(crate) async fn serve(server: &ApiServer) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let of_real = Arc::clone(&seen);
        let app = Router::new().route(
            "/{hook}",
            post(
                async move |Path(hook): Path<String>, Json(review): Json<Value>| match answer(
                    &hook, &review, &of_real,
                ) {
                    Ok(answer) => Ok(Json(answer)),
                    Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
                },
            ),
        );
        let tls = Tls(listener, TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move { axum::serve(tls, app).await });
        for name in NAMES {
            let seen = Arc::clone(&seen);
            server.answer_reviews(name, move |review| {
                let answer = answer(name.split('.').next().unwrap(), &review, &seen);
                async move { answer }
            });
        }
        server.decide_condition("not-skipped", |_, request| {
            request["object"].is_null()
                || request["object"]["metadata"]["labels"]
                    .get("skip")
                    .is_none()
        });
        Self {
            seen,
            url,
            authority: made.cert.pem(),
        }
    }

    /// Returns the reviews since the last time.
    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    pub(crate) fn configurations(&self) -> Vec<Value> {
        let hook = |name: &str, more: Value| {
            let path = name.split('.').next().unwrap();
            let client = json!({
                "url": format!("{}/{path}", self.url), "caBundle": ByteString(self.authority.clone().into_bytes()),
            });
            let mut hook = json!({
                "name": name, "clientConfig": client, "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "timeoutSeconds": 5, "failurePolicy": "Fail",
                "namespaceSelector": { "matchExpressions": [
                    { "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["same"] },
                ]},
                "matchConditions": [{
                    "name": "not-skipped",
                    "expression": "object == null || !has(object.metadata.labels) || !('skip' in object.metadata.labels)",
                }],
            });
            json_patch::merge(&mut hook, &more);
            hook
        };
        let rule = |group: &str, resources: &[&str], operations: &[&str]| json!([{ "apiGroups": [group], "apiVersions": ["v1"], "resources": resources, "operations": operations }]);
        let workloads = rule(
            "apps",
            &["deployments", "daemonsets"],
            &["CREATE", "UPDATE"],
        );
        let sources = rule(
            "",
            &["secrets", "configmaps"],
            &["CREATE", "UPDATE", "DELETE"],
        );
        let only = |value: &str| json!({ "matchLabels": { LABEL: value } });
        vec![
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": { "name": "same" },
                "webhooks": [
                    hook(NAMES[0], json!({ "rules": workloads, "reinvocationPolicy": "IfNeeded" })),
                    hook(NAMES[1], json!({ "rules": workloads })),
                    hook(NAMES[2], json!({ "rules": sources, "objectSelector": only("tear"), "failurePolicy": "Ignore" })),
                ],
            }),
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": { "name": "same" },
                "webhooks": [
                    hook(NAMES[3], json!({ "rules": sources, "sideEffects": "NoneOnDryRun" })),
                    hook(NAMES[4], json!({ "rules": sources, "objectSelector": only("fail"), "failurePolicy": "Ignore" })),
                    hook(NAMES[5], json!({ "rules": sources, "objectSelector": only("break") })),
                ],
            }),
        ]
    }

    /// Waits until the real API server calls the webhooks: it takes up configurations some time after they are written.
    pub(crate) async fn are_called(&self, real: &mut Side) {
        let deployment = crate::manifests::deployment("probe", "1");
        for (path, object) in [
            (
                "/api/v1/namespaces/same/secrets?dryRun=All",
                json!({ "metadata": { "name": "probe" } }),
            ),
            (
                "/apis/apps/v1/namespaces/same/deployments?dryRun=All",
                deployment,
            ),
        ] {
            while self.take().is_empty() {
                real.ask(&Step::post(path, object.clone())).await;
            }
        }
        self.take();
    }
}

/// What a webhook answers.
fn answer(hook: &str, review: &Value, seen: &Mutex<Vec<Value>>) -> Result<Value, String> {
    let request = &review["request"];
    let mut noted = review.clone();
    noted["hook"] = json!(hook);
    seen.lock().unwrap().push(noted);
    let meta = &request["object"]["metadata"];
    let mut response = json!({ "uid": request["uid"], "allowed": true });
    let mut patch = |operations: Value| {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(ByteString(operations.to_string().into_bytes()));
    };
    match hook {
        "mark" => {
            let mark = json!({ "added": meta["labels"]["added"].is_string() }).to_string();
            if meta["annotations"].is_null() {
                patch(
                    json!([{ "op": "add", "path": "/metadata/annotations", "value": { "mark": mark } }]),
                );
            } else {
                patch(
                    json!([{ "op": "add", "path": "/metadata/annotations/mark", "value": mark }]),
                );
            }
        }
        "add" if meta["labels"][LABEL] == "add" && meta["labels"]["added"].is_null() => {
            patch(json!([{ "op": "add", "path": "/metadata/labels/added", "value": "yes" }]));
        }
        "tear" => patch(json!([{ "op": "remove", "path": "/nowhere" }])),
        "validate" if meta["labels"][LABEL] == "deny" => {
            response["allowed"] = json!(false);
            response["status"] = json!({ "message": "it says so" });
        }
        "validate" if meta["labels"][LABEL] == "teapot" => {
            response["allowed"] = json!(false);
            response["status"] = json!({ "message": "it says so", "code": 418 });
        }
        "validate" => response["warnings"] = json!(["mind \"the\" gap"]),
        "validate-ignored" | "validate-needed" => return Err("broken".to_owned()),
        _ => {}
    }
    Ok(
        json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response }),
    )
}
