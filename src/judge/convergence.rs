//! Which versions of sources all users have: told once for each, when the last user is complete and a list of pods shows none that
//! may have an older value.
//!
//! Which versions there were restarts for stands on the workloads, in `reroll.dev/rollout`. So a process that starts in the middle
//! goes on. One that finds everything complete cannot know whether it was told. It tells it again only while the Event of
//! then is there, whose name is the same. What was not complete, or had older pods, after this process began to lead cannot have been
//! told before, however old it is.
//!
//! Invariants:
//! - how users are is looked at before pods are listed, never after: what a list shows is of then, or later;
//! - a namespace is listed when all users of one of its sources are complete, and then with ever longer pauses.
//!
//! Pure: time is an argument.

mod followed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use self::followed::{Complete, What};
use self::followed::{FORGOTTEN, Followed, PAUSE};
use crate::model::{
    Index, SourceKey, SourceName, WorkloadKey,
    brake::{
        converged::{Older, print},
        later,
    },
    index::Tracked,
    standing::{is_open, standing},
    version::key_of,
    workload::Changed,
};

/// The most sources that are looked at in one go.
const SOURCES: usize = 200;

/// The sources for which workloads were restarted.
#[derive(Debug, Default)]
pub struct Convergence {
    sources: BTreeMap<SourceKey, Followed>,
    /// Where something changed since it was looked at.
    changed: BTreeSet<String>,
    /// When the pods of a namespace were last listed.
    lists: BTreeMap<String, Timestamp>,
    /// Since when this process leads. Only then anything is followed.
    leads: Option<Timestamp>,
    /// Whether what there was before is followed, too.
    looked_back: bool,
}

/// Sources of a namespace for which its pods are to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The namespace.
    pub namespace: String,
    /// The sources whose users are all complete.
    pub sources: Vec<Complete>,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// On which source.
    pub key: SourceKey,
    /// What is so.
    pub words: String,
    /// What tells it from all else that is said of that source.
    pub print: String,
    /// What that is.
    pub what: What,
}

impl Convergence {
    /// Takes in how a workload is now.
    pub fn shown(&mut self, key: &WorkloadKey, tracked: &Tracked, now: Timestamp) {
        if self.leads.is_none() {
            return;
        }
        let last = tracked.workload.last.as_ref();
        let last = last.filter(|last| now.duration_since(last.opened.at) <= FORGOTTEN);
        for (changed, version) in last.iter().flat_map(|last| &last.opened.versions) {
            let Changed::Source(source) = changed else {
                continue;
            };
            if !source.kind.is_readable() {
                continue;
            }
            let source = key_of(&key.namespace, source);
            let followed = self.sources.entry(source).or_default();
            if is_open(&tracked.workload) {
                followed.open = Some(*version);
            }
        }
        self.changed_in(&key.namespace);
    }

    /// Takes in that something changed in a namespace.
    pub fn changed_in(&mut self, namespace: &str) {
        let has_any = self.within(namespace).next().is_some();
        if has_any && !self.changed.contains(namespace) {
            self.changed.insert(namespace.to_owned());
        }
    }

    /// Takes in that another process may lead: what that tells is not known here.
    pub fn rest(&mut self) {
        if self.leads.is_some() {
            *self = Self::default();
        }
    }

    /// Takes in that this process leads.
    pub fn lead(&mut self, now: Timestamp) {
        self.leads.get_or_insert(now);
    }

    /// Returns the namespaces whose pods are to be listed now, at most so many: those first that have been due for longest.
    pub fn due(&mut self, index: &Index, most: usize, now: Timestamp) -> Vec<Due> {
        self.lead(now);
        self.look_back(index, now);
        self.look(index, now);
        let mut due: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (key, followed) in &self.sources {
            if followed.is_due(now) {
                let first = due.entry(&key.namespace).or_insert(followed.next);
                *first = followed.next.min(*first);
            }
        }
        due.retain(|namespace, _| {
            let listed = self.lists.get(*namespace);
            listed.is_none_or(|listed| now >= later(*listed, PAUSE))
        });
        let mut due: Vec<_> = due.into_iter().map(|(name, at)| (at, name)).collect();
        due.sort_unstable();
        let due: Vec<_> = due.into_iter().map(|(_, name)| name.to_owned()).collect();
        let due = due.into_iter().take(most).map(|namespace| {
            let sources = self.complete(index, &namespace, now);
            Due { namespace, sources }
        });
        due.filter(|due| !due.sources.is_empty()).collect()
    }

    /// Takes in which pods a list showed that may have older values, in the order of the sources. Returns what there is to tell.
    pub fn listed(
        &mut self,
        index: &Index,
        due: &Due,
        older: &[Older],
        now: Timestamp,
    ) -> Vec<News> {
        self.lists.insert(due.namespace.clone(), now);
        let leads = self.leads.unwrap_or(now);
        let mut news = Vec::new();
        for (complete, older) in due.sources.iter().zip(older) {
            let key = key_of(&due.namespace, &complete.asked.source);
            let followed = self.sources.get_mut(&key);
            let same = followed.filter(|it| it.is_of(complete));
            let Some(followed) = same else {
                continue;
            };
            if followed.restarted >= leads {
                followed.open = Some(complete.version);
            }
            let told = followed.listed(complete, older, now);
            news.extend(told.map(|(said, words, what)| News {
                print: print(
                    index.key(),
                    (complete.version, complete.asked.written),
                    &said,
                ),
                key,
                words,
                what,
            }));
        }
        news
    }

    /// Takes in that the pods of a namespace could not be listed: others have their turn.
    pub fn not_listed(&mut self, due: &Due, now: Timestamp) {
        self.lists.insert(due.namespace.clone(), now);
        for complete in &due.sources {
            let key = key_of(&due.namespace, &complete.asked.source);
            if let Some(followed) = self.sources.get_mut(&key) {
                followed.pauses(now);
            }
        }
    }

    /// Takes in what workloads show of restarts that others made, once.
    fn look_back(&mut self, index: &Index, now: Timestamp) {
        if self.looked_back {
            return;
        }
        self.looked_back = true;
        for key in index.workloads(None, None) {
            if let Some(tracked) = index.workload(&key) {
                self.shown(&key, tracked, now);
            }
        }
    }

    /// Looks at the users of sources where something changed.
    fn look(&mut self, index: &Index, now: Timestamp) {
        let mut looked = 0;
        while looked < SOURCES
            && let Some(namespace) = self.changed.pop_first()
        {
            let here: Vec<_> = self
                .within(&namespace)
                .map(|(key, _)| key.clone())
                .collect();
            looked += here.len();
            for key in here {
                self.look_at(index, &key, now);
            }
            if self.within(&namespace).next().is_none() {
                self.lists.remove(&namespace);
            }
        }
    }

    /// Looks at the users of a source. Returns what is so where all are complete.
    fn look_at(&mut self, index: &Index, key: &SourceKey, now: Timestamp) -> Option<Complete> {
        let followed = self.sources.get_mut(key)?;
        let standing = standing(index, key);
        let complete = standing.and_then(|standing| followed.take(standing, now));
        if followed.is_over(now) {
            self.sources.remove(key);
        }
        complete
    }

    /// Returns the sources of a namespace whose users are all complete, as they are now.
    fn complete(&mut self, index: &Index, namespace: &str, now: Timestamp) -> Vec<Complete> {
        let here = self.within(namespace).filter(|(_, it)| it.waits());
        let here: Vec<_> = here.map(|(key, _)| key.clone()).collect();
        let here = here.iter();
        here.filter_map(|key| self.look_at(index, key, now))
            .collect()
    }

    fn within(&self, namespace: &str) -> impl Iterator<Item = (&SourceKey, &Followed)> {
        // The first of its keys, as they are ordered: ConfigMaps come first.
        let first = key_of(namespace, &SourceName::config_map(""));
        let all = self.sources.range(first..);
        all.take_while(move |(key, _)| key.namespace == namespace)
    }
}

#[cfg(test)]
mod tests;
