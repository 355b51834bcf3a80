//! One namespace: its sources, its workloads, and the edges between them.

use std::collections::{BTreeSet, HashMap};

use litemap::LiteMap;

use super::{Tracked, asked::Told, csi::Provided};
use crate::model::{
    digest::DigestKey,
    observed::Reading,
    policy::{Defaults, Selection},
    source::SourceName,
    version::Version,
    workload::{Kind, WorkloadKey},
};

/// One namespace. The edges are kept both ways: `users` by source, [`Tracked::uses`] by workload.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    /// The default opt-in.
    pub(super) default: Option<String>,
    pub(super) sources: HashMap<SourceName, Stored>,
    pub(super) workloads: HashMap<(Kind, String), Box<Tracked>>,
    pub(super) users: HashMap<SourceName, Users>,
    /// The workloads whose opt-in has a glob.
    pub(super) globbing: BTreeSet<(Kind, String)>,
    /// Classes of the Secrets Store CSI driver, of which `sources` has the content.
    pub(super) provided: Provided,
    /// The workloads that have the pod template of another.
    pub(super) borrowing: BTreeSet<(Kind, String)>,
}

/// The workloads that use a source: one, most often, and a sorted vector has no room for eleven.
type Users = LiteMap<(Kind, String), ()>;

/// A source as known.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) source: Source,
    pub(super) told: Told,
}

/// A source that exists, or that is known not to.
#[derive(Debug)]
pub(super) enum Source {
    Present(Box<Version>),
    Tombstone {
        last: Option<Box<Version>>,
        since: u64,
        at: i64,
        /// Whether it is absent, and not merely selected no more.
        sure: bool,
    },
}

impl Stored {
    /// Whether it is known to exist, as this.
    pub(super) fn is(&self, version: &Version) -> bool {
        matches!(&self.source, Source::Present(known) if known.uid == version.uid && known.whole == version.whole)
    }

    /// The lowest resourceVersion that is no older: that it is known in, or the next after it was gone.
    pub(super) fn number(&self) -> u64 {
        match &self.source {
            Source::Present(version) => version.resource_version,
            Source::Tombstone { since, .. } => since.saturating_add(1),
        }
    }
}

impl Namespace {
    /// What holds for its workloads, where this holds for everybody's.
    pub(super) fn defaults<'a>(&'a self, defaults: Defaults<'a>) -> Defaults<'a> {
        Defaults {
            namespace: self.default.as_deref(),
            ..defaults
        }
    }

    pub(super) fn connect(&mut self, slot: &(Kind, String)) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let Selection::Some(rules) = &tracked.policy.selection else {
            return;
        };
        let memory = tracked.memory.as_ref();
        let candidates = candidates(&self.sources, memory).chain(remembered(memory));
        let uses = rules.select(&tracked.workload.references, candidates);
        if rules.has_globs() {
            self.globbing.insert(slot.clone());
        }
        tracked.set_uses(uses);
        for source in tracked.uses().keys() {
            self.users
                .entry(source.clone())
                .or_default()
                .insert(slot.clone(), ());
        }
    }

    pub(super) fn disconnect(&mut self, slot: &(Kind, String)) {
        self.globbing.remove(slot);
        let Some(tracked) = self.workloads.remove(slot) else {
            return;
        };
        for source in tracked.uses().keys() {
            self.cut(slot, source);
        }
        // What comes next compares with it.
        self.workloads.insert(slot.clone(), tracked);
    }

    /// Takes in that a source appeared or vanished.
    pub(super) fn put(&mut self, name: &SourceName, source: Source, told: Told) {
        self.sources.insert(name.clone(), Stored { source, told });
        self.reconnect_globs(name);
    }

    /// Takes in that nothing is known of a source any more, not even that it is gone.
    pub(super) fn forget(&mut self, name: &SourceName) {
        self.sources.remove(name);
        self.reconnect_globs(name);
    }

    fn reconnect_globs(&mut self, name: &SourceName) {
        let takes = |slot: &&(Kind, String)| match self.workloads.get(*slot) {
            Some(tracked) => match &tracked.policy.selection {
                Selection::Some(rules) => rules.names(name),
                _ => false,
            },
            None => false,
        };
        let slots: Vec<_> = self.globbing.iter().filter(takes).cloned().collect();
        for slot in &slots {
            self.reconnect(slot, name);
        }
    }

    /// Makes or cuts the one edge between a workload and a source.
    pub(super) fn reconnect(&mut self, slot: &(Kind, String), source: &SourceName) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let Selection::Some(rules) = &tracked.policy.selection else {
            return;
        };
        let memory = tracked.memory.as_ref();
        let counts = match self.sources.get(source).map(|stored| &stored.source) {
            Some(Source::Present(_)) => true,
            Some(Source::Tombstone { .. }) if folds(memory) => true,
            _ => remembered(memory).any(|known| known == source),
        };
        let candidate = counts.then_some(source).into_iter();
        let selected = rules
            .select(&tracked.workload.references, candidate)
            .remove(source);
        if let Some(usage) = selected {
            let mut uses = tracked.take_uses();
            uses.insert(source.clone(), usage);
            tracked.set_uses(uses);
            self.users
                .entry(source.clone())
                .or_default()
                .insert(slot.clone(), ());
        } else if tracked.uses().contains_key(source) {
            let mut uses = tracked.take_uses();
            uses.remove(source);
            tracked.set_uses(uses);
            self.cut(slot, source);
        }
    }

    /// Believes a workload's annotation again, where something else is remembered of what was observed.
    pub(super) fn forget_unwritten(
        &mut self,
        slot: &(Kind, String),
        defaults: Defaults<'_>,
        key: &DigestKey,
    ) {
        let known = self.workloads.get(slot);
        if known.is_none_or(|known| known.unwritten(key).is_none()) {
            return;
        }
        self.disconnect(slot);
        if let Some(mut known) = self.workloads.remove(slot) {
            known.memory = None;
            let (workload, defaults) = (known.workload.clone(), self.defaults(defaults));
            let again = Tracked::follow(workload, Some(*known), defaults, key);
            self.workloads.insert(slot.clone(), Box::new(again));
            self.connect(slot);
        }
    }

    pub(super) fn cut(&mut self, slot: &(Kind, String), source: &SourceName) {
        if let Some(users) = self.users.get_mut(source) {
            users.remove(slot);
            if users.is_empty() {
                self.users.remove(source);
            }
        }
    }

    /// Takes in that a source may count from now on for workloads that it did not count for as it was `before`. Their pods
    /// have what it was then: one write that makes it count and changes its data is a change. Where it was not `watched`
    /// nobody knows what it was right before that write, and it is adopted as it is.
    pub(super) fn begin_to_count(&mut self, source: &SourceName, before: &Version, watched: bool) {
        let stored = self.sources.get(source).map(|stored| &stored.source);
        let Some(Source::Present(now)) = stored else {
            return;
        };
        for slot in self.users.get(source).into_iter().flat_map(LiteMap::keys) {
            let Some(tracked) = self.workloads.get_mut(slot) else {
                continue;
            };
            if let Some(observed) = tracked.adopting(source, before, now, watched) {
                tracked.set_memory(observed);
            }
        }
    }

    pub(super) fn users_of(&self, namespace: &str, source: &SourceName) -> Vec<WorkloadKey> {
        let key = |(kind, name): &(Kind, String)| WorkloadKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.clone(),
        };
        self.users
            .get(source)
            .into_iter()
            .flat_map(LiteMap::keys)
            .map(key)
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.default.is_none()
            && self.sources.is_empty()
            && self.workloads.is_empty()
            && self.provided.is_empty()
    }
}

/// What a glob takes besides what was observed: the sources that exist. A fold does not know what it holds by name, so
/// for it also those that existed not long ago.
pub(super) fn candidates<'a>(
    sources: &'a HashMap<SourceName, Stored>,
    memory: Option<&Reading>,
) -> impl Iterator<Item = &'a SourceName> {
    let gone_too = folds(memory);
    sources
        .iter()
        .filter(move |(_, stored)| gone_too || matches!(stored.source, Source::Present(_)))
        .map(|(name, _)| name)
}

fn folds(memory: Option<&Reading>) -> bool {
    matches!(memory, Some(Reading::Genuine(observed) | Reading::Previous(observed) | Reading::OtherKey(observed)) if observed.fold.is_some())
}

/// The sources that were observed: a glob takes them although they are gone.
pub(super) fn remembered(memory: Option<&Reading>) -> impl Iterator<Item = &SourceName> {
    let observed = match memory {
        Some(
            Reading::Genuine(observed) | Reading::Previous(observed) | Reading::OtherKey(observed),
        ) => Some(observed),
        _ => None,
    };
    observed
        .into_iter()
        .flat_map(|observed| observed.entries.keys())
}
