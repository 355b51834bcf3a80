//! The objects of a text: its documents, and the items of its lists. What has no `apiVersion` and `kind` is none, as the
//! values of a chart.

use std::sync::Arc;

use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::Value;

use super::tree::{NoYaml, Node, documents};
use crate::model::{Kind, workload::Workload};

/// What Helm writes above each document of a chart's file, and which file it is.
const ORIGIN: &str = "# Source: ";

/// An object, and where it stands.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Manifest {
    /// The file's name, or `-`.
    pub(in crate::cli) file: Arc<str>,
    /// The line that it begins on.
    pub(in crate::cli) line: usize,
    /// The file of the chart that Helm made it of.
    pub(in crate::cli) origin: Option<String>,
    /// API group.
    pub(in crate::cli) group: String,
    /// Kubernetes' name of the kind.
    pub(in crate::cli) kind: String,
    /// Where it belongs; `None` where that is not said.
    pub(in crate::cli) namespace: Option<String>,
    /// What it is called.
    pub(in crate::cli) name: String,
    pub(in crate::cli) root: Node,
}

/// What an object says by one annotation or label.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Said<'a> {
    pub(in crate::cli) key: &'a str,
    pub(in crate::cli) line: usize,
    /// `None` where it is no text.
    pub(in crate::cli) text: Option<&'a str>,
}

/// Reads the objects of a text. `namespace` is where those belong that do not say it.
pub(in crate::cli) fn read(
    file: &str,
    text: &str,
    namespace: Option<&str>,
) -> Result<Vec<Manifest>, NoYaml> {
    let place = Place {
        file: file.into(),
        origins: origins(text),
        namespace,
    };
    let mut found = Vec::new();
    for document in documents(text)? {
        place.take(document, None, &mut found);
    }
    Ok(found)
}

/// Where objects stand.
struct Place<'a> {
    file: Arc<str>,
    /// From which line on documents are made of which file of a chart.
    origins: Vec<(usize, Option<&'a str>)>,
    namespace: Option<&'a str>,
}

impl Place<'_> {
    /// Takes in a document, or an item of a list. `of` is what the list says of its items' type.
    fn take(&self, root: Node, of: Option<(&str, &str)>, found: &mut Vec<Manifest>) {
        let own = root.text_at(&["apiVersion"]).zip(root.text_at(&["kind"]));
        let Some((version, kind)) = own.or(of) else {
            return;
        };
        let (version, kind) = (version.to_owned(), kind.to_owned());
        let list = kind.strip_suffix("List");
        if let Some(of) = list.filter(|_| root.get("items").is_some()) {
            // The items of `kind: List` say themselves what they are.
            let of = (!of.is_empty()).then_some((version.as_str(), of));
            for item in root.into_items("items") {
                self.take(item, of, found);
            }
            return;
        }
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let text = |key| {
            root.text_at(&["metadata", key])
                .filter(|text| !text.is_empty())
        };
        let generated = text("generateName").map(|start| format!("{start}*"));
        let name = text("name").map(ToOwned::to_owned).or(generated);
        let namespace = text("namespace").or(self.namespace);
        found.push(Manifest {
            file: self.file.clone(),
            line: root.line,
            origin: self.origin(root.line).map(ToOwned::to_owned),
            group: group.to_owned(),
            kind,
            namespace: namespace.map(ToOwned::to_owned),
            name: name.unwrap_or_default(),
            root,
        });
    }

    fn origin(&self, line: usize) -> Option<&str> {
        let after = self.origins.partition_point(|(from, _)| *from <= line);
        self.origins.get(after.checked_sub(1)?)?.1
    }
}

/// Returns from which lines on documents are made of which file of a chart.
fn origins(text: &str) -> Vec<(usize, Option<&str>)> {
    let lines = text.lines().enumerate();
    let told = lines.filter_map(|(at, line)| {
        let file = line.strip_prefix(ORIGIN).map(str::trim);
        (file.is_some() || line.starts_with("---")).then_some((at + 1, file))
    });
    told.collect()
}

/// Returns the annotations, or labels, of the metadata of an object, or of a template in it.
pub(in crate::cli) fn said<'a>(
    part: Option<&'a Node>,
    which: &str,
) -> impl Iterator<Item = Said<'a>> + use<'a> {
    let map = part.and_then(|part| part.at(&["metadata", which]));
    map.into_iter()
        .flat_map(Node::entries)
        .map(|(key, node)| Said {
            key: &key.text,
            line: key.line,
            text: node.text(),
        })
}

impl Manifest {
    /// Returns its own annotations.
    pub(in crate::cli) fn annotations(&self) -> impl Iterator<Item = Said<'_>> {
        said(Some(&self.root), "annotations")
    }

    /// Returns the metadata of it that reroll reads. What is no text is left out.
    pub(in crate::cli) fn meta(&self) -> ObjectMeta {
        let texts = |which: &str| {
            let all = said(Some(&self.root), which);
            let texts = all.filter_map(|said| Some((said.key.to_owned(), said.text?.to_owned())));
            Some(texts.collect())
        };
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: self.namespace.clone(),
            annotations: texts("annotations"),
            labels: texts("labels"),
            ..ObjectMeta::default()
        }
    }

    /// Reads a workload as the controller does. Annotations that are no text are none.
    pub(in crate::cli) fn workload(&self, kind: Kind) -> Workload {
        Workload::read(kind, &self.object(kind))
    }

    /// Returns it as an object of a cluster.
    pub(in crate::cli) fn object(&self, kind: Kind) -> DynamicObject {
        DynamicObject {
            types: Some(TypeMeta {
                api_version: kind.api_version(),
                kind: kind.kind.to_owned(),
            }),
            metadata: self.meta(),
            data: self.root.json(),
        }
    }

    /// Returns the line on which it says something by this key, or on which it begins.
    pub(in crate::cli) fn line_of(&self, key: &str) -> usize {
        let maps = ["annotations", "labels"].map(|which| self.root.at(&["metadata", which]));
        let of_template = self
            .root
            .at(&["spec", "template", "metadata", "annotations"]);
        let maps = maps.into_iter().chain([of_template]).flatten();
        let mut keys = maps.flat_map(Node::entries).map(|(known, _)| known);
        keys.find(|known| known.text == key)
            .map_or(self.line, |known| known.line)
    }

    /// Returns it as kubectl sends it.
    pub(in crate::cli) fn json(&self) -> Value {
        self.root.json()
    }

    /// Returns an object that was read from a cluster. It stands on no line.
    pub(in crate::cli) fn live((group, kind): (&str, &str), object: &DynamicObject) -> Self {
        let mut root = object.data.as_object().cloned().unwrap_or_default();
        root.insert("metadata".to_owned(), serde_json::json!(object.metadata));
        Self {
            file: "".into(),
            line: 0,
            origin: None,
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone().unwrap_or_default(),
            root: Node::of(Value::Object(root)),
        }
    }

    /// Returns the object as people write it: `Deployment shop/web`.
    pub(in crate::cli) fn spoken(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    /// Whether it was read from a cluster, and not written.
    pub(in crate::cli) fn is_live(&self) -> bool {
        self.root.text_at(&["metadata", "uid"]).is_some()
    }

    /// Whether it is a Namespace.
    pub(in crate::cli) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }
}
