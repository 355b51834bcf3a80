//! What holds in this cluster because reroll's flags say so: the names of annotations, and what a workload gets that
//! says nothing.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{DynamicObject, ObjectMeta, Selector, SelectorExt};
use serde_json::Value;

use super::{
    annotation::IGNORE,
    digest::DigestKey,
    policy::{Defaults, OnDelete, OnRecreate},
    source::{KindSet, SourceKey, SourceKind},
    version::{OfKind, SourceObject, Version},
    workload::Kind,
};

/// What was agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conventions {
    /// The names of annotations.
    pub vocabulary: Vocabulary,
    /// Workloads that say nothing are opted in.
    pub all: bool,
    /// For recreated sources.
    pub on_recreate: OnRecreate,
    /// For deleted sources.
    pub on_delete: OnDelete,
    /// Whether a restart says in `kubernetes.io/change-cause` what it was for.
    pub change_cause: bool,
    /// Whether a restart says who changed its source, and when.
    pub name_writers: bool,
    /// Kinds of sources that count for no workload.
    pub ignored: KindSet,
    /// Namespaces that are left alone.
    pub ignored_namespaces: BTreeSet<String>,
    /// The labels of namespaces that are worked in; `None` for all.
    pub namespaces: Option<Selector>,
    /// The labels of sources that count; `None` for all. Others are not even listed, so that one which is not known may
    /// exist all the same.
    pub sources: Option<Selector>,
    /// The types of Secrets that are neither listed nor watched. One that is not known may exist all the same.
    pub skipped_types: BTreeSet<String>,
}

impl Conventions {
    /// Returns what holds where neither a workload nor its namespace says anything.
    pub fn defaults(&self) -> Defaults<'static> {
        Defaults {
            namespace: None,
            all: self.all,
            on_recreate: self.on_recreate,
            on_delete: self.on_delete,
            change_cause: self.change_cause,
            ignored: self.ignored,
        }
    }

    /// Whether a namespace with these labels is worked in.
    pub fn selects_namespace(&self, labels: &BTreeMap<String, String>) -> bool {
        matches(self.namespaces.as_ref(), labels)
    }

    /// Whether sources of a kind may exist that no watch shows, and of which neither name nor labels tell.
    pub fn hides(&self, kind: SourceKind) -> bool {
        kind == SourceKind::Secret && !self.skipped_types.is_empty()
    }

    /// Returns the version of a source that was just read, however it was.
    pub fn version_of<K: SourceObject>(
        &self,
        mut object: K,
        namespace: &str,
        key: &DigestKey,
    ) -> Version {
        self.read_source(object.meta_mut());
        let is_skipped = |kind: &str| self.skipped_types.contains(kind);
        let skipped = object.secret_type().is_some_and(is_skipped);
        let mut version = object.version(key, namespace);
        version.skipped = skipped;
        version
    }

    /// Returns the version of a source in JSON; `None` where it cannot be read, or does not stand in one object.
    pub fn version_in(
        &self,
        raw: &str,
        key: &SourceKey,
        digest_key: &DigestKey,
    ) -> Option<Version> {
        let kind = key.source.kind;
        let read = InJson {
            raw,
            namespace: &key.namespace,
            key: digest_key,
            conventions: self,
        };
        kind.typed(read).flatten()
    }

    /// Brings a source that was just read into the form that is known behind it: one that is not selected says itself
    /// that it is to be ignored.
    fn read_source(&self, meta: &mut ObjectMeta) {
        self.vocabulary.translate(meta);
        let labels = meta.labels.get_or_insert_default();
        if !matches(self.sources.as_ref(), labels) {
            let annotations = meta.annotations.get_or_insert_default();
            annotations.insert(IGNORE.to_owned(), "true".to_owned());
        }
    }
}

fn matches(selector: Option<&Selector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_none_or(|selector| selector.matches(labels))
}

/// Other names for annotations. Objects are translated where they come in, so that everything behind that knows one name
/// for each; the name that was replaced means nothing then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary(BTreeMap<&'static str, String>);

impl Vocabulary {
    /// Returns the same where people write `name` for `meant`.
    #[must_use]
    pub fn with(mut self, meant: &'static str, name: String) -> Self {
        if name == meant {
            self.0.remove(meant);
        } else {
            self.0.insert(meant, name);
        }
        self
    }

    /// Returns the names that people write instead of the usual ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Translates annotations.
    pub fn translate(&self, meta: &mut ObjectMeta) {
        if let Some(annotations) = meta.annotations.as_mut() {
            let said = self.take(|name| annotations.remove(name));
            annotations.extend(said);
        }
    }

    /// Translates the annotations of a workload and of its pod template.
    pub fn translate_workload(&self, kind: Kind, object: &mut DynamicObject) {
        self.translate(&mut object.metadata);
        let template = object.data.pointer_mut(kind.template);
        let annotations = template
            .and_then(|template| template.pointer_mut("/metadata/annotations"))
            .and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            let said = self.take(|name| annotations.remove(name));
            annotations.extend(said);
        }
    }

    /// Takes the names that people write, and the usual ones that mean nothing then, out of a map. Returns what is meant.
    /// All are taken before any is written again: names may have been exchanged, and one name may stand for two.
    fn take<V: Clone>(&self, mut remove: impl FnMut(&str) -> Option<V>) -> Vec<(String, V)> {
        let usual = self.0.keys().copied();
        let names: BTreeSet<&str> = self.names().chain(usual).collect();
        let said: BTreeMap<&str, V> = names
            .into_iter()
            .filter_map(|name| Some((name, remove(name)?)))
            .collect();
        let meant = self.0.iter();
        meant
            .filter_map(|(meant, name)| {
                Some(((*meant).to_owned(), said.get(name.as_str())?.clone()))
            })
            .collect()
    }
}

/// A source in JSON.
struct InJson<'a> {
    raw: &'a str,
    namespace: &'a str,
    key: &'a DigestKey,
    conventions: &'a Conventions,
}

impl OfKind for InJson<'_> {
    type Output = Option<Version>;

    fn of<K: SourceObject>(self) -> Option<Version> {
        let object = K::from_object(self.raw).ok()?;
        let conventions = self.conventions;
        Some(conventions.version_of(object, self.namespace, self.key))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::model::{
        annotation::reloader::{AUTO, IGNORE, SEARCH},
        object::FromObject as _,
        workload::KINDS,
    };

    #[test]
    fn other_names_mean_the_same_and_the_usual_ones_nothing() {
        let vocabulary = Vocabulary::default()
            .with(AUTO, "acme.dev/roll".to_owned())
            .with(SEARCH, SEARCH.to_owned())
            // Exchanged with one another.
            .with(IGNORE, "acme.dev/a".to_owned());
        let mut object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"annotations": {"acme.dev/roll": "true", AUTO: "false", IGNORE: "true", SEARCH: "x", "b": "c"}},
            "spec": {"template": {"metadata": {"annotations": {"acme.dev/roll": "1", AUTO: "0", "d": "e"}}}},
        }))
        .unwrap();
        vocabulary.translate_workload(&KINDS[0], &mut object);
        let annotations = json!(object.metadata.annotations);
        assert_eq!(annotations, json!({AUTO: "true", SEARCH: "x", "b": "c"}));
        assert_eq!(
            object.data["spec"]["template"]["metadata"]["annotations"],
            json!({AUTO: "1", "d": "e"})
        );
    }

    #[test]
    fn one_name_may_stand_for_two() {
        let vocabulary = Vocabulary::default()
            .with(AUTO, "acme.dev/roll".to_owned())
            .with(SEARCH, "acme.dev/roll".to_owned());
        let annotations = [("acme.dev/roll", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut meta = ObjectMeta {
            annotations: Some(BTreeMap::from(annotations)),
            ..ObjectMeta::default()
        };
        vocabulary.translate(&mut meta);
        assert_eq!(
            json!(meta.annotations),
            json!({AUTO: "true", SEARCH: "true"})
        );
    }

    #[test]
    fn a_source_that_is_not_selected_is_ignored() {
        let tier = |value: &str| {
            [("tier".to_owned(), value.to_owned())]
                .into_iter()
                .collect()
        };
        let conventions = Conventions {
            sources: Some(Selector::from_iter([("tier", "web")])),
            ..Conventions::default()
        };
        let ignored = |labels: Option<BTreeMap<String, String>>| {
            let mut meta = ObjectMeta {
                labels,
                ..ObjectMeta::default()
            };
            conventions.read_source(&mut meta);
            meta.annotations
                .is_some_and(|all| all.contains_key(super::IGNORE))
        };
        assert!(!ignored(Some(tier("web"))));
        assert!(ignored(Some(tier("db"))));
        assert!(ignored(None));
    }

    #[test]
    fn a_secret_of_a_skipped_type_is_known_by_its_type() {
        let conventions = Conventions {
            skipped_types: ["example.com/large".to_owned()].into(),
            ..Conventions::default()
        };
        let key = DigestKey::new(&[7; DigestKey::LENGTH]).unwrap();
        let skipped = |kind: &str| {
            let secret = json!({"metadata": {"name": "s"}, "type": kind, "data": {"k": "eHh4"}});
            let secret = Secret::from_object(&secret.to_string()).unwrap();
            conventions.version_of(secret, "n", &key).skipped
        };
        assert!(skipped("example.com/large"));
        assert!(!skipped("Opaque"));
        assert!(conventions.hides(SourceKind::Secret));
        assert!(!conventions.hides(SourceKind::ConfigMap));
        assert!(!Conventions::default().hides(SourceKind::Secret));
    }

    #[test]
    fn without_other_names_nothing_is_touched() {
        let object = json!({"metadata": {"annotations": {AUTO: "true"}}, "spec": {}});
        let before: DynamicObject = serde_json::from_value(object).unwrap();
        let mut after = before.clone();
        Vocabulary::default().translate_workload(&KINDS[0], &mut after);
        assert_eq!(json!(after), json!(before));
    }
}
