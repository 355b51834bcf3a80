//! What is read off objects.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api_server::resources::{ROWS, find};

/// The kinds that controllers work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Namespace,
    Secret,
    ConfigMap,
    Pod,
    Node,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    Job,
    CronJob,
}

/// The row of each kind, in the order of the kinds.
static KINDS: LazyLock<[usize; 12]> = LazyLock::new(|| {
    [
        ("", "namespaces"),
        ("", "secrets"),
        ("", "configmaps"),
        ("", "pods"),
        ("", "nodes"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("apps", "controllerrevisions"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
    ]
    .map(|(group, plural)| find(group, "v1", plural).unwrap_or_default())
});

impl Kind {
    /// Returns the row of the table of resources.
    pub(crate) fn row(self) -> usize {
        KINDS[self as usize]
    }

    /// Returns the name of the kind.
    pub(crate) fn name(self) -> &'static str {
        ROWS[self.row()].kind
    }

    /// Returns a reference to an owner of this kind that controls.
    pub(crate) fn controls(self, owner: &Value) -> Value {
        let row = &ROWS[self.row()];
        json!({
            "apiVersion": row.api_version(), "kind": row.kind, "name": name(owner), "uid": uid(owner),
            "controller": true, "blockOwnerDeletion": true,
        })
    }
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// Returns `namespace/name`, or the name of what is in no namespace.
pub(crate) fn key(object: &Value) -> String {
    match namespace(object) {
        "" => name(object).to_owned(),
        namespace => format!("{namespace}/{}", name(object)),
    }
}

/// Splits a key into namespace and name.
pub(crate) fn parts(key: &str) -> (Option<&str>, &str) {
    match key.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, key),
    }
}

/// Whether somebody asked to delete it.
pub(crate) fn is_deleted(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

pub(crate) fn owners(object: &Value) -> &[Value] {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.map_or(&[], Vec::as_slice)
}

/// Returns the reference to the owner that controls an object.
pub(crate) fn controller_of(object: &Value) -> Option<&Value> {
    owners(object)
        .iter()
        .find(|owner| owner["controller"] == true)
}

pub(crate) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    controller_of(object).is_some_and(|reference| reference["uid"] == owner["metadata"]["uid"])
}

/// Returns a number; 0 where there is none.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Returns `spec.replicas`.
pub(crate) fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

pub(crate) fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"].get(name)?.as_str()
}

pub(crate) fn annotations(object: &Value) -> Map<String, Value> {
    let annotations = object["metadata"]["annotations"].as_object();
    annotations.cloned().unwrap_or_default()
}

pub(crate) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(name)?.as_str()
}

/// Reads a time; the beginning of time where there is none.
pub(crate) fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    text.parse().unwrap_or_default()
}

pub(crate) fn created(object: &Value) -> &str {
    object["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap_or_default()
}

/// Sorts the oldest first, by name where they are of the same second.
pub(crate) fn oldest_first(objects: &mut [Arc<Value>]) {
    objects.sort_by(|a, b| (created(a), name(a)).cmp(&(created(b), name(b))));
}

/// Returns a condition of the status.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == kind)
}

/// Drops the numbers that Go leaves out where they are 0.
pub(crate) fn without_zeros(mut status: Value, kept: &[&str]) -> Value {
    if let Some(status) = status.as_object_mut() {
        status.retain(|field, value| {
            !value.is_null() && (*value != 0 && *value != "" || kept.contains(&field.as_str()))
        });
    }
    status
}

/// Returns a hash as the names of Kubernetes have it: of letters that make no words.
pub(crate) fn hash_of(value: &Value, collisions: Option<i64>) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut text = value.to_string();
    if let Some(collisions) = collisions {
        text.push_str(&collisions.to_string());
    }
    // FNV-1a.
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let letter = |digit: u8| char::from(LETTERS[usize::from(digit) % LETTERS.len()]);
    hash.to_string().bytes().map(letter).collect()
}
