//! What follows from what is known, for one workload at a time.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    Index,
    asked::Tick,
    judged::{Judged, released, stays},
    overlay::{Overlay, just_read, without_ignored},
    tracked::Tracked,
};
use crate::model::{
    decide::{
        CauseKind, Decision, Doubt, Known, Lookup, NO_SOURCES, Pods, Subject, Undecided, decide,
        meanwhile, rewritten::rewritten,
    },
    observed::{Observed, Reading, TakenOver, Templates},
    policy::{Complaint, Selection},
    recreation::{Asked, CALM_SECONDS},
    source::{References, SourceName},
    stamp::stamp_create,
    version::Version,
    workload::{Workload, WorkloadKey},
};

/// A source and its version as read; `None` if it does not exist.
type Read = (SourceName, Option<Version>);

/// How sources are looked up.
type Looked<'a> = dyn Fn(&SourceName) -> Lookup<'a> + 'a;

impl Index {
    /// Decides for a workload, with `overlay` laid over what is known of sources.
    pub fn assess(&self, key: &WorkloadKey, overlay: &Overlay) -> Option<Decision> {
        self.assess_from(key, overlay, None)
    }

    /// Returns the same, where this was observed, and not what is remembered.
    pub(super) fn assess_from(
        &self,
        key: &WorkloadKey,
        overlay: &Overlay,
        observed: Option<&Observed>,
    ) -> Option<Decision> {
        let tracked = self.workload(key)?;
        let workload = &tracked.workload;
        if !tracked.policy.opted_in() || workload.reverting_owner().is_some() || workload.deleting {
            return None;
        }
        // It is not known what it uses, or there is nothing to restart.
        let known = match &workload.borrows {
            Some(template) => template.known,
            None => workload.shape.template,
        };
        if !known {
            return None;
        }
        if tracked.policy.selection == Selection::Unreadable {
            return Some(Decision::Undecided(Undecided::Unreadable));
        }
        let decided = |subject: &Subject, known: Known, live: &Looked| {
            let decision = decide(subject, known, live, &self.basis.key);
            let doubtful = match &decision {
                Decision::Undecided(_) | Decision::Keep(_) => Vec::new(),
                Decision::Record(_) | Decision::Wait { .. } | Decision::Restart(_) => {
                    self.doubtful(&key.namespace, subject.uses, overlay)
                }
            };
            if doubtful.is_empty() {
                decision
            } else {
                Decision::doubted(Doubt::Behind, doubtful)
            }
        };
        Some(self.regarded(key, tracked, (overlay, observed), decided))
    }

    /// Returns what this says of a workload, with `overlay` laid over what is known of sources; `observed`: where that was
    /// observed, and not what is remembered.
    fn regarded<'a, T>(
        &'a self,
        key: &'a WorkloadKey,
        tracked: &'a Tracked,
        (overlay, observed): (&'a Overlay<'a>, Option<&Observed>),
        say: impl FnOnce(&Subject, Known, &Looked<'a>) -> T,
    ) -> T {
        let live = self.live(key, tracked, overlay);
        let uses = without_ignored(tracked.uses(), &live);
        let known = match &tracked.memory {
            _ if self.retired.doubted(tracked).is_some() => Known::UnknownKey,
            Some(Reading::Genuine(_)) if observed.is_some() => {
                observed.map_or(Known::Nothing, Known::Observed)
            }
            Some(Reading::OtherKey(observed)) if self.retired.contains(&observed.key_id) => {
                Known::OtherKey(observed)
            }
            memory => memory.as_ref().into(),
        };
        let after_machines = self.after_machines(&key.namespace, overlay);
        let mut subject = Subject {
            after_machines: &after_machines,
            ..tracked.subject(key.kind, &uses)
        };
        if tracked.workload.yields_marks() {
            subject = subject.yielding(known);
        }
        say(&subject, known, &live)
    }

    /// Returns how the sources of a workload are looked up, for what it uses of them.
    fn live<'a>(
        &'a self,
        key: &'a WorkloadKey,
        tracked: &'a Tracked,
        overlay: &'a Overlay<'a>,
    ) -> impl Fn(&SourceName) -> Lookup<'a> {
        |source| {
            let read = overlay.get(source).copied();
            read.unwrap_or_else(|| self.look(&key.namespace, source, Some(tracked)))
                .telling(|| tracked.uses().get(source))
        }
    }

    /// Returns the sources of which etcd has to be asked before anything is written because of them: history went
    /// back, and what is known of them may be of one that is no more. A list does not prove them: an API server that
    /// outlived its etcd has it from memory.
    fn doubtful(&self, namespace: &str, uses: &References, overlay: &Overlay) -> Vec<SourceName> {
        if !self.clock.doubts_any() {
            return Vec::new();
        }
        let doubtful = |source: &&SourceName| {
            let told = self.stored(namespace, source).map(|stored| stored.told);
            source.kind.is_readable() && !overlay.contains_key(source) && self.clock.doubts(told)
        };
        uses.keys().filter(doubtful).cloned().collect()
    }

    /// Returns sources as they were read, laid over what is known: but for those of which something newer came since
    /// they were asked for.
    pub fn overlay<'a>(
        &self,
        namespace: &str,
        asked: Tick,
        reads: &'a [(SourceName, Option<Version>)],
    ) -> Overlay<'a> {
        let mut overlay = just_read(reads);
        for read in reads {
            if self.known_newer(namespace, read) > Some(asked) {
                overlay.remove(&read.0);
            }
        }
        overlay
    }

    /// Returns those reads that are older than what was known when they were asked for: no watch may ever show them.
    pub fn contradicted_by<'a>(
        &self,
        namespace: &str,
        asked: Tick,
        reads: &'a [Read],
    ) -> impl Iterator<Item = &'a Read> {
        let learned = move |read: &&Read| self.known_newer(namespace, read);
        let older = move |read: &&Read| learned(read).is_some_and(|learned| learned <= asked);
        reads.iter().filter(older)
    }

    /// Returns when it was learned what is known of a source, where that is newer than it was read; `None` where it is not.
    fn known_newer(&self, namespace: &str, (source, read): &Read) -> Option<Tick> {
        let stored = self.stored(namespace, source)?;
        let newer = match read {
            Some(read) => stored.number() > read.resource_version,
            None => stored.present().is_some(),
        };
        newer.then(|| stored.told.learned())
    }

    /// Returns the sources of a namespace that took the place of an object that a machine had made, as they are known, or
    /// as `overlay` has them.
    pub fn after_machines(
        &self,
        namespace: &str,
        overlay: &Overlay<'_>,
    ) -> Cow<'_, BTreeSet<SourceName>> {
        let Some(space) = self.namespaces.get(namespace) else {
            return Cow::Borrowed(&NO_SOURCES);
        };
        space.sources.after_machines_with(overlay)
    }

    /// Decides, and takes over at once what was observed without a restart; it is written later.
    pub fn judge(&mut self, key: &WorkloadKey, overlay: &Overlay) -> Judged {
        let decision = self.decided(key, overlay);
        self.judged(key, decision)
    }

    /// Returns the same with sources as they were read, which were asked for at this moment.
    pub fn judge_read(
        &mut self,
        key: &WorkloadKey,
        asked: Tick,
        reads: &[(SourceName, Option<Version>)],
    ) -> Judged {
        let overlay = self.overlay(&key.namespace, asked, reads);
        let decision = self.decided(key, &overlay);
        self.judged(key, decision)
    }

    fn decided(&mut self, key: &WorkloadKey, overlay: &Overlay) -> Option<Decision> {
        let decision = self.assess(key, overlay);
        if !matches!(decision, Some(Decision::Restart(_))) {
            return decision;
        }
        let rewritten = self.rewritten(key, overlay);
        let Some(next) = rewritten.or_else(|| self.meanwhile(key, overlay)) else {
            return decision;
        };
        self.remember(key, next);
        self.assess(key, overlay)
    }

    /// Returns what was observed of a workload as it is under our key, where it was observed under another.
    fn rewritten(&self, key: &WorkloadKey, overlay: &Overlay) -> Option<Observed> {
        let tracked = self.workload(key)?;
        let Some(Reading::OtherKey(observed)) = &tracked.memory else {
            return None;
        };
        let live = self.live(key, tracked, overlay);
        let subject = tracked.subject(key.kind, tracked.uses());
        Some(rewritten(&subject, observed, &live, &self.basis.key))
    }

    /// Returns what `observed` becomes while the restart that is due waits; `None` where that is nothing new.
    fn meanwhile(&self, key: &WorkloadKey, overlay: &Overlay) -> Option<Observed> {
        let tracked = self.workload(key)?;
        self.regarded(key, tracked, (overlay, None), |subject, known, live| {
            meanwhile(subject, known, live, &self.basis.key)
        })
    }

    fn judged(&mut self, key: &WorkloadKey, decision: Option<Decision>) -> Judged {
        if let Some(Decision::Keep(next) | Decision::Record(next) | Decision::Wait { next, .. }) =
            &decision
        {
            self.remember(key, next.clone());
        }
        if let Some(tracked) = self.namespaces.workload_mut(key) {
            tracked.decided(decision.as_ref());
        }
        let tracked = self.workload(key);
        let released = released(tracked, decision.as_ref(), &self.basis.key);
        Judged {
            unwritten: self.unwritten(key).is_some(),
            stays: tracked.and_then(|tracked| stays(tracked, key.kind)),
            stop: super::gates::stop_now(self, key, released),
            released,
            aborted: tracked.is_some_and(|tracked| tracked.workload.lent.aborted),
            settle: tracked.and_then(|tracked| tracked.policy.settle),
            gather: tracked
                .filter(|_| key.kind.gathers)
                .and_then(|tracked| tracked.policy.gather)
                .map(|period| (period, self.first_written(key, decision.as_ref()))),
            owner: tracked
                .filter(|t| t.policy.opted_in())
                .and_then(|tracked| tracked.workload.reverting_owner())
                .map(ToOwned::to_owned),
            taken_back: tracked
                .filter(|tracked| tracked.is_mark_taken_back())
                .and_then(|tracked| tracked.workload.controller.clone()),
            absent: super::absent::of(self, key, decision.as_ref()),
            complaints: self.complaints(key, decision.as_ref()),
            decision,
        }
    }

    /// Returns from when on [`Self::unwritten`] is to be written, in unix seconds, where nothing but the uids of recreated
    /// sources is to be taken over: once they have been calm for a while.
    pub fn calm_at(&self, key: &WorkloadKey) -> Option<i64> {
        let tracked = self.workload(key)?;
        let text = tracked.workload.observed.as_ref()?;
        if tracked.is_pending_over() {
            // What is pending no more is not to be read for another minute.
            return None;
        }
        let Reading::Genuine(written) = Observed::read(text, &self.basis.key) else {
            return None;
        };
        let last_made = |source: &SourceName| {
            // One that is absent may be about to come back.
            let last = self.source(&key.namespace, source).last()?;
            Some(last.changed_at())
        };
        let last = match TakenOver::between(&written, tracked.observed()?)? {
            TakenOver::Entries(sources) => sources.iter().filter_map(last_made).max(),
            TakenOver::Folded => tracked.uses().keys().filter_map(last_made).max(),
        };
        last.map(|last| last.saturating_add(CALM_SECONDS))
    }

    /// Returns what cannot be read of a workload's annotations, and of those of sources for whose recreation it restarts.
    fn complaints(&self, key: &WorkloadKey, decision: Option<&Decision>) -> Vec<Complaint> {
        let own = self.workload(key).map(|tracked| tracked.complaints.clone());
        let causes = decision.into_iter().flat_map(Decision::causes);
        let recreated = causes.filter(|cause| cause.kind == CauseKind::Recreated);
        let of_sources = recreated.filter_map(|cause| {
            let source = cause.source.as_ref()?;
            let version = self.stored(&key.namespace, source)?.present()?;
            let unreadable = version.origin.asks == Asked::Unreadable;
            unreadable.then(|| Complaint::of_recreation(source))
        });
        own.into_iter().flatten().chain(of_sources).collect()
    }

    /// Returns when the first of the sources was written that a decision is about.
    fn first_written(&self, key: &WorkloadKey, decision: Option<&Decision>) -> Option<i64> {
        let causes = decision.into_iter().flat_map(Decision::causes);
        let written = causes
            .filter_map(|cause| cause.source.as_ref())
            .filter_map(|source| self.source(&key.namespace, source).version())
            .map(Version::changed_at);
        written.min()
    }

    /// Whether pods of a workload may have an immutable object of this source with another uid, as far as that is known.
    pub fn has_immutable(&self, key: &WorkloadKey, source: &SourceName, uid: &str) -> bool {
        let stored = self.stored(&key.namespace, source);
        let observed = self.workload(key).and_then(Tracked::observed);
        stored.is_some_and(|stored| stored.was_immutable(uid))
            || observed.is_some_and(|observed| observed.has_immutable(source, uid))
    }

    /// Returns the `observed` of a workload that is created now, whose pods start after this; `None` where it did not
    /// opt in.
    pub fn observed_of_new(
        &self,
        key: &WorkloadKey,
        workload: &Workload,
        now: i64,
    ) -> Option<String> {
        let (policy, _, uses) = self.selected(key, workload, None);
        if !matches!(policy.selection, Selection::Some(_)) {
            return None;
        }
        let live = |source: &SourceName| {
            let known = self.source(&key.namespace, source);
            known.telling(|| uses.get(source))
        };
        let uses = without_ignored(&uses, &live);
        let subject = Subject {
            uid: "",
            created: now,
            generation: 0,
            restarted_for: workload.mark(),
            uses: &uses,
            policy: &policy,
            templates: Templates {
                now: &workload.references,
                before: None,
            },
            widened: None,
            pods: Pods::of(key.kind, workload),
            sequence: 0,
            examined: true,
            stopped: false,
            after_machines: &NO_SOURCES,
        };
        let stamp = stamp_create(&subject, None, &live, now, &self.basis.key);
        Some(stamp.observed.print(&self.basis.key))
    }
}
