//! What follows from what is known, for one workload at a time.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Index, Tracked,
    asked::Tick,
    memory::{is_news, supersedes},
    namespace::{Source, remembered},
};
use crate::model::{
    decide::{Decision, Doubt, Known, Lookup, Pods, Subject, Undecided, decide},
    observed::{Observed, Reading, Templates},
    policy::{Complaint, Policy, Selection},
    source::{References, SourceName, Usage},
    stamp::stamp_create,
    version::Version,
    workload::{Rollout, Stays, Workload, WorkloadKey},
};

/// A decision with what else matters for carrying it out.
#[derive(Clone, Debug)]
pub struct Judged {
    /// `None` where the workload is unknown, did not opt in, has a controller as owner, or is being deleted.
    pub decision: Option<Decision>,
    /// `observed` is to be written or removed.
    pub unwritten: bool,
    /// `reroll.dev/suspend`
    pub suspended: bool,
    /// `reroll.dev/settle`
    pub settle: Option<Duration>,
    /// How long changes are to gather after the first of them, and when that was, in unix seconds, as far as the sources
    /// themselves tell.
    pub gather: Option<(Duration, Option<i64>)>,
    /// Its pods are not those of its template after a restart, and will not be by themselves.
    pub stays: Option<Stays>,
    /// The owner that would revert what reroll writes, of a workload that opted in.
    pub owner: Option<String>,
    /// What of its annotations cannot be read.
    pub complaints: Vec<Complaint>,
}

/// Sources as they would be, or as they were read just now, laid over the index.
pub type Overlay<'a> = BTreeMap<&'a SourceName, Lookup<'a>>;

impl Index {
    /// Decides for a workload, with `overlay` laid over what is known of sources.
    pub fn assess(&self, key: &WorkloadKey, overlay: &Overlay) -> Option<Decision> {
        self.assess_from(key, overlay, None)
    }

    /// The same, where this was observed, and not what is remembered.
    pub(super) fn assess_from(
        &self,
        key: &WorkloadKey,
        overlay: &Overlay,
        observed: Option<&Observed>,
    ) -> Option<Decision> {
        let tracked = self.workload(key)?;
        let workload = &tracked.workload;
        if !tracked.policy.opted_in() || workload.controller.is_some() || workload.deleting {
            return None;
        }
        // Nobody knows what it uses, or there is nothing to restart.
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
        let live = |source: &SourceName| {
            overlay
                .get(source)
                .copied()
                .unwrap_or_else(|| self.look(&key.namespace, source, Some(tracked.read_at)))
        };
        let uses = without_ignored(tracked.uses(), &live);
        let known = match &tracked.memory {
            _ if self.is_doubted(tracked) => Known::UnknownKey,
            Some(Reading::Genuine(_)) if observed.is_some() => {
                observed.map_or(Known::Nothing, Known::Observed)
            }
            Some(Reading::OtherKey(observed)) if self.retired.contains(&observed.key_id) => {
                Known::OtherKey(observed)
            }
            memory => memory.as_ref().into(),
        };
        let decision = decide(&tracked.subject(key.kind, &uses), known, &live, &self.key);
        let doubtful = match &decision {
            Decision::Undecided(_) | Decision::Keep(_) => Vec::new(),
            Decision::Record(_) | Decision::Wait { .. } | Decision::Restart(_) => {
                self.doubtful(&key.namespace, &uses, overlay)
            }
        };
        if doubtful.is_empty() {
            Some(decision)
        } else {
            Some(Decision::doubted(Doubt::Behind, doubtful))
        }
    }

    /// The sources of which etcd has to be asked before anything is written because of them: history went back, and what
    /// is known of them may be of one that is no more. A list does not prove them: an API server that outlived its etcd
    /// has it from memory.
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

    /// Sources as they were read, laid over what is known: but for those of which something newer came since they were
    /// asked for.
    pub fn overlay<'a>(
        &self,
        namespace: &str,
        asked: Tick,
        reads: &'a [(SourceName, Option<Version>)],
    ) -> Overlay<'a> {
        let mut overlay = just_read(reads);
        for (source, read) in reads {
            let Some(stored) = self.stored(namespace, source) else {
                continue;
            };
            let newer = match (&stored.source, read) {
                (_, Some(read)) => stored.number() > read.resource_version,
                (Source::Present(_), None) => true,
                (Source::Tombstone { .. }, None) => false,
            };
            if newer && stored.told.learned() > asked {
                overlay.remove(source);
            }
        }
        overlay
    }

    /// Decides, and takes over at once what was observed without a restart; it is written later.
    pub fn judge(&mut self, key: &WorkloadKey, overlay: &Overlay) -> Judged {
        let decision = self.assess(key, overlay);
        self.judged(key, decision)
    }

    /// The same with sources as they were read, which were asked for at this moment.
    pub fn judge_read(
        &mut self,
        key: &WorkloadKey,
        asked: Tick,
        reads: &[(SourceName, Option<Version>)],
    ) -> Judged {
        let overlay = self.overlay(&key.namespace, asked, reads);
        let decision = self.assess(key, &overlay);
        self.judged(key, decision)
    }

    fn judged(&mut self, key: &WorkloadKey, decision: Option<Decision>) -> Judged {
        if let Some(Decision::Keep(next) | Decision::Record(next) | Decision::Wait { next, .. }) =
            &decision
        {
            self.remember(key, next.clone());
        }
        let tracked = self.workload(key);
        Judged {
            unwritten: self.unwritten(key).is_some(),
            stays: tracked
                .filter(|t| !t.workload.restarted_for.is_empty())
                .and_then(|t| match t.workload.rollout {
                    Rollout::Stays(stays) => Some(stays),
                    Rollout::Complete | Rollout::Rolling => None,
                }),
            suspended: tracked.is_some_and(|tracked| tracked.policy.suspend),
            settle: tracked.and_then(|tracked| tracked.policy.settle),
            gather: tracked
                .filter(|_| key.kind.gathers)
                .and_then(|tracked| tracked.policy.gather)
                .map(|period| (period, self.first_written(key, decision.as_ref()))),
            owner: tracked
                .filter(|t| t.policy.opted_in())
                .and_then(|tracked| tracked.workload.controller.clone()),
            complaints: tracked.map_or_else(Vec::new, |tracked| tracked.complaints.clone()),
            decision,
        }
    }

    /// When the first of the sources was written that a decision is about.
    fn first_written(&self, key: &WorkloadKey, decision: Option<&Decision>) -> Option<i64> {
        let causes = decision.into_iter().flat_map(Decision::causes);
        let written = causes
            .filter_map(|cause| cause.source.as_ref())
            .filter_map(|source| match self.source(&key.namespace, source) {
                Lookup::Present { version, .. } => Some(version.written),
                Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => None,
            });
        written.min()
    }

    /// What was observed of a workload that somebody shows: the annotation's content, or what is remembered and newer.
    pub fn effective(&self, key: &WorkloadKey, shown: &Workload) -> Option<Reading> {
        // Where it is shown older than it is known, either history went back, and what is remembered is of none; or the API
        // server looks at an old state, and will ask again.
        let known = self.workload(key).filter(|known| {
            let version = shown.resource_version;
            known.workload.uid == shown.uid
                && (version == 0 || known.workload.resource_version <= version)
        });
        let void = known.and_then(|known| known.void.as_ref());
        let written = shown.observed.as_ref().filter(|text| void != Some(*text));
        let own = |reading: &Reading| match reading {
            Reading::Genuine(observed)
            | Reading::Previous(observed)
            | Reading::OtherKey(observed) => observed.is_of(&shown.uid),
            Reading::Newer(_) | Reading::Foreign => true,
        };
        let reading = written
            .map(|text| Observed::read(text, &self.key))
            .filter(own);
        if let Some(Reading::OtherKey(observed)) = &reading
            && !self.retired.contains(&observed.key_id)
        {
            return reading;
        }
        let written = known.and_then(|known| known.written);
        match known.and_then(|known| known.memory.as_ref()) {
            Some(remembered) if !supersedes(reading.as_ref(), remembered, written, &shown.uid) => {
                Some(remembered.clone())
            }
            Some(_) => reading,
            None => reading.filter(|reading| is_news(reading, written)),
        }
    }

    /// What is known of the pods of a workload that somebody shows.
    pub fn pods_of(&self, key: &WorkloadKey, shown: &Workload) -> Pods<'static> {
        let known = self.workload(key);
        let known = known.filter(|known| known.workload.uid == shown.uid);
        let same_text = known.filter(|known| known.workload.observed == shown.observed);
        Pods {
            formers_gone: same_text.is_some_and(Tracked::are_formers_gone),
            unseen: known.is_some_and(Tracked::is_unseen),
            ..Pods::of(key.kind, shown)
        }
    }

    /// What a first `observed` of a workload that somebody shows counts on from.
    pub fn sequence_of(&self, key: &WorkloadKey, shown: &Workload) -> u64 {
        let known = self
            .workload(key)
            .filter(|known| known.workload.uid == shown.uid);
        known
            .map_or(0, Tracked::sequence)
            .max(shown.resource_version)
    }

    /// The `observed` of a workload that is created now, whose pods start after this; `None` where it did not opt in.
    pub fn observed_of_new(
        &self,
        key: &WorkloadKey,
        workload: &Workload,
        now: i64,
    ) -> Option<String> {
        let (policy, _) = Policy::of(workload, self.defaults_of(&key.namespace));
        let Selection::Some(rules) = &policy.selection else {
            return None;
        };
        let live = |source: &SourceName| self.source(&key.namespace, source);
        let uses = without_ignored(&self.select(key, rules, &workload.references), &live);
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
        };
        let stamp = stamp_create(&subject, None, &live, now, &self.key);
        Some(stamp.observed.print(&self.key))
    }

    /// Takes over what a decision without a restart observed, at once; it is written later.
    ///
    /// However often that happens before it is written, it is one write ahead of the annotation: so is what the webhook
    /// stamps meanwhile, which must count against it.
    pub fn remember(&mut self, key: &WorkloadKey, mut observed: Observed) {
        let Some(space) = self.namespaces.get_mut(&key.namespace) else {
            return;
        };
        let slot = (key.kind, key.name.clone());
        let Some(tracked) = space.workloads.get_mut(&slot) else {
            return;
        };
        if let Some(ahead) = tracked.unwritten_sequence() {
            observed.sequence = observed.sequence.min(ahead);
        }
        let forgotten: Vec<_> = remembered(tracked.memory.as_ref())
            .filter(|source| !observed.entries.contains_key(source))
            .cloned()
            .collect();
        tracked.set_memory(observed);
        for source in &forgotten {
            space.reconnect(&slot, source);
        }
    }
}

/// Versions that were read from the API server just now, as lookups.
pub fn just_read(reads: &[(SourceName, Option<Version>)]) -> Overlay<'_> {
    let lookup = |(source, version)| {
        let live = match version {
            Some(version) => Lookup::Present {
                version,
                fresh: true,
            },
            None => Lookup::Absent {
                last: None,
                since: u64::MAX,
            },
        };
        (source, live)
    };
    reads
        .iter()
        .map(|(source, version)| lookup((source, version.as_ref())))
        .collect()
}

/// What is used, without sources that ask to be ignored, or do not ask to be found where they have to.
pub fn without_ignored<'a>(
    uses: &References,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
) -> References {
    let counts = |source: &SourceName, usage: &Usage| {
        let version = match live(source) {
            Lookup::Present { version, .. } => Some(version),
            Lookup::Absent { last, .. } => last,
            Lookup::Unsynced | Lookup::Unseen => return true,
        };
        version.map_or(!usage.if_matched, |version| version.counts_for(usage))
    };
    uses.iter()
        .filter(|(source, usage)| counts(source, usage))
        .map(|(source, usage)| (source.clone(), usage.clone()))
        .collect()
}
