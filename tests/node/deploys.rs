//! What pods read after a deploy that changes a source too, and after one that hangs and is taken back.

use std::{fs, path::PathBuf};

use reroll_harness::{Arena, KINDS, Pods, SOURCES, running, secret};
use serde_json::{Value, json};

use crate::{
    reads::in_all_ways,
    stage::{AUTO, PODS, Stage, arena, named},
};

const CHART: &str = "
apiVersion: v2
name: app
version: 1.0.0
";

/// Writes a chart with the source and a workload of each kind into a folder that goes away with the cluster. In it a value
/// of the release stands for each of these texts.
fn chart(arena: &Arena) -> PathBuf {
    let folder = arena.cluster.folder().join("chart");
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::write(folder.join("Chart.yaml"), CHART).unwrap();
    let mut all = vec![secret("db", &[("k", "PASSWORD")])];
    for kind in KINDS {
        let mut workload = running(kind, &named(kind), &AUTO, in_all_ways(SOURCES[0], "db"));
        workload["spec"]["template"]["metadata"]["labels"]["release"] = json!("TAG");
        all.push(workload);
    }
    for (number, object) in all.iter().enumerate() {
        let text = object.to_string();
        let text = text.replace("PASSWORD", "{{ .Values.password }}");
        let text = text.replace("TAG", "{{ .Values.tag }}");
        let file = format!("templates/{number}.yaml");
        fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// An upgrade that changes the Secret alone is a rollout; so is one that changes the templates with it.
#[tokio::test]
async fn a_helm_upgrade_reaches_the_pods_by_one_rollout() {
    let arena = arena("deploys-helm").await;
    // Helm's writes of one release are within the settle time, also on a busy machine.
    let reroll = arena.reroll().flag("--settle", "5s").start().await;
    let chart = chart(&arena);
    let upgrade = async |arena: &Arena, password: &str, tag: &str, flags: &[&str]| {
        let chart = chart.to_str().unwrap();
        let values = format!("password={password},tag={tag}");
        let words = [&["upgrade", "app", chart, "--set", &values], flags].concat();
        arena.helm(&words).await.ok();
    };
    let pods = Pods::watch(&arena).await;
    upgrade(&arena, "one", "a", &["--install"]).await;
    let stage = Stage {
        pods,
        recorder: arena.record().await,
        arena,
        source: SOURCES[0],
    };
    for (rollouts, password, tag) in [(0, "one", "a"), (1, "two", "a"), (2, "three", "b")] {
        if rollouts > 0 {
            upgrade(&stage.arena, password, tag, &[]).await;
        }
        stage.reads_after(rollouts, password).await;
    }
    stage.recorder.settle_slowly(&stage.arena, &reroll).await;
    stage.ends_after(2).await;
}

/// A deploy hangs: its first pod never becomes ready. The Secret changes meanwhile, so also the pods that are left must be
/// replaced. Then the deploy is taken back.
#[tokio::test]
async fn what_changes_while_a_rollout_is_stuck_reaches_the_pods_when_it_is_undone() {
    let arena = arena("deploys-undo").await;
    let reroll = arena.reroll().start().await;
    let stage = Stage::new(arena, SOURCES[0], "one").await;
    stage.play().await;
    let arena = &stage.arena;
    for kind in KINDS {
        let never = json!({ "tcpSocket": { "port": 1 }, "periodSeconds": 1 });
        let name = named(kind);
        arena
            .edit_container(kind, &name, "readinessProbe", never)
            .await;
        arena.in_the_middle(kind, &name, 2).await;
    }
    arena.set(SOURCES[0], "db", "k", "two").await;
    for kind in KINDS {
        stage.recorder.reaches(kind, &named(kind), 2).await;
    }
    for kind in KINDS {
        let workload = format!("{kind}/{}", named(kind));
        let undo = ["rollout", "undo", &workload, "--to-revision=1"];
        arena.kubectl(&undo).await.ok();
    }
    // A StatefulSet waits for ever for a pod that is not ready, also where its template is a good one again.
    unblock(arena).await;
    stage.reads("two").await;
    stage.recorder.settle_slowly(arena, &reroll).await;
    stage.reads("two").await;
    for kind in KINDS {
        stage.recorder.expect(kind, &named(kind), 3);
        assert_eq!(arena.pods(&named(kind)).await.len(), PODS);
    }
}

/// Deletes the pods of the `StatefulSet` that are not ready, as people must.
async fn unblock(arena: &Arena) {
    for pod in arena.pods("statefulset").await {
        let pod = serde_json::to_value(pod).unwrap();
        let conditions = pod["status"]["conditions"].as_array();
        let ready =
            |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        if !conditions.is_some_and(|all| all.iter().any(ready)) {
            let name = pod["metadata"]["name"].as_str().unwrap();
            // One that is about to go anyway may be gone.
            let delete = ["delete", "pod", name, "--ignore-not-found", "--wait=false"];
            arena.kubectl(&delete).await.ok();
        }
    }
}
