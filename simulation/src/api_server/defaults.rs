//! From what a user wrote to an object as the API server knows it: types, what is left out, and defaults.

mod known;
mod pods;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use self::{known::Known, pods::pod_spec};
use super::{answer::Refusal, prepare::Part, resources::Row};

/// The annotation in which a DaemonSet has the generation of its template.
pub(crate) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Maps that are left out where they are empty.
const MAPS: [&str; 7] = [
    "labels",
    "annotations",
    "data",
    "binaryData",
    "stringData",
    "nodeSelector",
    "matchLabels",
];

/// Reads an object: checks its types, drops what is empty or unknown, and sets what was left out.
///
/// What stands in it just so in `known`, which was read before, is not read again.
pub(crate) fn read(row: &Row, mut object: Value, known: Option<&Value>) -> Result<Value, Refusal> {
    let api_version = row.api_version();
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", row.kind)] {
        match object[field].as_str() {
            None | Some("") => object[field] = json!(expected),
            Some(given) if given == expected => {}
            Some(_) => {
                let why = format!(
                    "the API version in the data ({} {}) does not match the expected API version ({api_version} {})",
                    object["apiVersion"], object["kind"], row.kind
                );
                return Err(Refusal::bad_request(why));
            }
        }
    }
    if object["metadata"]["name"] == ""
        && let Some(meta) = object["metadata"].as_object_mut()
    {
        meta.remove("name");
    }
    if row.custom {
        tidy(&mut object["metadata"], None);
        return Ok(object);
    }
    let raw = (row.kind == "ControllerRevision").then(|| object["data"].take());
    let known = known.map(|known| Known::take(&mut object, known));
    tidy(&mut object, None);
    let selects = object["spec"].get("selector").is_some();
    let read = (row.read)(object);
    let mut object = read.map_err(|error| {
        let why = format!(
            "{} in version \"{}\" cannot be handled as a {}: {error}",
            row.kind, row.version, row.kind
        );
        Refusal::bad_request(why)
    })?;
    if let Some(spec) = map(&mut object, "spec").filter(|_| !selects) {
        spec.remove("selector");
    }
    if let Some(data) = raw {
        object["data"] = data;
    }
    if let Some(known) = known {
        known.give_back(&mut object);
    }
    set(row, &mut object);
    Ok(object)
}

/// Reads an object that a component made of one that was read before.
pub(crate) fn read_known(row: &Row, object: &mut Value, part: Part) {
    match part {
        Part::Status => {
            for field in ["metadata", "status"] {
                if let Some(child) = object.get_mut(field) {
                    tidy(child, Some(field));
                }
            }
            status(object, counts(row));
        }
        Part::Main | Part::Finalize if row.custom || row.kind == "ControllerRevision" => {
            if let Some(metadata) = object.get_mut("metadata") {
                tidy(metadata, Some("metadata"));
            }
        }
        Part::Main | Part::Finalize => {
            tidy(object, None);
            set(row, object);
        }
    }
}

/// Whether nothing is to be dropped.
fn is_tidy(value: &Value, under: Option<&str>) -> bool {
    match value {
        Value::Object(map) => {
            let free = under.is_some_and(|field| MAPS.contains(&field));
            map.iter()
                .all(|(key, child)| stays(key, child, free) && is_tidy(child, Some(key)))
        }
        Value::Array(list) => list.iter().all(|child| is_tidy(child, None)),
        _ => true,
    }
}

/// Whether a field is written. `free`: people chose its name.
fn stays(field: &str, value: &Value, free: bool) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(inner) => free || !inner.is_empty() || !MAPS.contains(&field),
        Value::String(text) if !free && text.is_empty() => !matches!(
            field,
            "generateName" | "namespace" | "resourceVersion" | "uid" | "value" | "type"
        ),
        _ => true,
    }
}

/// Drops nulls, empty lists, and maps that are left out where they are empty. `under` is the field the value stands in.
fn tidy(value: &mut Value, under: Option<&str>) {
    if is_tidy(value, under) {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, child) in map.iter_mut() {
                tidy(child, Some(key));
            }
            let free = under.is_some_and(|field| MAPS.contains(&field));
            map.retain(|key, child| stays(key, child, free));
        }
        Value::Array(list) => list.iter_mut().for_each(|child| tidy(child, None)),
        _ => {}
    }
}

fn map<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    value.get_mut(field)?.as_object_mut()
}

/// Sets those of the fields that are not there.
fn fill(into: &mut Map<String, Value>, defaults: Value) {
    let Value::Object(defaults) = defaults else {
        return;
    };
    for (field, value) in defaults {
        into.entry(field).or_insert(value);
    }
}

/// Gives an object the status of a new one.
pub(crate) fn forget_status(row: &Row, object: &mut Value) {
    if let Some(object) = object.as_object_mut().filter(|_| row.status) {
        object.remove("status");
    }
    if !row.custom {
        set(row, object);
    }
}

fn set(row: &Row, object: &mut Value) {
    match row.kind {
        "Secret" => secret(object),
        "Namespace" => namespace(object),
        "Pod" => {
            if let Some(spec) = map(object, "spec") {
                pods::admit(spec);
            }
            pod_spec(&mut object["spec"]);
            status(
                object,
                json!({ "phase": "Pending", "qosClass": "BestEffort" }),
            );
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => webhooks(row, object),
        "Event" if row.group.is_empty() && object["source"].is_null() => {
            object["source"] = json!({});
        }
        "Event" if !row.group.is_empty() && object["deprecatedSource"].is_null() => {
            object["deprecatedSource"] = json!({});
        }
        "Job" if object["metadata"]["labels"].is_null() => {
            let labels = object.pointer("/spec/template/metadata/labels").cloned();
            if let Some(labels) = labels {
                object["metadata"]["labels"] = labels;
            }
        }
        "DaemonSet"
            if object["metadata"]["annotations"]
                .get(TEMPLATE_GENERATION)
                .is_none() =>
        {
            object["metadata"]["annotations"][TEMPLATE_GENERATION] = json!("0");
        }
        _ => {}
    }
    if row.is_workload() || row.kind == "CronJob" {
        workload(row, object);
    }
}

fn secret(object: &mut Value) {
    if let Some(Value::Object(plain)) = object
        .as_object_mut()
        .and_then(|map| map.remove("stringData"))
    {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            object["data"][key] = json!(STANDARD.encode(text));
        }
    }
    if let Some(object) = object.as_object_mut() {
        fill(object, json!({ "type": "Opaque" }));
    }
}

fn namespace(object: &mut Value) {
    if object["metadata"]["name"].is_string() {
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] =
            object["metadata"]["name"].clone();
    }
    if object["spec"].is_null() {
        object["spec"] = json!({});
    }
    status(object, json!({ "phase": "Active" }));
}

fn status(object: &mut Value, defaults: Value) {
    if object["status"].is_null() {
        object["status"] = json!({});
    }
    if let Some(status) = map(object, "status") {
        fill(status, defaults);
    }
}

fn workload(row: &Row, object: &mut Value) {
    let rolling = json!({ "type": "RollingUpdate" });
    let defaults = match row.kind {
        "Deployment" => json!({
            "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": rolling,
        }),
        "StatefulSet" => json!({
            "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady", "updateStrategy": rolling,
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
            "serviceName": "",
        }),
        "DaemonSet" => json!({ "revisionHistoryLimit": 10, "updateStrategy": rolling }),
        "ReplicaSet" => json!({ "replicas": 1 }),
        "CronJob" => json!({
            "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
        }),
        _ => json!({
            "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
            "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": false,
        }),
    };
    if let Some(spec) = map(object, "spec") {
        if row.kind == "Job"
            && !spec.contains_key("completions")
            && !spec.contains_key("parallelism")
        {
            fill(spec, json!({ "completions": 1 }));
        }
        fill(spec, defaults);
        if row.kind == "Job" {
            fill(spec, json!({ "parallelism": 1 }));
        }
        let (field, rolling) = match row.kind {
            "Deployment" => (
                "strategy",
                json!({ "maxSurge": "25%", "maxUnavailable": "25%" }),
            ),
            "StatefulSet" => ("updateStrategy", json!({ "partition": 0 })),
            _ => (
                "updateStrategy",
                json!({ "maxSurge": 0, "maxUnavailable": 1 }),
            ),
        };
        if let Some(strategy) = spec.get_mut(field).and_then(Value::as_object_mut) {
            fill(strategy, json!({ "type": "RollingUpdate" }));
            if strategy["type"] == "RollingUpdate" {
                let given = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
                if let Some(given) = given.as_object_mut() {
                    fill(given, rolling);
                }
            }
        }
    }
    let template = if row.kind == "CronJob" {
        if let Some(job) = object
            .pointer_mut("/spec/jobTemplate")
            .and_then(Value::as_object_mut)
        {
            fill(job, json!({ "metadata": {} }));
        }
        object.pointer_mut("/spec/jobTemplate/spec/template")
    } else {
        object.pointer_mut("/spec/template")
    };
    if let Some(template) = template {
        if template["metadata"].is_null() {
            template["metadata"] = json!({});
        }
        pod_spec(&mut template["spec"]);
    }
    status(object, counts(row));
}

/// The numbers that a status has always.
fn counts(row: &Row) -> Value {
    match row.kind {
        "StatefulSet" => json!({ "replicas": 0, "availableReplicas": 0 }),
        "ReplicaSet" => json!({ "replicas": 0 }),
        "DaemonSet" => json!({
            "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
        }),
        _ => json!({}),
    }
}

fn webhooks(row: &Row, object: &mut Value) {
    let hooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
    for hook in hooks.into_iter().flatten() {
        let rules = hook.get_mut("rules").and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                fill(rule, json!({ "scope": "*" }));
            }
        }
        let Some(hook) = hook.as_object_mut() else {
            continue;
        };
        fill(
            hook,
            json!({
                "failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10, "namespaceSelector": {},
                "objectSelector": {},
            }),
        );
        if row.kind == "MutatingWebhookConfiguration" {
            fill(hook, json!({ "reinvocationPolicy": "Never" }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::resources::ROWS, *};

    fn of(kind: &str, object: Value) -> Result<Value, Refusal> {
        read(
            ROWS.iter().find(|row| row.kind == kind).unwrap(),
            object,
            None,
        )
    }

    #[test]
    fn what_is_empty_is_left_out_and_what_is_missing_is_set() {
        let secret = json!({ "metadata": { "name": "s", "labels": {}, "annotations": { "a": "" } },
            "stringData": { "k": "v" }, "data": { "e": "" } });
        assert_eq!(
            of("Secret", secret).unwrap(),
            json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": { "name": "s", "annotations": { "a": "" } }, "data": { "e": "", "k": "dg==" } })
        );
    }

    #[test]
    fn wrong_types_are_refused() {
        for (kind, object) in [
            ("Secret", json!({ "data": { "a": "not base64!" } })),
            ("ConfigMap", json!({ "data": { "a": 1 } })),
            ("Deployment", json!({ "spec": { "replicas": "one" } })),
            ("Deployment", json!({ "apiVersion": "v1" })),
            (
                "Secret",
                json!({ "metadata": { "annotations": { "a": true } } }),
            ),
        ] {
            let refusal = of(kind, object.clone()).unwrap_err();
            assert_eq!(refusal.code, 400, "{object}");
        }
    }
}
