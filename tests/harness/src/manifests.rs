//! Manifests, short enough to be read in a test.

use serde_json::{Map, Value, json};

/// Opts a workload in.
pub const RESTART_ON: &str = "reroll.dev/restart-on";
/// Opts it in by Reloader's word.
pub const RELOADER_AUTO: &str = "reloader.stakater.com/auto";
/// What reroll has seen of the sources of a workload.
pub const OBSERVED: &str = "reroll.dev/observed";
/// What the last restart of a workload was.
pub const ROLLOUT: &str = "reroll.dev/rollout";
/// At what days and hours a workload is restarted.
pub const WINDOW: &str = "reroll.dev/window";
/// So long after a change it is restarted outside of them all the same.
pub const WINDOW_LATEST: &str = "reroll.dev/window-latest";
/// Which of its values belong together.
pub const TOGETHER: &str = "reroll.dev/together";
/// So long after the first change of them it is restarted without the others.
pub const TOGETHER_LATEST: &str = "reroll.dev/together-latest";
/// Why a restart that is due is not made.
pub const PENDING: &str = "reroll.dev/pending";
/// Its place in the order of restarts.
pub const WAVE: &str = "reroll.dev/wave";
/// Which restart is let past what holds it.
pub const RELEASE: &str = "reroll.dev/release";
/// What a template was changed for.
pub const RESTARTED_FOR: &str = "reroll.dev/restarted-for";
/// Tells people of the last restart.
pub const LAST_RESTART: &str = "reroll.dev/last-restart";
/// What `kubectl rollout restart` sets in the pod template.
pub const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// The kinds of workload that run all the time.
pub const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// A Secret with this data.
pub fn secret(name: &str, data: &[(&str, &str)]) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": strings(data) })
}

/// A `ConfigMap` with this data.
pub fn config_map(name: &str, data: &[(&str, &str)]) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": strings(data) })
}

fn strings(data: &[(&str, &str)]) -> Value {
    data.iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// A workload with this pod spec (containers get names and images) and these annotations, without replicas.
pub fn workload(kind: &str, name: &str, annotations: &[(&str, &str)], mut pod: Value) -> Value {
    for list in ["containers", "initContainers"] {
        for (number, container) in pod
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let container = container.as_object_mut().unwrap();
            container
                .entry("name")
                .or_insert_with(|| json!(format!("{}-{number}", list.to_lowercase())));
            container
                .entry("image")
                .or_insert_with(|| json!("registry.example/app:1"));
        }
    }
    let mut spec = json!({
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } }, "spec": pod },
    });
    match kind {
        "Deployment" => spec["replicas"] = json!(0),
        "StatefulSet" => {
            spec["replicas"] = json!(0);
            spec["serviceName"] = json!(name);
        }
        // A DaemonSet without nodes to run on.
        _ => spec["template"]["spec"]["nodeSelector"] = json!({ "no": "node" }),
    }
    json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": { "name": name, "annotations": strings(annotations) },
        "spec": spec,
    })
}

/// An opted-in Deployment without replicas that reads `key` of a Secret into a variable.
pub fn deployment(name: &str, secret: &str, key: &str) -> Value {
    workload(
        "Deployment",
        name,
        &[(RESTART_ON, "auto")],
        env(secret, key),
    )
}

/// A pod with one container that reads `key` of a Secret into a variable.
pub fn env(secret: &str, key: &str) -> Value {
    json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } }] }] })
}

/// The same, of a pod that starts without it.
pub fn env_optional(secret: &str, key: &str) -> Value {
    let mut pod = env(secret, key);
    pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    pod
}

/// A pod with one container that reads all keys of a Secret into variables.
pub fn env_from(secret: &str) -> Value {
    json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": secret } }] }] })
}
