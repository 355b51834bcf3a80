//! What an object is for reroll, and where in it annotations and labels stand.

use super::{
    inventory::source_kind,
    manifests::{Manifest, Said, said},
    tree::Node,
};
use crate::model::{Kind, SourceKind, places::Place, workload::Kinds};

/// What an object is for reroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Role {
    /// It restarts it, if asked.
    Workload(Kind),
    /// It restarts what uses it.
    Source(SourceKind),
    /// It says something for all workloads in it.
    Namespace,
    /// It may be reroll's own.
    Lease,
    /// Nothing. What stands there may be for somebody who copies it to where it counts.
    Other,
}

/// A place in an object where annotations or labels stand.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Spot<'a> {
    pub(in crate::cli) place: Place,
    /// How it is said: `means nothing` this.
    pub(in crate::cli) words: &'static str,
    part: Option<&'a Node>,
    which: &'static str,
}

/// How an annotation of the object's own is said to stand.
pub(super) const OWN: &str = "as an annotation";
const ANNOTATIONS: &str = "annotations";
const LABELS: &str = "labels";

impl Role {
    pub(in crate::cli) fn of(manifest: &Manifest, kinds: &Kinds) -> Self {
        if let Some(kind) = kinds.find(&manifest.group, &manifest.kind) {
            return Self::Workload(kind);
        }
        if let Some(kind) = source_kind(manifest) {
            return Self::Source(kind);
        }
        match (manifest.group.as_str(), manifest.kind.as_str()) {
            _ if manifest.is_namespace() => Self::Namespace,
            ("coordination.k8s.io", "Lease") => Self::Lease,
            _ => Self::Other,
        }
    }

    /// Returns what the object's own annotations are, and its own labels.
    pub(in crate::cli) const fn own(self) -> [Place; 2] {
        match self {
            Self::Workload(_) => [Place::Workload, Place::Elsewhere],
            Self::Source(kind) if kind.is_readable() => [Place::Source, Place::Elsewhere],
            Self::Source(_) => [Place::Class, Place::Elsewhere],
            Self::Namespace => [Place::Namespace, Place::NamespaceLabel],
            Self::Lease => [Place::Lease, Place::Elsewhere],
            Self::Other => [Place::Elsewhere, Place::Elsewhere],
        }
    }

    /// Returns all places of an object where annotations and labels stand.
    pub(in crate::cli) fn spots(self, manifest: &Manifest) -> Vec<Spot<'_>> {
        let [annotations, labels] = self.own();
        let root = Some(&manifest.root);
        let mut spots = vec![
            Spot::new(annotations, OWN, root, ANNOTATIONS),
            Spot::new(labels, "as a label", root, LABELS),
        ];
        let Self::Workload(kind) = self else {
            return spots;
        };
        let template = manifest.root.pointer(kind.template);
        let (here, words) = (Place::Template, "as an annotation of the pod template");
        spots.push(Spot::new(here, words, template, ANNOTATIONS));
        let (here, words) = (Place::Elsewhere, "as a label of the pod template");
        spots.push(Spot::new(here, words, template, LABELS));
        let above = kind.template.strip_suffix("/spec/template");
        if let Some(above) = above.filter(|above| !above.is_empty()) {
            let of_jobs = manifest.root.pointer(above);
            let words = "as an annotation of the Job template";
            spots.push(Spot::new(here, words, of_jobs, ANNOTATIONS));
            spots.push(Spot::new(
                here,
                "as a label of the Job template",
                of_jobs,
                LABELS,
            ));
        }
        spots
    }
}

impl<'a> Spot<'a> {
    const fn new(
        place: Place,
        words: &'static str,
        part: Option<&'a Node>,
        which: &'static str,
    ) -> Self {
        Self {
            place,
            words,
            part,
            which,
        }
    }

    /// Returns what stands there.
    pub(in crate::cli) fn said(self) -> impl Iterator<Item = Said<'a>> + use<'a> {
        said(self.part, self.which)
    }
}
