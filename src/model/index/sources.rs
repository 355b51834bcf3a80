//! Sources: how versions and absences are taken in, and looked up.

use super::{
    Index, SourceChange,
    asked::{By, Tick, Told},
    namespace::{Source, Stored},
};
use crate::model::{
    decide::Lookup,
    source::{SourceKey, SourceName},
    version::Version,
};

impl Index {
    /// Takes in an event: a version that exists, or existed, in the API.
    pub fn apply_source(&mut self, key: &SourceKey, version: Version) -> SourceChange {
        self.take_source(key, version, By::Event)
    }

    /// Takes in a version, however it became known.
    pub fn take_source(&mut self, key: &SourceKey, version: Version, by: By) -> SourceChange {
        if !self.works_in(&key.namespace) {
            return SourceChange::default();
        }
        let (digest_key, defaults) = (&self.key, self.conventions.defaults());
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        let known = space.sources.get_mut(&key.source);
        let before = known.as_ref().map(|known| (known.told, known.number()));
        let same = known.as_ref().is_some_and(|known| known.is(&version));
        let number = version.resource_version;
        let Some(taken) = self.clock.weigh(before, by, number, same) else {
            return SourceChange::default();
        };
        let (mut changed, mut recreated) = (true, false);
        match known {
            Some(Stored {
                source: Source::Present(known),
                told,
            }) => {
                recreated = known.uid != version.uid;
                let counts = known.counts() != version.counts();
                changed = recreated || known.whole != version.whole || counts;
                let before = std::mem::replace(&mut **known, version);
                *told = taken.told;
                if counts && !taken.older {
                    let watched = self.conventions.sources.is_none();
                    space.begin_to_count(&key.source, &before, watched);
                }
            }
            known => {
                if let Some(Source::Tombstone { last, .. }) = known.map(|known| &known.source) {
                    recreated = last.as_ref().is_some_and(|last| last.uid != version.uid);
                }
                space.put(&key.source, Source::Present(Box::new(version)), taken.told);
            }
        }
        let users = if changed || taken.older {
            space.users_of(&key.namespace, &key.source)
        } else {
            Vec::new()
        };
        if taken.older {
            for user in &users {
                let slot = (user.kind, user.name.clone());
                space.forget_unwritten(&slot, defaults, digest_key);
            }
        }
        SourceChange {
            changed,
            recreated,
            users,
            older: taken.sighting,
        }
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
        let space = self.namespaces.entry(key.namespace.clone()).or_default();
        // Whoever looks at selected ones only cannot tell one that is gone from one that is selected no more.
        let sure = self.conventions.sources.is_none() || by.is_answer();
        let Some(known) = space.sources.get_mut(&key.source) else {
            let absence = By::Event == by || self.conventions.sources.is_some();
            if absence || self.clock.doubts_any() {
                // Nobody has seen it; an event about it that comes late must not bring it to life.
                let tombstone = Source::Tombstone {
                    last: None,
                    since: number,
                    at: now,
                    sure,
                };
                let told = self
                    .clock
                    .weigh(None, by, number, false)
                    .map(|taken| taken.told);
                space.put(&key.source, tombstone, told.unwrap_or_default());
            }
            return SourceChange::default();
        };
        let before = (known.told, known.number());
        match &mut known.source {
            Source::Present(version) => {
                let Some(told) = self.clock.weigh_absence(before, by, number) else {
                    return SourceChange::default();
                };
                let tombstone = Source::Tombstone {
                    since: number.max(version.resource_version),
                    last: Some(version.clone()),
                    at: now,
                    sure,
                };
                let users = space.users_of(&key.namespace, &key.source);
                space.put(&key.source, tombstone, told);
                SourceChange {
                    changed: true,
                    users,
                    ..SourceChange::default()
                }
            }
            Source::Tombstone {
                since,
                sure: known_sure,
                ..
            } => {
                *since = number.max(*since);
                if let By::List(_) | By::Answer(_) = by
                    && let Some(told) = self.clock.weigh_absence(before, by, number)
                {
                    *known_sure |= sure;
                    known.told = told;
                }
                SourceChange::default()
            }
        }
    }

    /// What is known of a source. An ignored one is looked up like any other.
    pub fn source(&self, namespace: &str, source: &SourceName) -> Lookup<'_> {
        self.look(namespace, source, None)
    }

    /// The same, for somebody of whom the newest was learned at this moment: what was asked for later is no mere event.
    pub(super) fn look(
        &self,
        namespace: &str,
        source: &SourceName,
        since: Option<Tick>,
    ) -> Lookup<'_> {
        if !self.is_synced(source.kind, namespace) {
            return Lookup::Unsynced;
        }
        let stored = self.stored(namespace, source);
        let asked_since = |told: Told| since.is_some_and(|since| told.is_after(since));
        match stored.map(|stored| (&stored.source, stored.told)) {
            None if self.conventions.sources.is_some() && source.kind.is_readable() => {
                Lookup::Unseen
            }
            Some((Source::Tombstone { sure: false, .. }, _)) => Lookup::Unseen,
            None => Lookup::Absent {
                last: None,
                since: u64::from(!source.kind.is_readable() && self.statuses_complete(namespace)),
            },
            Some((Source::Tombstone { last, since, .. }, told)) => Lookup::Absent {
                last: last.as_deref(),
                since: if asked_since(told) { u64::MAX } else { *since },
            },
            Some((Source::Present(version), told)) => Lookup::Present {
                version,
                fresh: asked_since(told),
            },
        }
    }

    pub(super) fn stored(&self, namespace: &str, source: &SourceName) -> Option<&Stored> {
        self.namespaces.get(namespace)?.sources.get(source)
    }
}
