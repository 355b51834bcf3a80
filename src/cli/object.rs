//! How answers for programs name objects, and which version of answers it is.

use kube::core::{DynamicObject, ObjectMeta};
use serde::Serialize;

use crate::model::{SourceKey, WorkloadKey};

/// The version of what programs read. It changes when a field goes, or means something else.
pub(super) const API_VERSION: &str = "cli.reroll.dev/v1";

/// An object, as programs read it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl From<&WorkloadKey> for Object {
    fn from(key: &WorkloadKey) -> Self {
        Self {
            kind: key.kind.kind,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

impl From<&SourceKey> for Object {
    fn from(key: &SourceKey) -> Self {
        Self {
            kind: key.source.kind.as_str(),
            namespace: key.namespace.clone(),
            name: key.source.name.clone(),
        }
    }
}

/// Returns an object of which nothing but this is known.
pub(super) fn of_metadata(mut metadata: ObjectMeta) -> DynamicObject {
    // It may be long, and says nothing here.
    metadata.managed_fields = None;
    DynamicObject {
        types: None,
        metadata,
        data: serde_json::json!({}),
    }
}
