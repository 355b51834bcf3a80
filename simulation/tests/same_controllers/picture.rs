//! What there is in a namespace, without names that are drawn, uids and times.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::step::{Kind, Teller};

/// The labels whose value is a hash, or the number of a revision by another name.
const HASHES: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "controller.kubernetes.io/hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
];

/// The annotation with the time for which a CronJob made a Job.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// What stands for a name, by the uid of the object.
type Names = BTreeMap<String, String>;

/// Takes a picture.
pub(crate) async fn take(teller: &Teller) -> Value {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        all.push((kind, teller.list(kind).await));
    }
    let mut names = Names::new();
    let mut hashes = BTreeMap::new();
    for (kind, objects) in &all {
        for object in objects {
            let name = stands_for(*kind, object);
            let uid = text(&object["metadata"]["uid"]);
            if *kind == Kind::ControllerRevision {
                let own = text(&object["metadata"]["name"]);
                let hash = own.rsplit_once('-').map_or("", |(_, hash)| hash);
                hashes.insert(hash.to_owned(), name.clone());
                hashes.insert(own, name.clone());
            } else if *kind == Kind::ReplicaSet {
                let hash = text(&object["metadata"]["labels"]["pod-template-hash"]);
                hashes.insert(hash, name.clone());
            }
            names.insert(uid, name);
        }
    }
    let mut picture = Map::new();
    for (kind, objects) in &all {
        let mut told: Vec<Value> = objects
            .iter()
            .map(|object| tell(*kind, object, &names, &hashes))
            .collect();
        told.sort_by_key(Value::to_string);
        if !told.is_empty() {
            picture.insert(format!("{kind:?}"), json!(told));
        }
    }
    Value::Object(picture)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns what stands for the name of an object.
fn stands_for(kind: Kind, object: &Value) -> String {
    let name = text(&object["metadata"]["name"]);
    let parent = || name.rsplit_once('-').map_or("", |(parent, _)| parent);
    match kind {
        Kind::ReplicaSet => {
            let annotations = &object["metadata"]["annotations"];
            let revision = text(&annotations["deployment.kubernetes.io/revision"]);
            format!("{} revision {revision}", parent())
        }
        Kind::ControllerRevision => format!("{} revision {}", parent(), object["revision"]),
        Kind::Job if object["metadata"]["annotations"].get(SCHEDULED).is_some() => {
            parent().to_owned()
        }
        Kind::Pod if is_drawn(object) => "a pod".to_owned(),
        _ => name,
    }
}

/// Whether the name of a pod is drawn: those of StatefulSets are not.
fn is_drawn(pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    let own = labels["statefulset.kubernetes.io/pod-name"].is_string();
    pod["metadata"]["generateName"].is_string() && !own
}

fn tell(kind: Kind, object: &Value, names: &Names, hashes: &BTreeMap<String, String>) -> Value {
    let meta = &object["metadata"];
    let mut told = json!({
        "name": stands_for(kind, object),
        "labels": labels(&meta["labels"], names, hashes),
        "annotations": annotations(kind, &meta["annotations"]),
        "finalizers": meta["finalizers"],
        "deleted": meta.get("deletionTimestamp").is_some(),
        "generation": meta["generation"],
        "owners": owners(meta, names),
    });
    match kind {
        Kind::Pod => {
            told["phase"] = object["status"]["phase"].clone();
            if object["status"]["phase"] != "Succeeded" {
                // Simulated nodes leave a pod ready that has ended.
                told["conditions"] = conditions(&object["status"], &["Ready"]);
            }
            told["template"] = template(&json!({ "metadata": meta, "spec": object["spec"] }));
        }
        Kind::ConfigMap => {}
        Kind::ControllerRevision => {
            told["template"] = template(&object["data"]["spec"]["template"]);
        }
        Kind::CronJob => {
            let status = &object["status"];
            told["active"] = json!(status["active"].as_array().map_or(0, Vec::len));
            told["has run"] = json!(status["lastScheduleTime"].is_string());
            told["has succeeded"] = json!(status["lastSuccessfulTime"].is_string());
        }
        _ => {
            for field in ["replicas", "minReadySeconds", "parallelism", "completions"] {
                if object["spec"].get(field).is_some_and(|value| *value != 0) {
                    told[field] = object["spec"][field].clone();
                }
            }
            told["template"] = template(&object["spec"]["template"]);
            told["status"] = status(&object["status"], hashes);
            if object["spec"]["strategy"]["type"] == "Recreate" {
                // Where a write of the real one meets a conflict of its own, it never says that a rollout began.
                let conditions = told["status"]["conditions"].to_string();
                let conditions = conditions.replace("ReplicaSetUpdated", "NewReplicaSetAvailable");
                told["status"]["conditions"] = json!(conditions);
            }
            if kind == Kind::ReplicaSet {
                // In how many steps it was scaled depends on how long things took.
                told["generation"] = json!("a number");
                let seen = object["status"]["observedGeneration"] == meta["generation"];
                told["status"]["observedGeneration"] = json!(seen);
            }
        }
    }
    told
}

fn owners(meta: &Value, names: &Names) -> Value {
    let owners = meta["ownerReferences"].as_array();
    let owner = |owner: &Value| {
        let known = names.get(&text(&owner["uid"]));
        json!({
            "kind": owner["kind"], "name": known.map_or("gone", String::as_str),
            "controller": owner["controller"], "blocks": owner["blockOwnerDeletion"],
        })
    };
    owners.into_iter().flatten().map(owner).collect()
}

/// Returns labels, with what stands for hashes.
fn labels(labels: &Value, names: &Names, hashes: &BTreeMap<String, String>) -> Value {
    let all = labels.as_object().into_iter().flatten();
    let tell = |(label, value): (&String, &Value)| {
        let mut value = text(value);
        if HASHES.contains(&label.as_str()) {
            let known = hashes.get(&value).or_else(|| names.get(&value));
            value = known.cloned().unwrap_or_else(|| "unknown".to_owned());
        } else if label.ends_with("job-name") {
            "the Job".clone_into(&mut value);
        }
        (label.clone(), json!(value))
    };
    Value::Object(all.map(tell).collect())
}

fn annotations(kind: Kind, annotations: &Value) -> Value {
    let all = annotations.as_object().into_iter().flatten();
    let tell = |(name, value): (&String, &Value)| {
        let value = if name == SCHEDULED {
            json!("a time")
        } else {
            value.clone()
        };
        (name.clone(), value)
    };
    // The description of a ConfigMap that the cluster makes.
    let wanted = |(name, _): &(&String, &Value)| {
        kind != Kind::ConfigMap || *name != "kubernetes.io/description"
    };
    Value::Object(all.filter(wanted).map(tell).collect())
}

/// Returns what the stories change in templates.
fn template(template: &Value) -> Value {
    let spec = &template["spec"];
    json!({
        "annotations": template["metadata"]["annotations"],
        "image": spec["containers"][0]["image"],
        "gates": spec["schedulingGates"],
    })
}

/// Returns the type, status and reason of conditions.
fn conditions(status: &Value, only: &[&str]) -> Value {
    let all = status["conditions"].as_array();
    let mut told: Vec<String> = all
        .into_iter()
        .flatten()
        .filter(|one| only.is_empty() || only.iter().any(|kind| one["type"] == *kind))
        .map(|one| {
            let part = |field: &str| text(&one[field]);
            format!("{} {} {}", part("type"), part("status"), part("reason"))
        })
        .collect();
    told.sort();
    json!(told)
}

fn status(status: &Value, hashes: &BTreeMap<String, String>) -> Value {
    let mut told = status.clone();
    let Some(fields) = told.as_object_mut() else {
        return told;
    };
    for (field, value) in fields.iter_mut() {
        if field.ends_with("Revision") {
            let known = hashes.get(&text(value));
            *value = json!(known.map_or("unknown", String::as_str));
        } else if field.ends_with("Time") {
            *value = json!("a time");
        }
    }
    let told_conditions = conditions(status, &[]);
    if told_conditions.to_string().contains("DeadlineExceeded") {
        // Whether the real one counts pods that it deletes at the deadline depends on which write comes first.
        fields.remove("failed");
    }
    fields.insert("conditions".to_owned(), told_conditions);
    told
}

/// Says how two pictures differ.
pub(crate) fn difference(real: &Value, copy: &Value) -> String {
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        let of = |picture: &Value| -> Vec<String> {
            let all = picture[format!("{kind:?}")].as_array();
            all.into_iter().flatten().map(Value::to_string).collect()
        };
        let (mut real, mut copy) = (of(real), of(copy));
        real.retain(|one| match copy.iter().position(|other| other == one) {
            Some(at) => {
                copy.remove(at);
                false
            }
            None => true,
        });
        lines.extend(real.iter().map(|one| format!("  real {kind:?} {one}")));
        lines.extend(copy.iter().map(|one| format!("  copy {kind:?} {one}")));
    }
    lines.join("\n")
}
