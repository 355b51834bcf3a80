//! What the objects of each watch become: versions, workloads, defaults of namespaces.

use std::{collections::HashMap, fmt::Debug, hash::Hash};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource, ResourceExt,
    core::{DynamicObject, ObjectMeta, PartialObjectMeta},
};

use crate::{
    controller::Controller,
    model::{
        DigestKey, Kind, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        object::FromObject, workload::Workload,
    },
    ops::metrics::labels::SourceEvent,
};

/// What becomes of the objects of one watch.
pub(super) trait Feed {
    type Object: Resource + Clone + Debug + FromObject + Send + 'static;
    type Key: Eq + Hash;
    type State;

    fn key(&self, meta: &ObjectMeta) -> Self::Key;
    /// What is known before a new list.
    fn known(&self, within: Option<&str>) -> HashMap<Self::Key, Self::State>;
    fn apply(&self, object: Self::Object);
    fn delete(&self, meta: &ObjectMeta);
    /// It was known before a new list and is not in it.
    fn vanished(&self, key: &Self::Key, state: Self::State);
    /// A list is complete.
    fn listed(&self, _within: Option<&str>) {}
    /// RBAC does not allow to read it.
    fn refused(&self, _within: Option<&str>) {}
}

/// Digests an object of a kind of source.
pub(super) type ReadVersion<K> = fn(&DigestKey, &str, &K) -> Version;

/// See [`Feed`].
pub(super) struct SourceFeed<'a, K> {
    pub(super) controller: &'a Controller,
    pub(super) kind: SourceKind,
    pub(super) read: ReadVersion<K>,
}

impl<K> Feed for SourceFeed<'_, K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + FromObject + Send + 'static,
{
    type Object = K;
    type Key = SourceKey;
    type State = u64;

    fn key(&self, meta: &ObjectMeta) -> SourceKey {
        let source = SourceName {
            kind: self.kind,
            name: meta.name.clone().unwrap_or_default(),
        };
        SourceKey {
            namespace: meta.namespace.clone().unwrap_or_default(),
            source,
        }
    }

    fn known(&self, within: Option<&str>) -> HashMap<SourceKey, u64> {
        self.controller.state.index().sources(self.kind, within)
    }

    fn apply(&self, mut object: K) {
        let key = self.key(object.meta());
        if !self.controller.state.index().works_in(&key.namespace) {
            return;
        }
        self.controller.conventions.read_source(object.meta_mut());
        let version = (self.read)(&self.controller.digest_key, &key.namespace, &object);
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Apply);
        self.controller.source_applied(&key, version);
    }

    fn delete(&self, meta: &ObjectMeta) {
        let resource_version = meta
            .resource_version
            .as_ref()
            .and_then(|rv| rv.parse().ok())
            .unwrap_or(u64::MAX);
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.controller
            .source_deleted(&self.key(meta), resource_version);
    }

    fn listed(&self, within: Option<&str>) {
        self.controller.source_listed(self.kind, within);
    }

    fn vanished(&self, key: &SourceKey, resource_version: u64) {
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.controller.source_deleted(key, resource_version);
    }
}

/// See [`Feed`].
pub(super) struct WorkloadFeed<'a> {
    pub(super) controller: &'a Controller,
    pub(super) kind: Kind,
}

impl Feed for WorkloadFeed<'_> {
    type Object = DynamicObject;
    type Key = WorkloadKey;
    type State = ();

    fn key(&self, meta: &ObjectMeta) -> WorkloadKey {
        let namespace = meta.namespace.clone().unwrap_or_default();
        WorkloadKey {
            kind: self.kind,
            namespace,
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    fn known(&self, within: Option<&str>) -> HashMap<WorkloadKey, ()> {
        let known = self
            .controller
            .state
            .index()
            .workloads(Some(self.kind), within);
        known.into_iter().map(|key| (key, ())).collect()
    }

    fn apply(&self, mut object: DynamicObject) {
        let key = self.key(&object.metadata);
        if !self.controller.state.index().works_in(&key.namespace) {
            return;
        }
        let vocabulary = &self.controller.conventions.vocabulary;
        vocabulary.translate_workload(self.kind, &mut object);
        self.controller.state.metrics.workload_seen(self.kind.kind);
        self.controller
            .workload_applied(&key, Workload::read(self.kind, &object));
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.controller.workload_deleted(&self.key(meta));
    }

    fn vanished(&self, key: &WorkloadKey, (): ()) {
        self.controller.workload_deleted(key);
    }
}

/// See [`Feed`].
pub(super) struct NamespaceFeed<'a> {
    pub(super) controller: &'a Controller,
}

impl Feed for NamespaceFeed<'_> {
    type Object = PartialObjectMeta<Namespace>;
    type Key = String;
    type State = ();

    fn key(&self, meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn known(&self, within: Option<&str>) -> HashMap<String, ()> {
        let known = self.controller.state.index().known_namespaces();
        known
            .into_iter()
            .filter(|name| within.is_none_or(|within| within == name))
            .map(|name| (name, ()))
            .collect()
    }

    fn apply(&self, object: Self::Object) {
        self.controller
            .namespace_applied(&object.name_any(), object.labels());
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.controller.namespace_deleted(&self.key(meta));
    }

    fn vanished(&self, key: &String, (): ()) {
        self.controller.namespace_deleted(key);
    }

    fn listed(&self, _within: Option<&str>) {
        self.controller.namespaces_listed();
    }
}
