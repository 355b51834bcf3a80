//! What hostile tenants write.

mod remembered;
mod slow;

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};

pub use self::{
    remembered::{Added, Remembered, remembered},
    slow::keep_slow,
};
use crate::{Arena, RESTART_ON, config_map, env_from, secret, workload};

/// The longest that the globs, or the expressions, of one list may be together to be read.
pub const BOUND: usize = 2048;
/// Keys of a `ConfigMap`.
pub const KEYS: usize = 60_000;
/// Sources of a projected volume.
pub const PROJECTED: usize = 12_000;
/// References of a template.
pub const REFERENCES: usize = 1000;

/// Reloader's list of Secrets, of expressions.
pub const SECRET_RELOAD: &str = "secret.reloader.stakater.com/reload";
/// The same of `ConfigMap`s.
pub const CONFIG_MAP_RELOAD: &str = "configmap.reloader.stakater.com/reload";

/// So many globs of 120 letters, of which no name can be said to match none before all of it was looked at.
pub fn glob_list(count: usize, seed: usize) -> String {
    let globs: Vec<_> = (0..count)
        .map(|at| format!("secret/*{}{at}-{seed}", "a*".repeat(56)))
        .collect();
    globs.join(",")
}

/// As many globs as are read.
pub fn read_globs(seed: usize) -> String {
    glob_list(BOUND / glob_list(1, seed).len(), seed)
}

/// So many expressions that make large programs.
pub fn expression_list(count: usize) -> String {
    vec![".{60}"; count].join(",")
}

/// A name as long as names get, that patterns look at for long.
pub fn long_name(number: usize) -> String {
    format!("s{number:03}-{}", "a".repeat(240))
}

/// A Deployment that this opts in, and with nothing in its template.
pub fn opted_in(name: &str, annotation: (&str, &str)) -> Value {
    let pod = json!({ "containers": [{}] });
    workload("Deployment", name, &[annotation], pod)
}

/// A Deployment with a volume of more sources than anybody reads.
pub fn projected(name: &str) -> Value {
    let sources: Vec<_> = (0..PROJECTED)
        .map(|at| json!({ "secret": { "name": format!("s{at}"), "optional": true } }))
        .collect();
    let mut pod = json!({ "containers": [{}] });
    pod["volumes"] = json!([{ "name": "many", "projected": { "sources": sources } }]);
    pod["containers"][0]["volumeMounts"] = json!([{ "name": "many", "mountPath": "/many" }]);
    workload("Deployment", name, &[(RESTART_ON, "auto")], pod)
}

/// A Deployment with as many references as are followed, or nearly so.
pub fn references(name: &str) -> Value {
    let all: Vec<_> = (0..REFERENCES)
        .map(|at| json!({ "secretRef": { "name": format!("s{at:04}"), "optional": true } }))
        .collect();
    let pod = json!({ "containers": [{ "envFrom": all }] });
    workload("Deployment", name, &[(RESTART_ON, "auto")], pod)
}

/// A `ConfigMap` with as many keys as it can have.
pub fn many_keys(name: &str) -> Value {
    let keys: Vec<_> = (0..KEYS).map(|at| format!("k{at}")).collect();
    let keys: Vec<_> = keys.iter().map(|key| (key.as_str(), "")).collect();
    config_map(name, &keys)
}

/// A release of Helm, of so many bytes.
pub fn release(number: usize, bytes: usize) -> Value {
    // As Helm has it: compressed, and so nothing that compresses.
    let letters = std::iter::repeat_with(fastrand::alphanumeric);
    let value: String = letters.take(bytes).collect();
    let name = format!("sh.helm.release.v1.app.v{number}");
    let mut object = secret(&name, &[("release", &value)]);
    object["type"] = json!("helm.sh/release.v1");
    object["metadata"]["labels"] = json!({ "owner": "helm", "name": "app" });
    object
}

/// A Deployment whose rollout hangs: there is no node for its pod.
pub fn hanging(name: &str, secret: &str) -> Value {
    let opted_in = [(RESTART_ON, "auto")];
    let mut object = workload("Deployment", name, &opted_in, env_from(secret));
    object["spec"]["replicas"] = json!(1);
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({ "no": "node" });
    object
}

/// Writes what the API server may refuse.
pub async fn try_create(api: &Api<DynamicObject>, manifest: Value) {
    if let Ok(object) = serde_json::from_value(manifest) {
        drop(api.create(&PostParams::default(), &object).await);
    }
}

/// Takes everything away that a tenant has.
pub async fn leave(tenant: &Arena) {
    for kind in ["Deployment", "Secret", "ConfigMap"] {
        let (api, all) = (tenant.api(kind), ListParams::default());
        drop(api.delete_collection(&DeleteParams::default(), &all).await);
    }
}
