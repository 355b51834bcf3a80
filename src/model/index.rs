//! What is known right now: sources by uid and digest, workloads by what they use, and the edges between them.
//!
//! The index is fed by watches (and by single reads where a watch is behind) and read by the webhook and the
//! controller. It does no I/O and keeps no objects. It is memory only: everything in it can be built again from the
//! API server, and the truth about restarts stands in each workload's `observed` annotation.
//!
//! Invariants:
//! - nothing goes back to an older resourceVersion because of what comes late: only a read that was asked for when the newer
//!   one was known shows an older one (`asked.rs`);
//! - `observed` of a workload whose uid is known only goes forward: one that vanished, was forged or was put back is
//!   kept from memory, and written again by the controller;
//! - an edge exists from every source that a workload's policy selects, whether the source exists or not.

mod asked;
mod borrow;
mod changes;
mod contents;
mod csi;
mod judge;
mod keys;
mod memory;
mod namespace;
mod orphaned;
mod preview;
mod selected;
mod sources;
mod tracked;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use self::{
    asked::Clock,
    namespace::{Namespace, Source, candidates, remembered},
    orphaned::Orphaned,
    selected::Selected,
};
pub use self::{
    asked::{By, Tick},
    changes::{Bared, SourceChange, WorkloadChange},
    csi::Changes,
    judge::{Judged, Overlay, just_read, without_ignored},
    preview::{PREVIEWED, Preview},
    tracked::Tracked,
};
use super::{
    annotation::RESTART_ON,
    conventions::Conventions,
    decide::Ages,
    digest::DigestKey,
    observed::Reading,
    policy::{Defaults, Rules},
    source::{References, SourceKind},
    workload::{Kinds, Workload, WorkloadKey},
};

/// How long a deleted source is remembered, in seconds.
pub const TOMBSTONE_SECONDS: i64 = 3600;

/// Everything that is known.
#[derive(Debug)]
pub struct Index {
    key: DigestKey,
    synced: BTreeSet<(SourceKind, Option<String>)>,
    lists: csi::Lists,
    namespaces: HashMap<String, Namespace>,
    selected: Selected,
    orphaned: Orphaned,
    /// Ids of digest keys that are known to be out of use.
    retired: BTreeSet<String>,
    conventions: Arc<Conventions>,
    kinds: Kinds,
    clock: Clock,
}

impl Index {
    /// Knows nothing yet.
    pub fn new(key: DigestKey) -> Self {
        Self {
            key,
            synced: BTreeSet::new(),
            lists: csi::Lists::default(),
            namespaces: HashMap::new(),
            selected: Selected::default(),
            orphaned: Orphaned::default(),
            retired: BTreeSet::new(),
            conventions: Arc::default(),
            kinds: Kinds::default(),
            clock: Clock::default(),
        }
    }

    /// The same where these are rolled. For one that knows nothing yet.
    #[must_use]
    pub fn with_kinds(self, kinds: Kinds) -> Self {
        Self { kinds, ..self }
    }

    /// The kinds that are rolled.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The same where this was agreed on. For one that knows nothing yet.
    #[must_use]
    pub fn with_conventions(self, conventions: Arc<Conventions>) -> Self {
        Self {
            conventions,
            ..self
        }
    }

    /// What was agreed on in this cluster.
    pub fn conventions(&self) -> &Arc<Conventions> {
        &self.conventions
    }

    /// The key that all digests in it were made with.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// Takes in a workload as an event shows it.
    pub fn apply_workload(&mut self, key: &WorkloadKey, workload: Workload) -> WorkloadChange {
        self.take_workload(key, workload, By::Event)
    }

    /// Takes in a workload, however it became known.
    pub fn take_workload(
        &mut self,
        key: &WorkloadKey,
        mut workload: Workload,
        by: By,
    ) -> WorkloadChange {
        let (digest_key, defaults) = (&self.key, self.conventions.defaults());
        if !self.works_in(&key.namespace) {
            return WorkloadChange::default();
        }
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let slot = (key.kind, key.name.clone());
        let known = space.workloads.get(&slot);
        let same = known.is_some_and(|known| {
            known.workload.uid == workload.uid && known.workload.observed == workload.observed
        });
        let known = known.map(|known| (known.told, known.workload.resource_version));
        let number = workload.resource_version;
        let Some(taken) = self.clock.weigh(known, by, number, same) else {
            return WorkloadChange::default();
        };
        space.disconnect(&slot);
        let mut before = space.workloads.remove(&slot).map(|known| *known);
        space.borrow(&self.kinds, &slot, &mut workload, before.as_ref());
        let same = before
            .as_ref()
            .filter(|known| known.workload.uid == workload.uid);
        let untouched = same.is_some_and(|known| known.memory.is_none());
        let opted_in = same.is_some_and(|known| known.policy.opted_in());
        let was_bare = same.map(Tracked::is_bare);
        if let (true, Some(before)) = (taken.older, &mut before) {
            before.forget();
        }
        let defaults = space.defaults(defaults);
        let tracked = Tracked::follow(workload, before, defaults, digest_key).told(taken.told);
        let mut seen = WorkloadChange {
            borrowers: Vec::new(),
            bared: Bared::of(was_bare, opted_in, &tracked),
            adopted: untouched && matches!(tracked.memory, Some(Reading::Genuine(_))),
            lost_opt_in: opted_in
                && !tracked.policy.opted_in()
                && tracked.workload.mark().is_some()
                && !tracked.workload.asks.contains_key(RESTART_ON),
            older: taken.sighting,
        };
        space.workloads.insert(slot.clone(), Box::new(tracked));
        space.connect(&slot);
        seen.borrowers = self.lend(key);
        seen
    }

    /// Whether what is known of a workload came after something that says otherwise was asked for.
    pub fn came_meanwhile(&self, key: &WorkloadKey, asked: Tick) -> bool {
        let known = self.workload(key);
        known.is_some_and(|known| !known.told.was_known(asked))
    }

    /// The time for a read that is sent now.
    pub fn tick(&self) -> Tick {
        self.clock.now()
    }

    /// History is known to have gone back: what is remembered of workloads besides what they show is forgotten, and etcd's
    /// own word on sources is needed from now on before anything is written because of them.
    pub fn history_went_back(&mut self) {
        self.clock.went_back();
        let (digest_key, defaults) = (&self.key, self.conventions.defaults());
        for space in self.namespaces.values_mut() {
            let slots: Vec<_> = space.workloads.keys().cloned().collect();
            for slot in &slots {
                space.forget_unwritten(slot, defaults, digest_key);
            }
        }
    }

    /// Takes in a namespace's default opt-in; gives the workloads for which that changes something.
    pub fn apply_namespace(&mut self, name: &str, default: Option<String>) -> Vec<WorkloadKey> {
        let unknown = !self.namespaces.contains_key(name);
        if (default.is_none() && unknown) || !self.works_in(name) {
            return Vec::new();
        }
        let (digest_key, defaults) = (&self.key, self.conventions.defaults());
        let space = self.namespaces.entry(name.to_owned()).or_default();
        if space.default == default {
            return Vec::new();
        }
        space.default = default;
        let slots: Vec<_> = space.workloads.keys().cloned().collect();
        for slot in &slots {
            space.disconnect(slot);
            if let Some(known) = space.workloads.remove(slot) {
                let defaults = space.defaults(defaults);
                let again =
                    Tracked::follow(known.workload.clone(), Some(*known), defaults, digest_key);
                space.workloads.insert(slot.clone(), Box::new(again));
                space.connect(slot);
            }
        }
        self.workloads(None, Some(name))
    }

    /// What holds for a namespace's workloads that say nothing else.
    pub fn defaults_of(&self, namespace: &str) -> Defaults<'_> {
        let space = self.namespaces.get(namespace);
        let defaults = self.conventions.defaults();
        space.map_or(defaults, |space| space.defaults(defaults))
    }

    /// What is known of a workload.
    pub fn workload(&self, key: &WorkloadKey) -> Option<&Tracked> {
        self.namespaces
            .get(&key.namespace)?
            .workloads
            .get(&(key.kind, key.name.clone()))
            .map(AsRef::as_ref)
    }

    /// What counts of what a workload refers to, under these rules: a glob takes what exists, and what was observed of
    /// the workload although it is gone.
    pub fn select(&self, key: &WorkloadKey, rules: &Rules, references: &References) -> References {
        let memory = self.workload(key).and_then(|known| known.memory.as_ref());
        let sources = self
            .namespaces
            .get(&key.namespace)
            .map(|space| &space.sources);
        let candidates = sources
            .into_iter()
            .flat_map(|sources| candidates(sources, memory));
        rules.select(references, candidates.chain(remembered(memory)))
    }

    /// Takes in whether a container that needs what is absent has ever started.
    pub fn set_started(&mut self, key: &WorkloadKey, started: bool) {
        if let Some(tracked) = self.tracked_mut(key) {
            tracked.started = Some(started);
        }
    }

    /// Takes in how old the pods are that use what the template gained.
    pub fn set_ages(&mut self, key: &WorkloadKey, ages: Ages) {
        if let Some(tracked) = self.tracked_mut(key) {
            tracked.ages = Some(Box::new(ages));
        }
    }

    /// Takes in that no pod has what is former of a workload.
    pub fn forget_formers(&mut self, key: &WorkloadKey) {
        if let Some(tracked) = self.tracked_mut(key) {
            tracked.forget_formers();
        }
    }

    /// Forgets sources that were deleted long ago and are not used, and namespaces that are empty.
    pub fn expire(&mut self, now: i64) {
        self.orphaned.expire(now);
        for space in self.namespaces.values_mut() {
            let Namespace { sources, users, .. } = space;
            sources.retain(|name, stored| match &stored.source {
                Source::Present(_) => true,
                Source::Tombstone { at, .. } => {
                    users.contains_key(name) || now - *at < TOMBSTONE_SECONDS
                }
            });
        }
        self.namespaces.retain(|_, space| !space.is_empty());
    }

    /// The namespaces of which something is known. `within`: only that one.
    fn spaces(&self, within: Option<&str>) -> impl Iterator<Item = (&String, &Namespace)> {
        self.namespaces
            .iter()
            .filter(move |(name, _)| within.is_none_or(|within| within == name.as_str()))
    }

    fn tracked_mut(&mut self, key: &WorkloadKey) -> Option<&mut Tracked> {
        self.namespaces
            .get_mut(&key.namespace)?
            .workloads
            .get_mut(&(key.kind, key.name.clone()))
            .map(AsMut::as_mut)
    }
}

#[cfg(test)]
mod tests;
