//! Kinds of sources that stand in one object: the Rust type of each, and what is done with it whatever the type.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, Resource};
use serde::de::DeserializeOwned;

use super::Version;
use crate::model::{digest::DigestKey, object::FromObject, source::SourceKind};

/// An object that is a source as a whole.
pub trait SourceObject:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + FromObject
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Returns its version; its own metadata may lack the namespace.
    fn version(&self, key: &DigestKey, namespace: &str) -> Version;

    /// Returns `type`, which only Secrets have.
    fn secret_type(&self) -> Option<&str> {
        None
    }
}

/// Something that is done with the objects of a kind.
pub trait OfKind {
    /// What comes of it.
    type Output;

    /// Does it with objects of this type.
    fn of<K: SourceObject>(self) -> Self::Output;
}

impl SourceKind {
    /// Does something with the kind's objects. `None` for a kind that does not stand in one object.
    pub fn typed<W: OfKind>(self, what: W) -> Option<W::Output> {
        match self {
            Self::Secret => Some(what.of::<Secret>()),
            Self::ConfigMap => Some(what.of::<ConfigMap>()),
            Self::SecretProviderClass => None,
        }
    }
}

impl SourceObject for Secret {
    fn version(&self, key: &DigestKey, namespace: &str) -> Version {
        Version::of_secret(key, namespace, self)
    }

    fn secret_type(&self) -> Option<&str> {
        self.type_.as_deref()
    }
}

impl SourceObject for ConfigMap {
    fn version(&self, key: &DigestKey, namespace: &str) -> Version {
        Version::of_config_map(key, namespace, self)
    }
}
