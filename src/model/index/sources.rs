//! The sources of one namespace: how versions and absences are taken in.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
};

use super::{
    asked::{By, Clock, Told},
    basis::TOMBSTONE_SECONDS,
    overlay::Overlay,
};
use crate::model::{decide::Lookup, source::SourceName, version::Version};

/// The sources of one namespace.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_name: HashMap<SourceName, Stored>,
    /// Those that took the place of an object that a machine had made, as it was last seen.
    after_machines: BTreeSet<SourceName>,
    /// Those that went while nobody used them, in that order; some may be back, or used, since.
    gone_unused: VecDeque<SourceName>,
}

/// So many sources of a namespace are remembered that went while nobody used them. Anybody who may create and delete them can
/// make any number.
pub(super) const GONE_UNUSED: usize = 256;

/// So many single keys of a source are kept until the next sweep that nobody uses: somebody may be about to. More go at
/// once, and all during a first list, if all workloads are known by then.
pub(super) const KEPT_KEYS: usize = 64;

/// A source as known.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) source: Source,
    pub(super) told: Told,
    /// The object of this name before it, of another uid, was immutable; as far as this process saw it.
    pub(super) after_immutable: bool,
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

/// A version that took the place of what was known.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the change"
)]
pub(super) struct Taken {
    /// Whether something that counts as data, or the uid, is other than before.
    pub(super) changed: bool,
    /// Whether the uid is other than that of the version known before, deleted or not.
    pub(super) recreated: bool,
    /// It was not known to exist before.
    pub(super) appeared: bool,
    /// What it was before, where another version says otherwise for whom it counts.
    pub(super) counted_as: Option<Version>,
    /// It is older than what was known when it was asked for.
    pub(super) older: bool,
    /// That is news.
    pub(super) sighting: bool,
}

/// An absence as it became known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    pub(super) by: By,
    /// The resourceVersion of the deletion, where an event tells it.
    pub(super) number: u64,
    /// When it was seen, in unix seconds.
    pub(super) now: i64,
    /// All sources are watched, and not merely selected ones.
    pub(super) watches_all: bool,
    /// It may exist although no watch shows it: an answer that says otherwise is remembered.
    pub(super) hides: bool,
    /// Somebody uses it. What a source was that nobody uses is not remembered.
    pub(super) used: bool,
}

/// What taking in an absence did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nothing.
    Nothing,
    /// It is known now to be absent; it was not known to exist.
    Noted,
    /// It was known to exist, and is gone.
    Gone,
}

impl Stored {
    /// Whether it is known to exist, as this.
    fn is(&self, version: &Version) -> bool {
        matches!(&self.source, Source::Present(known) if known.uid == version.uid && known.whole == version.whole)
    }

    /// Returns the lowest resourceVersion that is no older: that it is known in, or the next after it was gone.
    pub(super) fn number(&self) -> u64 {
        match &self.source {
            Source::Present(version) => version.resource_version,
            Source::Tombstone { since, .. } => since.saturating_add(1),
        }
    }

    /// Whether an immutable object of this name and another uid than this one was there.
    pub(super) fn was_immutable(&self, uid: &str) -> bool {
        match self.last() {
            Some(last) if last.uid != uid => last.immutable,
            _ => self.after_immutable,
        }
    }

    /// Returns its version, or the one that it last had.
    fn last(&self) -> Option<&Version> {
        match &self.source {
            Source::Present(version) => Some(version),
            Source::Tombstone { last, .. } => last.as_deref(),
        }
    }

    /// Returns the version of what exists.
    pub(super) fn present(&self) -> Option<&Version> {
        match &self.source {
            Source::Present(version) => Some(version),
            Source::Tombstone { .. } => None,
        }
    }

    /// Whether a machine made the object whose place this version takes; `None` where it takes none.
    pub(super) fn succeeded_by(&self, version: &Version) -> Option<bool> {
        let last = self.last().filter(|last| last.uid != version.uid);
        last.map(|last| last.origin.by_machine)
    }
}

impl Sources {
    pub(super) fn get(&self, name: &SourceName) -> Option<&Stored> {
        self.by_name.get(name)
    }

    /// Returns the version of a source that exists.
    pub(super) fn present(&self, name: &SourceName) -> Option<&Version> {
        self.get(name)?.present()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Returns those that took the place of an object that a machine had made, as they are known, or as `overlay` has them.
    pub(super) fn after_machines_with(
        &self,
        overlay: &Overlay<'_>,
    ) -> Cow<'_, BTreeSet<SourceName>> {
        let known = &self.after_machines;
        let succeeds = |(source, live): (&&SourceName, &Lookup<'_>)| match live {
            Lookup::Present { version, .. } => {
                let stored = self.get(source)?;
                let by_machine = stored.succeeded_by(version)?;
                (known.contains(*source) != by_machine).then(|| ((*source).clone(), by_machine))
            }
            Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => None,
        };
        let news: Vec<_> = overlay.iter().filter_map(succeeds).collect();
        if news.is_empty() {
            return Cow::Borrowed(known);
        }
        let mut all = known.clone();
        for (source, by_machine) in news {
            if by_machine {
                all.insert(source);
            } else {
                all.remove(&source);
            }
        }
        Cow::Owned(all)
    }

    /// Returns the names of sources that exist, or those that are gone and remembered as well.
    pub(super) fn candidates(&self, gone_too: bool) -> impl Iterator<Item = &SourceName> {
        let all = self.by_name.iter();
        all.filter(move |(_, stored)| gone_too || stored.present().is_some())
            .map(|(name, _)| name)
    }

    /// Returns the sources that exist.
    pub(super) fn all_present(&self) -> impl Iterator<Item = (&SourceName, &Version)> {
        let all = self.by_name.iter();
        all.filter_map(|(name, stored)| Some((name, stored.present()?)))
    }

    /// Takes in a version; `None` where it does not count.
    pub(super) fn take(
        &mut self,
        name: &SourceName,
        version: Version,
        by: By,
        clock: &mut Clock,
    ) -> Option<Taken> {
        let known = self.by_name.get_mut(name);
        let before = known.as_ref().map(|known| (known.told, known.number()));
        let same = known.as_ref().is_some_and(|known| known.is(&version));
        let weighed = clock.weigh(before, by, version.resource_version, same)?;
        let succeeds = known
            .as_ref()
            .and_then(|known| known.succeeded_by(&version));
        let after_immutable = known
            .as_ref()
            .is_some_and(|known| known.was_immutable(&version.uid));
        match succeeds {
            None => {}
            Some(true) => {
                self.after_machines.insert(name.clone());
            }
            Some(false) => {
                self.after_machines.remove(name);
            }
        }
        let mut taken = Taken {
            changed: true,
            recreated: succeeds.is_some(),
            appeared: false,
            counted_as: None,
            older: weighed.older,
            sighting: weighed.sighting,
        };
        if let Some(Stored {
            source: Source::Present(known),
            told,
            after_immutable: noted,
        }) = known
        {
            *noted = after_immutable;
            let counts = known.counts() != version.counts();
            let origin = known.origin != version.origin;
            // Its users could not be judged by single keys so far.
            let tells_more = version.tells_all() && !known.tells_all();
            taken.changed =
                taken.recreated || known.whole != version.whole || counts || origin || tells_more;
            let before = std::mem::replace(&mut **known, version);
            *told = weighed.told;
            taken.counted_as = (counts && !weighed.older).then_some(before);
        } else {
            taken.appeared = true;
            let stored = Stored {
                source: Source::Present(Box::new(version)),
                told: weighed.told,
                after_immutable,
            };
            self.by_name.insert(name.clone(), stored);
        }
        Some(taken)
    }

    /// Takes in an absence.
    pub(super) fn miss(
        &mut self,
        name: &SourceName,
        absence: Absence,
        clock: &mut Clock,
    ) -> Missed {
        let Absence {
            by,
            number,
            now,
            watches_all,
            hides,
            used,
        } = absence;
        // A watch of selected ones only cannot tell one that is gone from one that is selected no more.
        let sure = watches_all || by.is_answer();
        let mut known = match self.by_name.entry(name.clone()) {
            Entry::Occupied(known) => known,
            Entry::Vacant(unknown) => {
                let found = hides && by.is_answer();
                if !(by == By::Event || !watches_all || found || clock.doubts_any()) {
                    return Missed::Nothing;
                }
                // An event about it that comes late must not bring it to life.
                let source = Source::Tombstone {
                    last: None,
                    since: number,
                    at: now,
                    sure,
                };
                let weighed = clock.weigh(None, by, number, false);
                let told = weighed.map(|weighed| weighed.told).unwrap_or_default();
                unknown.insert(Stored {
                    source,
                    told,
                    after_immutable: false,
                });
                return Missed::Noted;
            }
        };
        let known = known.get_mut();
        let before = (known.told, known.number());
        let lost = clock.is_lost(known.told);
        match &mut known.source {
            Source::Present(version) => {
                let Some(told) = clock.weigh_absence(before, by, number) else {
                    return Missed::Nothing;
                };
                let older = if lost { 0 } else { version.resource_version };
                let source = Source::Tombstone {
                    since: number.max(older),
                    last: used.then(|| version.clone()),
                    at: now,
                    sure,
                };
                (known.source, known.told) = (source, told);
                Missed::Gone
            }
            Source::Tombstone {
                since,
                sure: known_sure,
                ..
            } => {
                *since = if lost { number } else { number.max(*since) };
                if let By::List(_) | By::Answer(_) = by
                    && let Some(told) = clock.weigh_absence(before, by, number)
                {
                    *known_sure |= sure;
                    known.told = told;
                }
                Missed::Nothing
            }
        }
    }

    /// Takes in that a source went that nobody uses, and forgets the oldest of those.
    pub(super) fn went_unused(&mut self, name: &SourceName, is_used: impl Fn(&SourceName) -> bool) {
        self.gone_unused.push_back(name.clone());
        while self.gone_unused.len() > GONE_UNUSED {
            let Some(oldest) = self.gone_unused.pop_front() else {
                return;
            };
            let is_there = self.present(&oldest).is_some();
            let went_again = self.gone_unused.contains(&oldest);
            if !is_there && !went_again && !is_used(&oldest) {
                self.forget(&oldest);
            }
        }
    }

    /// Forgets the single keys of a source that nobody uses, where they are more than this.
    pub(super) fn put_keys_away(&mut self, name: &SourceName, keeps: usize) {
        if let Some(Source::Present(version)) =
            self.by_name.get_mut(name).map(|known| &mut known.source)
            && version.size() > keeps
        {
            version.put_keys_away();
        }
    }

    /// Forgets the single keys of all sources that are not used.
    pub(super) fn put_all_keys_away(&mut self, is_used: impl Fn(&SourceName) -> bool) {
        for (name, stored) in &mut self.by_name {
            if let Source::Present(version) = &mut stored.source
                && name.kind.is_readable()
                && !is_used(name)
            {
                version.put_keys_away();
            }
        }
    }

    /// Forgets a source, and even that it is gone.
    pub(super) fn forget(&mut self, name: &SourceName) {
        self.by_name.remove(name);
        self.after_machines.remove(name);
    }

    /// Forgets sources that were deleted long ago and are not used.
    pub(super) fn expire(&mut self, now: i64, is_used: impl Fn(&SourceName) -> bool) {
        self.by_name.retain(|name, stored| match &stored.source {
            Source::Present(_) => true,
            Source::Tombstone { at, .. } => is_used(name) || now - *at < TOMBSTONE_SECONDS,
        });
        let by_name = &self.by_name;
        self.after_machines
            .retain(|name| by_name.contains_key(name));
        self.gone_unused.retain(|name| by_name.contains_key(name));
        self.gone_unused.shrink_to_fit();
    }
}
