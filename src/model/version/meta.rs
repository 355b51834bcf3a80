//! What of a source's metadata matters: who looks at it, and when its data was written.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::model::annotation;

/// Returns what the annotations of a source say about who looks at it: whether it is ignored, and whether it asks to
/// be found.
pub fn counts(meta: &ObjectMeta) -> (bool, bool) {
    let annotations = meta.annotations.as_ref();
    let text = |asked: &str| annotations.and_then(|all| all.get(asked));
    let says = |asked: &str| text(asked).is_some_and(|text| text == "true");
    let own = text(annotation::IGNORE).is_some_and(|text| text.trim() == "true");
    let ignored = own || says(annotation::reloader::IGNORE);
    (ignored, says(annotation::reloader::MATCH))
}

/// Returns who wrote the data of a source last, and when: a field manager, as far as `managedFields` tell. Who removed a key is
/// in none of them.
pub fn writer(meta: &ObjectMeta) -> Option<(&str, Timestamp)> {
    let managed = meta
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| owns_data(entry));
    let (last, at) = managed
        .filter_map(|entry| Some((entry, entry.time.as_ref()?.0)))
        .max_by_key(|(_, at)| *at)?;
    Some((last.manager.as_deref()?, at))
}

fn owns_data(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref();
    let has = |field: &&str| fields.is_some_and(|fields| fields.0.get(*field).is_some());
    ["f:data", "f:binaryData", "f:stringData"].iter().any(has)
}

pub(super) fn written(meta: &ObjectMeta) -> i64 {
    let created = meta
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second());
    let managed = meta
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| owns_data(entry));
    managed
        .filter_map(|entry| entry.time.as_ref())
        .map(|time| time.0.as_second())
        .max()
        .unwrap_or(created)
        .max(created)
}
