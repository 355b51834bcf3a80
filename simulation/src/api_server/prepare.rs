//! What the API server itself decides about an object that is written: its system fields, its generation, and whether
//! it is valid.

use serde_json::{Value, json};

use super::{
    answer::Refusal,
    defaults::{TEMPLATE_GENERATION, forget_status},
    resources::{Generation, Row},
};

/// The fields of the metadata that no write changes.
const IMMUTABLE: [&str; 3] = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// The annotations whose size is bounded, by their field and its pointer.
const ANNOTATIONS: [(&str, &str); 3] = [
    ("metadata.annotations", "/metadata/annotations"),
    (
        "spec.template.annotations",
        "/spec/template/metadata/annotations",
    ),
    (
        "spec.jobTemplate.spec.template.annotations",
        "/spec/jobTemplate/spec/template/metadata/annotations",
    ),
];
/// The most of them: `TotalAnnotationSizeLimitB` in apimachinery.
const ANNOTATION_BYTES: usize = 262_144;

/// Which part of an object a write is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status, where the kind has a subresource for it.
    Main,
    /// The status.
    Status,
    /// The finalizers of a Namespace's spec.
    Finalize,
}

fn remove(object: &mut Value, field: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(field);
    }
}

fn keep(object: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) if object.get(field) == Some(value) => {}
        Some(value) => object[field] = value.clone(),
        None => remove(object, field),
    }
}

/// Takes away what only the API server sets.
pub(crate) fn without_system_fields(object: &mut Value) {
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        remove(&mut object["metadata"], field);
    }
}

/// Sets what a new object has.
pub(crate) fn create(row: &Row, object: &mut Value, uid: &str, now: &str) {
    object["metadata"]["uid"] = json!(uid);
    object["metadata"]["creationTimestamp"] = json!(now);
    if row.generation != Generation::None {
        object["metadata"]["generation"] = json!(1);
    }
    forget_status(row, object);
    if row.kind == "Namespace" {
        object["spec"]["finalizers"] = json!(["kubernetes"]);
    }
    if row.kind == "Job" && object["spec"]["manualSelector"] != true {
        job_labels(object, uid);
    }
    if row.kind == "DaemonSet" {
        let number = &mut object["metadata"]["annotations"][TEMPLATE_GENERATION];
        let asked = number.as_str().and_then(|text| text.parse::<i64>().ok());
        *number = json!(asked.unwrap_or(1).max(1).to_string());
    }
}

/// The labels by which a Job knows its pods. A Job that has the labels of its template gets them, too.
fn job_labels(object: &mut Value, uid: &str) {
    let name = object["metadata"]["name"].clone();
    let own = object["metadata"]["labels"] == object["spec"]["template"]["metadata"]["labels"];
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", json!(uid)),
        ("controller-uid", json!(uid)),
        ("batch.kubernetes.io/job-name", name.clone()),
        ("job-name", name),
    ] {
        if own {
            object["metadata"]["labels"][label] = value.clone();
        }
        object["spec"]["template"]["metadata"]["labels"][label] = value;
    }
    object["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = json!(uid);
}

/// Puts together what a write changes with what it leaves alone. Comes before the write is admitted.
pub(crate) fn merge(row: &Row, live: &Value, new: &mut Value, part: Part) {
    match part {
        Part::Main if row.status => keep(new, live, "status"),
        Part::Main => {}
        Part::Status => {
            for field in ["spec", "data", "webhooks"] {
                keep(new, live, field);
            }
            if row.kind == "Deployment" {
                keep(&mut new["metadata"], &live["metadata"], "labels");
            }
        }
        Part::Finalize => keep(new, live, "status"),
    }
    if row.kind == "Namespace" && part != Part::Finalize {
        keep(new, live, "spec");
    }
}

/// Sets the system fields of an object that replaces another. Comes after the write was admitted.
pub(crate) fn update(row: &Row, live: &Value, new: &mut Value, part: Part) {
    for field in IMMUTABLE {
        if new["metadata"].get(field).is_none() {
            keep(&mut new["metadata"], &live["metadata"], field);
        }
    }
    for field in ["creationTimestamp", "generation"] {
        keep(&mut new["metadata"], &live["metadata"], field);
    }
    if part == Part::Main && row.kind == "DaemonSet" {
        let before = live.pointer("/metadata/annotations/deprecated.daemonset.template.generation");
        let before = before
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        let now: u64 =
            before.unwrap_or(1) + u64::from(live["spec"]["template"] != new["spec"]["template"]);
        new["metadata"]["annotations"][TEMPLATE_GENERATION] = json!(now.to_string());
    }
    let bumps = part == Part::Main
        && match row.generation {
            Generation::None => false,
            Generation::Spec => live["spec"] != new["spec"],
            Generation::SpecAndAnnotations => {
                live["spec"] != new["spec"]
                    || live["metadata"].get("annotations") != new["metadata"].get("annotations")
            }
            Generation::All => content(live) != content(new),
        };
    if bumps {
        next_generation(new);
    }
}

/// All but metadata and status.
fn content(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(field, _)| !matches!(field.as_str(), "metadata" | "status"))
        .collect()
}

pub(crate) fn next_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_u64() {
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

/// Whether a new object is valid.
pub(crate) fn valid_new(row: &Row, object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |why: &str| Err(Refusal::invalid(row, name, why));
    if name.is_empty() {
        return invalid("metadata.name: Required value: name or generateName is required");
    }
    if !is_name(name) {
        return invalid(
            "metadata.name: Invalid value: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
        );
    }
    valid(row, object)
}

fn is_name(name: &str) -> bool {
    let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let ends = |letter: Option<char>| letter.is_some_and(good);
    name.len() <= 253
        && ends(name.chars().next())
        && ends(name.chars().last())
        && name
            .chars()
            .all(|letter| good(letter) || letter == '-' || letter == '.')
}

/// How many bytes the keys and values of annotations have. The number of a `DaemonSet`'s templates is a field inside of the
/// API server, and an annotation only for others.
fn bytes(annotations: &Value) -> usize {
    let all = annotations.as_object().into_iter().flatten();
    let counted = all.filter(|(key, _)| *key != TEMPLATE_GENERATION);
    counted
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum()
}

fn valid(row: &Row, object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |why: &str| Err(Refusal::invalid(row, name, why));
    for (field, at) in ANNOTATIONS {
        if object
            .pointer(at)
            .is_some_and(|all| bytes(all) > ANNOTATION_BYTES)
        {
            return invalid(&format!(
                "{field}: Too long: may not be more than {ANNOTATION_BYTES} bytes"
            ));
        }
    }
    for field in ["data", "binaryData"] {
        let keys = object
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let good = |key: &str| {
            let letters = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            !key.is_empty() && key.chars().all(letters) && key != "." && !key.starts_with("..")
        };
        if matches!(row.kind, "Secret" | "ConfigMap") && keys.into_iter().any(|(key, _)| !good(key))
        {
            return invalid(
                "data: Invalid value: a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            );
        }
    }
    if row.is_workload() {
        let template = &object["spec"]["template"];
        if template["spec"]["containers"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            return invalid("spec.template.spec.containers: Required value");
        }
        let selector = &object["spec"]["selector"];
        let requirements = super::selectors::of_object(selector);
        if row.kind == "Job" && object["spec"]["manualSelector"] != true && requirements.len() > 1 {
            return invalid("spec.selector: Invalid value: `selector` not auto-generated");
        }
        if requirements.is_empty() {
            return invalid("spec.selector: Required value");
        }
        if !super::selectors::labels_hold(&requirements, &template["metadata"]["labels"]) {
            return invalid(
                "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`",
            );
        }
    }
    Ok(())
}

/// Whether an object may replace another.
pub(crate) fn valid_update(row: &Row, live: &Value, new: &Value) -> Result<(), Refusal> {
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |why: &str| Err(Refusal::invalid(row, name, why));
    for field in IMMUTABLE {
        if live["metadata"].get(field) != new["metadata"].get(field) {
            return invalid(&format!(
                "metadata.{field}: Invalid value: field is immutable"
            ));
        }
    }
    let finalizers = |object: &Value| {
        object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = finalizers(live);
    if live["metadata"].get("deletionTimestamp").is_some()
        && finalizers(new).iter().any(|one| !before.contains(one))
    {
        return invalid(
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted",
        );
    }
    let differs = |pointer: &str| live.pointer(pointer) != new.pointer(pointer);
    let fixed: &[&str] = match row.kind {
        "Secret" => &["/type"],
        "Deployment" | "DaemonSet" | "ReplicaSet" => &["/spec/selector"],
        "StatefulSet" => &[
            "/spec/selector",
            "/spec/serviceName",
            "/spec/podManagementPolicy",
            "/spec/volumeClaimTemplates",
        ],
        "Job"
            if live["spec"]["suspend"] == true
                && live["status"]["active"]
                    .as_u64()
                    .is_none_or(|active| active == 0) =>
        {
            &["/spec/selector", "/spec/template/spec/containers"]
        }
        "Job" => &["/spec/selector", "/spec/template", "/spec/completionMode"],
        _ => &[],
    };
    if let Some(pointer) = fixed.iter().find(|pointer| differs(pointer)) {
        return invalid(&format!("{pointer}: Invalid value: field is immutable"));
    }
    if matches!(row.kind, "Secret" | "ConfigMap") && live["immutable"] == true {
        let kept = ["/immutable", "/data", "/binaryData"];
        if let Some(pointer) = kept.iter().find(|pointer| differs(pointer)) {
            return invalid(&format!(
                "{pointer}: Forbidden: field is immutable when `immutable` is set"
            ));
        }
    }
    valid(row, new)
}

#[cfg(test)]
mod tests {
    use super::{super::resources::ROWS, *};

    fn row(kind: &str) -> &'static Row {
        ROWS.iter().find(|row| row.kind == kind).unwrap()
    }

    #[test]
    fn what_raises_the_generation() {
        let live = json!({ "metadata": { "name": "w", "generation": 3 }, "spec": { "replicas": 1 }, "status": {} });
        let with = |pointer: &str, value: Value| {
            let mut new = live.clone();
            if pointer == "/metadata/annotations" {
                new["metadata"]["annotations"] = value;
            } else {
                *new.pointer_mut(pointer).unwrap() = value;
            }
            new
        };
        for (kind, new, part, generation) in [
            (
                "Deployment",
                with("/spec/replicas", json!(2)),
                Part::Main,
                4,
            ),
            (
                "Deployment",
                with("/metadata/annotations", json!({ "a": "b" })),
                Part::Main,
                4,
            ),
            (
                "Deployment",
                with("/metadata/annotations", json!({ "a": "b" })),
                Part::Status,
                3,
            ),
            (
                "StatefulSet",
                with("/metadata/annotations", json!({ "a": "b" })),
                Part::Main,
                3,
            ),
            (
                "StatefulSet",
                with("/spec/replicas", json!(2)),
                Part::Main,
                4,
            ),
            (
                "StatefulSet",
                with("/status", json!({ "replicas": 2 })),
                Part::Status,
                3,
            ),
            (
                "Rollout",
                with("/metadata/annotations", json!({ "a": "b" })),
                Part::Main,
                3,
            ),
            ("Rollout", with("/spec/replicas", json!(2)), Part::Main, 4),
        ] {
            let mut written = new.clone();
            update(row(kind), &live, &mut written, part);
            assert_eq!(
                written["metadata"]["generation"], generation,
                "{kind} {new}"
            );
        }
    }

    #[test]
    fn names() {
        for (name, good) in [
            ("a", true),
            ("a.b-1", true),
            ("A", false),
            ("-a", false),
            ("a.", false),
            ("a/b", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
