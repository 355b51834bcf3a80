//! Versions of what many objects show together, see [`crate::model::csi`].

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Digest, DigestKey, Version};
use crate::model::{object::SlowStart, recreation::Origin, source::SourceKind};

/// What is known by a version. Only what [`crate::model::csi`] puts together is ever other than [`Self::Data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// What the data is.
    Data,
    /// The same, and every pod that has it started with it: to have observed something else asks for no restart.
    Started,
    /// Nothing of the data: no pod has any, or pods differ.
    Nothing,
}

impl Version {
    /// Returns what a pod's status shows of what the SecretProviderClass `class` provides: pairs of an object and its
    /// version, in any order. Which object it is says nothing, so it has no uid, and no workload asks for a single object
    /// by name.
    pub fn of_objects<'a>(
        key: &DigestKey,
        namespace: &str,
        class: &str,
        status: &ObjectMeta,
        objects: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let pairs: BTreeSet<String> = objects
            // Strings can always be printed.
            .map(|pair| serde_json::to_string(&pair).unwrap_or_default())
            .collect();
        let data = pairs.iter().map(|pair| (pair.as_str(), [].as_slice()));
        let meta = ObjectMeta {
            name: Some(class.to_owned()),
            resource_version: status.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let kind = SourceKind::SecretProviderClass;
        let mut version = Self::new(key, namespace, kind, &meta, None, data.collect());
        let fields = status.managed_fields.iter().flatten();
        let times = fields.filter_map(|entry| entry.time.as_ref());
        version.written = times.map(|time| time.0.as_second()).max().unwrap_or(0);
        version.without_keys()
    }

    /// Returns a class of which nothing is known but what its annotations say.
    pub fn unclear() -> Self {
        Self {
            uid: String::new(),
            resource_version: 0,
            written: 0,
            noticed: 0,
            immutable: false,
            skipped: false,
            ignored: false,
            slow_start: SlowStart::default(),
            matched: false,
            origin: Origin::default(),
            shows: Shows::Nothing,
            whole: Digest::CHANGED,
            keys: Some(Box::default()),
            previous: None,
        }
    }

    fn without_keys(self) -> Self {
        Self {
            keys: Some(Box::default()),
            previous: self
                .previous
                .map(|previous| Box::new(previous.without_keys())),
            ..self
        }
    }
}
