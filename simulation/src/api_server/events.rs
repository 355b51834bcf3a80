//! The two forms of an Event: that of events.k8s.io, in which it is stored, and that of the core group.

use std::sync::Arc;

use serde_json::Value;

use super::resources::Row;

/// The fields that have other names in the core group, and theirs.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// The fields that an Event of the core group always has.
const REPORTERS: [&str; 2] = ["reportingComponent", "reportingInstance"];

/// Returns a stored object as this row shows it.
pub(crate) fn shown(row: &Row, stored: &Arc<Value>) -> Arc<Value> {
    if row.stored_as.is_none() {
        return Arc::clone(stored);
    }
    let mut object = (**stored).clone();
    object["apiVersion"] = Value::from(row.api_version());
    rename(&mut object, NAMES.iter().copied());
    for field in REPORTERS {
        if object[field].is_null() {
            object[field] = Value::from("");
        }
    }
    Arc::new(object)
}

/// Returns an object of this row as it is stored.
pub(crate) fn stored(row: &Row, mut object: Value) -> Value {
    if row.stored_as.is_some() {
        object["apiVersion"] = Value::from("events.k8s.io/v1");
        if let Some(object) = object.as_object_mut() {
            object.retain(|field, value| *value != "" || !REPORTERS.contains(&field.as_str()));
        }
        rename(&mut object, NAMES.iter().map(|(own, core)| (*core, *own)));
    }
    object
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    for (from, to) in names {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::resources::ROWS, *};

    #[test]
    fn an_event_of_one_group_is_there_in_the_other() {
        let core = ROWS
            .iter()
            .find(|row| row.kind == "Event" && row.group.is_empty())
            .unwrap();
        let event = json!({ "reportingComponent": "", "reportingInstance": "", "apiVersion": "v1", "message": "m", "involvedObject": { "name": "w" } });
        let kept = Arc::new(stored(core, event.clone()));
        assert_eq!(
            *kept,
            json!({ "apiVersion": "events.k8s.io/v1", "note": "m", "regarding": { "name": "w" } })
        );
        assert_eq!(*shown(core, &kept), event);
    }
}
