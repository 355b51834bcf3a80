//! What is in the index: what a new list is compared with, and how much it is.

use std::collections::{BTreeSet, HashMap};

use super::{
    Index,
    namespace::{Source, Stored},
};
use crate::model::{
    source::{SourceKey, SourceKind, SourceName},
    version::key_of,
    workload::{Kind, WorkloadKey},
};

impl Index {
    /// The sources of a kind, with their resourceVersions: what a new list is compared with. `within`: one namespace.
    pub fn sources(&self, kind: SourceKind, within: Option<&str>) -> HashMap<SourceKey, u64> {
        let mut all = HashMap::new();
        for (namespace, space) in self.spaces(within) {
            for (source, stored) in &space.sources {
                if let (Source::Present(version), true) = (&stored.source, source.kind == kind) {
                    all.insert(key_of(namespace, source), version.resource_version);
                }
            }
        }
        all
    }

    /// The workloads of a kind: what a new list is compared with. `within`: one namespace.
    pub fn workloads(&self, kind: Option<Kind>, within: Option<&str>) -> Vec<WorkloadKey> {
        self.spaces(within)
            .flat_map(|(namespace, space)| {
                let of_kind = move |row: Kind| kind.is_none_or(|kind| kind == row);
                space
                    .workloads
                    .keys()
                    .filter(move |(row, _)| of_kind(row))
                    .map(|(kind, name)| WorkloadKey {
                        kind,
                        namespace: namespace.clone(),
                        name: name.clone(),
                    })
            })
            .collect()
    }

    /// The namespaces that have a default opt-in, or are selected.
    pub fn known_namespaces(&self) -> BTreeSet<String> {
        let labelled = self
            .namespaces
            .iter()
            .filter(|(_, space)| space.default.is_some());
        let labelled = labelled.map(|(name, _)| name);
        labelled.chain(self.selected.names()).cloned().collect()
    }

    /// The names of a namespace's sources, those of deleted ones that are remembered included. For globs see
    /// [`Self::select`].
    pub fn source_names(&self, namespace: &str) -> impl Iterator<Item = &SourceName> {
        self.namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|space| space.sources.keys())
    }

    /// The opted-in workloads that use a source.
    pub fn users(&self, key: &SourceKey) -> Vec<WorkloadKey> {
        self.namespaces
            .get(&key.namespace)
            .map(|space| space.users_of(&key.namespace, &key.source))
            .unwrap_or_default()
    }

    /// Whether any opted-in workload uses a source.
    pub fn is_used(&self, key: &SourceKey) -> bool {
        let users = self
            .namespaces
            .get(&key.namespace)
            .and_then(|space| space.users.get(&key.source));
        users.is_some_and(|users| !users.is_empty())
    }

    /// The namespaces in which anything is known.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(String::as_str)
    }

    /// How many sources exist, and how many workloads opted in.
    pub fn size(&self) -> (usize, usize) {
        let present = |stored: &&Stored| matches!(stored.source, Source::Present(_));
        let sources = self
            .namespaces
            .values()
            .map(|space| space.sources.values().filter(present).count())
            .sum();
        let workloads = self
            .namespaces
            .values()
            .map(|space| {
                let all = space.workloads.values();
                all.filter(|tracked| tracked.policy.opted_in()).count()
            })
            .sum();
        (sources, workloads)
    }
}
