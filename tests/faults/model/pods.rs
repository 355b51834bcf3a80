//! Does the operations that need pods: rollouts that hang and are undone, and writes at times that depend on pods.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use reroll_harness::{Arena, OBSERVED, eventually};
use serde_json::{Value, json};

use super::{
    act::Outcome,
    fates::Fate,
    manifest,
    steps::Manifest,
    storm::Watches,
    world::{Reference, Workload, World, Write},
};

/// How many workloads' pods are looked at at the same time.
const AT_ONCE: usize = 8;

/// A template of these references, whose pods cannot start; waits until they do not.
pub async fn hang(
    arena: &Arena,
    world: &World,
    workload: &Workload,
    references: &[Reference],
) -> Outcome {
    let (kind, name) = (workload.kind, workload.name.as_str());
    arena.complete(kind, name).await;
    let other = Workload {
        references: references.to_vec(),
        ..workload.clone()
    };
    let mut change = of_first(world, &other);
    change["spec"]["template"]["spec"]["nodeSelector"] = json!({ "no": "node" });
    let write = write(arena, workload, change).await;
    let left = eventually(&format!("{kind} {name} hangs"), async || {
        let object = arena.get(kind, name).await;
        let status = &object.data["status"];
        if status["observedGeneration"].as_i64() != object.metadata.generation {
            return None;
        }
        let (old, new): (Vec<_>, Vec<_>) = arena
            .pods(name)
            .await
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .partition(|pod| !hangs(pod));
        (!old.is_empty() && new.len() == 1).then_some(old)
    })
    .await;
    Outcome::Hangs(write, uids(&left))
}

fn hangs(pod: &Pod) -> bool {
    let selector = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_selector.as_ref());
    selector.is_some_and(|selector| selector.contains_key("no"))
}

fn uids(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(kube::ResourceExt::uid).collect()
}

/// What of its first manifest depends on its references.
fn of_first(world: &World, workload: &Workload) -> Value {
    let pod = &manifest::first(world, workload)["spec"]["template"]["spec"];
    let (containers, volumes) = (&pod["containers"], &pod["volumes"]);
    json!({ "spec": { "template": { "spec": { "containers": containers, "volumes": volumes } } } })
}

async fn write(arena: &Arena, workload: &Workload, change: Value) -> Write {
    let (kind, name) = (workload.kind, workload.name.as_str());
    let before = arena.get(kind, name).await;
    let mut after = serde_json::to_value(&before).unwrap();
    json_patch::merge(&mut after, &change);
    arena.patch(kind, name, change).await;
    manifest::write(&before, &after)
}

/// Applies the manifest of before again.
pub async fn apply_first(arena: &Arena, world: &World, workload: &Workload) -> Outcome {
    let mut change = of_first(world, workload);
    change["spec"]["template"]["spec"]["nodeSelector"] = Value::Null;
    Outcome::Written(write(arena, workload, change).await)
}

/// `kubectl rollout undo` of a `StatefulSet`, which has the template of before.
pub async fn undo_set(arena: &Arena, name: &str) -> Outcome {
    let before = arena.get("StatefulSet", name).await;
    let target = format!("statefulset/{name}");
    arena.kubectl(&["rollout", "undo", &target]).await.ok();
    Outcome::Written(Write {
        same: false,
        same_but_for_restarts: false,
        opt: manifest::opt(&before),
        closed: false,
    })
}

/// Deletes pods that hang, as people must: a `StatefulSet` waits for them even when its template is another by then.
pub async fn free(arena: &Arena, kind: &str, name: &str) {
    eventually(&format!("nothing of {kind} {name} hangs"), async || {
        let object = arena.get(kind, name).await;
        let seen = object.data["status"]["observedGeneration"].as_i64();
        let pods = arena.pods(name).await;
        let mut clean = seen == object.metadata.generation;
        for pod in pods.iter().filter(|pod| hangs(pod)) {
            clean = false;
            // It may be gone by now.
            let params = DeleteParams::default();
            drop(arena.api("Pod").delete(&pod.name_any(), &params).await);
        }
        clean.then_some(())
    })
    .await;
}

/// Deletes a workload without its pods, as `kubectl delete --cascade=orphan` does, and creates it again over them.
pub async fn orphan(
    arena: &Arena,
    workload: &Workload,
    manifest: Manifest,
    between: impl Future<Output = ()>,
) -> Outcome {
    let (kind, name) = (workload.kind, workload.name.as_str());
    arena.complete(kind, name).await;
    a_later_second(arena, name).await;
    let left = uids(&arena.pods(name).await);
    let before = arena.get(kind, name).await;
    let api = arena.api(kind);
    api.delete(name, &DeleteParams::orphan()).await.unwrap();
    eventually(&format!("{kind} {name} is gone"), async || {
        api.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
    between.await;
    let export = manifest::got(&before);
    let made = match manifest {
        Manifest::Own => manifest::without_rerolls(export),
        Manifest::Export => export,
    };
    arena.create(&made).await;
    Outcome::Adopts(manifest::opt(&before), left)
}

/// Adds a reference, and waits until pods have it.
pub async fn gain(
    arena: &Arena,
    world: &World,
    workload: &Workload,
    reference: &Reference,
) -> Outcome {
    let mut more = workload.clone();
    more.references.push(reference.clone());
    let write = write(arena, workload, of_first(world, &more)).await;
    arena.complete(workload.kind, &workload.name).await;
    Outcome::Written(write)
}

/// Waits until a later second than that in which any pod of this workload was made, because times are whole seconds.
pub async fn a_later_second(arena: &Arena, name: &str) {
    let made = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let pods = arena.pods(name).await;
    let youngest = pods.iter().filter_map(made).max().unwrap().as_second();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let clock = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("clock-{name}") } });
    let clock = serde_json::from_value(clock).unwrap();
    eventually("a second has passed", async || {
        let made = arena.api("ConfigMap").create(&dry_run, &clock).await;
        let now = made.unwrap().metadata.creation_timestamp?.0.as_second();
        (now > youngest).then_some(())
    })
    .await;
}

/// Puts an `observed` in place, past every webhook.
pub async fn put_back(arena: &Arena, workload: &Workload) {
    let patch = json!({ "metadata": { "annotations": { OBSERVED: workload.earlier } } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let api = arena.api(workload.kind);
    api.patch_status(&workload.name, &params, &patch)
        .await
        .unwrap();
}

/// Checks that the pods of every workload with a fate have come to it.
pub async fn expect(arena: &Arena, world: &mut World, watches: &Watches, what: &str) {
    let mut fates = Vec::new();
    for workload in &mut world.workloads {
        let fate = workload.fate.take();
        fates.extend(fate.map(|fate| (workload.clone(), fate)));
    }
    let wrong: Vec<_> = stream::iter(&fates)
        .map(|(workload, fate)| differs(arena, world, watches, workload, fate))
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{what}: {}", wrong.join("\n"));
}

/// Returns what is wrong with a workload's pods, if anything is.
async fn differs(
    arena: &Arena,
    world: &World,
    watches: &Watches,
    workload: &Workload,
    fate: &Fate,
) -> Option<String> {
    let (kind, name) = (workload.kind, workload.name.as_str());
    let oldest = watches.pods.oldest(arena, kind, name).await;
    match fate {
        Fate::Kept(left) => {
            let now = uids(&arena.pods(name).await);
            let line = || format!("{left:?} were replaced by {now:?}: {workload:?}");
            (!left.is_subset(&now)).then(line)
        }
        Fate::Newer(sources) => {
            for source in sources {
                let source = &world.sources[*source];
                let version = arena.version(source.kind, &source.name).await;
                if oldest < version {
                    let name = &source.name;
                    return Some(format!(
                        "pods of {oldest} are older than {name} of {version}: {workload:?}"
                    ));
                }
            }
            None
        }
    }
}
