//! Where reroll works, and what has been listed there: all namespaces but those that a flag leaves out, or those
//! whose labels are selected.
//!
//! Labels change. A namespace that is selected later is listed by itself, and until then nothing is said about the
//! sources in it. One that is selected no more is forgotten. What happens in it meanwhile is found when it is
//! selected again, as after a start.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::csi::Lists;
use crate::model::{
    conventions::Conventions,
    csi::Part,
    source::{KindSet, SourceKind},
};

/// Where reroll works, and what has been listed there.
#[derive(Debug, Default)]
pub(super) struct Scope {
    conventions: Arc<Conventions>,
    /// The kinds of which the first list is complete, of all namespaces or of one.
    synced: BTreeSet<(SourceKind, Option<String>)>,
    /// The namespaces that are selected, each with the kinds of sources that have not been listed there.
    selected: HashMap<String, KindSet>,
    lists: Lists,
}

impl Scope {
    pub(super) fn new(conventions: Arc<Conventions>) -> Self {
        Self {
            conventions,
            ..Self::default()
        }
    }

    /// Returns what was agreed on in this cluster.
    pub(super) fn conventions(&self) -> &Arc<Conventions> {
        &self.conventions
    }

    /// Whether all sources are watched, and not merely selected ones. One that is not among the selected ones may exist all
    /// the same.
    pub(super) fn watches_all_sources(&self) -> bool {
        self.conventions.sources.is_none()
    }

    /// Returns the namespaces that are selected.
    pub(super) fn selected(&self) -> impl Iterator<Item = &String> {
        self.selected.keys()
    }

    /// Whether anything in a namespace is of interest.
    pub(super) fn works_in(&self, namespace: &str) -> bool {
        !self.conventions.ignored_namespaces.contains(namespace)
            && (self.conventions.namespaces.is_none() || self.selected.contains_key(namespace))
    }

    /// Takes in that the first list of a kind is complete. Returns whether that is news.
    pub(super) fn set_synced(&mut self, kind: SourceKind, within: Option<&str>) -> bool {
        if let Some(namespace) = within
            && self.conventions.namespaces.is_some()
        {
            let unlisted = self.selected.get_mut(namespace);
            return unlisted.is_some_and(|kinds| kinds.remove(kind));
        }
        self.synced.insert((kind, within.map(ToOwned::to_owned)))
    }

    /// Whether absence means something for a kind.
    pub(super) fn is_synced(&self, kind: SourceKind, namespace: &str) -> bool {
        self.works_in(namespace)
            && !self.is_unlisted(kind, namespace)
            && self.synced.iter().any(|(synced, within)| {
                *synced == kind && within.as_ref().is_none_or(|within| within == namespace)
            })
    }

    /// Takes in that a list of one of the CSI driver's kinds is complete, or that there will be none for now. Returns
    /// whether it is news that both are answered.
    pub(super) fn set_answered(&mut self, part: Part, within: Option<&str>) -> bool {
        self.lists.set_answered(part, within)
            && self.set_synced(SourceKind::SecretProviderClass, within)
    }

    /// Takes in whether all statuses of pods are known. Returns whether that is news.
    pub(super) fn set_complete(&mut self, within: Option<&str>, complete: bool) -> bool {
        self.lists.set_complete(within, complete)
    }

    /// Whether the statuses of a namespace are all there.
    pub(super) fn statuses_complete(&self, namespace: &str) -> bool {
        self.lists.are_complete(namespace)
            && !self.is_unlisted(SourceKind::SecretProviderClass, namespace)
    }

    /// Takes in that a namespace is selected. `late`: the lists of everything may have missed it, so that it is to be listed
    /// by itself. Returns whether that is news.
    pub(super) fn select(&mut self, namespace: &str, late: bool) -> bool {
        if self.selected.contains_key(namespace) {
            return false;
        }
        let ignored = self.conventions.ignored;
        let counts = |kind: &SourceKind| late && !ignored.contains(*kind);
        let unlisted = SourceKind::ALL.into_iter().filter(counts).collect();
        self.selected.insert(namespace.to_owned(), unlisted);
        true
    }

    /// Takes in that a namespace is selected no more. Returns whether that is news.
    pub(super) fn leave(&mut self, namespace: &str) -> bool {
        let was_selected = self.selected.remove(namespace).is_some();
        if was_selected {
            self.lists.forget(namespace);
        }
        was_selected
    }

    fn is_unlisted(&self, kind: SourceKind, namespace: &str) -> bool {
        let unlisted = self.selected.get(namespace);
        unlisted.is_some_and(|kinds| kinds.contains(kind))
    }
}
