//! Pods that print what they read of a source, and what they printed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::LogParams};
use reroll_harness::{Arena, eventually};
use serde_json::{Value, json};

/// The only image that the nodes have.
pub const IMAGE: &str = "reroll.test/busybox:1";
/// The key of all sources here.
pub const KEY: &str = "k";
/// How a pod can read a source.
pub const WAYS: [&str; 5] = ["variable", "file", "subPath", "projected", "init"];

/// Prints what was read in each way. Then it runs until it is told to end, as a well-behaved program does.
const PRINT: &str = "\
    echo variable=$V file=$(cat /file/k) subPath=$(cat /single) projected=$(cat /projected/k) init=$(cat /handed/on)\n";
/// Runs until SIGTERM. A shell that waits for a command in the foreground would not notice it.
pub const RUN: &str = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done\n";

/// Returns a container that runs this script.
pub fn container(script: &str) -> Value {
    json!({
        "name": "main", "image": IMAGE, "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", script],
    })
}

/// Returns a variable of a container, `V`, that is the value of a Secret or `ConfigMap`.
pub fn variable(kind: &str, name: &str) -> Value {
    let from = match kind {
        "Secret" => "secretKeyRef",
        _ => "configMapKeyRef",
    };
    json!([{ "name": "V", "valueFrom": { from: { "name": name, "key": KEY } } }])
}

/// Returns the spec of a pod that reads a Secret or `ConfigMap` in all ways.
pub fn in_all_ways(kind: &str, name: &str) -> Value {
    let env = variable(kind, name);
    let (volume, projected) = match kind {
        "Secret" => (json!({ "secretName": name }), "secret"),
        _ => (json!({ "name": name }), "configMap"),
    };
    let mut main = container(&format!("{PRINT}{RUN}"));
    main["env"] = env.clone();
    main["volumeMounts"] = json!([
        { "name": "file", "mountPath": "/file" },
        { "name": "file", "mountPath": "/single", "subPath": KEY },
        { "name": "projected", "mountPath": "/projected" },
        { "name": "handed", "mountPath": "/handed" },
    ]);
    let mut init = container("echo $V >/handed/on");
    init["name"] = json!("init");
    init["env"] = env;
    init["volumeMounts"] = json!([{ "name": "handed", "mountPath": "/handed" }]);
    json!({
        // A network for each pod takes as long as all the rest.
        "hostNetwork": true,
        "automountServiceAccountToken": false,
        "initContainers": [init],
        "containers": [main],
        "volumes": [
            { "name": "file", projected: volume },
            { "name": "projected", "projected": { "sources": [{ projected: { "name": name } }] } },
            { "name": "handed", "emptyDir": {} },
        ],
    })
}

/// What one pod read, by the ways.
pub type Read = BTreeMap<String, String>;

/// Returns what a pod reads that reads this in all ways.
pub fn everywhere(value: &str) -> Read {
    WAYS.map(|way| (way.to_owned(), value.to_owned())).into()
}

/// Returns what the pods of a workload have read, by their names. Waits until each has said it.
pub async fn by_pod(arena: &Arena, app: &str) -> BTreeMap<String, Read> {
    let api = Api::<Pod>::namespaced(arena.client.clone(), &arena.namespace);
    let mut read = BTreeMap::new();
    for pod in arena.pods(app).await {
        let name = pod.name_any();
        let line = eventually(&format!("pod {name} says what it read"), async || {
            let log = api.logs(&name, &LogParams::default()).await.ok()?;
            log.lines().next().map(ToOwned::to_owned)
        })
        .await;
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(way, value)| (way.to_owned(), value.to_owned()));
        read.insert(name, pairs.collect());
    }
    read
}
