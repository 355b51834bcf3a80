//! Pods really roll: those that started with an old Secret are gone, and all that are ready are newer than it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use reroll_harness::{Arena, KINDS, RESTART_ON, RESTARTED_FOR, env, eventually, workload};
use serde_json::{Value, json};

/// How many pods each kind has: a DaemonSet one for each node.
fn pods_of(kind: &str) -> usize {
    if kind == "DaemonSet" { 3 } else { 2 }
}

/// With as many pods as [`pods_of`].
fn with_pods(kind: &str, name: &str, pod: Value) -> Value {
    let mut manifest = workload(kind, name, &[(RESTART_ON, "auto")], pod);
    let spec = manifest["spec"].as_object_mut().unwrap();
    if let Some(replicas) = spec.get_mut("replicas") {
        *replicas = json!(pods_of(kind));
    }
    spec["template"]["spec"]["nodeSelector"] = json!(null);
    manifest
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn uids(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until nothing is left of a workload's rollout, as a person does; gives its pods.
async fn rolled_out(arena: &Arena, kind: &str, name: &str) -> Vec<Pod> {
    let workload = format!("{kind}/{name}");
    arena
        .kubectl(&["rollout", "status", &workload, "--timeout=5m"])
        .await
        .ok();
    eventually(&format!("all pods of {name} are ready"), async || {
        let pods = arena.pods(name).await;
        (pods.len() == pods_of(kind) && pods.iter().all(is_ready)).then_some(pods)
    })
    .await
}

#[tokio::test]
async fn the_pods_of_every_kind_are_newer_than_the_recreated_secret() {
    let arena = Arena::new("pods-roll").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let name = |kind: &str| format!("web-{}", kind.to_lowercase());
    for kind in KINDS {
        arena
            .create(&with_pods(kind, &name(kind), env("db", "k")))
            .await;
    }
    let mut before = Vec::new();
    for kind in KINDS {
        before.push(rolled_out(&arena, kind, &name(kind)).await);
    }
    let recorder = arena.record().await;
    for rollouts in 1..=2 {
        let old = arena.get("Secret", "db").await.uid();
        arena.delete("Secret", "db").await;
        let secret = arena.secret("db", &[("k", "two")]).await;
        assert_ne!(secret.uid(), old);
        recorder.settle(&arena).await;
        for (kind, before) in KINDS.into_iter().zip(&mut before) {
            recorder.expect(kind, &name(kind), rollouts);
            let after = rolled_out(&arena, kind, &name(kind)).await;
            assert!(
                uids(before).is_disjoint(&uids(&after)),
                "a pod of {kind} was left"
            );
            let template = &arena.get(kind, &name(kind)).await.data["spec"]["template"];
            let cause = template["metadata"]["annotations"][RESTARTED_FOR].as_str();
            assert!(cause.is_some());
            for pod in &after {
                assert!(pod.creation_timestamp() >= secret.creation_timestamp());
                assert_eq!(
                    pod.annotations().get(RESTARTED_FOR).map(String::as_str),
                    cause
                );
            }
            *before = after;
        }
        the_old_replica_sets_are_empty(&arena, &name("Deployment"), rollouts).await;
    }
    // They roll no more once they have.
    recorder.settle(&arena).await;
    for (kind, before) in KINDS.into_iter().zip(&before) {
        recorder.expect(kind, &name(kind), 2);
        // kwok tries a deletion that failed again by the pod's name, and may meet the next pod that has it.
        if kind != "StatefulSet" {
            assert_eq!(uids(before), uids(&arena.pods(&name(kind)).await));
        }
    }
}

async fn the_old_replica_sets_are_empty(arena: &Arena, name: &str, rollouts: usize) {
    let params = kube::api::ListParams::default().labels(&format!("app={name}"));
    let sets = arena.api("ReplicaSet").list(&params).await.unwrap().items;
    assert_eq!(sets.len(), rollouts + 1);
    let newest = sets
        .iter()
        .find(|set| set.data["spec"]["replicas"] != 0)
        .expect("a ReplicaSet with pods");
    let others = sets.iter().filter(|set| set.uid() != newest.uid());
    for set in others {
        assert_eq!(set.data["spec"]["replicas"], 0);
    }
    for pod in arena.pods(name).await {
        assert_eq!(pod.owner_references()[0].uid, newest.uid().unwrap());
    }
}

#[tokio::test]
async fn a_secret_recreated_in_the_middle_of_a_rollout_leaves_no_older_pod() {
    let arena = Arena::new("pods-middle").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "0")]).await;
    let name = |kind: &str| format!("web-{}", kind.to_lowercase());
    for kind in KINDS {
        arena
            .create(&with_pods(kind, &name(kind), env("db", "k")))
            .await;
    }
    for kind in KINDS {
        rolled_out(&arena, kind, &name(kind)).await;
    }
    let recorder = arena.record().await;
    for number in 1..=5 {
        arena
            .recreate_secret("db", &[("k", &number.to_string())])
            .await;
        for kind in KINDS {
            recorder.reaches(kind, &name(kind), number).await;
        }
    }
    let last = arena.get("Secret", "db").await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &name(kind), 5);
        let template = &arena.get(kind, &name(kind)).await.data["spec"]["template"];
        let cause = template["metadata"]["annotations"][RESTARTED_FOR].as_str();
        for pod in rolled_out(&arena, kind, &name(kind)).await {
            assert_eq!(
                pod.annotations().get(RESTARTED_FOR).map(String::as_str),
                cause
            );
            assert!(pod.creation_timestamp() >= last.creation_timestamp());
        }
    }
}
