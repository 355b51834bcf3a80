//! Where reroll works, and what has been listed there: all namespaces but those that are to be left alone, or those whose
//! labels are selected.
//!
//! Labels change. A namespace that is selected later is listed by itself, and until then nothing is said about the sources
//! in it. One that is selected no more is forgotten; what happens in it meanwhile is found, as after a start, when it is
//! selected again.

use std::collections::HashMap;

use super::Index;
use crate::model::{
    source::{KindSet, SourceKind},
    workload::WorkloadKey,
};

/// The namespaces that are selected, each with the kinds of sources that have not been listed there.
#[derive(Debug, Default)]
pub(super) struct Selected(HashMap<String, KindSet>);

impl Selected {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(super) fn is_unlisted(&self, kind: SourceKind, namespace: &str) -> bool {
        let unlisted = self.0.get(namespace);
        unlisted.is_some_and(|kinds| kinds.contains(kind))
    }

    /// Gives whether that is news.
    pub(super) fn listed(&mut self, kind: SourceKind, namespace: &str) -> bool {
        let unlisted = self.0.get_mut(namespace);
        unlisted.is_some_and(|kinds| kinds.remove(kind))
    }
}

impl Index {
    /// The first list of a kind of source is complete: from now on absence means something. Gives whether that is news.
    pub fn set_synced(&mut self, kind: SourceKind) -> bool {
        self.synced.insert((kind, None))
    }

    /// The same for one namespace.
    pub fn set_synced_in(&mut self, kind: SourceKind, namespace: &str) -> bool {
        if self.conventions.namespaces.is_some() {
            return self.selected.listed(kind, namespace);
        }
        self.synced.insert((kind, Some(namespace.to_owned())))
    }

    pub(super) fn is_synced(&self, kind: SourceKind, namespace: &str) -> bool {
        self.works_in(namespace)
            && !self.selected.is_unlisted(kind, namespace)
            && self.synced.iter().any(|(synced, within)| {
                *synced == kind && within.as_ref().is_none_or(|within| within == namespace)
            })
    }

    /// Whether anything in a namespace is of interest.
    pub fn works_in(&self, namespace: &str) -> bool {
        !self.conventions.ignored_namespaces.contains(namespace)
            && (self.conventions.namespaces.is_none() || self.selected.0.contains_key(namespace))
    }

    /// Takes in that a namespace is selected. `late`: the lists of everything may have passed it by, so that it is to be
    /// listed by itself. Gives whether that is news.
    pub fn select_namespace(&mut self, namespace: &str, late: bool) -> bool {
        if self.selected.0.contains_key(namespace) {
            return false;
        }
        let ignored = self.conventions.ignored;
        let counts = |kind: &SourceKind| late && !ignored.contains(*kind);
        let unlisted = SourceKind::ALL.into_iter().filter(counts).collect();
        self.selected.0.insert(namespace.to_owned(), unlisted);
        true
    }

    /// Takes in that a namespace is not selected any more, and forgets what is in it; gives the workloads.
    /// `None` where that is no news.
    pub fn leave_namespace(&mut self, namespace: &str) -> Option<Vec<WorkloadKey>> {
        self.selected.0.remove(namespace)?;
        let workloads = self.workloads(None, Some(namespace));
        self.namespaces.remove(namespace);
        self.lists.forget(namespace);
        Some(workloads)
    }
}
