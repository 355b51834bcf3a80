//! `managedFields`: who wrote which field when.
//!
//! Fields of metadata and data are told apart as the real API server does it. Lists are taken as one field each, so what
//! stands below them in workloads is coarser than in a real one.
//!
//! Most writes change a few fields that their manager has already. So only the parts of an object that differ are walked
//! through, and only the entries that lose or gain a field are written anew.

mod fields;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::fields::Fields;
use super::resources::Row;

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
    let (changed, removed) = match live {
        // What does not count for a status is long.
        Some(live) if writer.subresource == Some("status") => {
            fields::compare_but(live, new, "spec")
        }
        Some(live) => fields::compare(live, new),
        None => fields::compare(&blank(row), new),
    };
    let counts = |path: &[&str]| counts(row, path, writer.subresource);
    let (changed, removed) = (changed.counted(counts), removed.counted(counts));
    let mut entries = entries(live, new);
    let (api_version, subresource) = (row.api_version(), writer.subresource.unwrap_or_default());
    let owner = [writer.manager, "Update", &api_version, subresource];
    let mut found = changed.is_empty();
    entries.retain_mut(|entry| {
        if owner_of(entry) == owner {
            lose(entry, &[&removed]);
            if !changed.is_empty() {
                found = true;
                gain(entry, &changed);
                entry["time"] = json!(writer.now);
            }
        } else {
            lose(entry, &[&changed, &removed]);
        }
        entry["fieldsV1"]
            .as_object()
            .is_some_and(|fields| !fields.is_empty())
    });
    if !found {
        entries.push(entry(owner, writer.now, &changed.to_value()));
    }
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    if !entries.is_empty() {
        new["metadata"]["managedFields"] = Value::Array(entries);
    } else if let Some(meta) = new["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
}

/// Whether two objects are the same but for the times of their `managedFields`: a write that changes nothing else is none.
pub(crate) fn same_but_for_times(one: &Value, other: &Value) -> bool {
    // Most writes change the status, and what stands before it is long.
    one["status"] == other["status"]
        && same(one, other, |field, one, other| match field {
            "metadata" => same(one, other, |field, one, other| match field {
                "managedFields" => same_entries(one, other),
                _ => one == other,
            }),
            "status" => true,
            _ => one == other,
        })
}

/// Whether two maps have the same fields, with values that are `equal`.
fn same(one: &Value, other: &Value, equal: impl Fn(&str, &Value, &Value) -> bool) -> bool {
    let (Some(ones), Some(others)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    let mut pairs = ones.iter().zip(others);
    ones.len() == others.len() && pairs.all(|((a, one), (b, other))| a == b && equal(a, one, other))
}

fn same_entries(one: &Value, other: &Value) -> bool {
    let (Some(ones), Some(others)) = (one.as_array(), other.as_array()) else {
        return one == other;
    };
    let but_for_time = |field: &str, one: &Value, other: &Value| field == "time" || one == other;
    let mut pairs = ones.iter().zip(others);
    ones.len() == others.len() && pairs.all(|(one, other)| same(one, other, but_for_time))
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
fn counts(row: &Row, path: &[&str], subresource: Option<&str>) -> bool {
    match path {
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

/// Returns the entries that a write begins with: those that it gives, else those that are there.
fn entries(live: Option<&Value>, new: &mut Value) -> Vec<Value> {
    let stored = live.and_then(|live| live["metadata"]["managedFields"].as_array());
    let given = new.pointer_mut("/metadata/managedFields").map(Value::take);
    let given = match given {
        Some(Value::Array(given)) if Some(&given) == stored => return given,
        Some(Value::Array(given)) => given,
        _ => Vec::new(),
    };
    let given: BTreeMap<_, _> = given
        .iter()
        .filter(|entry| entry["fieldsV1"].is_object())
        .map(|given| {
            let fields = Fields::of(&given["fieldsV1"]).to_value();
            (
                owner_of(given),
                entry(owner_of(given), text(given, "time"), &fields),
            )
        })
        .collect();
    if given.is_empty() {
        stored.cloned().unwrap_or_default()
    } else {
        given.into_values().collect()
    }
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

/// Returns whose an entry is: manager, operation, apiVersion and subresource.
fn owner_of(entry: &Value) -> [&str; 4] {
    ["manager", "operation", "apiVersion", "subresource"].map(|field| text(entry, field))
}

/// Returns what entries are ordered by.
fn order(entry: &Value) -> [&str; 5] {
    let [manager, operation, api_version, subresource] = owner_of(entry);
    [
        operation,
        text(entry, "time"),
        manager,
        api_version,
        subresource,
    ]
}

fn entry(
    [manager, operation, api_version, subresource]: [&str; 4],
    time: &str,
    fields: &Value,
) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": api_version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    entry
}

/// Takes fields from an entry.
fn lose(entry: &mut Value, taken: &[&Fields]) {
    let is = &entry["fieldsV1"];
    if taken.iter().any(|taken| taken.is_in_part(is)) {
        let mut fields = Fields::of(is);
        for taken in taken {
            fields.subtract(taken);
        }
        entry["fieldsV1"] = fields.to_value();
    }
}

/// Gives fields to an entry.
fn gain(entry: &mut Value, given: &Fields) {
    let is = &entry["fieldsV1"];
    if !given.is_all(is) {
        let mut fields = Fields::of(is);
        fields.add(given);
        entry["fieldsV1"] = fields.to_value();
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
