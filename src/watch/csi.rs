//! Feeds of the Secrets Store CSI driver's kinds.

use std::collections::BTreeSet;

use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};

use super::feed::Feed;
use crate::{
    judge::Judge,
    model::{
        SourceKind,
        csi::{Part, PodStatus},
        index::{By, Tick},
    },
    ops::metrics::labels::SourceEvent,
};

/// The pod statuses, which are digested and then dropped at once. See [`Feed`].
pub(super) struct StatusFeed<'a> {
    pub(super) judge: &'a Judge,
}

/// The `SecretProviderClass`es, of which only the annotations count. See [`Feed`].
pub(super) struct ClassFeed<'a> {
    pub(super) judge: &'a Judge,
}

/// Namespace and name of an object.
type Key = (String, String);

fn key(meta: &ObjectMeta) -> Key {
    let namespace = meta.namespace.clone().unwrap_or_default();
    (namespace, meta.name.clone().unwrap_or_default())
}

fn known(judge: &Judge, part: Part, within: Option<&str>) -> BTreeSet<Key> {
    let known = judge.state.index().known_parts(part, within);
    known.into_iter().collect()
}

impl StatusFeed<'_> {
    fn gone(&self, key: &Key) {
        let kind = SourceKind::SecretProviderClass.as_str();
        let metrics = &self.judge.teller.metrics;
        metrics.source_seen(kind, SourceEvent::Delete);
        self.judge.pod_status_seen(&key.0, &key.1, None, By::Event);
    }
}

impl ClassFeed<'_> {
    fn gone(&self, (namespace, name): &Key) {
        self.judge.class_seen(namespace, name, None);
    }
}

impl Feed for StatusFeed<'_> {
    type Object = DynamicObject;
    type Key = Key;

    fn key(&self, meta: &ObjectMeta) -> Key {
        key(meta)
    }

    fn known(&self, within: Option<&str>) -> BTreeSet<Key> {
        known(self.judge, Part::Statuses, within)
    }

    fn apply(&self, object: DynamicObject, by: By) {
        let kind = SourceKind::SecretProviderClass.as_str();
        let metrics = &self.judge.teller.metrics;
        metrics.source_seen(kind, SourceEvent::Apply);
        let (namespace, name) = key(&object.metadata);
        let status = PodStatus::read(&self.judge.state.setup.key, &object);
        self.judge.pod_status_seen(&namespace, &name, status, by);
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.gone(&key(meta));
    }

    fn vanished(&self, key: &Key, _asked: Tick) {
        self.gone(key);
    }

    fn listed(&self, within: Option<&str>) {
        self.judge.part_listed(Part::Statuses, within);
    }

    fn refused(&self, within: Option<&str>) {
        self.judge.part_absent(Part::Statuses, within);
    }
}

impl Feed for ClassFeed<'_> {
    type Object = PartialObjectMeta<DynamicObject>;
    type Key = Key;

    fn key(&self, meta: &ObjectMeta) -> Key {
        key(meta)
    }

    fn known(&self, within: Option<&str>) -> BTreeSet<Key> {
        known(self.judge, Part::Classes, within)
    }

    fn apply(&self, mut object: Self::Object, _by: By) {
        let vocabulary = &self.judge.state.setup.conventions.vocabulary;
        vocabulary.translate(&mut object.metadata);
        let (namespace, name) = key(&object.metadata);
        self.judge
            .class_seen(&namespace, &name, Some(&object.metadata));
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.gone(&key(meta));
    }

    fn vanished(&self, key: &Key, _asked: Tick) {
        self.gone(key);
    }

    fn listed(&self, within: Option<&str>) {
        self.judge.part_listed(Part::Classes, within);
    }

    fn refused(&self, within: Option<&str>) {
        self.judge.part_absent(Part::Classes, within);
    }
}
