//! Which template a workload has, reroll's marks in it left out: what tells whether somebody else changed it since a restart.
//!
//! It is made of every workload that is read, so nothing is copied for it. It is under no key: it stands beside the template.

use serde_json::{Map, Value};

use crate::model::{
    annotation::{KUBECTL_RESTARTED_AT, RESTARTED_FOR},
    digest::{Digest, PlainParts},
};

/// Returns the digest of a pod template without our marks. That of `kubectl rollout restart` is ours where the workload asks to be
/// restarted so: where a user sets it then, the mark beside it is another. It is of one workload: another one with the same template,
/// such as a copy or one that is made again, was not restarted.
pub fn template_print(uid: &str, template: &Value, like_kubectl: bool) -> Digest {
    let mut parts = PlainParts::default();
    parts.part(&[b"uid ", uid.as_bytes()]);
    for (key, value) in template.as_object().into_iter().flatten() {
        if key == "metadata" {
            metadata(&mut parts, value, like_kubectl);
        } else {
            parts.part(&[key.as_bytes()]);
            any(&mut parts, value);
        }
    }
    parts.finish()
}

/// The maps that reroll makes for its annotation are no change either.
fn metadata(parts: &mut PlainParts, value: &Value, like_kubectl: bool) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if key == "annotations" {
            let others = value.as_object().into_iter().flatten();
            for (key, value) in others.filter(|(key, _)| !is_mark(key, like_kubectl)) {
                parts.part(&[b"annotation ", key.as_bytes()]);
                any(parts, value);
            }
        } else if !is_empty {
            parts.part(&[b"metadata ", key.as_bytes()]);
            any(parts, value);
        }
    }
}

fn is_mark(key: &str, like_kubectl: bool) -> bool {
    key == RESTARTED_FOR || (like_kubectl && key == KUBECTL_RESTARTED_AT)
}

fn any(parts: &mut PlainParts, value: &Value) {
    match value {
        Value::Null => parts.part(&[b"n"]),
        Value::Bool(one) => parts.part(&[if *one { b"t" } else { b"f" }]),
        Value::Number(one) => parts.part(&[b"#", one.to_string().as_bytes()]),
        Value::String(one) => parts.part(&[b"s", one.as_bytes()]),
        Value::Array(all) => {
            parts.part(&[b"[", &(all.len() as u64).to_be_bytes()]);
            for one in all {
                any(parts, one);
            }
        }
        Value::Object(all) => {
            parts.part(&[b"{", &(all.len() as u64).to_be_bytes()]);
            for (key, one) in all {
                parts.part(&[key.as_bytes()]);
                any(parts, one);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_others_change_it() {
        let of = |metadata: Value| {
            template_print(
                "u",
                &json!({ "metadata": metadata, "spec": { "containers": [] } }),
                true,
            )
        };
        let plain = of(json!({}));
        for same in [
            json!(null),
            json!({ "annotations": null }),
            json!({ "annotations": { RESTARTED_FOR: "x" } }),
            json!({ "annotations": { KUBECTL_RESTARTED_AT: "x" }, "creationTimestamp": null }),
        ] {
            assert_eq!(of(same.clone()), plain, "{same}");
        }
        let without = template_print("u", &json!({ "spec": { "containers": [] } }), true);
        assert_eq!(without, plain);
        for other in [
            json!({ "annotations": { "a": "x" } }),
            json!({ "labels": { "a": "x" } }),
            json!({ "annotations": { "a": "y" } }),
        ] {
            assert_ne!(of(other.clone()), plain, "{other}");
        }
        let spec = template_print("u", &json!({ "spec": { "containers": [{}] } }), true);
        assert_ne!(spec, plain);
        let of_another = template_print("v", &json!({ "spec": { "containers": [] } }), true);
        assert_ne!(of_another, plain);
        let theirs = json!({ "metadata": { "annotations": { KUBECTL_RESTARTED_AT: "x" } } });
        assert_ne!(
            template_print("u", &theirs, false),
            template_print("u", &json!({}), false)
        );
    }
}
