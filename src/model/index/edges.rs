//! Which workloads of one namespace use which of its sources.

use std::collections::{BTreeSet, HashMap};

use litemap::LiteMap;

use crate::model::{source::SourceName, workload::Kind};

/// A workload within its namespace.
pub(super) type Slot = (Kind, String);

/// The workloads that use a source: one, most often, and a sorted vector has no room for eleven.
type Users = LiteMap<Slot, ()>;

/// Which workloads use which sources.
#[derive(Debug, Default)]
pub(super) struct Edges {
    users: HashMap<SourceName, Users>,
    /// The workloads whose opt-in has a glob.
    globbing: BTreeSet<Slot>,
}

impl Edges {
    pub(super) fn add(&mut self, slot: &Slot, source: &SourceName) {
        let users = self.users.entry(source.clone()).or_default();
        users.insert(slot.clone(), ());
    }

    pub(super) fn cut(&mut self, slot: &Slot, source: &SourceName) {
        if let Some(users) = self.users.get_mut(source) {
            users.remove(slot);
            if users.is_empty() {
                self.users.remove(source);
            }
        }
    }

    /// Returns the workloads that use a source.
    pub(super) fn users(&self, source: &SourceName) -> impl Iterator<Item = &Slot> {
        let users = self.users.get(source).into_iter();
        users.flat_map(LiteMap::keys)
    }

    /// Whether any workload uses a source.
    pub(super) fn is_used(&self, source: &SourceName) -> bool {
        self.users.contains_key(source)
    }

    /// Returns the sources that workloads use.
    pub(super) fn used(&self) -> impl Iterator<Item = &SourceName> {
        self.users.keys()
    }

    /// Takes in whether the opt-in of a workload has a glob.
    pub(super) fn set_globbing(&mut self, slot: &Slot, has_globs: bool) {
        if has_globs {
            self.globbing.insert(slot.clone());
        } else {
            self.globbing.remove(slot);
        }
    }

    /// Returns the workloads whose opt-in has a glob.
    pub(super) fn globbing(&self) -> impl Iterator<Item = &Slot> {
        self.globbing.iter()
    }

    /// Returns all of them.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&SourceName, &Slot)> {
        let all = self.users.iter();
        all.flat_map(|(source, users)| users.keys().map(move |slot| (source, slot)))
    }
}
