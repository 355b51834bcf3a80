//! A source whose old object was immutable: kubelets go on giving its data to new pods.
//!
//! The nodes here run no kubelets, so what is tested is what reroll says, and where: in whole texts.

use std::collections::BTreeSet;

use kube::ResourceExt;
use reroll_harness::{Arena, RESTART_ON, config_map, env, eventually, secret, workload};
use serde_json::{Value, json};

/// A source of this kind and name.
fn source(kind: &str, name: &str, value: &str, immutable: bool) -> Value {
    let mut source = match kind {
        "Secret" => secret(name, &[("k", value)]),
        _ => config_map(name, &[("k", value)]),
    };
    if immutable {
        source["immutable"] = json!(true);
    }
    source
}

/// An opted-in workload that reads it.
fn reads(kind: &str, workload_kind: &str, name: &str, source: &str) -> Value {
    let from = if kind == "Secret" {
        "secretKeyRef"
    } else {
        "configMapKeyRef"
    };
    let env = json!([{ "name": "V", "valueFrom": { from: { "name": source, "key": "k" } } }]);
    let pod = json!({ "containers": [{ "env": env }] });
    workload(workload_kind, name, &[(RESTART_ON, "auto")], pod)
}

/// What was said at the prompt, warning by warning.
fn warnings(said: &str) -> Vec<String> {
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("Warning: "));
    lines.map(str::to_owned).collect()
}

async fn delete(arena: &Arena, kind: &str, name: &str) -> Vec<String> {
    let said = arena.kubectl(&["delete", kind, name]).await.ok();
    warnings(&said.err)
}

async fn create(arena: &Arena, manifest: &Value) -> Vec<String> {
    let manifest = manifest.to_string();
    let said = arena.kubectl_with(&["create", "-f", "-"], &manifest).await;
    warnings(&said.ok().err)
}

/// The warnings at the deletion of what is used by Deployment `name`.
fn at_deletion(kind: &str, name: &str, immutable: bool) -> Vec<String> {
    let remedy = format!(
        "reroll: give the new {kind} another name: {name} is immutable, and nodes give its data to new pods"
    );
    let used = format!(
        "reroll: {kind} {name} is used by Deployment {name}; it restarts when the {kind} is back"
    );
    let remedy = immutable.then_some(remedy);
    remedy.into_iter().chain([used]).collect()
}

/// The warnings at its recreation.
fn at_recreation(how: &str, kind: &str, name: &str, was_immutable: bool) -> Vec<String> {
    let restarts = format!("reroll: {how}{kind} {name} restarts Deployment {name}");
    let remedy = format!(
        "reroll: give {kind} {name} another name, or scale to 0 and back: the old one was immutable, and nodes keep its data"
    );
    let remedy = was_immutable.then_some(remedy);
    // What is wrong comes first.
    remedy.into_iter().chain([restarts]).collect()
}

const ROWS: [(&str, &str, bool, bool); 6] = [
    ("Secret", "both", true, true),
    ("Secret", "old", true, false),
    ("Secret", "new", false, true),
    ("Secret", "neither", false, false),
    ("ConfigMap", "map-old", true, false),
    ("ConfigMap", "map-new", false, true),
];

#[tokio::test]
async fn what_the_prompt_says_depends_on_the_old_one() {
    let arena = Arena::new("immutable-prompt").await;
    let _reroll = arena.reroll().start().await;
    for (kind, name, old, _) in ROWS {
        arena.create(&source(kind, name, "one", old)).await;
        arena.create(&reads(kind, "Deployment", name, name)).await;
    }
    let recorder = arena.record().await;
    for (kind, name, old, new) in ROWS {
        assert_eq!(
            delete(&arena, kind, name).await,
            at_deletion(kind, name, old),
            "{name}"
        );
        let created = create(&arena, &source(kind, name, "two", new)).await;
        assert_eq!(
            created,
            at_recreation("recreated ", kind, name, old),
            "{name}"
        );
    }
    recorder.settle(&arena).await;
    for (_, name, ..) in ROWS {
        recorder.expect("Deployment", name, 1);
    }
}

/// A process that never saw the old one knows it by what the pods were started with.
#[tokio::test]
async fn what_was_immutable_is_known_after_downtime() {
    let arena = Arena::new("immutable-away").await;
    let mut reroll = arena.reroll().start().await;
    for (kind, name, old, _) in ROWS {
        arena.create(&source(kind, name, "one", old)).await;
        arena.create(&reads(kind, "Deployment", name, name)).await;
    }
    for (_, name, ..) in ROWS {
        arena.adopted("Deployment", name).await;
    }
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    for (kind, name, ..) in ROWS {
        assert_eq!(delete(&arena, kind, name).await, [""; 0]);
    }
    reroll = builder.start().await;
    let recorder = arena.record().await;
    for (kind, name, old, new) in ROWS {
        let created = create(&arena, &source(kind, name, "two", new)).await;
        assert_eq!(created, at_recreation("", kind, name, old), "{name}");
    }
    recorder.settle(&arena).await;
    for (_, name, old, _) in ROWS {
        recorder.expect("Deployment", name, 1);
        let observed = arena.observed("Deployment", name).await.unwrap();
        let seen = observed["s"].as_object().unwrap().values().next().unwrap();
        // What it says is of the new one.
        let new = ROWS.iter().find(|row| row.1 == name).unwrap().3;
        let (format, flag) = if new { (3, json!(1)) } else { (1, Value::Null) };
        assert_eq!(
            (&observed["v"], &seen["i"]),
            (&json!(format), &flag),
            "{name} {old}"
        );
    }
    drop(reroll);
}

/// With one pod, which never runs where another one of it does.
fn alone(name: &str, source: &str) -> Value {
    let mut pod = env(source, "k");
    pod["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": { "matchLabels": { "app": name } },
    }] } });
    let mut manifest = workload("Deployment", name, &[(RESTART_ON, "auto")], pod);
    manifest["spec"]["replicas"] = json!(1);
    manifest
}

/// One on each node.
fn everywhere(name: &str, source: &str, annotations: &[(&str, &str)]) -> Value {
    let mut manifest = workload("DaemonSet", name, annotations, env(source, "k"));
    manifest["spec"]["template"]["spec"]["nodeSelector"] = json!(null);
    manifest
}

/// Waits until the pods of `name` are `count`, all are other ones than `before`, and run. Returns their names.
async fn replaced(
    arena: &Arena,
    name: &str,
    count: usize,
    before: &BTreeSet<String>,
) -> Vec<String> {
    eventually(&format!("the pods of {name} are new"), async || {
        let pods = arena.pods(name).await;
        let phase = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.status.as_ref().and_then(|status| status.phase.clone())
        };
        let is_new = pods.iter().all(|pod| {
            pod.metadata.deletion_timestamp.is_none()
                && phase(pod).as_deref() == Some("Running")
                && !before.contains(&pod.name_any())
        });
        let mut names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
        names.sort();
        (pods.len() == count && is_new).then_some(names)
    })
    .await
}

fn stale(pods: &[String], source: &str) -> String {
    format!(
        "{} may have the old data of Secret {source}: the old one was immutable, and kubelets keep it while a pod names it. \
         Give the new one another name, or scale all that uses it to 0, wait until no pod names it, and scale up",
        pods.join(", ")
    )
}

/// Pods on nodes that had a pod with the old one are named, once; whosever that pod was. Those on other nodes are not.
#[tokio::test]
async fn pods_where_the_old_one_was_are_named_when_the_rollout_ends() {
    let arena = Arena::new("immutable-nodes").await;
    let _reroll = arena.reroll().start().await;
    let none = BTreeSet::new();
    for (name, immutable) in [
        ("all", true),
        ("free", true),
        ("held", true),
        ("mutable", false),
    ] {
        arena
            .create(&source("Secret", name, "one", immutable))
            .await;
    }
    arena
        .create(&everywhere("all", "all", &[(RESTART_ON, "auto")]))
        .await;
    arena
        .create(&everywhere("mutable", "mutable", &[(RESTART_ON, "auto")]))
        .await;
    arena.create(&everywhere("holder", "held", &[])).await;
    arena.create(&alone("free", "free")).await;
    arena.create(&alone("held", "held")).await;
    let workloads = [("all", 3), ("mutable", 3), ("free", 1), ("held", 1)];
    replaced(&arena, "holder", 3, &none).await;
    let mut before = Vec::new();
    for (name, count) in workloads {
        before.push(
            replaced(&arena, name, count, &none)
                .await
                .into_iter()
                .collect(),
        );
    }
    // What takes the place of an immutable one may itself be updated.
    for (name, _) in workloads {
        arena.delete("Secret", name).await;
        let immutable = name == "all" || name == "mutable";
        arena
            .create(&source("Secret", name, "two", immutable))
            .await;
    }
    let mut now = Vec::new();
    for ((name, count), before) in workloads.iter().zip(&before) {
        now.push(replaced(&arena, name, *count, before).await);
    }
    arena.event("all", &stale(&now[0], "all")).await;
    arena.event("held", &stale(&now[3], "held")).await;
    // What is told after that is told after everything that the first rollouts could have led to.
    let first: BTreeSet<_> = now[0].iter().cloned().collect();
    arena.delete("Secret", "all").await;
    arena.create(&source("Secret", "all", "three", false)).await;
    let last = replaced(&arena, "all", 3, &first).await;
    arena.event("all", &stale(&last, "all")).await;
    for (name, count) in [("all", 2), ("held", 1), ("free", 0), ("mutable", 0)] {
        assert_eq!(arena.event_count(name, "Stale").await, count, "{name}");
    }
}
