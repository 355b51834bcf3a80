//! All namespaces of which anything is known, and what is in them.

use std::collections::{HashMap, HashSet};

use super::{
    namespace::{Namespace, key_of},
    says::Says,
    tracked::Tracked,
};
use crate::model::{
    source::{SourceKey, SourceKind},
    version,
    workload::{Kind, WorkloadKey},
};

/// All namespaces of which anything is known.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    by_name: HashMap<String, Namespace>,
    /// Why nothing restarts in any: `reroll.dev/suspend` of reroll's Lease.
    pub(super) stop: Option<String>,
}

impl Namespaces {
    pub(super) fn get(&self, name: &str) -> Option<&Namespace> {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Namespace> {
        self.by_name.get_mut(name)
    }

    /// Returns a namespace, of which from now on something is known.
    pub(super) fn entry(&mut self, name: &str) -> &mut Namespace {
        self.by_name.entry(name.to_owned()).or_default()
    }

    /// Returns the namespaces of which something is known, in no order. `within`: only that one.
    pub(super) fn within(
        &self,
        within: Option<&str>,
    ) -> impl Iterator<Item = (&String, &Namespace)> {
        self.by_name
            .iter()
            .filter(move |(name, _)| within.is_none_or(|within| within == name.as_str()))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Namespace> {
        self.by_name.values_mut()
    }

    /// Returns the names of all, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Forgets a namespace and what is in it.
    pub(super) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Forgets sources that were deleted long ago and are not used, and namespaces that are empty.
    pub(super) fn expire(&mut self, now: i64) {
        for space in self.by_name.values_mut() {
            space.expire(now);
        }
        self.by_name.retain(|_, space| !space.is_empty());
    }

    /// Forgets the single keys of sources that are not used.
    pub(super) fn put_keys_away(&mut self) {
        for space in self.by_name.values_mut() {
            space.put_keys_away();
        }
    }

    /// Returns what is known of a workload.
    pub(super) fn workload(&self, key: &WorkloadKey) -> Option<&Tracked> {
        let slot = (key.kind, key.name.clone());
        let known = self.get(&key.namespace)?.workloads.get(&slot)?;
        Some(known)
    }

    pub(super) fn workload_mut(&mut self, key: &WorkloadKey) -> Option<&mut Tracked> {
        let slot = (key.kind, key.name.clone());
        let known = self.get_mut(&key.namespace)?.workloads.get_mut(&slot)?;
        Some(known)
    }

    /// Returns all workloads, in no order.
    pub(super) fn all_workloads(&self) -> impl Iterator<Item = &Tracked> {
        let spaces = self.by_name.values();
        spaces.flat_map(|space| space.workloads.values().map(AsRef::as_ref))
    }

    /// Returns the workloads of a kind, or all, in their order: they are judged, and people told of them, in it. `within`:
    /// of one namespace.
    pub(super) fn workloads(&self, kind: Option<Kind>, within: Option<&str>) -> Vec<WorkloadKey> {
        let all = self.within(within).flat_map(|(namespace, space)| {
            let of_kind = move |row: Kind| kind.is_none_or(|kind| kind == row);
            let slots = space.workloads.keys();
            slots
                .filter(move |(row, _)| of_kind(row))
                .map(|slot| key_of(namespace, slot))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all
    }

    /// Returns the sources of a kind that a list shows, with their resourceVersions. `within`: of one namespace.
    pub(super) fn sources(
        &self,
        kind: SourceKind,
        within: Option<&str>,
    ) -> HashMap<SourceKey, u64> {
        self.within(within)
            .flat_map(|(namespace, space)| {
                let all = space.sources.all_present();
                all.filter(move |(name, version)| name.kind == kind && !version.skipped)
                    .map(|(name, version)| {
                        (version::key_of(namespace, name), version.resource_version)
                    })
            })
            .collect()
    }

    /// Returns the namespaces that have a default opt-in.
    pub(super) fn labelled(&self) -> HashSet<&String> {
        let labelled = self.by_name.iter();
        labelled
            .filter(|(_, space)| space.default.is_some() || space.says != Says::default())
            .map(|(name, _)| name)
            .collect()
    }

    /// Returns how many sources exist, and how many workloads opted in.
    pub(super) fn size(&self) -> (usize, usize) {
        let spaces = self.by_name.values();
        let sources = spaces
            .map(|space| space.sources.all_present().count())
            .sum();
        let opted_in = |tracked: &&Tracked| tracked.policy.opted_in();
        (sources, self.all_workloads().filter(opted_in).count())
    }
}
