//! The kinds of the Secrets Store CSI driver: what their objects become.

use std::collections::HashSet;

use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};

use super::feed::Feed;
use crate::{
    controller::Controller,
    model::{
        SourceKind,
        csi::{Part, PodStatus},
        index::{By, Tick},
    },
    ops::metrics::labels::SourceEvent,
};

/// The statuses of pods: digested, and dropped at once. See [`Feed`].
pub(super) struct StatusFeed<'a> {
    pub(super) controller: &'a Controller,
}

/// The classes, for their annotations. See [`Feed`].
pub(super) struct ClassFeed<'a> {
    pub(super) controller: &'a Controller,
}

/// Namespace and name.
type Key = (String, String);

fn key(meta: &ObjectMeta) -> Key {
    let namespace = meta.namespace.clone().unwrap_or_default();
    (namespace, meta.name.clone().unwrap_or_default())
}

fn known(controller: &Controller, part: Part, within: Option<&str>) -> HashSet<Key> {
    let known = controller.state.index().known_parts(part, within);
    known.into_iter().collect()
}

impl StatusFeed<'_> {
    fn gone(&self, key: &Key) {
        let kind = SourceKind::SecretProviderClass.as_str();
        let metrics = &self.controller.state.metrics;
        metrics.source_seen(kind, SourceEvent::Delete);
        self.controller
            .pod_status_seen(&key.0, &key.1, None, By::Event);
    }
}

impl ClassFeed<'_> {
    fn gone(&self, (namespace, name): &Key) {
        self.controller.class_seen(namespace, name, None);
    }
}

impl Feed for StatusFeed<'_> {
    type Object = DynamicObject;
    type Key = Key;

    fn key(&self, meta: &ObjectMeta) -> Key {
        key(meta)
    }

    fn known(&self, within: Option<&str>) -> HashSet<Key> {
        known(self.controller, Part::Statuses, within)
    }

    fn apply(&self, object: DynamicObject, by: By) {
        let kind = SourceKind::SecretProviderClass.as_str();
        let metrics = &self.controller.state.metrics;
        metrics.source_seen(kind, SourceEvent::Apply);
        let (namespace, name) = key(&object.metadata);
        let status = PodStatus::read(&self.controller.digest_key, &object);
        self.controller
            .pod_status_seen(&namespace, &name, status, by);
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.gone(&key(meta));
    }

    fn vanished(&self, key: &Key, _asked: Tick) {
        self.gone(key);
    }

    fn listed(&self, within: Option<&str>) {
        self.controller.part_listed(Part::Statuses, within);
    }

    fn refused(&self, within: Option<&str>) {
        self.controller.part_absent(Part::Statuses, within);
    }
}

impl Feed for ClassFeed<'_> {
    type Object = PartialObjectMeta<DynamicObject>;
    type Key = Key;

    fn key(&self, meta: &ObjectMeta) -> Key {
        key(meta)
    }

    fn known(&self, within: Option<&str>) -> HashSet<Key> {
        known(self.controller, Part::Classes, within)
    }

    fn apply(&self, mut object: Self::Object, _by: By) {
        let vocabulary = &self.controller.conventions.vocabulary;
        vocabulary.translate(&mut object.metadata);
        let (namespace, name) = key(&object.metadata);
        self.controller
            .class_seen(&namespace, &name, Some(&object.metadata));
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.gone(&key(meta));
    }

    fn vanished(&self, key: &Key, _asked: Tick) {
        self.gone(key);
    }

    fn listed(&self, within: Option<&str>) {
        self.controller.part_listed(Part::Classes, within);
    }

    fn refused(&self, within: Option<&str>) {
        self.controller.part_absent(Part::Classes, within);
    }
}
