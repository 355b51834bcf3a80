//! What a workload that is created adopts: pods that were there before it (`kubectl delete --cascade=orphan` and made
//! again; a restore).
//!
//! Those are pods that match its selector and have no controller, or whose `ReplicaSet` matches and has none. A
//! neighbour's pods have one; so have those that the garbage collector still has to take (`kubectl replace --force`).
//!
//! They carry the mark of the template that they were made of. So what they have is what a genuine `observed` with that
//! very mark says ([`said_of`]), whichever copy of it is left. Without one, times tell ([`judge`]): a source that was
//! written later than they were made is one that they have not read. A time shows a write and no removal of a key; equal
//! seconds are not later, for a rollout that changes both is one second's work.
//!
//! Invariants: only pods that carry the mark which the template has, or is given, are judged, for Kubernetes replaces the
//! others by itself; and what was not found out is said in `observed` ([`super::observed::UNEXAMINED`]), so that a crash
//! does not make it true.

mod stamp;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::Selector;

pub use self::stamp::{Adoption, stamp_adopting};
use super::{
    annotation::{OBSERVED, RESTARTED_FOR},
    decide::{CauseKind, Decision, Known, Lookup, Subject, decide},
    fold::Fold,
    observed::{Entries, Entry, Mark, Observed, Reading},
    source::{References, SourceName, Usage},
    version::{Digest, DigestKey, Version},
    workload::{Kind, Revisions},
};

/// The labels that tell the pods of a `ReplicaSet` from those of its neighbours: a Deployment's and a Rollout's.
const HASHES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];
/// The annotations that number the `ReplicaSet`s of one workload: a Deployment's and a Rollout's.
pub const REVISIONS: [&str; 2] = [
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
];
/// The label that names the revision of a pod of a `StatefulSet` or `DaemonSet`.
pub const REVISION_HASH: &str = "controller-revision-hash";

/// A workload, as far as it matters for what it adopts.
#[derive(Clone, Debug)]
pub struct Adopter {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`; `None` where the API server is to make one.
    pub name: Option<String>,
    /// What selects its pods.
    pub selector: Selector,
    /// `None` while it is being created.
    pub born: Option<Born>,
}

/// What a workload got when it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Born {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
}

/// A pod that was there before the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The mark of the template that it was made of; empty for none.
    pub mark: String,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
    /// The revision that it is of: its `ReplicaSet`'s number, or its own label.
    pub revision: String,
}

/// The pods that a workload adopts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Each of them.
    pub pods: Vec<Pod>,
    /// The texts of `observed` that their `ReplicaSet`s have copies of.
    pub copies: Vec<String>,
}

impl Adopter {
    /// What it adopts, of those that its selector selects. `sets`: `ReplicaSet`s, of kinds that have such.
    pub fn adopts(&self, sets: &[ObjectMeta], pods: &[ObjectMeta]) -> Adopted {
        if self.kind.revisions == Some(Revisions::ReplicaSets) {
            self.through(sets, pods)
        } else {
            self.directly(pods)
        }
    }

    fn through(&self, sets: &[ObjectMeta], pods: &[ObjectMeta]) -> Adopted {
        let sets: Vec<_> = sets.iter().filter(|set| self.takes(set)).collect();
        let by_uid: BTreeMap<_, _> = sets
            .iter()
            .filter_map(|set| Some((set.uid.as_deref()?, *set)))
            .collect();
        let hashes: BTreeSet<_> = sets.iter().filter_map(|set| hash(set)).collect();
        let of_set = |pod: &ObjectMeta| match controller(pod) {
            Some(owner) => by_uid.get(owner.uid.as_str()).copied(),
            // A restore makes pods before their ReplicaSets.
            None => hash(pod)
                .filter(|of_pod| hashes.contains(of_pod))
                .and_then(|of_pod| sets.iter().find(|set| hash(set) == Some(of_pod)))
                .copied(),
        };
        let revision = |set: &ObjectMeta| {
            let all = set.annotations.as_ref();
            let number = REVISIONS.iter().find_map(|key| all?.get(*key));
            number.cloned().unwrap_or_default()
        };
        let pods = pods.iter().filter(|pod| self.is_older(pod));
        Adopted {
            pods: pods
                .filter_map(|pod| Some(Pod::read(pod, revision(of_set(pod)?))))
                .collect(),
            copies: sets
                .iter()
                .filter_map(|set| set.annotations.as_ref()?.get(OBSERVED).cloned())
                .collect(),
        }
    }

    fn directly(&self, pods: &[ObjectMeta]) -> Adopted {
        let ordinal = |pod: &ObjectMeta| {
            let name = pod.name.as_deref()?.rsplit_once('-')?;
            (Some(name.0) == self.name.as_deref() && name.1.parse::<u32>().is_ok()).then_some(())
        };
        // A StatefulSet takes only pods that are called as its own are.
        let named = |pod: &ObjectMeta| self.kind.kind != "StatefulSet" || ordinal(pod).is_some();
        let revision = |pod: &ObjectMeta| {
            let label = pod.labels.as_ref().and_then(|all| all.get(REVISION_HASH));
            label.cloned().unwrap_or_default()
        };
        let taken = |pod: &&ObjectMeta| self.takes(pod) && named(pod);
        Adopted {
            pods: pods
                .iter()
                .filter(taken)
                .map(|pod| Pod::read(pod, revision(pod)))
                .collect(),
            copies: Vec::new(),
        }
    }

    /// Whether it takes an object over, or took it over that was made before it.
    pub fn takes(&self, object: &ObjectMeta) -> bool {
        let may = match (controller(object), &self.born) {
            (None, _) => true,
            (Some(owner), Some(born)) => owner.uid == born.uid,
            (Some(_), None) => false,
        };
        may && self.is_older(object)
    }

    fn is_older(&self, object: &ObjectMeta) -> bool {
        let born = self.born.as_ref();
        object.deletion_timestamp.is_none()
            && born.is_none_or(|born| created(object) < born.created)
    }
}

impl Pod {
    fn read(pod: &ObjectMeta, revision: String) -> Self {
        let annotations = pod.annotations.as_ref();
        let mark = annotations.and_then(|all| all.get(RESTARTED_FOR));
        Self {
            mark: mark.cloned().unwrap_or_default(),
            created: created(pod),
            revision,
        }
    }
}

impl Adopted {
    /// The mark of the template that the pods were last made of: that of what is `remembered` of the workload before,
    /// where a pod carries it, else the youngest pod's. `None` where there are no pods.
    pub fn mark(&self, remembered: Option<&Reading>) -> Option<&str> {
        let last = remembered.and_then(observed_in);
        let last =
            last.and_then(|last| self.pods.iter().find(|pod| pod.mark == last.restarted_for));
        let youngest = || self.pods.iter().max_by_key(|pod| pod.created);
        Some(&last.or_else(youngest)?.mark)
    }

    /// When the oldest pod with this mark was made, in unix seconds; `None` where no pod carries it.
    pub fn oldest(&self, mark: &str) -> Option<i64> {
        let of_mark = self.pods.iter().filter(|pod| pod.mark == mark);
        of_mark.map(|pod| pod.created).min()
    }
}

fn controller(object: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = object.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn created(object: &ObjectMeta) -> i64 {
    let at: Option<&Time> = object.creation_timestamp.as_ref();
    at.map_or(0, |at| at.0.as_second())
}

fn hash(object: &ObjectMeta) -> Option<&str> {
    let labels = object.labels.as_ref()?;
    let label = HASHES.iter().find_map(|key| labels.get(*key));
    label.map(String::as_str)
}

fn observed_in(reading: &Reading) -> Option<&Observed> {
    match reading {
        Reading::Genuine(observed) | Reading::Previous(observed) => Some(observed),
        Reading::OtherKey(_) | Reading::Newer(_) | Reading::Foreign => None,
    }
}

/// The first of several that says what the pods with this mark have.
pub fn said_of<'a>(
    mark: &str,
    readings: impl IntoIterator<Item = &'a Reading>,
) -> Option<&'a Reading> {
    readings.into_iter().find(|reading| {
        let says =
            |observed: &Observed| observed.restarted_for == mark && !observed.is_unexamined();
        observed_in(reading).is_some_and(says)
    })
}

/// What follows for adopted pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// As for any workload.
    pub decision: Decision,
    /// What the pods were started with, as far as known.
    pub before: Observed,
}

/// Decides for adopted pods, the oldest of which was made then. The subject's mark is theirs; `said`: what is known of
/// them ([`said_of`]). Without a uid, the subject is being created.
pub fn judge<'a>(
    subject: &Subject,
    oldest: i64,
    said: Option<&Reading>,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Judged {
    let known = said.and_then(observed_in);
    let mut before = Observed {
        format: known.map_or(key.format(), |known| known.format),
        key_id: known.map_or_else(|| key.id().to_owned(), |known| known.key_id.clone()),
        workload_uid: subject.uid.to_owned(),
        created_at: subject.uid.is_empty().then_some(subject.created),
        sequence: 0,
        restarted_for: subject.restarted_for.unwrap_or_default().to_owned(),
        entries: Entries::new(),
        fold: known.and_then(|known| fold_that_counts(known, subject.uses, oldest, live, key)),
    };
    let mut late = Vec::new();
    for (source, usage) in subject.uses {
        let entry = known.and_then(|known| known.entries.get(source));
        let folded = entry.is_none() && before.fold.is_some();
        let entry = match (entry, live(source)) {
            (Some(entry), Lookup::Present { version, .. }) => {
                entry_that_counts(entry, version, oldest)
            }
            (Some(entry), _) => Some(entry.clone()),
            (None, Lookup::Present { version, .. })
                if !folded && source.kind.is_one_object() && version.written > oldest =>
            {
                late.push(source.clone());
                Some(unread(version, usage))
            }
            (None, _) => None,
        };
        before
            .entries
            .extend(entry.map(|entry| (source.clone(), entry)));
    }
    let known = match said {
        Some(Reading::Previous(_)) => Known::Previous(&before),
        _ => Known::Observed(&before),
    };
    let mut decision = decide(subject, known, live, key);
    for cause in &mut decision.causes {
        if cause
            .source
            .as_ref()
            .is_some_and(|source| late.contains(source))
        {
            // Which keys were written, no time tells.
            (cause.kind, cause.uids) = (CauseKind::Outdated, None);
            cause.keys.clear();
        }
    }
    Judged { decision, before }
}

/// The entry, if pods that were made then can have what it says: those that were made after the live source was cannot
/// have read its predecessor. Another uid may come from another cluster, whose resourceVersions say nothing here.
fn entry_that_counts(entry: &Entry, live: &Version, oldest: i64) -> Option<Entry> {
    let other = |uid: &str| uid != live.uid;
    let read = live.written <= oldest;
    match entry {
        Entry::Seen { uid, .. } | Entry::Deleted { uid, .. } if other(uid) && read => None,
        Entry::Unknown | Entry::Waiting if read => None,
        Entry::Seen { uid, marks, .. } if other(uid) => Some(Entry::Seen {
            uid: uid.clone(),
            resource_version: 0,
            marks: marks.clone(),
        }),
        other => Some(other.clone()),
    }
}

/// The same for entries that were folded: they count together, as a fold does.
fn fold_that_counts<'a>(
    known: &Observed,
    uses: &References,
    oldest: i64,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Option<Fold> {
    let fold = known.fold.as_ref()?;
    let (mut now, mut folded) = (Entries::new(), References::new());
    let mut read = true;
    for (source, usage) in uses {
        if known.entries.contains_key(source) {
            continue;
        }
        folded.insert(source.clone(), usage.clone());
        if let Lookup::Present { version, .. } = live(source) {
            read &= version.written <= oldest;
            now.insert(source.clone(), Entry::of(version, usage));
        }
    }
    let same_objects = Fold::of(key, &now, &folded).uids == fold.uids;
    (same_objects || !read).then(|| fold.clone())
}

/// The entry of pods that were made before the source was written: its data is other than what they have read.
fn unread(live: &Version, usage: &Usage) -> Entry {
    match Entry::of(live, usage) {
        Entry::Seen { uid, marks, .. } => {
            let other = |mark: &Mark| match mark {
                Mark::Seen(_) => Mark::Seen(Digest::CHANGED),
                Mark::Waiting | Mark::Unknown => *mark,
            };
            Entry::Seen {
                uid,
                resource_version: 0,
                marks: marks
                    .iter()
                    .map(|(key, mark)| (key.clone(), other(mark)))
                    .collect(),
            }
        }
        absent => absent,
    }
}

#[cfg(test)]
mod tests;
