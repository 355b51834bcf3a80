//! Objects as they are read: without what reroll does not need.
//!
//! `managedFields` are most of a small object's bytes. They are trees, so they take the longest to read. Only their
//! times are kept, whether they hold data, and who wrote that, reroll's own annotation or `kubernetes.io/change-cause`. The fields of an object are read once, straight into their types: the
//! derived forms of objects of every kind make two trees of each.
//!
//! An object that is not as its kind should be must not stop the rest, so each is read by itself ([`Guarded`]).
//! `kube::core::DeserializeGuard` does the same with a tree and a copy of it for each object, which takes several
//! times as long.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::{
        FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
    },
};
use kube::core::{DynamicObject, PartialObjectMeta, Resource, TypeMeta};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, json, value::RawValue};

use super::annotation::{CHANGE_CAUSE, OBSERVED, SLOW_START};

/// What is read from the JSON of one object.
pub trait FromObject: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not as its kind should be. The error may quote data of the object: it is not to be told.
    fn from_object(json: &str) -> serde_json::Result<Self>;
}

/// An object of a list or watch, or of one that cannot be read its metadata. Only of JSON, and of a watch's event whose
/// `type` comes first, as API servers write it.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, ObjectMeta>);

/// What reroll needs of `metadata`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: Option<Vec<ManagedFields>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFields {
    manager: Option<String>,
    operation: Option<String>,
    time: Option<Time>,
    fields_v1: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "f:data")]
    data: Option<IgnoredAny>,
    #[serde(rename = "f:binaryData")]
    binary_data: Option<IgnoredAny>,
    #[serde(rename = "f:stringData")]
    string_data: Option<IgnoredAny>,
    #[serde(rename = "f:metadata")]
    metadata: Option<FieldsOfMeta>,
}

#[derive(Deserialize)]
struct FieldsOfMeta {
    #[serde(rename = "f:annotations")]
    annotations: Option<FieldsOfAnnotations>,
}

#[derive(Deserialize)]
struct FieldsOfAnnotations {
    #[serde(rename = "f:reroll.dev/observed")]
    observed: Option<IgnoredAny>,
    #[serde(rename = "f:kubernetes.io/change-cause")]
    change_cause: Option<IgnoredAny>,
}

/// Returns the managers that wrote reroll's `observed`, as far as `managedFields` tell.
pub fn writers_of_observed(meta: &ObjectMeta) -> impl Iterator<Item = &str> {
    owners(meta, OBSERVED).filter_map(|entry| entry.manager.as_deref())
}

/// Returns the managers that own `kubernetes.io/change-cause`, as far as `managedFields` tell, and whether each applied it at
/// the server.
pub fn owners_of_change_cause(meta: &ObjectMeta) -> impl Iterator<Item = (&str, bool)> {
    owners(meta, CHANGE_CAUSE).map(|entry| {
        let applies = entry.operation.as_deref() == Some("Apply");
        (entry.manager.as_deref().unwrap_or_default(), applies)
    })
}

/// Returns what `managedFields` tell of those that own this annotation.
fn owners<'a>(
    meta: &'a ObjectMeta,
    annotation: &'static str,
) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
    let owns = move |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        let annotations =
            fields.and_then(|fields| fields.0.get("f:metadata")?.get("f:annotations"));
        annotations.is_some_and(|all| all.get(format!("f:{annotation}")).is_some())
    };
    meta.managed_fields.iter().flatten().filter(owns)
}

#[derive(Deserialize)]
struct OnlyMeta {
    #[serde(default)]
    metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfSource<T> {
    #[serde(default)]
    metadata: Meta,
    data: Option<BTreeMap<String, T>>,
    binary_data: Option<BTreeMap<String, ByteString>>,
    immutable: Option<bool>,
    r#type: Option<String>,
}

/// An object of any kind.
#[derive(Default)]
struct OfAny {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Meta,
    data: Map<String, Value>,
}

/// Returns the number of an object's, or a list's, resourceVersion; `None` where there is none, or it is no number.
pub fn resource_version(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

// === impl Guarded ===

impl<'de, K: FromObject> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let object = K::from_object(raw.get());
        Ok(Self(object.map_err(|_| meta_of(raw.get()))))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|meta| meta, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|meta| meta, K::meta_mut)
    }
}

/// Returns as much as there is: even an object whose metadata is wrong has a place in its list.
fn meta_of(json: &str) -> ObjectMeta {
    let read: serde_json::Result<OnlyMeta> = serde_json::from_str(json);
    read.map(|object| object.metadata.into())
        .unwrap_or_default()
}

// === impl FromObject ===

impl FromObject for Secret {
    fn from_object(json: &str) -> serde_json::Result<Self> {
        let object: OfSource<ByteString> = serde_json::from_str(json)?;
        Ok(Self {
            metadata: object.metadata.into(),
            data: object.data,
            immutable: object.immutable,
            type_: object.r#type,
            ..Self::default()
        })
    }
}

impl FromObject for ConfigMap {
    fn from_object(json: &str) -> serde_json::Result<Self> {
        let object: OfSource<String> = serde_json::from_str(json)?;
        Ok(Self {
            metadata: object.metadata.into(),
            data: object.data,
            binary_data: object.binary_data,
            immutable: object.immutable,
        })
    }
}

impl FromObject for DynamicObject {
    fn from_object(json: &str) -> serde_json::Result<Self> {
        let object: OfAny = serde_json::from_str(json)?;
        let types = object.api_version.zip(object.kind);
        Ok(Self {
            types: types.map(|(api_version, kind)| TypeMeta { api_version, kind }),
            metadata: object.metadata.into(),
            data: object.data.into(),
        })
    }
}

impl<K> FromObject for PartialObjectMeta<K> {
    fn from_object(json: &str) -> serde_json::Result<Self> {
        let object: OnlyMeta = serde_json::from_str(json)?;
        Ok(Self {
            types: None,
            metadata: object.metadata.into(),
            _phantom: std::marker::PhantomData,
        })
    }
}

impl<'de> Deserialize<'de> for OfAny {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = OfAny;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<OfAny, A::Error> {
        let mut object = OfAny::default();
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "apiVersion" => object.api_version = fields.next_value()?,
                "kind" => object.kind = fields.next_value()?,
                "metadata" => object.metadata = fields.next_value()?,
                _ => drop(object.data.insert(name, fields.next_value()?)),
            }
        }
        Ok(object)
    }
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        let managers = meta.managed_fields;
        Self {
            name: meta.name,
            generate_name: meta.generate_name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            labels: meta.labels,
            annotations: meta.annotations,
            owner_references: meta.owner_references,
            finalizers: meta.finalizers,
            managed_fields: managers
                .map(|managers| managers.into_iter().map(ManagedFields::into).collect()),
            ..Self::default()
        }
    }
}

impl From<ManagedFields> for ManagedFieldsEntry {
    fn from(manager: ManagedFields) -> Self {
        let Some(fields) = manager.fields_v1 else {
            return Self {
                time: manager.time,
                ..Self::default()
            };
        };
        let owns_data =
            fields.data.is_some() || fields.binary_data.is_some() || fields.string_data.is_some();
        let annotations = fields.metadata.and_then(|meta| meta.annotations);
        let owned = annotations.map_or([None, None], |all| {
            let change_cause = all.change_cause.map(|_| CHANGE_CAUSE);
            [all.observed.map(|_| OBSERVED), change_cause]
        });
        let owned: Map<String, Value> = owned
            .into_iter()
            .flatten()
            .map(|key| (format!("f:{key}"), json!({})))
            .collect();
        let owns = owns_data || !owned.is_empty();
        let mut kept = Map::new();
        if owns_data {
            kept.insert("f:data".to_owned(), json!({}));
        }
        if !owned.is_empty() {
            let all = json!({ "f:annotations": owned });
            kept.insert("f:metadata".to_owned(), all);
        }
        Self {
            manager: manager.manager.filter(|_| owns),
            operation: manager.operation.filter(|_| owns),
            time: manager.time,
            fields_v1: (!kept.is_empty()).then(|| FieldsV1(kept.into())),
            ..Self::default()
        }
    }
}

/// What a source or a Namespace says by `reroll.dev/slow-start`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowStart {
    /// Restarts wait for what becomes of others; or nothing.
    #[default]
    On,
    /// They do not.
    Off,
    /// Something that cannot be read, which is nothing.
    Unreadable,
}

impl SlowStart {
    /// What can be said.
    pub const WORDS: &'static str = "on or off";

    /// Reads it off the metadata of a source or a Namespace.
    pub fn of(meta: &ObjectMeta) -> Self {
        let annotations = meta.annotations.as_ref();
        let text = annotations.and_then(|all| all.get(SLOW_START));
        text.map_or(Self::On, |text| Self::read(text))
    }

    /// Reads the annotation's text.
    pub fn read(text: &str) -> Self {
        match text.trim() {
            "on" => Self::On,
            "off" => Self::Off,
            _ => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests;
