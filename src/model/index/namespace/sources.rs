//! What a change of a source is to the workloads of its namespace.

use super::{Namespace, key_of};
use crate::model::{
    decide::Ages,
    index::{
        asked::{By, Clock, Tick},
        basis::Basis,
        changes::SourceChange,
        edges::Slot,
        foreseen::Takers,
        scope::Scope,
        sources::{Absence, KEPT_KEYS, Missed},
    },
    source::{SourceKey, SourceName},
    version::Version,
    workload::WorkloadKey,
};

/// How a version became known.
#[derive(Clone, Copy)]
pub(in crate::model::index) struct ToldBy {
    by: By,
    /// It would be known if it were other before: all sources are watched, and not merely selected ones, or types.
    watched: bool,
    /// So many single keys of it are kept where nobody uses it.
    keeps: usize,
}

impl ToldBy {
    /// `listed`: all workloads are known.
    pub(in crate::model::index) fn new(
        key: &SourceKey,
        version: &Version,
        by: By,
        (scope, listed): (&Scope, bool),
    ) -> Self {
        let keeps = match (listed, scope.is_synced(key.source.kind, &key.namespace)) {
            (false, _) => usize::MAX,
            (true, false) => 0,
            (true, true) => KEPT_KEYS,
        };
        Self {
            by,
            watched: scope.watches_all_sources() && !version.skipped,
            keeps,
        }
    }
}

impl Namespace {
    /// Takes in a version of a source.
    pub(in crate::model::index) fn take_source(
        &mut self,
        key: &SourceKey,
        version: Version,
        told: ToldBy,
        takers: &Takers,
        basis: &Basis,
        clock: &mut Clock,
    ) -> SourceChange {
        let ToldBy { by, watched, keeps } = told;
        let Some(taken) = self.sources.take(&key.source, version, by, clock) else {
            return SourceChange::default();
        };
        if taken.appeared {
            self.connect_globs(&key.source, takers);
        }
        if let Some(before) = &taken.counted_as {
            self.begin_to_count(&key.source, before, watched);
        }
        if taken.changed {
            self.forget_ages(&key.source);
        }
        let users = if taken.changed || taken.older {
            self.users_of(key)
        } else {
            Vec::new()
        };
        if taken.older {
            for user in &users {
                self.forget_unwritten(&(user.kind, user.name.clone()), basis);
            }
        }
        if users.is_empty() && !self.edges.is_used(&key.source) {
            self.sources.put_keys_away(&key.source, keeps);
        }
        SourceChange {
            changed: taken.changed,
            recreated: taken.recreated,
            users,
            older: taken.sighting,
        }
    }

    /// Takes in that a source is absent.
    pub(in crate::model::index) fn miss_source(
        &mut self,
        key: &SourceKey,
        absence: Absence,
        clock: &mut Clock,
    ) -> SourceChange {
        let used = absence.used || self.edges.is_used(&key.source);
        let absence = Absence { used, ..absence };
        let missed = self.sources.miss(&key.source, absence, clock);
        let gone = missed == Missed::Gone;
        if gone {
            self.forget_ages(&key.source);
        }
        // Who waits to know whether it exists is judged again.
        let changed = gone || (missed == Missed::Noted && absence.hides);
        let users = if changed {
            self.users_of(key)
        } else {
            Vec::new()
        };
        match missed {
            Missed::Nothing => {}
            // A fold may hold it.
            Missed::Noted => self.connect_globs(&key.source, &Takers::default()),
            Missed::Gone => self.disconnect_globs(&key.source),
        }
        if missed != Missed::Nothing && !used {
            let edges = &self.edges;
            let is_used = |name: &SourceName| edges.is_used(name);
            self.sources.went_unused(&key.source, is_used);
        }
        SourceChange {
            changed,
            users,
            ..SourceChange::default()
        }
    }

    /// Forgets a source, and even that it is gone.
    pub(in crate::model::index) fn forget_source(&mut self, name: &SourceName) {
        self.sources.forget(name);
        self.disconnect_globs(name);
    }

    /// Forgets sources that were deleted long ago and are not used, and the single keys of those that exist and are not.
    pub(in crate::model::index) fn expire(&mut self, now: i64) {
        let edges = &self.edges;
        self.sources.expire(now, |name| edges.is_used(name));
        self.put_keys_away();
    }

    /// Forgets the single keys of sources that are not used.
    pub(in crate::model::index) fn put_keys_away(&mut self) {
        let edges = &self.edges;
        self.sources.put_all_keys_away(|name| edges.is_used(name));
    }

    /// Takes in that a source may count from now on for workloads that it did not count for as it was `before`. Their pods
    /// have what it was then: one write that makes it count and changes its data is a change. Where it was not `watched`
    /// it is not known what it was right before that write, and it is adopted as it is.
    fn begin_to_count(&mut self, source: &SourceName, before: &Version, watched: bool) {
        let Some(now) = self.sources.present(source) else {
            return;
        };
        for slot in self.edges.users(source) {
            let Some(tracked) = self.workloads.get_mut(slot) else {
                continue;
            };
            if let Some(observed) = tracked.adopting(source, before, now, watched) {
                tracked.set_memory(observed);
            }
        }
    }

    /// Forgets how old pods are that use a source, because it changed: pods that came since they were looked up have what
    /// it was before.
    fn forget_ages(&mut self, source: &SourceName) {
        for slot in self.edges.users(source) {
            if let Some(tracked) = self.workloads.get_mut(slot) {
                tracked.ages = None;
            }
        }
    }

    /// Takes in how old the pods of a workload are that use what its template gained; they were looked up at this tick. They
    /// do not count if a source that it uses changed since.
    pub(in crate::model::index) fn set_ages(&mut self, slot: &Slot, ages: Ages, asked: Tick) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let sources = &self.sources;
        let changed = |source: &SourceName| {
            let known = sources.get(source);
            known.is_some_and(|known| known.told.learned() > asked)
        };
        if !tracked.uses().keys().any(changed) {
            tracked.ages = Some(Box::new(ages));
        }
    }

    /// Returns the opted-in workloads that use a source.
    pub(in crate::model::index) fn users_of(&self, key: &SourceKey) -> Vec<WorkloadKey> {
        let users = self.edges.users(&key.source);
        users.map(|slot| key_of(&key.namespace, slot)).collect()
    }
}
