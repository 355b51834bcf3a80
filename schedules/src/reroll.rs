//! reroll itself, in this process.

use std::{future::pending, sync::Arc};

use axum::{Router, body::Body as AxumBody};
use clap::Parser as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{
    Api,
    api::PostParams,
    client::{Body, DynBody},
};
use parking_lot::Mutex;
use reroll::{
    config::{Cli, Command, Settings},
    run::{Doors, InProcess, Surroundings, run_until},
    webhook::routes::{SOURCES_PATH, WORKLOADS_PATH},
};
use reroll_simulation::api_server::{ApiServer, User};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::{BoxError, ServiceExt as _, util::BoxService};

use crate::cluster::Cluster;

const USER: &str = "system:serviceaccount:reroll:reroll";
const WEBHOOKS: [(&str, &str); 3] = [
    ("sources.reroll.dev", SOURCES_PATH),
    ("annotated.workloads.reroll.dev", WORKLOADS_PATH),
    ("labelled.workloads.reroll.dev", WORKLOADS_PATH),
];

/// A process. It ends, as by SIGKILL, when it is dropped.
pub(crate) struct Replica {
    task: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    pub(crate) fn start_reroll(&mut self) {
        let flags = [
            "reroll",
            "run",
            "--tls-cert",
            "none",
            "--tls-key",
            "none",
            "--own-namespace",
            "reroll",
            "--instance",
            "reroll-0",
            "--adopt-rate",
            "0",
            "--restart-rate",
            "0",
            "--workload-interval",
            "0s",
        ];
        let Command::Run(args) = Cli::try_parse_from(flags).unwrap().command;
        let settings = Settings::try_from(*args).unwrap();
        let view = self.view.clone();
        let api_server = move || {
            let service = view.service(User::new(USER));
            let service = service.map_response(|response: Response<_>| {
                response.map(|body| {
                    Box::new(AxumBody::new(body).map_err(BoxError::from)) as Box<DynBody>
                })
            });
            let service = service.map_err(|never| -> BoxError { match never {} });
            BoxService::new(service.map_request(|request: Request<Body>| request))
        };
        let (server, webhook) = (self.server.clone(), Arc::clone(&self.webhook));
        let doors = InProcess {
            api_server: Arc::new(api_server),
            webhook: Arc::new(move |router| {
                answer(&server, &router);
                *webhook.lock() = Some(router);
            }),
        };
        let surroundings = Surroundings {
            clock: crate::cluster::clock(self.began()),
            doors: Doors::InProcess(doors),
            ..Surroundings::default()
        };
        let running = Box::pin(run_until(settings, surroundings, pending()));
        self.replica = Some(Replica {
            task: tokio::task::spawn_local(running),
        });
    }

    /// Whether reroll runs: it never ends unasked.
    pub(crate) fn runs(&self) -> bool {
        let running = |replica: &Replica| !replica.task.is_finished();
        self.replica.as_ref().is_some_and(running)
    }

    /// As by SIGKILL. Its webhook is away then.
    pub(crate) fn kill_reroll(&mut self) {
        self.replica = None;
        *self.webhook.lock() = None;
        self.take_webhook_away();
    }

    pub(crate) fn take_webhook_away(&self) {
        for (name, _) in WEBHOOKS {
            self.server.answer_no_reviews(name);
        }
    }

    pub(crate) fn bring_webhook_back(&self) {
        if let Some(router) = &*self.webhook.lock() {
            answer(&self.server, router);
        }
    }
}

fn answer(server: &ApiServer, router: &Router) {
    for (name, path) in WEBHOOKS {
        let router = Arc::new(Mutex::new(router.clone()));
        server.answer_reviews(name, move |review| {
            let router = router.lock().clone();
            async move {
                let request = Request::post(path).body(AxumBody::from(review.to_string()));
                let answer = router.oneshot(request.unwrap()).await.unwrap();
                let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
                serde_json::from_slice(&body.unwrap()).map_err(|error| error.to_string())
            }
        });
    }
}

/// Registers the webhooks as the chart does. What match conditions say is said again here, in Rust.
pub(crate) async fn register(server: &ApiServer) {
    let name = |request: &Value| {
        request["userInfo"]["username"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    server.decide_condition("not-rerolls-own-write", move |_, request| {
        !(name(request) == USER && request["options"]["fieldManager"] == "reroll")
    });
    server.decide_condition("asks-for-restarts", |_, request| {
        ["object", "oldObject"].iter().any(|side| {
            let annotations = request[side]["metadata"]["annotations"].as_object();
            annotations.is_some_and(|all| all.keys().any(|key| key.starts_with("reroll.dev/")))
        })
    });
    let client = server.client(User::new("administrator"));
    let namespaces = |more: &[Value]| {
        let never = json!({ "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["reroll", "kube-system"] });
        let all = [&[never], more].concat();
        json!({ "matchExpressions": all })
    };
    let webhook = |number: usize, rules: Value, namespaces: Value, conditions: &[&str]| {
        let (name, path) = WEBHOOKS[number];
        let conditions: Vec<_> = conditions
            .iter()
            .map(|name| json!({ "name": name, "expression": "true" }))
            .collect();
        json!({
            "name": name, "clientConfig": { "url": format!("https://127.0.0.1{path}") },
            "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "matchPolicy": "Equivalent", "timeoutSeconds": 1,
            "sideEffects": "NoneOnDryRun", "rules": rules, "namespaceSelector": namespaces, "matchConditions": conditions,
        })
    };
    let rules = |group: &str, resources: &[&str], operations: &[&str]| json!([{ "apiGroups": [group], "apiVersions": ["v1"], "resources": resources, "operations": operations, "scope": "Namespaced" }]);
    let sources = rules(
        "",
        &["secrets", "configmaps"],
        &["CREATE", "UPDATE", "DELETE"],
    );
    let workloads = rules(
        "apps",
        &["deployments", "statefulsets", "daemonsets"],
        &["CREATE", "UPDATE"],
    );
    let label = |operator: &str| {
        namespaces(&[json!({ "key": "reroll.dev/restart-on", "operator": operator })])
    };
    let mut mutating = [
        webhook(
            1,
            workloads.clone(),
            label("DoesNotExist"),
            &["asks-for-restarts", "not-rerolls-own-write"],
        ),
        webhook(2, workloads, label("Exists"), &["not-rerolls-own-write"]),
    ];
    for webhook in &mut mutating {
        webhook["reinvocationPolicy"] = json!("IfNeeded");
    }
    let object = json!({ "metadata": { "name": "reroll" }, "webhooks": mutating });
    let params = PostParams::default();
    let api = Api::<MutatingWebhookConfiguration>::all(client.clone());
    api.create(&params, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    let object = json!({ "metadata": { "name": "reroll" }, "webhooks": [webhook(0, sources, namespaces(&[]), &[])] });
    let api = Api::<ValidatingWebhookConfiguration>::all(client);
    api.create(&params, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
}
