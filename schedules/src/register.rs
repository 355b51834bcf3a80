//! The registration of the webhooks, as the chart makes it.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use reroll::webhook::routes::{SOURCES_PATH, WORKLOADS_PATH};
use reroll_simulation::api_server::{ApiServer, User};
use serde_json::{Value, json};

/// The webhooks of an installation, and the path of each.
pub(crate) const WEBHOOKS: [(&str, &str); 3] = [
    ("sources.reroll.dev", SOURCES_PATH),
    ("annotated.workloads.reroll.dev", WORKLOADS_PATH),
    ("labelled.workloads.reroll.dev", WORKLOADS_PATH),
];

/// Says again in Rust what match conditions of the chart say.
pub(crate) fn decide_conditions(server: &ApiServer) {
    let name = |request: &Value| {
        request["userInfo"]["username"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    // The expression is the user of the installation.
    server.decide_condition("not-rerolls-own-write", move |user, request| {
        !(name(request) == user && request["options"]["fieldManager"] == "reroll")
    });
    server.decide_condition("asks-for-restarts", |_, request| {
        ["object", "oldObject"].iter().any(|side| {
            let annotations = request[side]["metadata"]["annotations"].as_object();
            annotations.is_some_and(|all| all.keys().any(|key| key.starts_with("reroll.dev/")))
        })
    });
}

/// Registers the webhooks of an installation, whose namespace has the same name. `spares`: they are not asked about what
/// this user writes by reroll.
pub(crate) async fn register(server: &ApiServer, configuration: &str, user: &str, spares: bool) {
    let own = configuration;
    let client = server.client(User::new("administrator"));
    let namespaces = |more: &[Value]| {
        let never = json!({ "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [own, "kube-system"] });
        let all = [&[never], more].concat();
        json!({ "matchExpressions": all })
    };
    let webhook = |number: usize, rules: Value, namespaces: Value, conditions: &[&str]| {
        let (name, path) = WEBHOOKS[number];
        let conditions: Vec<_> = conditions
            .iter()
            .map(|name| json!({ "name": name, "expression": user }))
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
    let conditions = ["asks-for-restarts", "not-rerolls-own-write"];
    let conditions = if spares {
        &conditions[..]
    } else {
        &conditions[..1]
    };
    let mut mutating = [
        webhook(1, workloads.clone(), label("DoesNotExist"), conditions),
        webhook(2, workloads, label("Exists"), &conditions[1..]),
    ];
    for webhook in &mut mutating {
        webhook["reinvocationPolicy"] = json!("IfNeeded");
    }
    let object = json!({ "metadata": { "name": configuration }, "webhooks": mutating });
    let params = PostParams::default();
    let api = Api::<MutatingWebhookConfiguration>::all(client.clone());
    api.create(&params, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    let object = json!({ "metadata": { "name": configuration }, "webhooks": [webhook(0, sources, namespaces(&[]), &[])] });
    let api = Api::<ValidatingWebhookConfiguration>::all(client);
    api.create(&params, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
}

/// Takes the registration of an installation away.
pub(crate) async fn unregister(server: &ApiServer, configuration: &str) {
    let client = server.client(User::new("administrator"));
    let params = DeleteParams::default();
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    drop(mutating.delete(configuration, &params).await);
    let validating = Api::<ValidatingWebhookConfiguration>::all(client);
    drop(validating.delete(configuration, &params).await);
}
