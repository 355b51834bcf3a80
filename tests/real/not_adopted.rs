//! Workloads that are created beside pods that match but belong to others, or that are as new as the workload. Nothing
//! rolls a second time, and no workload gets the mark of another's pods.

use kube::{
    ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    core::TypeMeta,
};
use reroll_harness::{Arena, KINDS, Pods, RESTART_ON, Recorder, Reroll, env, eventually, running};
use serde_json::{Value, json};

use crate::orphan::exported;

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

fn named(kind: &str) -> String {
    format!("web-{}", kind.to_lowercase())
}

async fn start(arena: &Arena, webhook: bool) -> Reroll {
    if webhook {
        arena.reroll().start().await
    } else {
        arena.reroll().without_webhook().start().await
    }
}

/// A workload of each kind that runs, and that was restarted once.
async fn restarted(arena: &Arena, pods: &Pods) {
    for kind in KINDS {
        let name = named(kind);
        arena.secret(&name, &[("k", "one")]).await;
        let manifest = running(kind, &name, &AUTO, env(&name, "k"));
        arena.create(&manifest).await;
    }
    for kind in KINDS {
        let name = named(kind);
        let oldest = pods.oldest(arena, kind, &name).await;
        arena.adopted(kind, &name).await;
        arena.update_secret(&name, &[("k", "two")]).await;
        eventually(&format!("{kind} {name} has restarted"), async || {
            (pods.oldest(arena, kind, &name).await > oldest).then_some(())
        })
        .await;
    }
    arena.later_second().await;
}

/// Checks that no template has changed since it was created. `marks`: how many marks each has had.
async fn expect_no_rollout(arena: &Arena, recorder: &Recorder, names: &[String; 3], marks: usize) {
    for (kind, name) in KINDS.into_iter().zip(names) {
        arena.adopted(kind, name).await;
    }
    recorder.settle(arena).await;
    for (kind, name) in KINDS.into_iter().zip(names) {
        recorder.expect(kind, name, 0);
        let had = recorder.restarted_for(kind, name);
        assert_eq!(had.len(), marks, "{kind} {name}: {had:?}");
    }
}

async fn replaced_by_force(name: &str, webhook: bool) {
    let arena = Arena::new(name).await;
    let reroll = start(&arena, webhook).await;
    let pods = Pods::watch(&arena).await;
    restarted(&arena, &pods).await;
    let recorder = arena.record().await;
    for kind in KINDS {
        let name = named(kind);
        arena.update_secret(&name, &[("k", "three")]).await;
        recorder.reaches(kind, &name, 1).await;
        let manifest = running(kind, &name, &AUTO, env(&name, "k")).to_string();
        let arguments = ["replace", "--force", "-f", "-"];
        arena.kubectl_with(&arguments, &manifest).await.ok();
    }
    expect_no_rollout(&arena, &recorder, &KINDS.map(named), 0).await;
    drop(reroll);
}

#[tokio::test]
async fn replaced_by_force_with_the_webhook() {
    replaced_by_force("force-webhook", true).await;
}

#[tokio::test]
async fn replaced_by_force_without_webhook() {
    replaced_by_force("force-alone", false).await;
}

/// Another workload has pods with the very labels, which carry a mark and are older than the Secret.
async fn neighbour(name: &str, webhook: bool) {
    let arena = Arena::new(name).await;
    let reroll = start(&arena, webhook).await;
    let pods = Pods::watch(&arena).await;
    restarted(&arena, &pods).await;
    for kind in KINDS {
        arena
            .annotate(kind, &named(kind), RESTART_ON, Some("off"))
            .await;
        arena.update_secret(&named(kind), &[("k", "three")]).await;
    }
    let recorder = arena.record().await;
    let names = KINDS.map(|kind| format!("next-{}", kind.to_lowercase()));
    for (kind, name) in KINDS.into_iter().zip(&names) {
        let mut manifest = running(kind, &named(kind), &AUTO, env(&named(kind), "k"));
        manifest["metadata"]["name"] = json!(name);
        arena.create(&manifest).await;
    }
    expect_no_rollout(&arena, &recorder, &names, 0).await;
    drop(reroll);
}

#[tokio::test]
async fn beside_a_neighbour_with_the_webhook() {
    neighbour("neighbour-webhook", true).await;
}

#[tokio::test]
async fn beside_a_neighbour_without_webhook() {
    neighbour("neighbour-alone", false).await;
}

/// Of a kind, those of the workloads, as they are.
async fn all(arena: &Arena, kind: &str) -> Vec<DynamicObject> {
    let list = arena.api(kind).list(&ListParams::default()).await.unwrap();
    let own = |object: &DynamicObject| {
        let app = object.labels().get("app");
        object.name_any().starts_with("web-") || app.is_some_and(|app| app.starts_with("web-"))
    };
    list.items.into_iter().filter(own).collect()
}

/// What objects of a kind say that they are; those of a list do not.
fn types(kind: &str) -> TypeMeta {
    let core = ["Secret", "Pod"].contains(&kind);
    TypeMeta {
        api_version: if core { "v1" } else { "apps/v1" }.to_owned(),
        kind: kind.to_owned(),
    }
}

/// As a backup restores an object: nothing of its metadata but names, labels and annotations; a pod on any node.
fn restorable(object: &DynamicObject) -> Value {
    let mut object = exported(serde_json::to_value(object).unwrap());
    for field in ["finalizers", "generateName", "selfLink"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    if object["kind"] == "Pod" {
        object["spec"].as_object_mut().unwrap().remove("nodeName");
    }
    object
}

/// A namespace is restored as Velero does: Secrets, pods, `ReplicaSet`s, then what owns them.
async fn restored(name: &str, webhook: bool) {
    const ORDER: [&str; 6] = [
        "Secret",
        "Pod",
        "ReplicaSet",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
    ];
    let arena = Arena::new(name).await;
    let reroll = start(&arena, webhook).await;
    let pods = Pods::watch(&arena).await;
    restarted(&arena, &pods).await;
    let mut backup = Vec::new();
    for kind in ORDER {
        let objects = all(&arena, kind).await;
        for mut object in objects {
            object.types = Some(types(kind));
            backup.push(restorable(&object));
        }
    }
    for kind in ORDER.into_iter().rev() {
        let (params, list) = (
            DeleteParams::default().grace_period(0),
            all(&arena, kind).await,
        );
        for object in list {
            drop(arena.api(kind).delete(&object.name_any(), &params).await);
        }
        eventually(&format!("no {kind} is left"), async || {
            let left = all(&arena, kind).await;
            for object in &left {
                drop(arena.api(kind).delete(&object.name_any(), &params).await);
            }
            left.is_empty().then_some(())
        })
        .await;
    }
    let recorder = arena.record().await;
    let mut uids = Vec::new();
    for object in &backup {
        let kind = object["kind"].as_str().unwrap();
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        // Old ReplicaSets have no pods, so one that is not there yet is not missed.
        let made = arena
            .api(kind)
            .create(&PostParams::default(), &object)
            .await;
        let made = made.unwrap();
        if kind == "Pod" {
            uids.extend(made.uid());
        }
    }
    expect_no_rollout(&arena, &recorder, &KINDS.map(named), 1).await;
    for kind in KINDS {
        pods.oldest(&arena, kind, &named(kind)).await;
        // What a simulated node did to a pod of a StatefulSet is its own.
        let now = arena.pod_uids(&named(kind)).await;
        let kept = now.iter().all(|uid| uids.contains(uid));
        assert!(kept || kind == "StatefulSet", "{kind}: {now:?} {uids:?}");
    }
    drop(reroll);
}

#[tokio::test]
async fn restored_with_the_webhook() {
    restored("restored-webhook", true).await;
}

#[tokio::test]
async fn restored_without_webhook() {
    restored("restored-alone", false).await;
}
