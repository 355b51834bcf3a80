//! The model's workloads as Kubernetes has them.

use kube::{ResourceExt as _, api::DynamicObject};
use reroll_harness::{RESTART_ON, RESTARTED_FOR, config_map, running, secret, workload};
use serde_json::{Value, json};

use super::{
    act::OWNER,
    gated,
    rules::Data,
    world::{Guard, Opt, Source, Workload, World, Write},
};

const ANNOTATIONS: &str = "/spec/template/metadata/annotations";

/// A source with this data.
pub fn source(source: &Source, data: &Data) -> Value {
    let text = |(key, value): (&&'static str, &u32)| (*key, format!("{key}-{value}"));
    let data: Vec<_> = data.iter().map(text).collect();
    let data: Vec<_> = data
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    if source.kind == "Secret" {
        secret(&source.name, &data)
    } else {
        config_map(&source.name, &data)
    }
}

/// A workload as a person first creates it.
pub fn first(world: &World, made: &Workload) -> Value {
    let (mut env, mut env_from) = (Vec::new(), Vec::new());
    let (mut volumes, mut mounts) = (Vec::new(), Vec::new());
    for (number, reference) in made.references.iter().enumerate() {
        let Source { kind, name, .. } = &world.sources[reference.source];
        let secret = *kind == "Secret";
        let optional = reference.optional;
        if reference.volume {
            let (field, named) = if secret {
                ("secret", "secretName")
            } else {
                ("configMap", "name")
            };
            let mut volume = json!({ named: name, "optional": optional });
            if let Some(key) = reference.part {
                volume["items"] = json!([{ "key": key, "path": key }]);
            }
            let name = format!("v{number}");
            mounts.push(json!({ "name": name, "mountPath": format!("/{name}") }));
            volumes.push(json!({ "name": name, field: volume }));
        } else if let Some(key) = reference.part {
            let field = if secret {
                "secretKeyRef"
            } else {
                "configMapKeyRef"
            };
            let from = json!({ field: { "name": name, "key": key, "optional": optional } });
            env.push(json!({ "name": format!("V{number}"), "valueFrom": from }));
        } else {
            let field = if secret { "secretRef" } else { "configMapRef" };
            env_from.push(json!({ field: { "name": name, "optional": optional } }));
        }
    }
    let container = json!({ "env": env, "envFrom": env_from, "volumeMounts": mounts });
    let pod = json!({ "containers": [container], "volumes": volumes });
    let mut annotations = Vec::new();
    annotations.extend(made.opted.map(|text| (RESTART_ON, text)));
    annotations.extend(
        made.policy
            .content
            .then_some(("reroll.dev/on-recreate", "content")),
    );
    annotations.extend(
        made.policy
            .on_delete
            .then_some(("reroll.dev/on-delete", "restart")),
    );
    if made.guard == Guard::Owner {
        annotations.push(("reroll.dev/mark", "restartedAt"));
    }
    let with_pods_or_not = if made.running { running } else { workload };
    let mut manifest = with_pods_or_not(made.kind, &made.name, &annotations, pod);
    if made.running && made.kind != "DaemonSet" {
        // Of a StatefulSet whose rollout hangs one pod is left.
        manifest["spec"]["replicas"] = json!(if made.kind == "StatefulSet" { 2 } else { 1 });
    }
    if made.guard == Guard::Owner {
        manifest["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": OWNER, "uid": world.owner, "controller": true,
        }]);
    }
    manifest
}

/// An object as `kubectl get -o yaml` gives it, without what only the API server may say.
pub fn got(object: &DynamicObject) -> Value {
    let mut manifest = serde_json::to_value(object).unwrap();
    manifest.as_object_mut().unwrap().remove("status");
    let metadata = manifest["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    manifest
}

/// The same object under another name.
pub fn renamed(mut manifest: Value, name: &str) -> Value {
    manifest["metadata"]["name"] = json!(name);
    manifest["spec"]["selector"]["matchLabels"]["app"] = json!(name);
    manifest["spec"]["template"]["metadata"]["labels"]["app"] = json!(name);
    manifest
}

/// A manifest of the person's own, which knows nothing of what reroll wrote.
pub fn without_rerolls(mut manifest: Value) -> Value {
    let asked = [RESTART_ON, "reroll.dev/on-recreate", "reroll.dev/on-delete"];
    for pointer in ["/metadata/annotations", ANNOTATIONS] {
        if let Some(all) = manifest.pointer_mut(pointer).and_then(Value::as_object_mut) {
            all.retain(|key, _| !key.starts_with("reroll.dev/") || asked.contains(&key.as_str()));
        }
    }
    manifest
}

/// A change of the template.
pub fn edit(number: u32) -> Value {
    of_template("edit", &number.to_string())
}

/// A change of one annotation of the template.
pub fn of_template(key: &str, value: &str) -> Value {
    json!({ "spec": { "template": { "metadata": { "annotations": { key: value } } } } })
}

/// The `restart-on` of an object.
pub fn opt(object: &DynamicObject) -> Opt {
    Opt::read(object.annotations().get(RESTART_ON).map(String::as_str))
}

/// What a person's write does, before admission.
pub fn write(before: &DynamicObject, after: &Value) -> Write {
    let (old, new) = (template(&before.data), template(after));
    let text = after["metadata"]["annotations"][RESTART_ON].as_str();
    Write {
        same: old == new,
        same_but_for_restarts: bare(old) == bare(new),
        opt: Opt::read(text),
        closed: gated::is_closed(&after["metadata"]["annotations"]),
    }
}

/// The pod template, without what the deployment controller adds and without empty maps.
fn template(object: &Value) -> Value {
    let mut template = object["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    tidy(template)
}

fn bare(mut template: Value) -> Value {
    if let Some(all) = template["metadata"]["annotations"].as_object_mut() {
        all.remove(RESTARTED_FOR);
    }
    tidy(template)
}

fn tidy(mut template: Value) -> Value {
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.retain(|_, value| {
            !value.is_null() && value.as_object().is_none_or(|all| !all.is_empty())
        });
    }
    template
}
