//! Does through the API what was drawn, as kubectl would.

use std::collections::BTreeSet;

use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
};
use reroll_harness::{Arena, KUBECTL_RESTARTED_AT, RELEASE, RESTART_ON, WAVE, eventually};
use serde_json::{Value, json};

use super::{
    manifest, pods,
    rules::Data,
    steps::{Back, Step},
    world::{Maker, Opt, Source, Workload, World, Write},
};

/// What came of a step.
#[derive(Debug)]
pub enum Outcome {
    /// What the model knew before.
    Done,
    /// The workload was written like this, and its resourceVersion is this now.
    Written(Write),
    /// It was created from another manifest, with this opt-in.
    Made(Opt),
    /// `kubectl get -o yaml` gave this.
    Got(Value),
    /// It was written like this, and of its pods these run on.
    Hangs(Write, BTreeSet<String>),
    /// It was made again with this opt-in, over these pods.
    Adopts(Opt, BTreeSet<String>),
}

/// Does it.
pub async fn act(arena: &Arena, world: &World, step: &Step) -> Outcome {
    match step.target() {
        Ok(source) => {
            let source = &world.sources[source];
            if let Step::Later(.., workload) = step {
                pods::a_later_second(arena, &world.workloads[*workload].name).await;
            }
            write_source(arena, source, step).await;
            Outcome::Done
        }
        Err(workload) => write_workload(arena, world, &world.workloads[workload], step).await,
    }
}

async fn write_source(arena: &Arena, source: &Source, step: &Step) {
    let (kind, name) = (source.kind, source.name.as_str());
    match step {
        Step::Set(_, key, Some(value)) | Step::Later(_, key, value, _) => {
            arena.set(kind, name, key, &format!("{key}-{value}")).await;
        }
        Step::Set(_, key, None) => arena.unset(kind, name, key).await,
        Step::Label(_, number) => {
            let labels = json!({ "metadata": { "labels": { "n": number.to_string() } } });
            arena.patch(kind, name, labels).await;
        }
        Step::Delete(_) => arena.delete(kind, name).await,
        Step::Create(_, data) => create(arena, source, data).await,
        Step::Recreate(_, data) => {
            arena.delete(kind, name).await;
            create(arena, source, data).await;
        }
        other => unreachable!("{other:?} is done to a workload"),
    }
}

/// What owns the sources that a machine owns.
pub const OWNER: &str = "owner";

/// Creates a source, as its maker does.
pub async fn create(arena: &Arena, source: &Source, data: &Data) {
    let mut made = manifest::source(source, data);
    match source.maker {
        Maker::Person => {}
        Maker::Hook => {
            made["metadata"]["annotations"] = json!({ "helm.sh/hook": "pre-upgrade" });
        }
        Maker::Owner => {
            let owner = arena.get("ConfigMap", OWNER).await;
            made["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "v1", "kind": "ConfigMap", "name": OWNER, "uid": owner.uid(),
            }]);
        }
    }
    arena.create(&made).await;
}

async fn write_workload(arena: &Arena, world: &World, workload: &Workload, step: &Step) -> Outcome {
    let (kind, name) = (workload.kind, workload.name.as_str());
    let patch = async |change: Value| {
        let before = arena.get(kind, name).await;
        let mut after = serde_json::to_value(&before).unwrap();
        json_patch::merge(&mut after, &change);
        arena.patch(kind, name, change).await;
        Outcome::Written(manifest::write(&before, &after))
    };
    match step {
        Step::Opt(_, to) => {
            patch(json!({ "metadata": { "annotations": { RESTART_ON: to } } })).await
        }
        Step::Edit(_, number) => patch(manifest::edit(*number)).await,
        Step::ByHand(_, number) => {
            let time = format!("2026-01-01T00:{:02}:{:02}Z", number / 60 % 60, number % 60);
            patch(manifest::of_template(KUBECTL_RESTARTED_AT, &time)).await
        }
        Step::Note(_, number) => {
            patch(json!({ "metadata": { "annotations": { "note": number.to_string() } } })).await
        }
        Step::Pause(_, paused) => {
            patch(json!({ "spec": { "paused": paused.then_some(true) } })).await
        }
        Step::Save(_) => Outcome::Got(manifest::got(&arena.get(kind, name).await)),
        Step::Apply(_) => {
            let mut saved = workload.saved.clone().unwrap();
            saved["spec"].as_object_mut().unwrap().remove("paused");
            patch(saved).await
        }
        Step::Replace(_, edit) => {
            let before = arena.get(kind, name).await;
            let mut after = manifest::without_rerolls(manifest::got(&before));
            if let Some(number) = edit {
                json_patch::merge(&mut after, &manifest::edit(*number));
            }
            replace(arena, kind, name, &after).await;
            Outcome::Written(manifest::write(&before, &after))
        }
        Step::Renew(_) => {
            let before = arena.get(kind, name).await;
            arena.delete(kind, name).await;
            arena.create(&manifest::got(&before)).await;
            Outcome::Made(manifest::opt(&before))
        }
        Step::Copy(_, copy) => {
            let original = arena.get(kind, name).await;
            let made = manifest::renamed(manifest::got(&original), copy);
            arena.create(&made).await;
            Outcome::Made(manifest::opt(&original))
        }
        Step::Undo(_) => undo(arena, name, false).await,
        Step::Hang(_, references) => pods::hang(arena, world, workload, references).await,
        Step::Back(_, way) => {
            let outcome = match (way, kind) {
                (Back::Apply, _) => pods::apply_first(arena, world, workload).await,
                (Back::Undo, "Deployment") => undo(arena, name, true).await,
                (Back::Undo, _) => pods::undo_set(arena, name).await,
            };
            pods::free(arena, kind, name).await;
            outcome
        }
        Step::Gain(_, reference) => pods::gain(arena, world, workload, reference).await,
        Step::Orphan(_, manifest, between) => {
            let between = async {
                if let Some(step) = between {
                    // It is done to a source.
                    Box::pin(act(arena, world, step)).await;
                }
            };
            pods::orphan(arena, workload, *manifest, between).await
        }
        Step::PutBack(_) => {
            pods::put_back(arena, workload).await;
            Outcome::Done
        }
        Step::Gate(_, gate) => {
            patch(json!({ "metadata": { "annotations": gate.annotations() } })).await
        }
        Step::Wave(_, wave) => {
            patch(json!({ "metadata": { "annotations": { WAVE: wave.to_string() } } })).await
        }
        Step::Release(_) => {
            patch(json!({ "metadata": { "annotations": { RELEASE: "now" } } })).await
        }
        other => unreachable!("{other:?} is done to a source"),
    }
}

async fn replace(arena: &Arena, kind: &str, name: &str, manifest: &Value) {
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    let api = arena.api(kind);
    // A controller may have written in between, which `kubectl replace` tries again after.
    eventually(&format!("{kind} {name} is replaced"), async || {
        match api.replace(name, &PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => None,
            other => Some(other.unwrap()),
        }
    })
    .await;
}

/// `kubectl rollout undo`. What it brings back is read off the same `ReplicaSet`. `other`: also where that is of other
/// references.
async fn undo(arena: &Arena, name: &str, other: bool) -> Outcome {
    let before = eventually(&format!("Deployment {name} is observed"), async || {
        let object = arena.get("Deployment", name).await;
        let observed = object.data["status"]["observedGeneration"].as_i64();
        (observed == object.metadata.generation).then_some(object)
    })
    .await;
    let sets = arena
        .api("ReplicaSet")
        .list(&ListParams::default().labels(&format!("app={name}")))
        .await
        .unwrap();
    let uid = before.uid().unwrap();
    let owned = |set: &&DynamicObject| set.owner_references().iter().any(|owner| owner.uid == uid);
    let mut sets: Vec<_> = sets.items.iter().filter(owned).collect();
    sets.sort_by_key(|set| revision(set));
    let Some(previous) = sets.iter().rev().nth(1) else {
        return Outcome::Done;
    };
    let mut after = serde_json::to_value(&before).unwrap();
    after["spec"]["template"] = previous.data["spec"]["template"].clone();
    after["metadata"]["annotations"] = json!(previous.annotations());
    let write = manifest::write(&before, &after);
    let spec = |object: &Value| object["spec"]["template"]["spec"].clone();
    if write.same || (!other && spec(&after) != spec(&before.data)) {
        return Outcome::Done;
    }
    let workload = format!("deployment/{name}");
    arena.kubectl(&["rollout", "undo", &workload]).await.ok();
    Outcome::Written(write)
}

fn revision(set: &DynamicObject) -> u64 {
    let text = set.annotations().get("deployment.kubernetes.io/revision");
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
