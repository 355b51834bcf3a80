//! An immutable source that is made again under its name: what people are told at each step, and whether the pods that are
//! named are those that read the old data.
//!
//! Where the new pod may come before the kubelet is done with the old one, and no other pod of the node names the source, it
//! is open which data the new one has. There all that read the old data must be named. Everywhere else, and no others.

use std::collections::BTreeSet;

use reroll_harness::{Arena, Recorder, SOURCES, config_map, eventually, running, secret};
use serde_json::{Value, json};

use crate::{
    reads::{RUN, by_pod, container, everywhere, in_all_ways},
    stage::{AUTO, arena, nodes},
};

/// Where the pods of a workload run.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Anywhere,
    /// None where another one of it runs.
    Apart,
    OneNode,
}

/// Who names the source besides the workload, on every node.
#[derive(Clone, Copy, PartialEq)]
enum Besides {
    Nobody,
    Others,
}

/// A workload that reads a source of its own name.
struct Row {
    name: &'static str,
    kind: &'static str,
    replicas: usize,
    place: Place,
    besides: Besides,
    /// Which data its pods have after the recreation, where that is not open.
    reads: Option<&'static str>,
}

use Besides::{Nobody, Others};
use Place::{Anywhere, Apart, OneNode};

const ROWS: [Row; 8] = [
    row("open", "Deployment", 2, Anywhere, Nobody, None),
    row("held", "Deployment", 2, Anywhere, Others, Some("one")),
    row("moves", "Deployment", 1, Apart, Nobody, Some("two")),
    row("surges", "Deployment", 1, OneNode, Nobody, Some("one")),
    row("daemon", "DaemonSet", 2, Anywhere, Nobody, None),
    row("daemons", "DaemonSet", 2, Anywhere, Others, Some("one")),
    row("single", "StatefulSet", 1, OneNode, Nobody, Some("two")),
    row("double", "StatefulSet", 2, OneNode, Nobody, Some("one")),
];

const fn row(
    name: &'static str,
    kind: &'static str,
    replicas: usize,
    place: Place,
    besides: Besides,
    reads: Option<&'static str>,
) -> Row {
    Row {
        name,
        kind,
        replicas,
        place,
        besides,
        reads,
    }
}

fn source(kind: &str, name: &str, value: &str, immutable: bool) -> Value {
    let mut source = match kind {
        "Secret" => secret(name, &[("k", value)]),
        _ => config_map(name, &[("k", value)]),
    };
    source["immutable"] = json!(immutable);
    source
}

fn workload(row: &Row, source: &str, node: &str) -> Value {
    let mut pod = in_all_ways(source, row.name);
    match row.place {
        Anywhere => {}
        Apart => {
            let same = json!({ "matchLabels": { "app": row.name } });
            let apart = [json!({ "topologyKey": "kubernetes.io/hostname", "labelSelector": same })];
            pod["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": apart } });
        }
        OneNode => pod["nodeSelector"] = json!({ "kubernetes.io/hostname": node }),
    }
    let mut manifest = running(row.kind, row.name, &AUTO, pod);
    if row.kind != "DaemonSet" {
        manifest["spec"]["replicas"] = json!(row.replicas);
    }
    manifest
}

/// Names, on every node, the sources of all rows that others name too. It did not opt in.
fn others(kind: &str) -> Value {
    let rows = ROWS.iter().filter(|row| row.besides == Others);
    let from = match kind {
        "Secret" => "secretRef",
        _ => "configMapRef",
    };
    let mut main = container(RUN);
    main["envFrom"] = rows
        .map(|row| json!({ from: { "name": row.name } }))
        .collect();
    let pod = json!({ "hostNetwork": true, "containers": [main] });
    running("DaemonSet", "others", &[], pod)
}

fn warnings(said: &str) -> Vec<String> {
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("Warning: "));
    lines.map(str::to_owned).collect()
}

/// The Event that names these pods.
fn stale(pods: &BTreeSet<String>, kind: &str, name: &str) -> String {
    let pods: Vec<_> = pods.iter().map(String::as_str).collect();
    format!(
        "Stale: {} may have the old data of {kind} {name}: the old one was immutable, and kubelets keep it while a pod names \
         it. Give the new one another name, or scale all that uses it to 0, wait until no pod names it, and scale up",
        pods.join(", ")
    )
}

#[tokio::test]
async fn who_reads_the_old_data_of_an_immutable_secret_is_named() {
    made_again(SOURCES[0]).await;
}

#[tokio::test]
async fn who_reads_the_old_data_of_an_immutable_config_map_is_named() {
    made_again(SOURCES[1]).await;
}

async fn made_again(kind: &str) {
    let arena = arena(&format!("immutable-{}", kind.to_lowercase())).await;
    let _reroll = arena.reroll().start().await;
    let node = nodes().client().await;
    let node = first_node(node).await;
    for row in &ROWS {
        arena.create(&source(kind, row.name, "one", true)).await;
        arena.create(&workload(row, kind, &node)).await;
    }
    arena.create(&others(kind)).await;
    arena.complete("DaemonSet", "others").await;
    for row in &ROWS {
        arena.complete(row.kind, row.name).await;
        arena.adopted(row.kind, row.name).await;
    }
    let recorder = arena.record().await;
    for row in &ROWS {
        recreate(&arena, kind, row).await;
    }
    for row in &ROWS {
        rolled(&arena, &recorder, row, 1).await;
        let read = by_pod(&arena, row.name).await;
        assert_eq!(read.len(), row.replicas, "{}", row.name);
        for (pod, read) in &read {
            let all = [everywhere("one"), everywhere("two")];
            assert!(all.contains(read), "{pod} reads {read:?}");
            let surely = row.reads.is_none_or(|value| *read == everywhere(value));
            assert!(surely, "{pod} reads {read:?}");
        }
        let old = read.iter().filter(|(_, read)| **read == everywhere("one"));
        let old: BTreeSet<_> = old.map(|(pod, _)| pod.clone()).collect();
        match row.reads {
            Some("one") => drop(arena.event(row.name, &stale(&old, kind, row.name)).await),
            Some(_) => {}
            None => all_named(&arena, row.name, &old).await,
        }
    }
    still_old(&arena, kind, &recorder).await;
    // What was told last was told after all that the first rollouts led to.
    for row in &ROWS {
        let more = u8::from(row.name == LAST);
        let count = arena.event_count(row.name, "Stale").await;
        let expected = match row.reads {
            Some("two") => 0..=0,
            Some(_) => 1..=1,
            None => 0..=1,
        };
        let count = count - i32::from(more);
        assert!(expected.contains(&count), "{}: {count}", row.name);
        let rollouts = usize::from(1 + more);
        recorder.expect(row.kind, row.name, rollouts);
    }
}

async fn first_node(client: kube::Client) -> String {
    use kube::ResourceExt as _;
    let nodes = kube::Api::<k8s_openapi::api::core::v1::Node>::all(client);
    nodes
        .list(&kube::api::ListParams::default())
        .await
        .unwrap()
        .items[0]
        .name_any()
}

/// Waits until a workload was restarted this often, and its pods are new.
async fn rolled(arena: &Arena, recorder: &Recorder, row: &Row, rollouts: usize) {
    recorder.reaches(row.kind, row.name, rollouts).await;
    arena.complete(row.kind, row.name).await;
}

/// Deletes the source of a workload and makes it again, as a person does, who is told each time.
async fn recreate(arena: &Arena, kind: &str, row: &Row) {
    let (workload, name) = (row.kind, row.name);
    let said = arena.kubectl(&["delete", kind, name]).await.ok();
    let told = [
        format!(
            "reroll: give the new {kind} another name: {name} is immutable, and nodes give its data to new pods"
        ),
        format!(
            "reroll: {kind} {name} is used by {workload} {name}; it restarts when the {kind} is back"
        ),
    ];
    assert_eq!(warnings(&said.err), told);
    let manifest = source(kind, name, "two", true).to_string();
    let said = arena.kubectl_with(&["create", "-f", "-"], &manifest).await;
    let told = [
        format!(
            "reroll: give {kind} {name} another name, or scale to 0 and back: the old one was immutable, and nodes keep its data"
        ),
        format!("reroll: recreated {kind} {name} restarts {workload} {name}"),
    ];
    assert_eq!(warnings(&said.ok().err), told);
}

/// All that read the old data are named, once it is said. Others may be.
async fn all_named(arena: &Arena, name: &str, old: &BTreeSet<String>) {
    eventually(&format!("{old:?} of {name} are named"), async || {
        let said = arena.events(name).await;
        let said = said.iter().find(|event| event.starts_with("Stale: "));
        let named = |pod: &String| said.is_some_and(|said| said.contains(pod));
        old.iter().all(named).then_some(())
    })
    .await;
}

/// The row whose source is made again once more.
const LAST: &str = "surges";

/// That it is mutable now changes nothing: the pods read what was there first. To scale to 0 helps, as the Event says.
async fn still_old(arena: &Arena, kind: &str, recorder: &Recorder) {
    let row = ROWS.iter().find(|row| row.name == LAST).unwrap();
    arena.delete(kind, LAST).await;
    arena.create(&source(kind, LAST, "three", false)).await;
    rolled(arena, recorder, row, 2).await;
    let read = by_pod(arena, LAST).await;
    assert!(
        read.values().all(|read| *read == everywhere("one")),
        "{read:?}"
    );
    let pods = read.into_keys().collect();
    arena.event(LAST, &stale(&pods, kind, LAST)).await;
    let scale = async |replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        let workload = format!("deployment/{LAST}");
        arena.kubectl(&["scale", &workload, &replicas]).await.ok();
    };
    scale("0").await;
    eventually("its pods are gone", async || {
        arena.pods(LAST).await.is_empty().then_some(())
    })
    .await;
    scale("1").await;
    arena.complete(row.kind, LAST).await;
    let read = by_pod(arena, LAST).await;
    assert!(
        read.values().all(|read| *read == everywhere("three")),
        "{read:?}"
    );
}
