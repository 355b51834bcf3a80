//! What somebody deployed of a pod template, so that two revisions can be told apart which differ by restarts only.

use serde_json::Value;

use crate::model::annotation::{KUBECTL_RESTARTED_AT, RESTARTED_FOR};

/// The label that tells the pods of a revision of a Deployment from those of others.
const HASH: &str = "pod-template-hash";

/// Returns a template without what is of restarts, or of its revision.
pub fn deployed(mut template: Value) -> Value {
    for (of, key) in [("labels", HASH), ("annotations", KUBECTL_RESTARTED_AT)] {
        let all = template
            .pointer_mut(&format!("/metadata/{of}"))
            .and_then(Value::as_object_mut);
        all.and_then(|all| all.remove(key));
    }
    bare(template)
}

/// Returns a template without what reroll writes there.
pub(super) fn bare(mut template: Value) -> Value {
    if let Some(meta) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(RESTARTED_FOR);
        }
        meta.retain(|_, value| {
            !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty())
        });
    }
    // The maps that reroll creates for its annotation are no change either.
    if let Some(template) = template.as_object_mut() {
        let empty = |value: &Value| {
            value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
        };
        template.retain(|key, value| key != "metadata" || !empty(value));
    }
    template
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn restarts_and_the_label_of_the_revision_are_no_deploy() {
        let template = |meta: Value, image: &str| json!({ "metadata": meta, "spec": { "containers": [{ "image": image }] } });
        let plain = deployed(template(json!({ "labels": { "app": "web" } }), "a"));
        let restarted = json!({
            "labels": { "app": "web", HASH: "5d4" },
            "annotations": { KUBECTL_RESTARTED_AT: "t", "reroll.dev/restarted-for": "m" },
            "creationTimestamp": null,
        });
        assert_eq!(deployed(template(restarted.clone(), "a")), plain);
        assert_ne!(deployed(template(restarted, "b")), plain);
        let other = json!({ "labels": { "app": "web", "tier": "b" } });
        assert_ne!(deployed(template(other, "a")), plain);
    }
}
