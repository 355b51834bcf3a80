//! One namespace: its sources, its workloads, and the edges between them.

mod sources;
pub(super) use self::sources::ToldBy;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    asked::{By, Clock},
    basis::Basis,
    changes::{Bared, WorkloadChange},
    csi::Classes,
    edges::{Edges, Slot},
    foreseen::{Foreseen, Known, Read, Selected, Takers, reads_as_before},
    memory::{folds, remembered},
    says::Says,
    sources::{Source, Sources},
    tracked::Tracked,
    under::Under,
};
use crate::model::{
    annotation::RESTART_ON,
    observed::{Observed, Reading},
    policy::{Defaults, Rules, Selection},
    source::{References, SourceName},
    workload::{Workload, WorkloadKey},
};

/// One namespace. The edges stand here twice: in `edges` by source, in [`Tracked::uses`] by workload.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    /// The default opt-in.
    pub(super) default: Option<String>,
    /// What it says about when restarts in it are made.
    pub(super) says: Says,
    /// Whether a workload of it ever asked for a place in the order of restarts.
    pub(super) has_waves: bool,
    pub(super) sources: Sources,
    pub(super) workloads: HashMap<Slot, Box<Tracked>>,
    pub(super) edges: Edges,
    /// Classes of the Secrets Store CSI driver, of which `sources` has the content.
    pub(super) classes: Classes,
    /// The workloads that have the pod template of another.
    pub(super) borrowing: BTreeSet<Slot>,
    /// The workloads whose expressions are ready for use, at most [`KEPT_READY`].
    kept_ready: BTreeSet<Slot>,
}

/// For so many workloads of a namespace their expressions are kept ready; for others each use makes them ready again.
const KEPT_READY: usize = 16;

impl Namespace {
    /// Returns what holds for its workloads that say nothing.
    pub(super) fn defaults<'a>(&'a self, basis: &'a Basis) -> Defaults<'a> {
        Defaults {
            namespace: self.default.as_deref(),
            ..basis.defaults
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let silent = self.default.is_none() && self.says == Says::default();
        silent && self.sources.is_empty() && self.workloads.is_empty() && self.classes.is_empty()
    }

    /// Takes in a workload; `None` where it does not count.
    pub(super) fn take_workload(
        &mut self,
        slot: &Slot,
        mut workload: Workload,
        by: By,
        foreseen: Option<Foreseen>,
        basis: &Basis,
        clock: &mut Clock,
    ) -> Option<WorkloadChange> {
        let known = self.workloads.get(slot);
        let same = known.is_some_and(|known| {
            known.workload.uid == workload.uid && known.workload.observed == workload.observed
        });
        let known = known.map(|known| (known.told, known.workload.resource_version));
        // It may have been written since a restore. Then its number is higher than in the lost history, and its text older.
        let restored = !same && known.is_some_and(|(told, _)| clock.is_first_since(told, by));
        let weighed = clock.weigh(known, by, workload.resource_version, same)?;
        self.disconnect(slot);
        let mut before = self.workloads.remove(slot).map(|known| *known);
        self.relate(&basis.kinds, slot, &mut workload, before.as_ref());
        let same = before.as_ref();
        let same = same.filter(|known| known.workload.uid == workload.uid);
        let untouched = same.is_some_and(|known| known.memory.is_none());
        let opted_in = same.is_some_and(|known| known.policy.opted_in());
        let opted_in_well = same.is_none_or(Tracked::opts_in_well);
        let was_bare = same.map(Tracked::is_bare);
        let under = same.map(Tracked::annotated);
        if let (true, Some(before)) = (weighed.older || restored, &mut before) {
            before.forget();
        }
        let read = self.read(&workload, before.as_mut(), foreseen, basis);
        let tracked = Tracked::follow(workload, before, (read.policy, read.complaints), &basis.key);
        let tracked = tracked.told(weighed.told);
        let change = WorkloadChange {
            related: Vec::new(),
            hands: under.and_then(|before| Under::changed_hands(&before, &tracked.annotated())),
            bared: Bared::of(was_bare, opted_in, &tracked),
            adopted: untouched && matches!(tracked.memory, Some(Reading::Genuine(_))),
            lost_opt_in: opted_in
                && !tracked.policy.opted_in()
                && tracked.workload.mark().is_some()
                && !tracked.workload.is_led()
                && !tracked.workload.asks.contains_key(RESTART_ON),
            opts_in: !opted_in_well && tracked.opts_in_well(),
            older: weighed.sighting,
        };
        self.put(slot, tracked, read.selected);
        Some(change)
    }

    /// Takes in that a workload is gone. Returns what was known of it.
    pub(super) fn delete_workload(&mut self, slot: &Slot) -> Option<Tracked> {
        self.disconnect(slot);
        self.borrowing.remove(slot);
        self.kept_ready.remove(slot);
        self.workloads.remove(slot).map(|gone| *gone)
    }

    /// Takes in the default opt-in. Returns whether that is news.
    pub(super) fn set_default(&mut self, default: Option<String>, basis: &Basis) -> bool {
        if self.default == default {
            return false;
        }
        self.default = default;
        for slot in self.slots() {
            self.follow_again(&slot, basis, false, |_| {});
        }
        let borrowing: Vec<_> = self.borrowing.iter().cloned().collect();
        for slot in borrowing {
            self.relate_again(&slot, basis);
        }
        true
    }

    /// Takes in that history went back: forgets what is remembered of workloads besides what they show.
    pub(super) fn history_went_back(&mut self, basis: &Basis) {
        for slot in self.slots() {
            if let Some(tracked) = self.workloads.get_mut(&slot) {
                (tracked.started, tracked.ages) = (None, None);
            }
            self.forget_unwritten(&slot, basis);
        }
    }

    /// Takes over what a decision without a restart observed, at once; it is written later.
    ///
    /// However often that happens before it is written, it is one write ahead of the workload as it is known: so is what
    /// the webhook stamps meanwhile, which must count against it.
    pub(super) fn remember(&mut self, slot: &Slot, mut observed: Observed) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        observed.sequence = observed.sequence.min(tracked.next_sequence());
        let forgotten: Vec<_> = remembered(tracked.memory.as_ref())
            .filter(|source| !observed.entries.contains_key(source))
            .cloned()
            .collect();
        let served: Vec<_> = tracked.serving().cloned().collect();
        tracked.set_memory(observed);
        for source in forgotten.iter().chain(&served) {
            self.reconnect(slot, source);
        }
        self.connect_serving(slot);
    }

    /// Believes a workload's annotation again, where something else is remembered of what was observed.
    fn forget_unwritten(&mut self, slot: &Slot, basis: &Basis) {
        let known = self.workloads.get(slot);
        if known.is_some_and(|known| known.unwritten(&basis.key).is_some()) {
            // What it shows counts then, whatever was read before.
            let forget = |known: &mut Tracked| (known.memory, known.written) = (None, None);
            self.follow_again(slot, basis, true, forget);
        }
    }

    /// Follows a workload anew from what is known of it, after a change of that.
    ///
    /// `asks_the_same`: what it asks for stands.
    fn follow_again(
        &mut self,
        slot: &Slot,
        basis: &Basis,
        asks_the_same: bool,
        change: impl FnOnce(&mut Tracked),
    ) {
        self.disconnect(slot);
        if let Some(mut known) = self.workloads.remove(slot) {
            change(&mut known);
            let workload = known.workload.clone();
            let before = asks_the_same.then_some(&mut *known);
            let read = self.read(&workload, before, None, basis);
            let policy = (read.policy, read.complaints);
            let again = Tracked::follow(workload, Some(*known), policy, &basis.key);
            self.put(slot, again, read.selected);
        }
    }

    /// Reads what a workload asks for, unless that is known.
    pub(super) fn read(
        &self,
        workload: &Workload,
        before: Option<&mut Tracked>,
        foreseen: Option<Foreseen>,
        basis: &Basis,
    ) -> Read {
        let same = |known: &&mut Tracked| reads_as_before(&known.workload, workload);
        if let Some(known) = before.filter(same) {
            return Read {
                policy: known.policy.clone(),
                complaints: known.complaints.clone(),
                selected: Selected::by(known),
            };
        }
        let defaults = self.defaults(basis);
        let foreseen = foreseen.and_then(|foreseen| foreseen.into_read(workload, defaults));
        foreseen.unwrap_or_else(|| Read::anew(workload, defaults))
    }

    pub(super) fn put(&mut self, slot: &Slot, tracked: Tracked, selected: Option<Selected>) {
        self.has_waves |= tracked.policy.wave() != 0;
        self.workloads.insert(slot.clone(), Box::new(tracked));
        self.connect(slot, selected.as_ref());
        drop(selected);
        self.put_away(slot);
    }

    /// Keeps the automata of expressions ready for some workloads only: each is a hundred times as large as its text.
    fn put_away(&mut self, slot: &Slot) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let kept = &mut self.kept_ready;
        match &mut tracked.policy.selection {
            Selection::Some(rules) if rules.has_expressions() => {
                if kept.len() < KEPT_READY || kept.contains(slot) {
                    kept.insert(slot.clone());
                } else {
                    Arc::make_mut(rules).put_away();
                }
            }
            _ => drop(kept.remove(slot)),
        }
    }

    fn slots(&self) -> Vec<Slot> {
        self.workloads.keys().cloned().collect()
    }

    /// Returns what counts of what a workload refers to, under these rules, where this is remembered of it.
    pub(super) fn select(
        &self,
        rules: &Arc<Rules>,
        references: &References,
        memory: Option<&Reading>,
        known: Option<Known<'_>>,
    ) -> References {
        let candidates = candidates(&self.sources, memory).chain(remembered(memory));
        rules.select_knowing(references, candidates, |source, referenced| {
            let exists = || self.sources.present(source).is_some();
            known?.usage(rules, source, referenced, exists)
        })
    }

    fn connect(&mut self, slot: &Slot, known: Option<&Selected>) {
        let Some(tracked) = self.workloads.get(slot) else {
            return;
        };
        let Selection::Some(rules) = &tracked.policy.selection else {
            return;
        };
        let (memory, known) = (tracked.memory.as_ref(), known.map(Selected::known));
        let uses = self.select(rules, &tracked.workload.references, memory, known);
        self.edges.set_globbing(slot, rules.has_globs());
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        tracked.set_uses(uses);
        for source in tracked.uses().keys() {
            self.edges.add(slot, source);
        }
        self.connect_serving(slot);
    }

    /// Makes the edges for what only pods of an older template use, where those serve.
    fn connect_serving(&mut self, slot: &Slot) {
        if let Some(tracked) = self.workloads.get(slot) {
            for source in tracked.serving() {
                self.edges.add(slot, source);
            }
        }
    }

    /// Cuts the edges of a workload, which stays known: what comes next is compared with it.
    pub(super) fn disconnect(&mut self, slot: &Slot) {
        self.edges.set_globbing(slot, false);
        if let Some(tracked) = self.workloads.get(slot) {
            for source in tracked.uses().keys().chain(tracked.serving()) {
                self.edges.cut(slot, source);
            }
        }
    }

    /// Returns the workloads whose opt-in has a glob, in their order, each with its rules.
    pub(super) fn globbing(&self) -> impl Iterator<Item = (Slot, Arc<Rules>)> {
        self.edges.globbing().filter_map(|slot| {
            let tracked = self.workloads.get(slot)?;
            match &tracked.policy.selection {
                Selection::Some(rules) => Some((slot.clone(), Arc::clone(rules))),
                Selection::Off | Selection::Unreadable => None,
            }
        })
    }

    /// Makes the edges of a source that may be taken from now on.
    fn connect_globs(&mut self, name: &SourceName, takers: &Takers) {
        let asked = |(slot, rules): &(Slot, Arc<Rules>)| {
            let known = takers.take(slot, rules);
            known.unwrap_or_else(|| rules.takes(name))
        };
        let users: Vec<_> = self.globbing().filter(asked).collect();
        for (slot, _) in users {
            self.reconnect(&slot, name);
        }
    }

    /// Cuts the edges of a source that is not taken any more.
    fn disconnect_globs(&mut self, name: &SourceName) {
        let globbing: BTreeSet<_> = self.edges.globbing().collect();
        let users = self.edges.users(name);
        let users: Vec<_> = users
            .filter(|user| globbing.contains(user))
            .cloned()
            .collect();
        for slot in users {
            self.reconnect(&slot, name);
        }
    }

    /// Makes or cuts the one edge between a workload and a source.
    fn reconnect(&mut self, slot: &Slot, source: &SourceName) {
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
            Some(Source::Tombstone { .. }) | None => {
                remembered(memory).any(|known| known == source)
            }
        };
        let referenced = tracked.workload.references.get(source);
        let selected = rules.select_one(source, referenced, counts);
        if let Some(usage) = selected {
            let mut uses = tracked.take_uses();
            uses.insert(source.clone(), usage);
            tracked.set_uses(uses);
            self.edges.add(slot, source);
            return;
        }
        if tracked.uses().contains_key(source) {
            let mut uses = tracked.take_uses();
            uses.remove(source);
            tracked.set_uses(uses);
        }
        if !tracked.serving().any(|serving| serving == source) {
            self.edges.cut(slot, source);
        }
    }
}

/// Returns the key of a workload of a namespace.
pub(super) fn key_of(namespace: &str, (kind, name): &Slot) -> WorkloadKey {
    WorkloadKey {
        kind,
        namespace: namespace.to_owned(),
        name: name.clone(),
    }
}

/// Returns what a glob takes besides what was observed: the sources that exist. A fold does not know what it holds by
/// name, so for it also those that existed not long ago.
fn candidates<'a>(
    sources: &'a Sources,
    memory: Option<&Reading>,
) -> impl Iterator<Item = &'a SourceName> {
    sources.candidates(folds(memory))
}
