//! What holds in this cluster because whoever installed reroll said so: the names of annotations, and what a workload
//! that says nothing gets.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::{Map, Value};

use super::{
    policy::{Defaults, IgnoredKinds, OnDelete, OnRecreate},
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
    /// Kinds of sources that count for nobody.
    pub ignored: IgnoredKinds,
    /// Namespaces that are left alone.
    pub ignored_namespaces: BTreeSet<String>,
}

impl Conventions {
    /// What holds where neither a workload nor its namespace says anything.
    pub fn defaults(&self) -> Defaults<'static> {
        Defaults {
            namespace: None,
            all: self.all,
            on_recreate: self.on_recreate,
            on_delete: self.on_delete,
            ignored: self.ignored,
        }
    }
}

/// Other names for annotations. Objects are translated where they come in, so that everything behind that knows one name
/// for each; the name that was replaced means nothing then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary(BTreeMap<&'static str, String>);

impl Vocabulary {
    /// `name` is what people write for `meant`.
    #[must_use]
    pub fn with(mut self, meant: &'static str, name: String) -> Self {
        if name == meant {
            self.0.remove(meant);
        } else {
            self.0.insert(meant, name);
        }
        self
    }

    /// The names that people write instead of the usual ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Translates the annotations of a source.
    pub fn translate(&self, meta: &mut ObjectMeta) {
        let Some(annotations) = meta.annotations.as_mut().filter(|_| !self.0.is_empty()) else {
            return;
        };
        // All are taken out before any is put back: names may have been exchanged.
        let said: Vec<_> = self
            .0
            .iter()
            .filter_map(|(meant, name)| Some((*meant, annotations.get(name)?.clone())))
            .collect();
        for (meant, name) in &self.0 {
            annotations.remove(*meant);
            annotations.remove(name);
        }
        annotations.extend(
            said.into_iter()
                .map(|(meant, text)| (meant.to_owned(), text)),
        );
    }

    /// Translates the annotations of a workload and of its pod template.
    pub fn translate_workload(&self, kind: Kind, object: &mut DynamicObject) {
        self.translate(&mut object.metadata);
        let template = object.data.pointer_mut(kind.template);
        let annotations = template
            .and_then(|template| template.pointer_mut("/metadata/annotations"))
            .and_then(Value::as_object_mut);
        if let Some(annotations) = annotations.filter(|_| !self.0.is_empty()) {
            self.translate_map(annotations);
        }
    }

    fn translate_map(&self, annotations: &mut Map<String, Value>) {
        let said: Vec<_> = self
            .0
            .iter()
            .filter_map(|(meant, name)| Some((*meant, annotations.get(name)?.clone())))
            .collect();
        for (meant, name) in &self.0 {
            annotations.remove(*meant);
            annotations.remove(name);
        }
        annotations.extend(
            said.into_iter()
                .map(|(meant, text)| (meant.to_owned(), text)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{
        annotation::reloader::{AUTO, IGNORE, SEARCH},
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
    fn without_other_names_nothing_is_touched() {
        let object = json!({"metadata": {"annotations": {AUTO: "true"}}, "spec": {}});
        let before: DynamicObject = serde_json::from_value(object).unwrap();
        let mut after = before.clone();
        Vocabulary::default().translate_workload(&KINDS[0], &mut after);
        assert_eq!(json!(after), json!(before));
    }
}
