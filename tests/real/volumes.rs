//! Volumes of which containers read some files, or none. Rollouts are counted, and pods by uid.

use std::collections::BTreeSet;

use reroll_harness::{Arena, RESTART_ON, Recorder, at_once, eventually, running, workload};
use serde_json::{Value, json};

const KINDS: [&str; 2] = ["Deployment", "StatefulSet"];
const BOTH: [(&str, &str); 2] = [("k", "one"), ("other", "one")];

/// A way to read key `k` of a source that has another key, as one file of a volume.
struct Way {
    name: &'static str,
    source: &'static str,
    /// What the volume is, of a source of this name.
    volume: fn(&str) -> Value,
    /// How a container mounts it.
    mount: fn() -> Value,
    /// Where the container stands.
    list: &'static str,
}

fn below(path: &str) -> Value {
    json!({ "name": "v", "mountPath": "/v", "subPath": path })
}

/// Key `k` at `d/k`, and the other at `e`.
fn items() -> Value {
    json!([{ "key": "k", "path": "d/k" }, { "key": "other", "path": "e" }])
}

const WAYS: [Way; 8] = [
    Way {
        name: "secret",
        source: "Secret",
        volume: |name| json!({ "secret": { "secretName": name } }),
        mount: || below("k"),
        list: "containers",
    },
    Way {
        name: "map",
        source: "ConfigMap",
        volume: |name| json!({ "configMap": { "name": name } }),
        mount: || below("k"),
        list: "containers",
    },
    Way {
        name: "init",
        source: "Secret",
        volume: |name| json!({ "secret": { "secretName": name } }),
        mount: || below("k"),
        list: "initContainers",
    },
    Way {
        name: "expr",
        source: "Secret",
        volume: |name| json!({ "secret": { "secretName": name } }),
        mount: || json!({ "name": "v", "mountPath": "/v", "subPathExpr": "k" }),
        list: "containers",
    },
    Way {
        name: "item",
        source: "ConfigMap",
        volume: |name| json!({ "configMap": { "name": name, "items": items() } }),
        mount: || below("d/k"),
        list: "containers",
    },
    Way {
        name: "folder",
        source: "Secret",
        volume: |name| json!({ "secret": { "secretName": name, "items": items() } }),
        mount: || below("d"),
        list: "containers",
    },
    Way {
        name: "projected",
        source: "Secret",
        volume: |name| {
            json!({ "projected": { "sources": [
                { "secret": { "name": name } },
                { "serviceAccountToken": { "path": "token" } },
            ] } })
        },
        mount: || below("k"),
        list: "containers",
    },
    Way {
        name: "projected-item",
        source: "ConfigMap",
        volume: |name| {
            json!({ "projected": { "sources": [
                { "configMap": { "name": name, "items": items() } },
                { "downwardAPI": { "items": [{ "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } }] } },
            ] } })
        },
        mount: || below("d/k"),
        list: "containers",
    },
];

/// Pods with a volume, and their containers' mounts of it.
fn pod(volume: &Value, list: &str, mounts: &Value) -> Value {
    let mut named = json!({ "name": "v" });
    let member = volume.as_object().unwrap().clone();
    named.as_object_mut().unwrap().extend(member);
    let mut pod = json!({ "containers": [{}], "volumes": [named] });
    pod[list] = json!([{ "volumeMounts": mounts }]);
    pod
}

fn named(kind: &str, name: &str) -> String {
    format!("{}-{name}", kind.to_lowercase())
}

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

/// Creates a source and its users, of each kind, with running pods.
async fn create(arena: &Arena, way: &Way) {
    arena.source(way.source, way.name, &BOTH).await;
    let mounts = json!([(way.mount)()]);
    let pod = pod(&(way.volume)(way.name), way.list, &mounts);
    for kind in KINDS {
        let name = named(kind, way.name);
        arena
            .create(&running(kind, &name, &AUTO, pod.clone()))
            .await;
        arena.complete(kind, &name).await;
        arena.adopted(kind, &name).await;
    }
}

/// The pods of Deployments. Where a pod takes the place of one of its name, kwok and the controller of StatefulSets, which
/// both delete by name, have deleted the new one as well, again and again for minutes, although it was up to date; so of
/// StatefulSets only templates are counted here.
async fn uids(arena: &Arena, names: &[&str]) -> BTreeSet<String> {
    let mut uids = BTreeSet::new();
    for name in names {
        let name = named("Deployment", name);
        arena.complete("Deployment", &name).await;
        uids.extend(arena.pod_uids(&name).await);
    }
    uids
}

#[track_caller]
fn expect(recorder: &Recorder, names: &[&str], rollouts: usize) {
    for kind in KINDS {
        let each = names.iter().map(|name| (named(kind, name), rollouts));
        recorder.expect_each(kind, each);
    }
}

#[tokio::test]
async fn only_the_files_that_containers_read_count() {
    let arena = Arena::new("volumes-files").await;
    let reroll = arena.reroll().start().await;
    at_once(&WAYS, async |way| create(&arena, way).await).await;
    let names = WAYS.map(|way| way.name);
    let recorder = arena.record().await;
    let first = uids(&arena, &names).await;
    let set = async |key: &str, value: &str| {
        at_once(&WAYS, async |way| {
            arena.set(way.source, way.name, key, value).await;
        })
        .await;
        recorder.settle(&arena).await;
    };
    let unset = async || {
        at_once(&WAYS, async |way| {
            arena.unset(way.source, way.name, "k").await;
        })
        .await;
        recorder.settle(&arena).await;
    };

    set("other", "two").await;
    expect(&recorder, &names, 0);
    assert_eq!(uids(&arena, &names).await, first);

    set("k", "two").await;
    expect(&recorder, &names, 1);
    let second = uids(&arena, &names).await;
    assert!(second.is_disjoint(&first));

    // New pods would have a directory in the place of the file, or would not start.
    unset().await;
    expect(&recorder, &names, 1);
    set("k", "two").await;
    expect(&recorder, &names, 1);
    assert_eq!(uids(&arena, &names).await, second);

    unset().await;
    set("k", "three").await;
    expect(&recorder, &names, 2);

    // Another object without the key is pending, and said.
    at_once(&WAYS, async |way| {
        arena
            .recreate(way.source, way.name, &[("other", "two")])
            .await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&recorder, &names, 2);
    let pending = r#"reroll_workloads_pending{reason="missing"}"#;
    eventually("all are pending", async || {
        let all = u64::try_from(WAYS.len() * KINDS.len()).unwrap();
        (reroll.count(pending).await == all).then_some(())
    })
    .await;
    for kind in KINDS {
        let told = arena.event(&named(kind, "secret"), "RestartWaits").await;
        assert!(told.contains("Secret secret was recreated"), "{told}");
    }
    set("k", "three").await;
    expect(&recorder, &names, 3);
}

/// A key that is absent when pods are made: they have a directory, and are replaced when it comes. With `items` they wait.
#[tokio::test]
async fn a_file_that_comes_later_rolls_pods_that_did_not_wait_for_it() {
    let arena = Arena::new("volumes-late").await;
    let _reroll = arena.reroll().start().await;
    at_once(&WAYS, async |way| {
        arena
            .source(way.source, way.name, &[("other", "one")])
            .await;
        let mounts = json!([(way.mount)()]);
        let pod = pod(&(way.volume)(way.name), way.list, &mounts);
        for kind in KINDS {
            let name = named(kind, way.name);
            let manifest = workload(kind, &name, &AUTO, pod.clone()).to_string();
            let create = ["create", "-f", "-"];
            let said = arena.kubectl_with(&create, &manifest).await.ok();
            let warning = format!(
                "reroll: {kind} {name} needs {} {}, which is absent or lacks a key",
                way.source, way.name
            );
            assert!(said.err.contains(&warning), "{}", said.err);
        }
    })
    .await;
    let recorder = arena.record().await;
    at_once(&WAYS, async |way| {
        arena.set(way.source, way.name, "k", "one").await;
    })
    .await;
    recorder.settle(&arena).await;
    let (listed, files): (Vec<_>, Vec<_>) = WAYS
        .iter()
        .map(|way| way.name)
        .partition(|name| ["item", "folder", "projected-item"].contains(name));
    expect(&recorder, &listed, 0);
    expect(&recorder, &files, 1);
}

/// A name, a kind of source, and a volume of it.
type Idle = (&'static str, &'static str, fn(&str) -> Value);

/// A kubelet makes no volume that no container mounts: neither its data nor its uid counts, nor that it is absent.
#[tokio::test]
async fn a_volume_that_no_container_mounts_does_not_count() {
    let arena = Arena::new("volumes-idle").await;
    let _reroll = arena.reroll().start().await;
    arena.config_map("read", &BOTH).await;
    let ways: [Idle; 4] = [
        (
            "plain",
            "Secret",
            |name| json!({ "secret": { "secretName": name } }),
        ),
        (
            "map",
            "ConfigMap",
            |name| json!({ "configMap": { "name": name } }),
        ),
        (
            "items",
            "Secret",
            |name| json!({ "secret": { "secretName": name, "items": items() } }),
        ),
        (
            "projected",
            "ConfigMap",
            |name| json!({ "projected": { "sources": [{ "configMap": { "name": name } }] } }),
        ),
    ];
    let names = ways.map(|(name, ..)| name);
    at_once(&ways, async |(name, source, volume)| {
        arena.source(source, name, &BOTH).await;
        let mut pod = pod(&volume(name), "containers", &json!([]));
        pod["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "read" } }]);
        for kind in KINDS {
            let name = named(kind, name);
            arena
                .create(&running(kind, &name, &AUTO, pod.clone()))
                .await;
            arena.complete(kind, &name).await;
            arena.adopted(kind, &name).await;
        }
    })
    .await;
    let recorder = arena.record().await;
    let pods = uids(&arena, &names).await;
    for (name, source, _) in ways {
        arena.set(source, name, "k", "two").await;
    }
    recorder.settle(&arena).await;
    for (name, source, _) in ways {
        arena.recreate(source, name, &BOTH).await;
    }
    recorder.settle(&arena).await;
    for (name, source, _) in ways {
        arena.delete(source, name).await;
    }
    recorder.settle(&arena).await;
    expect(&recorder, &names, 0);
    assert_eq!(uids(&arena, &names).await, pods);
    // What they read rolls them all the same.
    arena.set("ConfigMap", "read", "k", "two").await;
    recorder.settle(&arena).await;
    expect(&recorder, &names, 1);
    assert!(uids(&arena, &names).await.is_disjoint(&pods));
}

/// To name a source is to ask for what pods read of it; where they read nothing, for all of it.
#[tokio::test]
async fn what_the_opt_in_names_counts_as_pods_read_it_or_whole() {
    let arena = Arena::new("volumes-named").await;
    let _reroll = arena.reroll().start().await;
    let volume = json!({ "secret": { "secretName": "named" } });
    arena.secret("named", &BOTH).await;
    for kind in KINDS {
        let asks = [(RESTART_ON, "secret/named")];
        for (name, mounts) in [("file", json!([below("k")])), ("idle", json!([]))] {
            let pod = pod(&volume, "containers", &mounts);
            arena
                .create(&workload(kind, &named(kind, name), &asks, pod))
                .await;
            arena.adopted(kind, &named(kind, name)).await;
        }
    }
    let recorder = arena.record().await;
    arena.set("Secret", "named", "other", "two").await;
    recorder.settle(&arena).await;
    expect(&recorder, &["file"], 0);
    expect(&recorder, &["idle"], 1);
    arena.set("Secret", "named", "k", "two").await;
    recorder.settle(&arena).await;
    expect(&recorder, &["file"], 1);
    expect(&recorder, &["idle"], 2);
}

// === the release before, which counted all of each volume ===

/// Nothing rolls for the change of the release, there and back, and no change meanwhile is lost.
#[ignore = "needs the binary of another release: REROLL_BEFORE"]
#[tokio::test]
async fn the_release_before_up_and_down() {
    let arena = Arena::new("volumes-before").await;
    let old = arena.reroll().before().start().await;
    at_once(&WAYS, async |way| create(&arena, way).await).await;
    let names = WAYS.map(|way| way.name);
    // Later than the pods, and no change: the label is of the manager that wrote the data.
    arena.later_second().await;
    for way in &WAYS {
        let label = json!({ "metadata": { "labels": { "later": "yes" } } });
        arena.patch(way.source, way.name, label).await;
    }
    let recorder = arena.record().await;
    let pods = uids(&arena, &names).await;
    assert!(old.stop().await);

    let new = arena.reroll().start().await;
    recorder.settle(&arena).await;
    recorded(&arena).await;
    let known = texts(&arena, &names).await;
    assert!(new.stop().await);
    let new = arena.reroll().start().await;
    recorder.settle(&arena).await;
    assert_eq!(texts(&arena, &names).await, known, "rewritten");
    assert!(new.stop().await);
    let old = arena.reroll().before().start().await;
    recorder.settle(&arena).await;
    assert!(old.stop().await);
    let new = arena.reroll().start().await;
    recorder.settle(&arena).await;
    expect(&recorder, &names, 0);
    assert_eq!(uids(&arena, &names).await, pods);

    recorded(&arena).await;
    let known = texts(&arena, &names).await;
    for way in &WAYS {
        arena.set(way.source, way.name, "other", "two").await;
    }
    recorder.settle(&arena).await;
    expect(&recorder, &names, 0);
    assert_eq!(texts(&arena, &names).await, known, "rewritten");
    // A change while none runs is found by either.
    assert!(new.stop().await);
    for way in &WAYS {
        arena.set(way.source, way.name, "k", "two").await;
    }
    let old = arena.reroll().before().start().await;
    recorder.settle(&arena).await;
    expect(&recorder, &names, 1);
    assert!(old.stop().await);
    for way in &WAYS {
        arena.set(way.source, way.name, "k", "three").await;
    }
    let _new = arena.reroll().start().await;
    recorder.settle(&arena).await;
    expect(&recorder, &names, 2);
}

/// Waits until each key that is read stands in `observed`, beside what an older release counts.
async fn recorded(arena: &Arena) {
    for way in &WAYS {
        let source = format!("{}/{}", way.source.to_lowercase(), way.name);
        let rest = if way.name.contains("item") || way.name == "folder" {
            "other"
        } else {
            "*"
        };
        for kind in KINDS {
            let name = named(kind, way.name);
            let both = |entry: &Value| entry["d"]["k"].is_string() && entry["d"][rest].is_string();
            arena.observes(kind, &name, &source, both).await;
        }
    }
}

async fn texts(arena: &Arena, names: &[&str]) -> Vec<Option<Value>> {
    let mut texts = Vec::new();
    for kind in KINDS {
        for name in names {
            texts.push(arena.observed(kind, &named(kind, name)).await);
        }
    }
    texts
}
