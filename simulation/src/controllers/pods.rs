//! What controllers read off pods, and how they make them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::objects::{Kind, condition, is_deleted, name, time};

/// Whether it has ended.
pub(crate) fn is_over(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

/// Whether it runs, or will.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_over(pod) && !is_deleted(pod)
}

/// Whether it is ready.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Whether it has been ready for so many seconds.
pub(crate) fn is_available(pod: &Value, seconds: i64, now: Timestamp) -> bool {
    let Some(ready) = condition(pod, "Ready").filter(|ready| ready["status"] == "True") else {
        return false;
    };
    let since = time(&ready["lastTransitionTime"]);
    seconds == 0 || now.duration_since(since) > SignedDuration::from_secs(seconds)
}

/// Makes a pod of a template. `prefix` is that of its name.
pub(crate) fn from_template(template: &Value, prefix: &str, kind: Kind, owner: &Value) -> Value {
    let mut metadata = json!({
        "generateName": prefix, "ownerReferences": [kind.controls(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({ "metadata": metadata, "spec": template["spec"] })
}

/// Makes a pod whose name begins with that of its owner.
pub(crate) fn of_owner(kind: Kind, owner: &Value) -> Value {
    let prefix = format!("{}-", name(owner));
    from_template(&owner["spec"]["template"], &prefix, kind, owner)
}
