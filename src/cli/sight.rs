//! What was read of the cluster, in the controller's own index, and what could not be read.
//!
//! It is read once, and judged as it is then. A part that may not be read stays unknown in the index, which then decides
//! nothing by it, as the controller would not.

pub(super) mod failing;
pub(super) mod gated;
pub(super) mod read;
mod sources;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use kube::core::{DynamicObject, ObjectMeta};

use super::{error::Error, installation::Installation, object::of_metadata, session::Session};
use crate::model::{
    Decision, Index, SourceKey, SourceKind, WorkloadKey,
    annotation::{RESTART_ON, SUSPEND},
    brake::once::Failure,
    change::{Change, told},
    gate::suspend::{self, Place},
    held::Held,
    index::{Judged, Overlay, gates, windows::Paced},
    peer::May,
    text::first_of,
    version::key_of,
};

/// So many seconds the times of one write may differ: API servers have clocks of their own.
const APART: i64 = 2;
/// The most suspended workloads that are named.
const NAMED: usize = 5;

/// Who wrote the data of a source last, and when, as far as its `managedFields` tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) at: Option<Timestamp>,
    pub(super) by: Option<String>,
}

/// What was read.
pub(super) struct Sight {
    pub(super) index: Index,
    pub(super) installation: Installation,
    /// Of the sources that were read.
    written: HashMap<SourceKey, Written>,
    /// The metadata of those that have a key of reroll's, or one that looks so.
    saying: BTreeMap<SourceKey, ObjectMeta>,
    /// Who changed sources, as the restarts of their users tell it. They know the user, not only the program.
    told: HashMap<SourceKey, Vec<Change>>,
    /// The restarts that failed, as far as pods were looked at.
    pub(super) failures: HashMap<WorkloadKey, Failure>,
    /// What else could not be seen, in words.
    notes: Vec<String>,
    /// What could not be read: the kind's plural, and the namespace.
    unread: BTreeSet<(&'static str, String)>,
    /// The texts of `reroll.dev/last-restart`.
    pub(super) last_restarts: BTreeMap<WorkloadKey, String>,
    pub(super) now: Timestamp,
}

impl Sight {
    /// Makes one that has seen nothing but reroll itself.
    pub(super) fn new(installation: Installation, now: Timestamp) -> Result<Self, Error> {
        let key = installation.key_or_none();
        let key = key.ok_or_else(|| Error::Usage("there is no digest key".to_owned()))?;
        let mut index = Index::new(key)
            .with_kinds(installation.flags.kinds.clone())
            .with_conventions(installation.flags.conventions.clone().into());
        gates::set_stop(&mut index, installation.stop());
        Ok(Self {
            index,
            installation,
            written: HashMap::new(),
            saying: BTreeMap::new(),
            told: HashMap::new(),
            failures: HashMap::new(),
            notes: Vec::new(),
            unread: BTreeSet::new(),
            last_restarts: BTreeMap::new(),
            now,
        })
    }

    /// Takes in what a Namespace says.
    pub(super) fn take_namespace(&mut self, name: &str, meta: &ObjectMeta) {
        let index = &mut self.index;
        let labels = meta.labels.clone().unwrap_or_default();
        if index.conventions().namespaces.is_some()
            && index.conventions().selects_namespace(&labels)
        {
            index.select_namespace(name, false);
        }
        Paced::read(meta).0.take(index, name);
        let said = meta.annotations.as_ref().and_then(|all| all.get(SUSPEND));
        gates::set_namespace_stop(index, name, suspend::read(said.map(String::as_str)));
        index.apply_namespace(name, labels.get(RESTART_ON).cloned());
    }

    /// Takes note that a kind may not be read in a namespace.
    fn miss(&mut self, plural: &'static str, namespace: &str) {
        self.unread.insert((plural, namespace.to_owned()));
    }

    /// Takes note of what else could not be seen.
    pub(super) fn note(&mut self, notes: Vec<String>) {
        self.notes.extend(notes);
    }

    /// Takes in what the last restart of a workload tells of the changes that it was for.
    fn take_told(&mut self, namespace: &str, rollout: &str) {
        for (source, change) in told(rollout) {
            if let Ok(source) = source.parse() {
                let all = self.told.entry(key_of(namespace, &source)).or_default();
                all.push(change);
            }
        }
    }

    /// Shows the sources that say something to reroll, or seem to.
    pub(super) fn saying(&self) -> impl Iterator<Item = (&SourceKey, DynamicObject)> {
        let all = self.saying.iter();
        all.map(|(key, meta)| (key, of_metadata(meta.clone())))
    }

    /// Returns who wrote a source last, and when.
    pub(super) fn written(&self, key: &SourceKey) -> Written {
        let Some(written) = self.written.get(key) else {
            return Written::default();
        };
        let of_it = |change: &&Change| {
            let apart = |at: Timestamp| at.duration_since(change.at).as_secs().abs();
            written.at.is_some_and(|at| apart(at) <= APART)
        };
        let told = self.told.get(key).into_iter().flatten().find(of_it);
        Written {
            at: written.at,
            by: told.and_then(Change::who).or_else(|| written.by.clone()),
        }
    }

    /// Whether sources of a kind could be read in a namespace.
    pub(super) fn has_read(&self, kind: SourceKind, namespace: &str) -> bool {
        !self.unread.contains(&(kind.plural(), namespace.to_owned()))
    }

    /// Whether all sources could be read.
    pub(super) fn misses_no_source(&self) -> bool {
        let mut kinds = SourceKind::ALL.into_iter();
        !kinds.any(|kind| self.misses(kind.plural()))
    }

    /// Whether objects of a kind could not be read somewhere.
    pub(super) fn misses(&self, plural: &str) -> bool {
        self.unread.iter().any(|(one, _)| *one == plural)
    }

    /// Whether all workloads could be read in a namespace, or in all, and what opts them in.
    ///
    /// # Errors
    /// When no kind of workload could be read: then nothing can be said.
    pub(super) fn is_complete(
        &self,
        session: &Session,
        within: Option<&str>,
    ) -> Result<bool, Error> {
        let kinds = self.index.kinds().iter().filter(|kind| !kind.optional);
        let (unread, read): (Vec<_>, Vec<_>) = kinds.partition(|kind| self.misses(kind.plural));
        if read.is_empty() && !unread.is_empty() {
            let unread: Vec<_> = unread.iter().map(|kind| kind.plural).collect();
            let place = within.map_or("in all namespaces".to_owned(), |name| format!("in {name}"));
            return Err(session.may_not_read(&unread.join(", "), &place));
        }
        let every = self.index.kinds();
        let misses = |plural| self.misses(plural);
        Ok(!misses("namespaces") && !every.iter().any(|kind| misses(kind.plural)))
    }

    /// Returns what keeps restarts of a workload from being made, though none may be due: nobody leads, or somebody suspended it.
    pub(super) fn warnings_of(&self, key: &WorkloadKey) -> Vec<String> {
        let nobody = self.installation.nobody_leads(self.now).into_iter();
        let stop = gates::stop(&self.index, key);
        let held = stop.map(|stop| {
            let words = stop.words(&key.namespace);
            format!("restarts of it are held, whatever they are for: {words}")
        });
        nobody.chain(held).collect()
    }

    /// Returns the same of a namespace, or of all that have workloads.
    pub(super) fn warnings(&self, within: Option<&str>) -> Vec<String> {
        let nobody = self.installation.nobody_leads(self.now).into_iter();
        let mut places: BTreeSet<_> = within.map(ToOwned::to_owned).into_iter().collect();
        if within.is_none() {
            let keys = self.index.workloads(None, None);
            places.extend(keys.into_iter().map(|key| key.namespace));
        }
        let held = |name: &String| {
            let stop = gates::stop_in(&self.index, name)?;
            let what = match stop.place {
                Place::Lease => "all restarts are".to_owned(),
                _ => format!("restarts in {name} are"),
            };
            Some(format!(
                "{what} held, whatever they are for: {}",
                stop.words(name)
            ))
        };
        let held: BTreeSet<_> = places.iter().filter_map(held).collect();
        nobody.chain(held).collect()
    }

    /// Returns the workloads that opted in, and say themselves that nothing restarts them, of those that nothing is due for.
    pub(super) fn suspended(&self, within: Option<&str>) -> Option<String> {
        let says = |key: WorkloadKey| {
            let tracked = self.index.workload(&key)?;
            let opted_in = tracked.policy.opted_in();
            let said = tracked.policy.suspend.as_ref().filter(|_| opted_in)?;
            let decision = self.index.assess(&key, &Overlay::new());
            if matches!(decision, Some(Decision::Restart(_))) {
                // That it is held is told with it.
                return None;
            }
            Some(match within {
                Some(_) => format!("{} ({said})", key.spoken()),
                None => format!("{} in {} ({said})", key.spoken(), key.namespace),
            })
        };
        let keys = self.index.workloads(None, within).into_iter();
        let all: Vec<_> = keys.filter_map(says).collect();
        let named = first_of(&all, NAMED);
        (!all.is_empty())
            .then(|| format!("restarts are held by {SUSPEND}, whatever they are for, of {named}"))
    }

    /// Returns what could not be seen, in words.
    pub(super) fn notes(&self) -> Vec<String> {
        let own = self.installation.notes.iter().cloned();
        let more = self.notes.iter().cloned();
        own.chain(self.unread()).chain(more).collect()
    }

    /// Returns the same without what could not be seen of reroll itself.
    pub(super) fn unread(&self) -> Vec<String> {
        let unread = self.unread.iter();
        let words = unread.map(|(plural, namespace)| match namespace.as_str() {
            "" => format!("no right to read {plural}"),
            namespace => format!("no right to read {plural} in {namespace}"),
        });
        words.collect()
    }

    /// Takes note that all is read that is going to be.
    pub(super) fn is_read(&mut self) {
        if self.installation.key.is_none() {
            // Without the key nothing can be compared by digests, and uids can.
            let unknown = self.index.unknown_keys();
            self.index.retire_keys(unknown);
        }
    }

    /// Judges a workload as the controller does, and says why it is held.
    pub(super) fn judge(&mut self, key: &WorkloadKey) -> (Judged, Option<Held>) {
        let judged = self.index.judge(key, &Overlay::new());
        let elsewhere = self.installation.key.is_some()
            && self
                .index
                .workload(key)
                .is_some_and(|tracked| tracked.other_installation().is_some());
        let may = if elsewhere { May::Hold } else { May::Work };
        let held = Held::of(&judged, may);
        (judged, held)
    }
}
