//! What a write makes of the object that is there.

use bytes::Bytes;
use json_patch::{AddOperation, PatchOperation};
use serde_json::Value;

use super::answer::Refusal;

/// A PUT or a PATCH.
pub(crate) enum Change {
    /// The whole object.
    Put(Value),
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
}

impl Change {
    /// Reads a patch of this content type.
    pub(crate) fn patch(content_type: &str, body: &Bytes) -> Result<Self, Refusal> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let unreadable = |error: serde_json::Error| Refusal::bad_request(error.to_string());
        match kind {
            "application/json-patch+json" => serde_json::from_slice(body)
                .map(Self::Json)
                .map_err(unreadable),
            "application/merge-patch+json" => serde_json::from_slice(body)
                .map(Self::Merge)
                .map_err(unreadable),
            _ => {
                let why = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json";
                Err(Refusal::new(415, "UnsupportedMediaType", why))
            }
        }
    }

    /// Returns how an object is refused that cannot be read: of a patch that is something else than of a PUT.
    pub(crate) fn unreadable(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::Put(_) => refusal,
            Self::Json(_) | Self::Merge(_) => Refusal::new(422, "Invalid", refusal.message),
        }
    }

    /// Takes the object of a PUT of one version, to try it once: it cannot be of another one.
    pub(crate) fn take(&mut self) -> Option<Value> {
        match self {
            Self::Put(object) if object["metadata"]["resourceVersion"].is_string() => {
                Some(object.take())
            }
            _ => None,
        }
    }

    /// Whether it was taken.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self, Self::Put(Value::Null))
    }

    /// Returns what the object would become.
    pub(crate) fn on(&self, live: &Value) -> Result<Value, Refusal> {
        match self {
            Self::Put(object) => Ok(object.clone()),
            Self::Merge(patch) => {
                let mut object = live.clone();
                json_patch::merge(&mut object, patch);
                Ok(object)
            }
            Self::Json(patch) => {
                let mut object = live.clone();
                apply(&mut object, patch).map_err(|_| {
                    let why = "the server rejected our request due to an error in our request";
                    Refusal::new(422, "Invalid", why)
                })?;
                Ok(object)
            }
        }
    }
}

/// Applies a JSON patch as the API server's library does: in an object, it replaces what is not there, and finds null
/// there.
pub(crate) fn apply(
    object: &mut Value,
    patch: &json_patch::Patch,
) -> Result<(), json_patch::PatchError> {
    for operation in &patch.0 {
        let missing = is_missing(object, operation.path().as_str());
        let operation = match operation {
            PatchOperation::Replace(replace) if missing => PatchOperation::Add(AddOperation {
                path: replace.path.clone(),
                value: replace.value.clone(),
            }),
            PatchOperation::Test(test) if missing && test.value.is_null() => continue,
            other => other.clone(),
        };
        json_patch::patch(object, &[operation])?;
    }
    Ok(())
}

/// Whether a path ends in an object that does not have it.
fn is_missing(object: &Value, path: &str) -> bool {
    let parent = path
        .rsplit_once('/')
        .and_then(|(parent, _)| object.pointer(parent));
    parent.is_some_and(Value::is_object) && object.pointer(path).is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches() {
        let live = json!({ "a": { "b": "1", "c": "2" } });
        for (kind, body, expected) in [
            (
                "merge-patch",
                r#"{"a":{"b":null,"d":"3"}}"#,
                Ok(json!({ "a": { "c": "2", "d": "3" } })),
            ),
            (
                "json-patch",
                r#"[{"op":"test","path":"/a/b","value":"1"},{"op":"remove","path":"/a/b"}]"#,
                Ok(json!({ "a": { "c": "2" } })),
            ),
            (
                "json-patch",
                r#"[{"op":"test","path":"/a/b","value":"2"}]"#,
                Err(422),
            ),
            (
                "json-patch",
                r#"[{"op":"replace","path":"/x","value":"2"}]"#,
                Ok(json!({ "a": { "b": "1", "c": "2" }, "x": "2" })),
            ),
            (
                "json-patch",
                r#"[{"op":"test","path":"/x","value":null}]"#,
                Ok(live.clone()),
            ),
            (
                "json-patch",
                r#"[{"op":"replace","path":"/x/y","value":"2"}]"#,
                Err(422),
            ),
            ("json-patch", r#"[{"op":"remove","path":"/x"}]"#, Err(422)),
            (
                "json-patch",
                r#"[{"op":"add","path":"/x/y","value":"2"}]"#,
                Err(422),
            ),
            ("json-patch", "{}", Err(400)),
            ("strategic-merge-patch", "{}", Err(415)),
        ] {
            let change = Change::patch(&format!("application/{kind}+json"), &Bytes::from(body));
            let found = change.and_then(|change| change.on(&live));
            assert_eq!(found.map_err(|refusal| refusal.code), expected, "{body}");
        }
    }
}
