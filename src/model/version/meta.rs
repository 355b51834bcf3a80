//! What of a source's metadata matters: who looks at it, and when its data was written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::model::annotation;

/// Returns what the annotations of a source say about who looks at it: whether it is ignored, and whether it asks to
/// be found.
pub fn counts(meta: &ObjectMeta) -> (bool, bool) {
    let says = |asked: &str| {
        let annotations = meta.annotations.as_ref();
        annotations
            .and_then(|all| all.get(asked))
            .is_some_and(|text| text == "true")
    };
    let ignored = says(annotation::IGNORE) || says(annotation::reloader::IGNORE);
    (ignored, says(annotation::reloader::MATCH))
}

pub(super) fn written(meta: &ObjectMeta) -> i64 {
    let created = meta
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second());
    let owns_data = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| {
            ["f:data", "f:binaryData"]
                .iter()
                .any(|field| fields.0.get(field).is_some())
        })
    };
    let managed = meta.managed_fields.iter().flatten().filter(owns_data);
    managed
        .filter_map(|entry| entry.time.as_ref())
        .map(|time| time.0.as_second())
        .max()
        .unwrap_or(created)
        .max(created)
}
