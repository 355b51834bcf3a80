//! What the objects of each watch become: versions of sources, workloads, defaults of namespaces.

use std::{collections::BTreeSet, fmt::Debug, marker::PhantomData};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource, ResourceExt,
    core::{DynamicObject, ObjectMeta, PartialObjectMeta},
};

use super::namespaces::Namespaces;
use crate::{
    judge::Judge,
    model::{
        Kind, SourceKey, SourceKind, SourceName, WorkloadKey,
        index::{By, Tick},
        object::{FromObject, resource_version},
        version::{SourceObject, writer},
        workload::Workload,
    },
    ops::metrics::labels::SourceEvent,
};

/// Takes in the objects of one watch.
pub(super) trait Feed {
    type Object: Resource + Clone + Debug + FromObject + Send + 'static;
    /// In this order they are found to be gone.
    type Key: Ord;

    fn key(&self, meta: &ObjectMeta) -> Self::Key;
    /// Returns the objects that are known before a new list.
    fn known(&self, within: Option<&str>) -> BTreeSet<Self::Key>;
    fn apply(&self, object: Self::Object, by: By);
    fn delete(&self, meta: &ObjectMeta);
    /// Takes in that an object was known before a new list and is not in it. The list was asked for at `asked`.
    fn vanished(&self, key: &Self::Key, asked: Tick);
    /// Takes in that a list is complete.
    fn listed(&self, _within: Option<&str>) {}
    /// Takes in that RBAC does not allow reroll to list or watch the objects.
    fn refused(&self, _within: Option<&str>) {}
}

/// The objects of one kind of source. See [`Feed`].
pub(super) struct SourceFeed<'a, K> {
    judge: &'a Judge,
    kind: SourceKind,
    object: PhantomData<fn(K)>,
}

impl<'a, K> SourceFeed<'a, K> {
    /// Makes one for a kind, whose objects have this type.
    pub(super) fn new(judge: &'a Judge, kind: SourceKind) -> Self {
        Self {
            judge,
            kind,
            object: PhantomData,
        }
    }
}

impl<K: SourceObject> Feed for SourceFeed<'_, K> {
    type Object = K;
    type Key = SourceKey;

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

    fn known(&self, within: Option<&str>) -> BTreeSet<SourceKey> {
        let known = self.judge.state.index().sources(self.kind, within);
        known.into_keys().collect()
    }

    fn apply(&self, object: K, by: By) {
        let key = self.key(object.meta());
        let state = &self.judge.state;
        if !state.index().works_in(&key.namespace) {
            return;
        }
        let (conventions, digest_key) = (&state.setup.conventions, &state.setup.key);
        let named = conventions.name_writers && state.index().is_used(&key);
        let manager = writer(object.meta()).filter(|_| named);
        let manager = manager.map(|(manager, _)| manager.to_owned());
        let version = conventions.version_of(object, &key.namespace, digest_key);
        if named {
            state.shows(&key, &version, manager.as_deref());
        }
        self.judge
            .teller
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Apply);
        self.judge.source_applied(&key, version, by);
    }

    fn delete(&self, meta: &ObjectMeta) {
        let gone = resource_version(meta.resource_version.as_deref()).unwrap_or(u64::MAX);
        self.judge
            .teller
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.judge.source_deleted(&self.key(meta), gone);
    }

    fn listed(&self, within: Option<&str>) {
        self.judge.source_listed(self.kind, within);
    }

    fn vanished(&self, key: &SourceKey, asked: Tick) {
        self.judge
            .teller
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.judge.source_missed(key, By::List(asked));
    }
}

/// The workloads of one kind. See [`Feed`].
pub(super) struct WorkloadFeed<'a> {
    pub(super) judge: &'a Judge,
    pub(super) kind: Kind,
}

impl Feed for WorkloadFeed<'_> {
    type Object = DynamicObject;
    type Key = WorkloadKey;

    fn key(&self, meta: &ObjectMeta) -> WorkloadKey {
        let namespace = meta.namespace.clone().unwrap_or_default();
        WorkloadKey {
            kind: self.kind,
            namespace,
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    fn known(&self, within: Option<&str>) -> BTreeSet<WorkloadKey> {
        let known = self.judge.state.index().workloads(Some(self.kind), within);
        known.into_iter().collect()
    }

    fn apply(&self, mut object: DynamicObject, by: By) {
        let key = self.key(&object.metadata);
        if !self.judge.state.index().works_in(&key.namespace) {
            return;
        }
        let vocabulary = &self.judge.state.setup.conventions.vocabulary;
        vocabulary.translate_workload(self.kind, &mut object);
        self.judge.teller.metrics.workload_seen(self.kind.kind);
        self.judge
            .workload_applied(&key, Workload::read(self.kind, &object), by);
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.judge.workload_deleted(&self.key(meta));
    }

    fn vanished(&self, key: &WorkloadKey, asked: Tick) {
        self.judge.workload_missed(key, asked);
    }
}

/// The namespaces, of which only the labels count. See [`Feed`].
pub(super) struct NamespaceFeed<'a> {
    pub(super) namespaces: &'a Namespaces,
}

impl Feed for NamespaceFeed<'_> {
    type Object = PartialObjectMeta<Namespace>;
    type Key = String;

    fn key(&self, meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn known(&self, within: Option<&str>) -> BTreeSet<String> {
        let known = self.namespaces.known();
        known
            .into_iter()
            .filter(|name| within.is_none_or(|within| within == name))
            .collect()
    }

    fn apply(&self, object: Self::Object, _by: By) {
        self.namespaces
            .applied(&object.name_any(), &object.metadata);
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.namespaces.deleted(&self.key(meta));
    }

    fn vanished(&self, key: &String, _asked: Tick) {
        self.namespaces.deleted(key);
    }

    fn listed(&self, _within: Option<&str>) {
        self.namespaces.listed();
    }
}
