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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::{
    decide::{Decision, Known, Lookup, Outcome, Subject, Undecided, decide},
    observed::{Observed, Reading},
    policy::{Complaint, Policy, Rules, Selection},
    source::{References, SourceKey, SourceKind, SourceName},
    version::{DigestKey, Version},
    workload::{Kind, Rollout, Stays, Workload, WorkloadKey},
};

/// How long a deleted source is remembered, in seconds.
pub const TOMBSTONE_SECONDS: i64 = 3600;

/// Everything that is known.
#[derive(Debug)]
pub struct Index {
    key: DigestKey,
    synced: BTreeSet<(SourceKind, Option<String>)>,
    namespaces: HashMap<String, Namespace>,
}

#[derive(Debug, Default)]
struct Namespace {
    default: Option<String>,
    sources: HashMap<SourceName, Source>,
    workloads: HashMap<(Kind, String), Tracked>,
    users: HashMap<SourceName, BTreeSet<(Kind, String)>>,
    globbing: BTreeSet<(Kind, String)>,
}

#[derive(Debug)]
enum Source {
    Present(Version),
    Tombstone {
        last: Option<Version>,
        since: u64,
        at: i64,
    },
}

/// A workload and what follows from its annotations.
#[derive(Debug)]
pub struct Tracked {
    /// As last read.
    pub workload: Workload,
    /// What it asks for, its namespace's default included.
    pub policy: Policy,
    /// What of that cannot be read.
    pub complaints: Vec<Complaint>,
    /// What counts of what it uses.
    pub uses: References,
    /// What was observed: the annotation's content, or what is newer than it.
    memory: Option<Reading>,
    /// The highest sequence that was read from the annotation.
    written: u64,
    /// An annotation text that must not count any more, because the workload opted out after it was written.
    void: Option<String>,
    /// Whether a container that needs what is absent has ever started, once somebody looked.
    started: Option<bool>,
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
    /// Knows nothing yet.
    pub fn new(key: DigestKey) -> Self {
        Self {
            key,
            synced: BTreeSet::new(),
            namespaces: HashMap::new(),
        }
    }

    /// The key that all digests in it were made with.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// The first list of a kind of source is complete: from now on absence means something. Gives whether that is news.
    pub fn set_synced(&mut self, kind: SourceKind) -> bool {
        self.synced.insert((kind, None))
    }

    /// The same for one namespace.
    pub fn set_synced_in(&mut self, kind: SourceKind, namespace: &str) -> bool {
        self.synced.insert((kind, Some(namespace.to_owned())))
    }

    fn is_synced(&self, kind: SourceKind, namespace: &str) -> bool {
        self.synced.iter().any(|(synced, within)| {
            *synced == kind && within.as_ref().is_none_or(|within| within == namespace)
        })
    }

    /// Takes in a version that exists, or existed, in the API.
    pub fn apply_source(&mut self, key: &SourceKey, version: Version) -> Change {
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
                    recreated || known.whole != version.whole || known.ignored != version.ignored;
                *known = version;
            }
            Some(Source::Tombstone { last, .. }) => {
                recreated = last.as_ref().is_some_and(|last| last.uid != version.uid);
                space.put(&key.source, Source::Present(version));
            }
            None => space.put(&key.source, Source::Present(version)),
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

    /// Takes in that a source is gone: `resource_version` is that of the deletion, `now` is in unix seconds.
    pub fn delete_source(&mut self, key: &SourceKey, resource_version: u64, now: i64) -> Change {
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let (since, at) = (resource_version, now);
        match space.sources.get_mut(&key.source) {
            Some(Source::Present(known)) if known.resource_version <= resource_version => {
                let last = Some(known.clone());
                let users = space.users_of(&key.namespace, &key.source);
                space.put(&key.source, Source::Tombstone { last, since, at });
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
                let last = None;
                space.put(&key.source, Source::Tombstone { last, since, at });
                Change::default()
            }
        }
    }

    /// The sources of a kind, with their resourceVersions: what a new list is compared with. `within`: one namespace.
    pub fn sources(&self, kind: SourceKind, within: Option<&str>) -> HashMap<SourceKey, u64> {
        let spaces = self
            .namespaces
            .iter()
            .filter(|(name, _)| within.is_none_or(|within| within == name.as_str()));
        let mut all = HashMap::new();
        for (namespace, space) in spaces {
            for (source, known) in &space.sources {
                if let (Source::Present(version), true) = (known, source.kind == kind) {
                    let key = SourceKey {
                        namespace: namespace.clone(),
                        source: source.clone(),
                    };
                    all.insert(key, version.resource_version);
                }
            }
        }
        all
    }

    /// Takes in a workload. Gives whether it has become adopted by a write that is seen only now: by the webhook, or by
    /// another replica.
    pub fn apply_workload(&mut self, key: &WorkloadKey, workload: Workload) -> bool {
        let digest_key = &self.key;
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let slot = (key.kind, key.name.clone());
        let older = |known: &Tracked| known.workload.resource_version > workload.resource_version;
        if space.workloads.get(&slot).is_some_and(older) {
            return false;
        }
        space.disconnect(&slot);
        let before = space.workloads.remove(&slot);
        let untouched = before
            .as_ref()
            .is_some_and(|known| known.memory.is_none() && known.workload.uid == workload.uid);
        let tracked = Tracked::follow(workload, before, space.default.as_deref(), digest_key);
        let adopted = untouched && matches!(tracked.memory, Some(Reading::Genuine(_)));
        space.workloads.insert(slot.clone(), tracked);
        space.connect(&slot);
        adopted
    }

    /// Takes in that a workload is gone.
    pub fn delete_workload(&mut self, key: &WorkloadKey) {
        if let Some(space) = self.namespaces.get_mut(&key.namespace) {
            let slot = (key.kind, key.name.clone());
            space.disconnect(&slot);
            space.workloads.remove(&slot);
        }
    }

    /// The workloads of a kind: what a new list is compared with. `within`: one namespace.
    pub fn workloads(&self, kind: Option<Kind>, within: Option<&str>) -> Vec<WorkloadKey> {
        let spaces = self
            .namespaces
            .iter()
            .filter(|(name, _)| within.is_none_or(|within| within == name.as_str()));
        spaces
            .flat_map(|(namespace, space)| {
                let of_kind = move |row: Kind| kind.is_none_or(|kind| kind == row);
                space
                    .workloads
                    .keys()
                    .filter(move |(row, _)| of_kind(row))
                    .map(|(kind, name)| WorkloadKey {
                        kind,
                        namespace: namespace.clone(),
                        name: name.clone(),
                    })
            })
            .collect()
    }

    /// Takes in a namespace's default opt-in; gives the workloads for which that changes something.
    pub fn apply_namespace(&mut self, name: &str, default: Option<String>) -> Vec<WorkloadKey> {
        if default.is_none() && !self.namespaces.contains_key(name) {
            return Vec::new();
        }
        let digest_key = &self.key;
        let space = self.namespaces.entry(name.to_owned()).or_default();
        if space.default == default {
            return Vec::new();
        }
        space.default = default;
        let slots: Vec<_> = space.workloads.keys().cloned().collect();
        for slot in &slots {
            space.disconnect(slot);
            if let Some(known) = space.workloads.remove(slot) {
                let again = Tracked::follow(
                    known.workload.clone(),
                    Some(known),
                    space.default.as_deref(),
                    digest_key,
                );
                space.workloads.insert(slot.clone(), again);
                space.connect(slot);
            }
        }
        self.workloads(None, Some(name))
    }

    /// The namespaces that have a default opt-in.
    pub fn labelled_namespaces(&self) -> Vec<String> {
        let labelled = self
            .namespaces
            .iter()
            .filter(|(_, space)| space.default.is_some());
        labelled.map(|(name, _)| name.clone()).collect()
    }

    /// The namespace's default opt-in.
    pub fn default_of(&self, namespace: &str) -> Option<&str> {
        self.namespaces.get(namespace)?.default.as_deref()
    }

    /// What is known of a workload.
    pub fn workload(&self, key: &WorkloadKey) -> Option<&Tracked> {
        self.namespaces
            .get(&key.namespace)?
            .workloads
            .get(&(key.kind, key.name.clone()))
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
            None => Lookup::Absent {
                last: None,
                since: 0,
            },
            Some(Source::Tombstone { last, since, .. }) => Lookup::Absent {
                last: last.as_ref(),
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

    /// The names of a namespace's sources, those of deleted ones that are remembered included. For globs see
    /// [`Self::select`].
    pub fn source_names(&self, namespace: &str) -> impl Iterator<Item = &SourceName> {
        self.namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|space| space.sources.keys())
    }

    /// The opted-in workloads that use a source.
    pub fn users(&self, key: &SourceKey) -> Vec<WorkloadKey> {
        self.namespaces
            .get(&key.namespace)
            .map(|space| space.users_of(&key.namespace, &key.source))
            .unwrap_or_default()
    }

    /// Decides for a workload, with `overlay` laid over what is known of sources.
    pub fn assess(&self, key: &WorkloadKey, overlay: &Overlay) -> Option<Decision> {
        let tracked = self.workload(key)?;
        let workload = &tracked.workload;
        if !tracked.policy.opted_in() || workload.controller.is_some() || workload.deleting {
            return None;
        }
        if tracked.policy.selection == Selection::Unreadable {
            return Some(Decision::undecided(Undecided::Unreadable, Vec::new()));
        }
        let live = |source: &SourceName| {
            overlay
                .get(source)
                .copied()
                .unwrap_or_else(|| self.source(&key.namespace, source))
        };
        let uses = without_ignored(&tracked.uses, &live);
        Some(decide(
            &tracked.subject(&uses),
            tracked.known(),
            &live,
            &self.key,
        ))
    }

    /// Decides, and takes over at once what was observed without a restart; it is written later.
    pub fn judge(&mut self, key: &WorkloadKey, overlay: &Overlay) -> Judged {
        let decision = self.assess(key, overlay);
        if let Some(Decision {
            outcome: Outcome::Keep | Outcome::Record | Outcome::Wait,
            next: Some(next),
            ..
        }) = &decision
        {
            self.remember(key, next.clone());
        }
        let tracked = self.workload(key);
        Judged {
            unwritten: tracked.is_some_and(|tracked| {
                let workload = &tracked.workload;
                let ours = workload.controller.is_none() && !workload.deleting;
                ours && tracked.unwritten(&self.key).is_some()
            }),
            stays: tracked
                .filter(|t| !t.workload.restarted_for.is_empty())
                .and_then(|t| match t.workload.rollout {
                    Rollout::Stays(stays) => Some(stays),
                    Rollout::Complete | Rollout::Rolling => None,
                }),
            suspended: tracked.is_some_and(|tracked| tracked.policy.suspend),
            settle: tracked.and_then(|tracked| tracked.policy.settle),
            owner: tracked
                .filter(|t| t.policy.opted_in())
                .and_then(|tracked| tracked.workload.controller.clone()),
            complaints: tracked.map_or_else(Vec::new, |tracked| tracked.complaints.clone()),
            decision,
        }
    }

    /// The workloads that a source's change to this state would restart.
    pub fn preview(&self, key: &SourceKey, becomes: Lookup) -> Vec<WorkloadKey> {
        let overlay = Overlay::from([(&key.source, becomes)]);
        let restarts = |user: &WorkloadKey| {
            !self
                .workload(user)
                .is_some_and(|tracked| tracked.policy.suspend)
                && self
                    .assess(user, &overlay)
                    .is_some_and(|decision| decision.outcome == Outcome::Restart)
        };
        self.users(key).into_iter().filter(restarts).collect()
    }

    /// What was observed of a workload that somebody shows: the annotation's content, or what is remembered and newer.
    pub fn effective(&self, key: &WorkloadKey, shown: &Workload) -> Option<Reading> {
        let known = self
            .workload(key)
            .filter(|known| known.workload.uid == shown.uid);
        let void = known.and_then(|known| known.void.as_ref());
        let written = shown.observed.as_ref().filter(|text| void != Some(*text));
        let own = |reading: &Reading| match reading {
            Reading::Genuine(observed) | Reading::OtherKey(observed) => observed.is_of(&shown.uid),
            Reading::Newer(_) | Reading::Foreign => true,
        };
        let reading = written
            .map(|text| Observed::read(text, &self.key))
            .filter(own);
        match known.and_then(|known| known.memory.as_ref()) {
            Some(remembered) if !supersedes(reading.as_ref(), remembered, &shown.uid) => {
                Some(remembered.clone())
            }
            _ => reading,
        }
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
        observed.sequence = observed.sequence.min(tracked.written.saturating_add(1));
        let forgotten: Vec<_> = remembered(tracked.memory.as_ref())
            .filter(|source| !observed.entries.contains_key(source))
            .cloned()
            .collect();
        tracked.memory = Some(Reading::Genuine(observed));
        for source in &forgotten {
            space.reconnect(&slot, source);
        }
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

    /// How many sources exist, and how many workloads opted in.
    pub fn size(&self) -> (usize, usize) {
        let present = |source: &&Source| matches!(source, Source::Present(_));
        let sources = self
            .namespaces
            .values()
            .map(|space| space.sources.values().filter(present).count())
            .sum();
        let opted_in = |tracked: &&Tracked| tracked.policy.opted_in();
        let workloads = self
            .namespaces
            .values()
            .map(|space| space.workloads.values().filter(opted_in).count())
            .sum();
        (sources, workloads)
    }

    fn tracked_mut(&mut self, key: &WorkloadKey) -> Option<&mut Tracked> {
        self.namespaces
            .get_mut(&key.namespace)?
            .workloads
            .get_mut(&(key.kind, key.name.clone()))
    }
}

impl Tracked {
    /// Follows a workload from what was known of it to what was read now.
    fn follow(
        workload: Workload,
        before: Option<Self>,
        default: Option<&str>,
        key: &DigestKey,
    ) -> Self {
        let before = before.filter(|known| known.workload.uid == workload.uid);
        let (policy, complaints) = Policy::read(&workload.asks, default);
        let mut void = before.as_ref().and_then(|known| known.void.clone());
        if !policy.opted_in() {
            void = workload.observed.clone().or(void);
            return Self {
                workload,
                policy,
                complaints,
                uses: References::new(),
                memory: None,
                written: 0,
                void,
                started: None,
            };
        }
        let text = workload
            .observed
            .as_ref()
            .filter(|text| void.as_ref() != Some(*text));
        let reading = text.map(|text| Observed::read(text, key));
        let mut written = before.as_ref().map_or(0, |known| known.written);
        if let Some(Reading::Genuine(read)) = &reading
            && read.is_of(&workload.uid)
        {
            written = written.max(read.sequence);
        }
        let same_uses = |known: &&Self| {
            known.workload.references == workload.references
                && known.policy.selection == policy.selection
        };
        let started = before
            .as_ref()
            .filter(same_uses)
            .and_then(|known| known.started);
        let memory = match before.and_then(|known| known.memory) {
            Some(remembered) if !supersedes(reading.as_ref(), &remembered, &workload.uid) => {
                Some(remembered)
            }
            _ => reading,
        };
        Self {
            workload,
            policy,
            complaints,
            uses: References::new(),
            memory,
            written,
            void,
            started,
        }
    }

    /// What [`decide`] looks at; `uses` are [`Self::uses`] without ignored sources.
    pub fn subject<'a>(&'a self, uses: &'a References) -> Subject<'a> {
        Subject {
            uid: &self.workload.uid,
            created: self.workload.created,
            generation: self.workload.generation,
            restarted_for: &self.workload.restarted_for,
            uses,
            policy: &self.policy,
            started: self.started,
        }
    }

    /// What was observed.
    pub fn known(&self) -> Known<'_> {
        self.memory.as_ref().into()
    }

    /// What was observed, where it is readable.
    pub fn observed(&self) -> Option<&Observed> {
        match &self.memory {
            Some(Reading::Genuine(observed)) => Some(observed),
            _ => None,
        }
    }

    /// The annotation as it should be, where it is not: the text to write, or `Some(None)` to remove it.
    pub fn unwritten(&self, key: &DigestKey) -> Option<Option<String>> {
        if !self.policy.opted_in() {
            return (self.workload.observed.is_some() || self.workload.last_restart)
                .then_some(None);
        }
        match &self.memory {
            Some(Reading::Genuine(observed)) => {
                let text = observed.print(key);
                (self.workload.observed.as_ref() != Some(&text)).then_some(Some(text))
            }
            _ => None,
        }
    }
}

/// Whether an annotation's content counts against what is remembered of the same workload.
fn supersedes(reading: Option<&Reading>, remembered: &Reading, uid: &str) -> bool {
    match (reading, remembered) {
        (Some(Reading::Newer(_)), _) => true,
        (Some(Reading::Genuine(read)), Reading::Genuine(known)) => {
            read.sequence >= known.sequence && read.is_of(uid)
        }
        (
            Some(Reading::Genuine(_) | Reading::OtherKey(_)),
            Reading::OtherKey(_) | Reading::Foreign | Reading::Newer(_),
        ) => true,
        (_, Reading::Foreign) => true,
        _ => false,
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

/// What a glob takes besides what was observed: the sources that exist. A fold does not know what it holds by name, so
/// for it also those that existed not long ago.
fn candidates<'a>(
    sources: &'a HashMap<SourceName, Source>,
    memory: Option<&Reading>,
) -> impl Iterator<Item = &'a SourceName> {
    let gone_too = folds(memory);
    sources
        .iter()
        .filter(move |(_, source)| gone_too || matches!(source, Source::Present(_)))
        .map(|(name, _)| name)
}

fn folds(memory: Option<&Reading>) -> bool {
    matches!(memory, Some(Reading::Genuine(observed) | Reading::OtherKey(observed)) if observed.fold.is_some())
}

/// The sources that were observed: a glob takes them although they are gone.
fn remembered(memory: Option<&Reading>) -> impl Iterator<Item = &SourceName> {
    let observed = match memory {
        Some(Reading::Genuine(observed) | Reading::OtherKey(observed)) => Some(observed),
        _ => None,
    };
    observed
        .into_iter()
        .flat_map(|observed| observed.entries.keys())
}

/// What is used, without sources that ask to be ignored.
pub fn without_ignored<'a>(
    uses: &References,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
) -> References {
    let ignored = |source: &SourceName| match live(source) {
        Lookup::Present { version, .. } => version.ignored,
        Lookup::Absent { last, .. } => last.is_some_and(|version| version.ignored),
        Lookup::Unsynced => false,
    };
    uses.iter()
        .filter(|(source, _)| !ignored(source))
        .map(|(source, usage)| (source.clone(), usage.clone()))
        .collect()
}

impl Namespace {
    fn connect(&mut self, slot: &(Kind, String)) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let Selection::Some(rules) = &tracked.policy.selection else {
            return;
        };
        let memory = tracked.memory.as_ref();
        let candidates = candidates(&self.sources, memory).chain(remembered(memory));
        tracked.uses = rules.select(&tracked.workload.references, candidates);
        if rules.has_globs() {
            self.globbing.insert(slot.clone());
        }
        for source in tracked.uses.keys() {
            self.users
                .entry(source.clone())
                .or_default()
                .insert(slot.clone());
        }
    }

    fn disconnect(&mut self, slot: &(Kind, String)) {
        self.globbing.remove(slot);
        let uses = self
            .workloads
            .get_mut(slot)
            .map(|tracked| std::mem::take(&mut tracked.uses));
        for source in uses.unwrap_or_default().keys() {
            self.cut(slot, source);
        }
    }

    /// Takes in that a source appeared or vanished.
    fn put(&mut self, name: &SourceName, source: Source) {
        self.sources.insert(name.clone(), source);
        let takes = |slot: &&(Kind, String)| match self.workloads.get(*slot) {
            Some(Tracked { policy, .. }) => match &policy.selection {
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
    fn reconnect(&mut self, slot: &(Kind, String), source: &SourceName) {
        let Some(tracked) = self.workloads.get_mut(slot) else {
            return;
        };
        let Selection::Some(rules) = &tracked.policy.selection else {
            return;
        };
        let memory = tracked.memory.as_ref();
        let counts = match self.sources.get(source) {
            Some(Source::Present(_)) => true,
            Some(Source::Tombstone { .. }) if folds(memory) => true,
            _ => remembered(memory).any(|known| known == source),
        };
        let candidate = counts.then_some(source).into_iter();
        let selected = rules
            .select(&tracked.workload.references, candidate)
            .remove(source);
        if let Some(usage) = selected {
            tracked.uses.insert(source.clone(), usage);
            let users = self.users.entry(source.clone()).or_default();
            users.insert(slot.clone());
        } else if tracked.uses.remove(source).is_some() {
            self.cut(slot, source);
        }
    }

    fn cut(&mut self, slot: &(Kind, String), source: &SourceName) {
        if let Some(users) = self.users.get_mut(source) {
            users.remove(slot);
            if users.is_empty() {
                self.users.remove(source);
            }
        }
    }

    fn users_of(&self, namespace: &str, source: &SourceName) -> Vec<WorkloadKey> {
        let key = |(kind, name): &(Kind, String)| WorkloadKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.clone(),
        };
        self.users
            .get(source)
            .into_iter()
            .flatten()
            .map(key)
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.default.is_none() && self.sources.is_empty() && self.workloads.is_empty()
    }
}

#[cfg(test)]
mod tests;
