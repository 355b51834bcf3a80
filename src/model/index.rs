//! What is known right now: sources by uid and digest, workloads by what they use, and the edges between them.
//!
//! The index is fed by watches (and by single reads where a watch is behind) and read by the webhook and the
//! controller. It does no I/O and keeps no objects. It is memory only: everything in it can be built again from the
//! API server, and the truth about restarts stands in each workload's `observed` annotation.
//!
//! Invariants:
//! - a source never goes back to an older resourceVersion, whoever brings it;
//! - `observed` of a workload whose uid is known only goes forward: one that vanished, was forged or was put back is
//!   kept from memory, and written again by the controller;
//! - an edge exists from every source that a workload's policy selects, whether the source exists or not.

mod borrow;
mod contents;
mod judge;
mod keys;
mod namespace;
mod provided;
mod seen;
mod selected;
mod tracked;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

pub use self::{
    judge::{Judged, Overlay, PREVIEWED, Preview, just_read, without_ignored},
    provided::Changes,
    seen::{Bared, Seen},
    tracked::Tracked,
};
use self::{
    namespace::{Namespace, Source, candidates, remembered},
    selected::Selected,
};
use super::{
    annotation::RESTART_ON,
    conventions::Conventions,
    decide::Lookup,
    observed::Reading,
    policy::{Defaults, Rules},
    source::{References, SourceKey, SourceKind, SourceName},
    version::{DigestKey, Version},
    workload::{Kinds, Workload, WorkloadKey},
};

/// How long a deleted source is remembered, in seconds.
pub const TOMBSTONE_SECONDS: i64 = 3600;

/// Everything that is known.
#[derive(Debug)]
pub struct Index {
    key: DigestKey,
    synced: BTreeSet<(SourceKind, Option<String>)>,
    lists: provided::Lists,
    namespaces: HashMap<String, Namespace>,
    selected: Selected,
    /// Ids of digest keys that are known to be out of use.
    retired: BTreeSet<String>,
    conventions: Arc<Conventions>,
    kinds: Kinds,
}

/// What a source's event did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether something that counts as data, or the uid, is other than before.
    pub changed: bool,
    /// Whether the uid is other than that of the version known before, deleted or not.
    pub recreated: bool,
    /// The workloads that use the source.
    pub users: Vec<WorkloadKey>,
}

impl Index {
    /// Knows nothing yet.
    pub fn new(key: DigestKey) -> Self {
        Self {
            key,
            synced: BTreeSet::new(),
            lists: provided::Lists::default(),
            namespaces: HashMap::new(),
            selected: Selected::default(),
            retired: BTreeSet::new(),
            conventions: Arc::default(),
            kinds: Kinds::default(),
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

    /// Takes in a version that exists, or existed, in the API.
    pub fn apply_source(&mut self, key: &SourceKey, version: Version) -> Change {
        if !self.works_in(&key.namespace) {
            return Change::default();
        }
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let (mut changed, mut recreated) = (true, false);
        match space.sources.get_mut(&key.source) {
            Some(Source::Present(known)) if known.resource_version > version.resource_version => {
                return Change::default();
            }
            Some(Source::Tombstone { since, .. }) if *since > version.resource_version => {
                return Change::default();
            }
            Some(Source::Present(known)) => {
                recreated = known.uid != version.uid;
                changed =
                    recreated || known.whole != version.whole || known.counts() != version.counts();
                **known = version;
            }
            Some(Source::Tombstone { last, .. }) => {
                recreated = last.as_ref().is_some_and(|last| last.uid != version.uid);
                space.put(&key.source, Source::Present(Box::new(version)));
            }
            None => space.put(&key.source, Source::Present(Box::new(version))),
        }
        let users = if changed {
            space.users_of(&key.namespace, &key.source)
        } else {
            Vec::new()
        };
        Change {
            changed,
            recreated,
            users,
        }
    }

    /// Takes in that a source is gone: `resource_version` is that of the deletion, `now` is in unix seconds. Where only
    /// selected ones are watched, it may as well be selected no more.
    pub fn delete_source(&mut self, key: &SourceKey, resource_version: u64, now: i64) -> Change {
        if !self.works_in(&key.namespace) {
            return Change::default();
        }
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let sure = self.conventions.sources.is_none();
        let tombstone = |last| Source::Tombstone {
            last,
            since: resource_version,
            at: now,
            sure,
        };
        match space.sources.get_mut(&key.source) {
            Some(Source::Present(known)) if known.resource_version <= resource_version => {
                let last = Some(known.clone());
                let users = space.users_of(&key.namespace, &key.source);
                space.put(&key.source, tombstone(last));
                Change {
                    changed: true,
                    recreated: false,
                    users,
                }
            }
            Some(Source::Present(_)) => Change::default(),
            Some(Source::Tombstone { since, .. }) => {
                *since = resource_version.max(*since);
                Change::default()
            }
            // Nobody has seen it; an event about it that comes late must not bring it to life.
            None => {
                space.put(&key.source, tombstone(None));
                Change::default()
            }
        }
    }

    /// Takes in that the API server was asked for a source and has none. That is news only where absence cannot be told
    /// from the watches.
    pub fn confirm_absent(&mut self, key: &SourceKey, now: i64) {
        if self.conventions.sources.is_none() || !self.works_in(&key.namespace) {
            return;
        }
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        match space.sources.get_mut(&key.source) {
            Some(Source::Present(_)) => {}
            Some(Source::Tombstone { sure, .. }) => *sure = true,
            None => {
                let tombstone = Source::Tombstone {
                    last: None,
                    since: 0,
                    at: now,
                    sure: true,
                };
                space.put(&key.source, tombstone);
            }
        }
    }

    /// Takes in a workload as it was read.
    pub fn apply_workload(&mut self, key: &WorkloadKey, mut workload: Workload) -> Seen {
        let (digest_key, defaults) = (&self.key, self.conventions.defaults());
        if !self.works_in(&key.namespace) {
            return Seen::default();
        }
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let slot = (key.kind, key.name.clone());
        let known = space.workloads.get(&slot);
        if known.is_some_and(|known| known.workload.resource_version > workload.resource_version) {
            return Seen::default();
        }
        space.disconnect(&slot);
        let before = space.workloads.remove(&slot).map(|known| *known);
        space.borrow(&self.kinds, &slot, &mut workload, before.as_ref());
        let same = before
            .as_ref()
            .filter(|known| known.workload.uid == workload.uid);
        let untouched = same.is_some_and(|known| known.memory.is_none());
        let opted_in = same.is_some_and(|known| known.policy.opted_in());
        let was_bare = same.map(Tracked::is_bare);
        let defaults = space.defaults(defaults);
        let tracked = Tracked::follow(workload, before, defaults, digest_key);
        let mut seen = Seen {
            borrowers: Vec::new(),
            bared: Bared::of(was_bare, opted_in, &tracked),
            adopted: untouched && matches!(tracked.memory, Some(Reading::Genuine(_))),
            lost_opt_in: opted_in
                && !tracked.policy.opted_in()
                && tracked.workload.mark().is_some()
                && !tracked.workload.asks.contains_key(RESTART_ON),
        };
        space.workloads.insert(slot.clone(), Box::new(tracked));
        space.connect(&slot);
        seen.borrowers = self.lend(key);
        seen
    }

    /// Takes in that a workload is gone.
    pub fn delete_workload(&mut self, key: &WorkloadKey) {
        if let Some(space) = self.namespaces.get_mut(&key.namespace) {
            let slot = (key.kind, key.name.clone());
            space.disconnect(&slot);
            space.workloads.remove(&slot);
            space.borrowing.remove(&slot);
        }
        self.lend(key);
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

    /// What is known of a source. An ignored one is looked up like any other.
    pub fn source(&self, namespace: &str, source: &SourceName) -> Lookup<'_> {
        if !self.is_synced(source.kind, namespace) {
            return Lookup::Unsynced;
        }
        match self
            .namespaces
            .get(namespace)
            .and_then(|space| space.sources.get(source))
        {
            None if self.conventions.sources.is_some() && source.kind.is_one_object() => {
                Lookup::Unseen
            }
            Some(Source::Tombstone { sure: false, .. }) => Lookup::Unseen,
            None => Lookup::Absent {
                last: None,
                since: u64::from(!source.kind.is_one_object() && self.statuses_complete(namespace)),
            },
            Some(Source::Tombstone { last, since, .. }) => Lookup::Absent {
                last: last.as_deref(),
                since: *since,
            },
            Some(Source::Present(version)) => Lookup::Present {
                version,
                fresh: false,
            },
        }
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

    /// Forgets sources that were deleted long ago and are not used, and namespaces that are empty.
    pub fn expire(&mut self, now: i64) {
        for space in self.namespaces.values_mut() {
            let Namespace { sources, users, .. } = space;
            sources.retain(|name, source| match source {
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
