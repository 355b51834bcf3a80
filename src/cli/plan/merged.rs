//! What becomes of an object where the API server does not say it, or not all of it: what kubectl takes out of it, what a manifest
//! makes of what is live, and what another value would be.
//!
//! All of it works on the JSON of objects. No value is ever printed.

use serde_json::{Map, Value, json};

use crate::model::SourceKind;

/// Where kubectl keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns what kubectl applied last to an object, as far as it says.
pub(super) fn last_applied(object: &Value) -> Option<Value> {
    let annotations = object.pointer("/metadata/annotations")?;
    serde_json::from_str(annotations.get(LAST_APPLIED)?.as_str()?).ok()
}

/// Takes out of an object what `last` had and `new` has no more, as `kubectl apply` does. A server-side apply by another manager
/// leaves it there.
pub(super) fn prune(object: &mut Value, last: &Value, new: &Value) {
    match (object, last, new) {
        (Value::Object(object), Value::Object(last), Value::Object(new)) => {
            for (key, last) in last {
                match (object.get_mut(key), new.get(key)) {
                    (Some(there), Some(new)) => prune(there, last, new),
                    // It always keeps some there, such as what it applied last.
                    (Some(there), None) if key == "annotations" => prune(there, last, &json!({})),
                    (Some(_), None) => {
                        object.remove(key);
                    }
                    (None, _) => {}
                }
            }
        }
        (Value::Array(object), Value::Array(last), Value::Array(new)) => {
            let Some(name) = key_of_items([object.as_slice(), last, new]) else {
                return;
            };
            let find = |items: &[Value], item: &Value| {
                items.iter().position(|one| one.get(name) == item.get(name))
            };
            for item in last {
                match (find(object, item), find(new, item)) {
                    (Some(there), Some(at)) => prune(&mut object[there], item, &new[at]),
                    (Some(there), None) => {
                        object.remove(there);
                    }
                    (None, _) => {}
                }
            }
        }
        _ => {}
    }
}

/// Returns the field by which the items of lists are told apart, where there is one.
fn key_of_items(lists: [&[Value]; 3]) -> Option<&'static str> {
    let all_have = |key: &&str| {
        lists
            .iter()
            .all(|items| items.iter().all(|it| it.get(key).is_some()))
    };
    ["mountPath", "name"].into_iter().find(all_have)
}

/// Returns what is live with what a manifest says laid over it. `stringData` becomes data only in the API server.
pub(super) fn merged(live: Option<&Value>, manifest: &Value) -> Value {
    let mut object = live.cloned().unwrap_or_else(|| json!({}));
    lay(&mut object, manifest);
    let texts = object
        .as_object_mut()
        .and_then(|all| all.remove("stringData"));
    if let Some(Value::Object(texts)) = texts {
        let data = object
            .as_object_mut()
            .map(|all| all.entry("data").or_insert_with(|| json!({})));
        if let Some(Value::Object(data)) = data {
            for (key, text) in texts {
                let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
                data.insert(key, json!(k8s_openapi::ByteString(bytes)));
            }
        }
    }
    object
}

fn lay(object: &mut Value, over: &Value) {
    match (object, over) {
        (Value::Object(object), Value::Object(over)) => {
            for (key, over) in over {
                lay(object.entry(key.as_str()).or_insert(Value::Null), over);
            }
        }
        (object, over) => *object = over.clone(),
    }
}

/// Returns the same source with another value of every key. Where it has no key it gains one.
pub(super) fn all_changed(kind: SourceKind, object: &Value) -> Value {
    let mut object = object.clone();
    let is_text = |map: &str| kind == SourceKind::ConfigMap && map == "data";
    let mut any = false;
    for map in ["data", "binaryData"] {
        let values = object.get_mut(map).and_then(Value::as_object_mut);
        for value in values.into_iter().flat_map(Map::values_mut) {
            any = true;
            let text = value.as_str().unwrap_or_default();
            *value = match is_text(map) {
                true => json!(format!("{text} ")),
                false if text == "AA==" => json!("AQ=="),
                false => json!("AA=="),
            };
        }
    }
    if !any {
        object["data"] = json!({ "key": "AA==" });
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_applied_and_the_manifest_has_no_more_goes() {
        let container = |name: &str, env: &[&str]| {
            let env: Vec<_> = env.iter().map(|name| json!({ "name": name })).collect();
            json!({ "name": name, "env": env })
        };
        let last = json!({
            "metadata": { "annotations": { "a": "1", "b": "1" } },
            "data": { "gone": "x", "stays": "x", "theirs": "x" },
            "spec": { "containers": [container("app", &["A", "B"]), container("side", &[])], "args": ["a"] },
        });
        let new = json!({
            "metadata": { "annotations": { "a": "2" } },
            "data": { "stays": "y" },
            "spec": { "containers": [container("app", &["B"])], "args": [] },
        });
        let mut object = json!({
            "metadata": { "annotations": { "a": "2", "b": "1", "c": "of another" } },
            "data": { "gone": "x", "stays": "y", "of-another": "z" },
            "spec": { "containers": [container("app", &["A", "B", "C"]), container("side", &[]), container("injected", &[])], "args": ["a"] },
        });
        prune(&mut object, &last, &new);
        let expected = json!({
            "metadata": { "annotations": { "a": "2", "c": "of another" } },
            "data": { "stays": "y", "of-another": "z" },
            "spec": { "containers": [container("app", &["B", "C"]), container("injected", &[])], "args": ["a"] },
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn annotations_of_others_stay_where_a_manifest_has_none_any_more() {
        let with =
            |all: Value| json!({ "metadata": { "annotations": all, "labels": { "a": "b" } } });
        let mut object = with(json!({ "ours": "1", "theirs": "2" }));
        prune(
            &mut object,
            &with(json!({ "ours": "1" })),
            &json!({ "metadata": {} }),
        );
        let expected = json!({ "metadata": { "annotations": { "theirs": "2" } } });
        assert_eq!(object, expected);
    }

    #[test]
    fn what_was_applied_last_is_read_where_it_can_be() {
        let with = |text: &str| json!({ "metadata": { "annotations": { LAST_APPLIED: text } } });
        assert_eq!(last_applied(&with("{\"a\":1}")), Some(json!({ "a": 1 })));
        for nothing in [
            with("{"),
            json!({}),
            json!({ "metadata": { "annotations": null } }),
        ] {
            assert_eq!(last_applied(&nothing), None);
        }
    }

    #[test]
    fn a_manifest_is_laid_over_what_is_live() {
        let live = json!({ "metadata": { "uid": "u", "labels": { "a": "1" } }, "data": { "k": "b2xk", "other": "eA==" } });
        let manifest =
            json!({ "metadata": { "labels": { "b": "2" } }, "stringData": { "k": "new" } });
        let expected = json!({
            "metadata": { "uid": "u", "labels": { "a": "1", "b": "2" } },
            "data": { "k": "bmV3", "other": "eA==" },
        });
        assert_eq!(merged(Some(&live), &manifest), expected);
        assert_eq!(
            merged(None, &json!({ "stringData": { "k": "new" } })),
            json!({ "data": { "k": "bmV3" } })
        );
    }

    #[test]
    fn another_value_differs_in_every_key() {
        for (kind, data) in [
            (
                SourceKind::Secret,
                json!({ "data": { "a": "AA==", "b": "AQ==", "c": "" } }),
            ),
            (
                SourceKind::ConfigMap,
                json!({ "data": { "a": "", "b": "AA==" }, "binaryData": { "c": "AA==" } }),
            ),
            (SourceKind::ConfigMap, json!({})),
        ] {
            let changed = all_changed(kind, &data);
            for map in ["data", "binaryData"] {
                for (key, value) in data[map].as_object().into_iter().flatten() {
                    assert_ne!(changed[map][key], *value, "{map} {key}");
                }
            }
            assert_ne!(changed, data);
        }
    }
}
