//! `managedFields`: who wrote which field when.
//!
//! Fields of metadata and data are told apart as the real API server does it. Lists are taken as one field each, so what
//! stands below them in workloads is coarser than in a real one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value, json};

use super::resources::Row;

/// A set of fields, each by its path in the words of `FieldsV1`.
type Fields = BTreeSet<Vec<String>>;

/// One entry but for its fields: manager, apiVersion and subresource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) subresource: Option<&'a str>,
    /// As RFC 3339.
    pub(crate) now: &'a str,
}

/// Sets the `managedFields` of an object that replaces another, or that is new.
pub(crate) fn update(row: &Row, live: Option<&Value>, new: &mut Value, writer: Writer) {
    let empty = blank(row);
    let (mut changed, mut removed) = (Fields::new(), Fields::new());
    compare(
        live.unwrap_or(&empty),
        new,
        &mut Vec::new(),
        &mut changed,
        &mut removed,
    );
    let ours = |path: &Vec<String>| counts(row, path, writer.subresource);
    changed.retain(ours);
    removed.retain(ours);
    let given = decode(&new["metadata"]["managedFields"]);
    let mut entries = if given.is_empty() {
        live.map(|live| decode(&live["metadata"]["managedFields"]))
            .unwrap_or_default()
    } else {
        given
    };
    let owner = Owner {
        manager: writer.manager.to_owned(),
        operation: "Update".to_owned(),
        api_version: row.api_version(),
        subresource: writer.subresource.unwrap_or_default().to_owned(),
    };
    for (other, (_, fields)) in &mut entries {
        fields
            .retain(|path| !removed.contains(path) && (*other == owner || !changed.contains(path)));
    }
    if !changed.is_empty() {
        let (time, fields) = entries.entry(owner).or_default();
        writer.now.clone_into(time);
        fields.extend(changed);
    }
    entries.retain(|_, (_, fields)| !fields.is_empty());
    new["metadata"]["managedFields"] = encode(&entries);
    if entries.is_empty()
        && let Some(meta) = new["metadata"].as_object_mut()
    {
        meta.remove("managedFields");
    }
}

/// Returns an object without the times of its `managedFields`: a write that changes nothing else is none.
pub(crate) fn without_times(object: &Value) -> Cow<'_, Value> {
    let mut object = Cow::Borrowed(object);
    if object["metadata"].get("managedFields").is_some() {
        let entries = object.to_mut()["metadata"]["managedFields"].as_array_mut();
        for entry in entries.into_iter().flatten() {
            entry["time"] = Value::Null;
        }
    }
    object
}

/// What an object without any field has nevertheless: the structs that Go always writes.
fn blank(row: &Row) -> Value {
    let template = json!({ "metadata": {}, "spec": { "containers": [] } });
    match row.kind {
        "Deployment" => {
            json!({ "metadata": {}, "spec": { "template": template, "strategy": {} }, "status": {} })
        }
        "StatefulSet" | "DaemonSet" => {
            json!({ "metadata": {}, "spec": { "template": template, "updateStrategy": {} }, "status": {} })
        }
        "Event" => json!({ "metadata": {}, "source": {}, "deprecatedSource": {} }),
        _ if row.custom => json!({}),
        _ => json!({ "metadata": {}, "spec": { "template": template }, "status": {} }),
    }
}

/// Whether a field has owners at all, for a write of this subresource.
fn counts(row: &Row, path: &[String], subresource: Option<&str>) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["f:apiVersion" | "f:kind" | "f:metadata"] => false,
        ["f:metadata", "f:labels", ..] if row.kind == "Deployment" => subresource.is_none(),
        ["f:metadata", field, ..] => !matches!(
            *field,
            "f:name"
                | "f:namespace"
                | "f:creationTimestamp"
                | "f:uid"
                | "f:generation"
                | "f:managedFields"
                | "f:resourceVersion"
                | "f:selfLink"
        ),
        ["f:status", ..] => subresource == Some("status"),
        ["f:spec", ..] => subresource != Some("status"),
        _ => true,
    }
}

fn compare(
    old: &Value,
    new: &Value,
    path: &mut Vec<String>,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    let (Some(before), Some(after)) = (children(old, path), children(new, path)) else {
        if old != new {
            if !old.is_null() {
                all(old, path, removed);
            }
            all(new, path, changed);
            removed.retain(|path| !changed.contains(path));
        }
        return;
    };
    for (name, value) in &after {
        path.push(name.clone());
        match before.get(name) {
            None => all(value, path, changed),
            Some(old) => compare(old, value, path, changed, removed),
        }
        path.pop();
    }
    for (name, value) in &before {
        if !after.contains_key(name) {
            path.push(name.clone());
            all(value, path, removed);
            path.pop();
        }
    }
}

/// Adds a field and all below it.
fn all(value: &Value, path: &mut Vec<String>, fields: &mut Fields) {
    fields.insert(path.clone());
    for (name, child) in children(value, path).into_iter().flatten() {
        path.push(name);
        all(child, path, fields);
        path.pop();
    }
}

/// Returns the parts of a field that have owners of their own; `None` where it is owned as a whole.
fn children<'a>(value: &'a Value, path: &[String]) -> Option<BTreeMap<String, &'a Value>> {
    let field = path.last().map_or("", String::as_str);
    match value {
        Value::Object(_)
            if matches!(
                field,
                "f:selector" | "f:managedFields" | "f:regarding" | "f:involvedObject"
            ) || field.starts_with("k:") =>
        {
            None
        }
        // What is not text there is the raw data of a ControllerRevision.
        Value::Object(map) if field == "f:data" && map.values().any(|one| !one.is_string()) => None,
        Value::Object(map) => Some(
            map.iter()
                .map(|(key, value)| (format!("f:{key}"), value))
                .collect(),
        ),
        Value::Array(list) if path.len() == 2 && path[0] == "f:metadata" => {
            let name = |value: &Value| match field {
                "f:finalizers" => format!("v:{value}"),
                _ => format!("k:{}", json!({ "uid": value["uid"] })),
            };
            (field != "f:managedFields")
                .then(|| list.iter().map(|value| (name(value), value)).collect())
        }
        _ => None,
    }
}

fn decode(managed: &Value) -> BTreeMap<Owner, (String, Fields)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = managed.as_array().into_iter().flatten();
    let entries = entries.filter(|entry| entry["fieldsV1"].is_object());
    entries
        .map(|entry| {
            let mut fields = Fields::new();
            unfold(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
            let owner = Owner {
                manager: text(&entry["manager"]),
                operation: text(&entry["operation"]),
                api_version: text(&entry["apiVersion"]),
                subresource: text(&entry["subresource"]),
            };
            (owner, (text(&entry["time"]), fields))
        })
        .collect()
}

fn unfold(tree: &Value, path: &mut Vec<String>, fields: &mut Fields) {
    let Some(map) = tree.as_object() else { return };
    if (map.is_empty() || map.contains_key(".")) && !path.is_empty() {
        fields.insert(path.clone());
    }
    for (name, child) in map.iter().filter(|(name, _)| *name != ".") {
        path.push(name.clone());
        unfold(child, path, fields);
        path.pop();
    }
}

fn encode(entries: &BTreeMap<Owner, (String, Fields)>) -> Value {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(owner, (time, _))| {
        (owner.operation.clone(), time.clone(), (*owner).clone())
    });
    let entry = |(owner, (time, fields)): (&Owner, &(String, Fields))| {
        let mut entry = json!({
            "manager": owner.manager, "operation": owner.operation, "apiVersion": owner.api_version,
            "time": time, "fieldsType": "FieldsV1", "fieldsV1": fold(fields),
        });
        if !owner.subresource.is_empty() {
            entry["subresource"] = json!(owner.subresource);
        }
        entry
    };
    sorted.into_iter().map(entry).collect()
}

fn fold(fields: &Fields) -> Value {
    let mut tree = Map::new();
    for path in fields {
        insert(&mut tree, path);
    }
    close(&mut tree);
    Value::Object(tree)
}

fn insert(tree: &mut Map<String, Value>, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        tree.insert(".".to_owned(), json!({}));
        return;
    };
    let child = tree.entry(first.clone()).or_insert_with(|| json!({}));
    if let Some(child) = child.as_object_mut() {
        insert(child, rest);
    }
}

/// A field with nothing below it is written without the `.`.
fn close(tree: &mut Map<String, Value>) {
    if tree.len() == 1 {
        tree.remove(".");
    }
    for (_, child) in tree.iter_mut().filter(|(name, _)| *name != ".") {
        if let Value::Object(child) = child {
            close(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::resources::ROWS, *};

    fn written(live: Option<&Value>, mut new: Value, manager: &str, now: &str) -> Value {
        let row = ROWS.iter().find(|row| row.kind == "Secret").unwrap();
        let writer = Writer {
            manager,
            subresource: None,
            now,
        };
        update(row, live, &mut new, writer);
        new
    }

    #[test]
    fn who_changes_a_field_owns_it_and_who_removes_one_owns_nothing() {
        let secret =
            |data: Value| json!({ "metadata": { "name": "s" }, "data": data, "type": "Opaque" });
        let time = |at: u8| format!("2026-01-01T00:00:0{at}Z");
        let made = written(None, secret(json!({ "a": "1", "b": "1" })), "one", &time(1));
        let fields =
            |object: &Value, at: usize| object["metadata"]["managedFields"][at]["fieldsV1"].clone();
        assert_eq!(
            fields(&made, 0),
            json!({ "f:data": { ".": {}, "f:a": {}, "f:b": {} }, "f:type": {} })
        );
        let changed = written(
            Some(&made),
            secret(json!({ "a": "2", "b": "1" })),
            "two",
            &time(2),
        );
        assert_eq!(
            fields(&changed, 0),
            json!({ "f:data": { ".": {}, "f:b": {} }, "f:type": {} })
        );
        assert_eq!(fields(&changed, 1), json!({ "f:data": { "f:a": {} } }));
        let removed = written(Some(&changed), secret(json!({ "b": "1" })), "one", &time(3));
        let entries = removed["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["time"], time(1), "a removal alone is not a time");
    }

    #[test]
    fn annotations_and_finalizers_have_owners_of_their_own() {
        let object = json!({ "metadata": { "name": "s", "annotations": { "x/y": "1" }, "finalizers": ["f/g"],
            "ownerReferences": [{ "uid": "u", "name": "o" }] } });
        let made = written(None, object, "m", "2026-01-01T00:00:00Z");
        assert_eq!(
            made["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"],
            json!({
                "f:annotations": { ".": {}, "f:x/y": {} },
                "f:finalizers": { ".": {}, "v:\"f/g\"": {} },
                "f:ownerReferences": { ".": {}, "k:{\"uid\":\"u\"}": {} },
            })
        );
    }
}
