//! How the index takes in what becomes known.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;

use super::{
    Index,
    asked::{By, Tick},
    changes::{SourceChange, WorkloadChange},
    csi::Drawn,
    foreseen::{Ahead, Foreseen, Takers},
    namespace::{Namespace, ToldBy},
    overlay::Overlay,
    sources::Absence,
};
use crate::model::{
    csi::{Part, PodStatus},
    decide::{Ages, Decision},
    observed::Observed,
    source::{SourceKey, SourceKind, SourceName},
    version::Version,
    workload::{Workload, WorkloadKey},
};

/// Sources that are other than they were.
pub type Changes = Vec<(SourceKey, SourceChange)>;

impl Index {
    // === workloads ===

    /// Takes in a workload as an event shows it.
    pub fn apply_workload(&mut self, key: &WorkloadKey, workload: Workload) -> WorkloadChange {
        self.take_workload(key, workload, By::Event)
    }

    /// Takes in a workload, however it became known.
    pub fn take_workload(
        &mut self,
        key: &WorkloadKey,
        workload: Workload,
        by: By,
    ) -> WorkloadChange {
        self.take_workload_with(key, workload, by, None)
    }

    /// Takes in a workload of which it was worked out before what it asks for.
    pub fn take_workload_with(
        &mut self,
        key: &WorkloadKey,
        workload: Workload,
        by: By,
        foreseen: Option<Foreseen>,
    ) -> WorkloadChange {
        if !self.works_in(&key.namespace) {
            return WorkloadChange::default();
        }
        let space = self.namespaces.entry(&key.namespace);
        let slot = (key.kind, key.name.clone());
        let lender = space.lender_of(&self.basis.kinds, &slot);
        let (basis, clock) = (&self.basis, &mut self.clock);
        let change = space.take_workload(&slot, workload, by, foreseen, basis, clock);
        match change {
            None => WorkloadChange::default(),
            Some(change) => WorkloadChange {
                related: space.share(key, lender, &self.basis),
                ..change
            },
        }
    }

    /// Takes in that a workload is gone. Returns others of the same template, for which that changes something.
    pub fn delete_workload(&mut self, key: &WorkloadKey) -> Vec<WorkloadKey> {
        let Some(space) = self.namespaces.get_mut(&key.namespace) else {
            return Vec::new();
        };
        let slot = (key.kind, key.name.clone());
        let lender = space.lender_of(&self.basis.kinds, &slot);
        let gone = space.delete_workload(&slot);
        if let Some(gone) = gone.filter(|gone| gone.workload.orphans) {
            self.orphaned.remember(key, &gone);
        }
        space.share(key, lender, &self.basis)
    }

    /// Takes over what a decision without a restart observed, at once; it is written later.
    pub fn remember(&mut self, key: &WorkloadKey, observed: Observed) {
        if let Some(space) = self.namespaces.get_mut(&key.namespace) {
            space.remember(&(key.kind, key.name.clone()), observed);
        }
    }

    /// Takes in that the pods of a workload have these sources as they were before, where nothing may restart it now:
    /// something that pods need is absent, or is not known to be there, or restarts are held back. It is restarted for them
    /// then as for any change. Returns false, and takes in nothing, where it may be restarted.
    pub fn set_outdated(&mut self, key: &WorkloadKey, sources: &[SourceName]) -> bool {
        let decision = self.assess(key, &Overlay::new());
        let Some(tracked) = self.workload(key) else {
            return false;
        };
        let waits = matches!(
            decision,
            Some(Decision::Wait { .. } | Decision::Undecided(_))
        );
        if !waits && !super::gates::is_held_back(self, key) {
            return false;
        }
        if let Some(observed) = tracked.outdated(sources) {
            self.remember(key, observed);
        }
        true
    }

    /// Takes in whether a container that needs what is absent has ever started.
    pub fn set_started(&mut self, key: &WorkloadKey, started: bool) {
        if let Some(tracked) = self.namespaces.workload_mut(key) {
            tracked.started = Some(started);
        }
    }

    /// Takes in how old the pods are that use what the template gained; they were looked up at this tick.
    pub fn set_ages(&mut self, key: &WorkloadKey, ages: Ages, asked: Tick) {
        let space = self.namespaces.entry(&key.namespace);
        space.set_ages(&(key.kind, key.name.clone()), ages, asked);
    }

    /// Takes in that no pod has what is former of a workload.
    pub fn forget_formers(&mut self, key: &WorkloadKey) {
        if let Some(tracked) = self.namespaces.workload_mut(key) {
            tracked.forget_formers();
        }
    }

    /// Takes in that it was looked up which pods a workload adopted: what they have is what is remembered.
    pub fn set_examined(&mut self, key: &WorkloadKey) {
        if let Some(tracked) = self.namespaces.workload_mut(key) {
            tracked.examined = true;
        }
    }

    /// Returns what is needed to work out what a workload selects that is taken in next; `None` where that costs nothing.
    pub fn ahead(&self, key: &WorkloadKey, workload: &Workload) -> Option<Ahead> {
        let space = self.namespaces.get(&key.namespace);
        let (own, others) = (self.defaults_of(&key.namespace), self.basis.defaults);
        let sources = space.map(|space| &space.sources);
        Ahead::of(self.workload(key), workload, own, others, sources)
    }

    /// Returns the workloads whose opt-in may take a source, where it is not known to exist.
    pub fn takers(&self, key: &SourceKey) -> Takers {
        let space = self.namespaces.get(&key.namespace);
        let space = space.filter(|space| space.sources.present(&key.source).is_none());
        space.map_or_else(Takers::default, |space| Takers::of(space.globbing()))
    }

    // === sources ===

    /// Takes in an event: a version that exists, or existed, in the API.
    pub fn apply_source(&mut self, key: &SourceKey, version: Version) -> SourceChange {
        self.take_source(key, version, By::Event)
    }

    /// Takes in a version, however it became known.
    pub fn take_source(&mut self, key: &SourceKey, version: Version, by: By) -> SourceChange {
        self.take_source_with(key, version, by, &Takers::default())
    }

    /// Takes in a version of a source of which it was worked out before who takes it.
    pub fn take_source_with(
        &mut self,
        key: &SourceKey,
        version: Version,
        by: By,
        takers: &Takers,
    ) -> SourceChange {
        if !self.works_in(&key.namespace) {
            return SourceChange::default();
        }
        let space = self.namespaces.entry(&key.namespace);
        let told = ToldBy::new(key, &version, by, (&self.scope, self.listed));
        let (basis, clock) = (&self.basis, &mut self.clock);
        space.take_source(key, version, told, takers, basis, clock)
    }

    /// Takes in the event that a source is gone: `resource_version` is that of the deletion, `now` is in unix seconds. Where
    /// only selected ones are watched, it may as well be selected no more.
    pub fn delete_source(
        &mut self,
        key: &SourceKey,
        resource_version: u64,
        now: i64,
    ) -> SourceChange {
        self.take_absence(key, By::Event, resource_version, now)
    }

    /// Takes in that a source that was asked for is not there; `now` is in unix seconds.
    pub fn miss_source(&mut self, key: &SourceKey, by: By, now: i64) -> SourceChange {
        self.take_absence(key, by, 0, now)
    }

    fn take_absence(&mut self, key: &SourceKey, by: By, number: u64, now: i64) -> SourceChange {
        if !self.works_in(&key.namespace) {
            return SourceChange::default();
        }
        let absence = Absence {
            by,
            number,
            now,
            watches_all: self.scope.watches_all_sources(),
            hides: self.scope.conventions().hides(key.source.kind),
            used: !self.listed,
        };
        let space = self.namespaces.entry(&key.namespace);
        space.miss_source(key, absence, &mut self.clock)
    }

    /// Takes in that the first list of a kind of source is complete: from now on absence means something. Returns whether
    /// that is news.
    pub fn set_synced(&mut self, kind: SourceKind) -> bool {
        self.scope.set_synced(kind, None)
    }

    /// Takes in the same for one namespace.
    pub fn set_synced_in(&mut self, kind: SourceKind, namespace: &str) -> bool {
        self.scope.set_synced(kind, Some(namespace))
    }

    // === classes of the Secrets Store CSI driver ===

    /// Takes in an event: what a pod mounted, by the name of its status; `None`: nothing (any more).
    pub fn apply_pod_status(
        &mut self,
        namespace: &str,
        name: &str,
        status: Option<PodStatus>,
    ) -> Changes {
        self.take_pod_status(namespace, name, status, By::Event)
    }

    /// Takes in the same, however it became known.
    pub fn take_pod_status(
        &mut self,
        namespace: &str,
        name: &str,
        status: Option<PodStatus>,
        by: By,
    ) -> Changes {
        if !self.works_in(namespace) {
            return Changes::new();
        }
        let classes = &mut self.namespaces.entry(namespace).classes;
        let affected = classes.take_status(name, status, by);
        self.publish(namespace, affected)
    }

    /// Takes in a class itself; `None`: it is gone.
    pub fn apply_class(
        &mut self,
        namespace: &str,
        name: &str,
        meta: Option<&ObjectMeta>,
    ) -> Changes {
        if !self.works_in(namespace) {
            return Changes::new();
        }
        let classes = &mut self.namespaces.entry(namespace).classes;
        classes.take_class(name, meta);
        self.publish(namespace, BTreeSet::from([name.to_owned()]))
    }

    /// Takes in that a list is complete. Returns whether it is news that both are answered, and what became other.
    pub fn set_listed(&mut self, part: Part, within: Option<&str>) -> (bool, Changes) {
        let news = self.set_answered(part, within);
        let complete = part == Part::Statuses && self.scope.set_complete(within, true);
        let mut changes = Changes::new();
        // In a namespace that is listed by itself nothing is complete before both are.
        if complete || news {
            let names =
                |(name, space): (&String, &Namespace)| (name.clone(), space.classes.names());
            let known: BTreeMap<_, _> = self.namespaces.within(within).map(names).collect();
            for (namespace, classes) in known {
                changes.extend(self.publish(&namespace, classes));
            }
        }
        (news, changes)
    }

    /// Takes in that a list is complete, or that there will be none for now. Returns whether it is news that both are
    /// answered.
    pub fn set_answered(&mut self, part: Part, within: Option<&str>) -> bool {
        self.scope.set_answered(part, within)
    }

    /// Takes in that the kind is not served any more: what was known by it is forgotten. Returns how many objects those
    /// were.
    pub fn forget_part(&mut self, part: Part, within: Option<&str>) -> usize {
        if part == Part::Statuses {
            self.scope.set_complete(within, false);
        }
        let known = self.known_parts(part, within);
        for (namespace, name) in &known {
            match part {
                Part::Statuses => drop(self.apply_pod_status(namespace, name, None)),
                Part::Classes => drop(self.apply_class(namespace, name, None)),
            }
        }
        known.len()
    }

    /// Draws the content of classes anew, and takes it in as any source's.
    fn publish(&mut self, namespace: &str, classes: BTreeSet<String>) -> Changes {
        let complete = self.scope.statuses_complete(namespace);
        let space = self.namespaces.entry(namespace);
        let drawn = space.classes.draw(classes, complete);
        let mut changes = Changes::new();
        for (source, drawn) in drawn {
            match drawn {
                Drawn::Gone => self.namespaces.entry(namespace).forget_source(&source),
                Drawn::Content(version) => {
                    let namespace = namespace.to_owned();
                    let key = SourceKey { namespace, source };
                    // It is drawn from what is known now.
                    let change = self.take_source(&key, version, By::List(self.tick()));
                    if change.changed {
                        changes.push((key, change));
                    }
                }
            }
        }
        changes
    }

    // === namespaces ===

    /// Takes in a namespace's default opt-in. Returns the workloads for which that changes something.
    pub fn apply_namespace(&mut self, name: &str, default: Option<String>) -> Vec<WorkloadKey> {
        let unknown = self.namespaces.get(name).is_none();
        if (default.is_none() && unknown) || !self.works_in(name) {
            return Vec::new();
        }
        if self
            .namespaces
            .entry(name)
            .set_default(default, &self.basis)
        {
            self.workloads(None, Some(name))
        } else {
            Vec::new()
        }
    }

    /// Takes in that a namespace is selected. `late`: the lists of everything may have missed it, so that it is to be listed
    /// by itself. Returns whether that is news.
    pub fn select_namespace(&mut self, namespace: &str, late: bool) -> bool {
        self.scope.select(namespace, late)
    }

    /// Takes in that a namespace is not selected any more, and forgets what is in it. Returns its workloads; `None` where
    /// that is no news.
    pub fn leave_namespace(&mut self, namespace: &str) -> Option<Vec<WorkloadKey>> {
        self.scope.leave(namespace).then(|| {
            let workloads = self.workloads(None, Some(namespace));
            self.namespaces.remove(namespace);
            workloads
        })
    }

    /// Takes in that all workloads are known: a source that none of them uses is used by nobody.
    pub fn workloads_listed(&mut self) {
        self.listed = true;
        self.namespaces.put_keys_away();
    }

    // === time ===

    /// Returns the time for a read that is sent now.
    pub fn tick(&self) -> Tick {
        self.clock.now()
    }

    /// Takes in that history went back: what is remembered of workloads besides what they show is forgotten, and etcd's own
    /// word on sources is needed from now on before anything is written because of them.
    pub fn history_went_back(&mut self) {
        self.clock.went_back();
        for space in self.namespaces.iter_mut() {
            space.history_went_back(&self.basis);
        }
    }

    /// Takes in that these digest keys are out of use: what was observed under them is adopted again.
    pub fn retire_keys(&mut self, ids: BTreeSet<String>) {
        self.retired.retire(ids);
    }

    /// Forgets sources that were deleted long ago and are not used, and namespaces that are empty.
    pub fn expire(&mut self, now: i64) {
        self.orphaned.expire(now);
        self.namespaces.expire(now);
    }
}
