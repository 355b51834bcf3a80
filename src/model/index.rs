//! What is known right now: sources by uid and digest, workloads by what they use, and the edges between them.
//!
//! Watches feed the index, and single reads where a watch is behind. The webhook and the judge read it. It does no I/O and keeps no
//! objects. All of it can be built again from the API server; the truth about restarts stands in each workload's `observed` annotation.
//!
//! Invariants:
//! - nothing goes back to an older resourceVersion because of what comes late. Only a read that was asked for when
//!   the newer one was known shows an older one (`asked`);
//! - `observed` of a workload whose uid is known only goes forward. One that vanished, was forged or is an old text
//!   again is taken from memory, and the leader writes it again;
//! - an edge exists from every source that a workload's policy selects, whether the source exists or not.

pub mod absent;
mod adopting;
mod asked;
pub mod at_once;
mod basis;
mod borrow;
mod changes;
mod csi;
pub mod due;
mod edges;
mod foreseen;
pub mod gates;
mod hidden;
mod judge;
mod judged;
mod keys;
mod memory;
mod namespace;
mod namespaces;
pub mod opting;
mod orphaned;
mod overlay;
mod preview;
mod says;
mod scope;
mod shown;
mod sources;
mod take;
pub mod together;
mod tracked;
mod under;
pub mod unshown;
pub mod windows;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

pub use self::{
    asked::{By, Tick},
    basis::TOMBSTONE_SECONDS,
    changes::{Bared, SourceChange, WorkloadChange},
    foreseen::{Ahead, Foreseen, Takers},
    judged::Judged,
    overlay::{Overlay, just_read, without_ignored},
    preview::{PREVIEWED, PREVIEWED_SOURCES, Preview},
    take::Changes,
    tracked::Tracked,
};
use self::{
    asked::{Clock, Told},
    basis::Basis,
    foreseen::{Known, read_shown},
    keys::RetiredKeys,
    namespace::Namespace,
    namespaces::Namespaces,
    orphaned::{LeftBehind, Orphaned},
    scope::Scope,
    shown::Shown,
    sources::{Source, Stored},
};
use super::{
    conventions::Conventions,
    csi::Part,
    decide::{Lookup, Pods},
    digest::DigestKey,
    observed::Reading,
    policy::{Complaint, Defaults, Policy, Rules, Selection},
    source::{References, SourceKey, SourceKind, SourceName},
    workload::{Kind, Kinds, Workload, WorkloadKey},
};

/// Everything that is known.
#[derive(Debug)]
pub struct Index {
    basis: Basis,
    scope: Scope,
    namespaces: Namespaces,
    orphaned: Orphaned,
    retired: RetiredKeys,
    clock: Clock,
    /// All workloads are known.
    listed: bool,
}

impl Index {
    /// Returns an index that knows nothing yet.
    pub fn new(key: DigestKey) -> Self {
        let scope = Scope::default();
        let basis = Basis {
            key,
            kinds: Kinds::default(),
            defaults: scope.conventions().defaults(),
        };
        Self {
            basis,
            scope,
            namespaces: Namespaces::default(),
            orphaned: Orphaned::default(),
            retired: RetiredKeys::default(),
            clock: Clock::default(),
            listed: false,
        }
    }

    /// Returns the same where these are rolled. For one that knows nothing yet.
    #[must_use]
    pub fn with_kinds(mut self, kinds: Kinds) -> Self {
        self.basis.kinds = kinds;
        self
    }

    /// Returns the same where this was agreed on. For one that knows nothing yet.
    #[must_use]
    pub fn with_conventions(self, conventions: Arc<Conventions>) -> Self {
        let basis = Basis {
            defaults: conventions.defaults(),
            ..self.basis
        };
        let scope = Scope::new(conventions);
        Self {
            basis,
            scope,
            ..self
        }
    }

    // === what does not change ===

    /// Returns the kinds that are rolled.
    pub fn kinds(&self) -> &Kinds {
        &self.basis.kinds
    }

    /// Returns what was agreed on in this cluster.
    pub fn conventions(&self) -> &Arc<Conventions> {
        self.scope.conventions()
    }

    /// Returns the key that all digests in it were made with.
    pub fn key(&self) -> &DigestKey {
        &self.basis.key
    }

    // === namespaces ===

    /// Whether anything in a namespace is of interest.
    pub fn works_in(&self, namespace: &str) -> bool {
        self.scope.works_in(namespace)
    }

    /// Returns what holds for a namespace's workloads that say nothing else.
    pub fn defaults_of(&self, namespace: &str) -> Defaults<'_> {
        let space = self.namespaces.get(namespace);
        space.map_or(self.basis.defaults, |space| space.defaults(&self.basis))
    }

    /// Returns the namespaces in which anything is known, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.namespaces.names()
    }

    /// Returns the namespaces that have a default opt-in, or are selected.
    pub fn known_namespaces(&self) -> BTreeSet<String> {
        let labelled = self.namespaces.labelled().into_iter();
        labelled.chain(self.scope.selected()).cloned().collect()
    }

    // === sources ===

    /// Returns what is known of a source. An ignored one is looked up like any other.
    pub fn source(&self, namespace: &str, source: &SourceName) -> Lookup<'_> {
        self.look(namespace, source, None)
    }

    /// Returns the same for a workload: what was asked for after the newest was learned of that is no mere event.
    fn look(&self, namespace: &str, source: &SourceName, asker: Option<&Tracked>) -> Lookup<'_> {
        if !self.scope.is_synced(source.kind, namespace) {
            return Lookup::Unsynced;
        }
        let stored = self.stored(namespace, source);
        let asked_since = |told: Told| asker.is_some_and(|asker| told.is_after(asker.read_at));
        match stored.map(|stored| (&stored.source, stored.told)) {
            None if hidden::may_exist(&self.scope, source, asker) => Lookup::Unseen,
            Some((Source::Tombstone { sure: false, .. }, _)) => Lookup::Unseen,
            None => {
                let complete = self.scope.statuses_complete(namespace);
                Lookup::Absent {
                    last: None,
                    since: u64::from(!source.kind.is_readable() && complete),
                }
            }
            Some((Source::Tombstone { last, since, .. }, told)) => Lookup::Absent {
                last: last.as_deref(),
                since: if asked_since(told) { u64::MAX } else { *since },
            },
            Some((Source::Present(version), told)) => Lookup::Present {
                version,
                fresh: asked_since(told),
            },
        }
    }

    fn stored(&self, namespace: &str, source: &SourceName) -> Option<&Stored> {
        self.namespaces.get(namespace)?.sources.get(source)
    }

    /// Returns the sources of a kind that a list shows, with their resourceVersions: what a new one is compared with.
    /// `within`: one namespace.
    pub fn sources(&self, kind: SourceKind, within: Option<&str>) -> HashMap<SourceKey, u64> {
        self.namespaces.sources(kind, within)
    }

    /// Returns the opted-in workloads that use a source.
    pub fn users(&self, key: &SourceKey) -> Vec<WorkloadKey> {
        let space = self.namespaces.get(&key.namespace);
        space.map(|space| space.users_of(key)).unwrap_or_default()
    }

    /// Whether any opted-in workload uses a source.
    pub fn is_used(&self, key: &SourceKey) -> bool {
        let space = self.namespaces.get(&key.namespace);
        space.is_some_and(|space| space.edges.is_used(&key.source))
    }

    /// Returns the objects of one of the CSI driver's kinds, by namespace and name and in that order: what a new list is
    /// compared with.
    pub fn known_parts(&self, part: Part, within: Option<&str>) -> Vec<(String, String)> {
        let mut known = Vec::new();
        for (namespace, space) in self.namespaces.within(within) {
            let names = space.classes.objects(part).into_iter();
            known.extend(names.map(|name| (namespace.clone(), name.clone())));
        }
        known.sort_unstable();
        known
    }

    // === workloads ===

    /// Returns the workloads of a kind, or all, in their order. `within`: one namespace.
    pub fn workloads(&self, kind: Option<Kind>, within: Option<&str>) -> Vec<WorkloadKey> {
        self.namespaces.workloads(kind, within)
    }

    /// Returns what is known of a workload.
    pub fn workload(&self, key: &WorkloadKey) -> Option<&Tracked> {
        self.namespaces.workload(key)
    }

    /// Whether what is known of a workload came after something that says otherwise was asked for.
    pub fn came_meanwhile(&self, key: &WorkloadKey, asked: Tick) -> bool {
        let known = self.workload(key);
        known.is_some_and(|known| !known.told.was_known(asked))
    }

    /// Returns what counts of what a workload refers to, under these rules: a glob takes what exists, and what was observed
    /// of the workload although it is gone.
    fn select(
        &self,
        key: &WorkloadKey,
        rules: &Arc<Rules>,
        references: &References,
        known: Option<Known<'_>>,
    ) -> References {
        match self.namespaces.get(&key.namespace) {
            Some(space) => {
                let memory = self.workload(key).and_then(|known| known.memory.as_ref());
                space.select(rules, references, memory, known)
            }
            None => rules.select(references, std::iter::empty()),
        }
    }

    /// Sets the references of a workload that is written now to those of the template that it borrows, if it borrows
    /// one, and what those say that borrow its own.
    pub fn relate(&self, key: &WorkloadKey, workload: &mut Workload) {
        let empty = Namespace::default();
        let space = self.namespaces.get(&key.namespace).unwrap_or(&empty);
        workload.lent = space.lent_by(key.kind, &key.name);
        space.borrow(&self.basis.kinds, workload);
    }

    /// Returns a workload's annotation as it should be, where it is not: the text to write, or `Some(None)` to remove it.
    pub fn unwritten(&self, key: &WorkloadKey) -> Option<Option<String>> {
        let tracked = self.workload(key)?;
        let ours = tracked.workload.reverting_owner().is_none() && !tracked.workload.deleting;
        if !ours || self.retired.doubted(tracked).is_some() {
            return None;
        }
        tracked.unwritten(&self.basis.key)
    }

    /// Returns how many sources exist, and how many workloads opted in.
    pub fn size(&self) -> (usize, usize) {
        self.namespaces.size()
    }

    /// Returns what a workload that is shown asks for, and what that selects; `foreseen`: as far as that was worked out.
    pub fn selected(
        &self,
        key: &WorkloadKey,
        shown: &Workload,
        foreseen: Option<&Foreseen>,
    ) -> (Policy, Vec<Complaint>, References) {
        let defaults = self.defaults_of(&key.namespace);
        let (policy, complaints, known) = read_shown(self.workload(key), shown, defaults, foreseen);
        let mut uses = match &policy.selection {
            Selection::Some(rules) => self.select(key, rules, &shown.references, known),
            Selection::Off | Selection::Unreadable => References::new(),
        };
        policy.count_keys(&mut uses);
        (policy, complaints, uses)
    }

    // === workloads that a request or a read shows ===

    fn shown<'a>(&'a self, key: &WorkloadKey, shown: &'a Workload) -> Shown<'a> {
        Shown::new(shown, self.workload(key))
    }

    /// Returns what was observed of a workload that is shown: the annotation's content, or what is remembered and
    /// newer.
    pub fn effective(&self, key: &WorkloadKey, shown: &Workload) -> Option<Reading> {
        let shown = self.shown(key, shown);
        shown.effective(&self.basis.key, &self.retired)
    }

    /// Returns what is known of the pods of a workload that is shown.
    pub fn pods_of(&self, key: &WorkloadKey, shown: &Workload) -> Pods<'static> {
        self.shown(key, shown).pods(key.kind)
    }

    /// Returns what the next `observed` of a workload that is shown counts on from.
    pub fn sequence_of(&self, key: &WorkloadKey, shown: &Workload) -> u64 {
        self.shown(key, shown).sequence()
    }

    /// Whether it is known which pods a workload that is shown adopted when it was created.
    pub fn is_examined(&self, key: &WorkloadKey, shown: &Workload) -> bool {
        let shown = self.shown(key, shown);
        shown.is_examined(key.kind, &self.basis.key)
    }

    /// Whether it was not looked up yet which pods a workload adopted when it was created.
    pub fn is_unexamined(&self, key: &WorkloadKey) -> bool {
        self.workload(key).is_some_and(|known| {
            let is_ours = known.policy.opted_in() && known.workload.reverting_owner().is_none();
            is_ours && !known.is_examined(key.kind)
        })
    }

    /// Returns what is known of a workload of this name that is gone, and whose pods `uid` may have adopted; `uid` is empty
    /// where the new one is being created.
    pub fn left_behind(&self, key: &WorkloadKey, uid: &str) -> Option<LeftBehind> {
        // The watch may not have shown yet that it is gone.
        let tracked = self.workload(key);
        let before = tracked.filter(|known| known.workload.uid != uid);
        before
            .and_then(LeftBehind::of)
            .or_else(|| self.orphaned.get(key))
    }

    // === digest keys ===

    /// Returns the ids of digest keys that workloads were observed under and that may be right instead of ours.
    pub fn unknown_keys(&self) -> BTreeSet<String> {
        let tracked = self.namespaces.all_workloads();
        tracked
            .filter_map(|tracked| self.retired.doubted(tracked))
            .cloned()
            .collect()
    }

    /// Returns how many workloads still show an annotation under the digest key before.
    pub fn under_previous_key(&self) -> usize {
        let Some(previous) = self.basis.key.previous() else {
            return 0;
        };
        let named = format!("\"k\":\"{}\"", previous.id());
        let is_under = |tracked: &&Tracked| {
            let text = tracked.workload.observed.as_ref();
            tracked.policy.opted_in() && text.is_some_and(|text| text.contains(&named))
        };
        self.namespaces.all_workloads().filter(is_under).count()
    }
}

#[cfg(test)]
mod tests;
