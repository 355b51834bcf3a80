//! What the webhook and the watches share: the index, and the writes that admission saw before any watch showed them.
//!
//! The webhook serves reviews on a thread of its own, so what changes here is atomic or behind a lock. Invariant: no
//! task holds one of these locks across an await.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::{sync::Notify, time::Instant};

pub use crate::clock::{Clock, system_clock};
use crate::model::{
    Conventions, Digest, DigestKey, Index, SourceKey, SourceName, Version,
    decide::Lookup,
    index::Tick,
    peer::{Peers, TRY_AGAIN},
    workload::Kinds,
    writers::{Print, Writers},
};

mod contradictions;

pub use contradictions::Contradictions;

/// What is fixed before anything is read. It never changes and needs no lock.
pub struct Setup {
    /// Digests data; it also knows the format of `observed` that this process writes.
    pub key: DigestKey,
    /// The defaults for everything that no annotation sets, and the names of the annotations.
    pub conventions: Arc<Conventions>,
    /// The kinds of workloads that reroll works with.
    pub kinds: Kinds,
    /// The time of day.
    pub clock: Clock,
    /// The user name by which the API server knows reroll.
    pub own_user: String,
}

/// The state that all tasks of one process share. No task holds a lock of it across an await.
pub struct State {
    /// What never changes, and is read without a lock.
    pub setup: Setup,
    index: RwLock<Index>,
    provisional: Mutex<Provisional>,
    contradictions: Mutex<Contradictions>,
    peers: Mutex<Peers>,
    writers: Mutex<Writers>,
    began: Instant,
    /// Notified when a claim was added to [`Provisional`].
    pub provisional_added: Notify,
    /// Notified when a read was added to [`Contradictions`].
    pub contradicted_added: Notify,
    /// Notified when a workload was observed under a digest key that may be the right one instead of ours.
    pub key_doubted: Notify,
    /// Notified when [`Peers`] has news.
    pub peers_changed: Notify,
    /// The number of admission reviews answered since the start.
    pub reviews: AtomicU64,
}

impl State {
    /// Makes the state around an index.
    pub fn new(index: Index, clock: Clock, own_user: String) -> Self {
        let peers = Peers::new(index.key().id(), TRY_AGAIN);
        Self {
            setup: Setup {
                key: index.key().clone(),
                conventions: Arc::clone(index.conventions()),
                kinds: index.kinds().clone(),
                clock,
                own_user,
            },
            index: RwLock::new(index),
            provisional: Mutex::default(),
            contradictions: Mutex::default(),
            peers: Mutex::new(peers),
            writers: Mutex::default(),
            began: Instant::now(),
            provisional_added: Notify::new(),
            contradicted_added: Notify::new(),
            key_doubted: Notify::new(),
            peers_changed: Notify::new(),
            reviews: AtomicU64::new(0),
        }
    }

    /// Returns the same, where a namespace of another installation is tried again after so long.
    #[must_use]
    pub fn trying_again(self, after: RangeInclusive<Duration>) -> Self {
        let peers = Peers::new(self.setup.key.id(), after);
        Self {
            peers: Mutex::new(peers),
            ..self
        }
    }

    /// Locks the index to read it.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read()
    }

    /// Locks the index to change it.
    pub fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write()
    }

    /// Locks the claims: what admission has seen and the API server has not shown yet.
    pub fn provisional(&self) -> MutexGuard<'_, Provisional> {
        self.provisional.lock()
    }

    /// Notes reads of sources in a namespace, sent at `asked`, that show something older than the index knew then. Whoever
    /// calls may hold the index: this takes no lock but its own.
    pub fn contradicted(
        &self,
        namespace: &str,
        asked: Tick,
        reads: Vec<(SourceName, Option<Version>)>,
    ) {
        if !reads.is_empty() {
            self.contradictions.lock().add(namespace, asked, reads);
            self.contradicted_added.notify_one();
        }
    }

    /// Locks the reads that contradict the index.
    pub fn contradictions(&self) -> MutexGuard<'_, Contradictions> {
        self.contradictions.lock()
    }

    /// Asks or tells who works in a namespace, and has the news told. Takes no other lock.
    pub fn peers<T>(&self, ask: impl FnOnce(&mut Peers, Duration) -> T) -> T {
        let mut peers = self.peers.lock();
        let answer = ask(&mut peers, self.began.elapsed());
        if peers.has_news() {
            self.peers_changed.notify_one();
        }
        answer
    }

    /// Locks who wrote sources. Whoever holds it takes no other lock.
    pub fn writers(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock()
    }

    /// Takes in that a watch shows this version of a source, before the index does. Who made it is known for those that are
    /// used and that were known to be otherwise: a first list tells no change.
    pub fn shows(&self, key: &SourceKey, version: &Version, manager: Option<&str>) {
        let leaves_time = {
            let index = self.index.read();
            if !index.is_used(key) {
                return;
            }
            match index.source(&key.namespace, &key.source) {
                Lookup::Present { version: known, .. } if known.uid == version.uid => {
                    if known.whole == version.whole {
                        let (before, now) = (Print::of(known), Print::of(version));
                        drop(index);
                        return self.writers().restate(key, &before, &now);
                    }
                    // The removal of a key leaves none, and tells nothing of who removed it.
                    known.written < version.written
                }
                Lookup::Present { .. } | Lookup::Absent { .. } => true,
                Lookup::Unsynced | Lookup::Unseen => return,
            }
        };
        let manager = manager.filter(|_| leaves_time);
        self.writers().show(key, Print::of(version), manager);
    }

    /// Returns the moment that [`Peers`] names as so long after the start.
    pub fn moment(&self, since_start: Duration) -> Instant {
        self.began + since_start
    }

    /// Returns the time of day.
    pub fn time(&self) -> Timestamp {
        (self.setup.clock)()
    }

    /// Returns the time of day in unix seconds.
    pub fn now(&self) -> i64 {
        self.time().as_second()
    }
}

/// The most claims that are kept, because anything that reaches the webhook's port can add one. A claim that does not
/// fit is dropped: the watches bring every persisted change anyway.
pub const PROVISIONAL_LIMIT: usize = 8192;

/// Writes of sources that admission saw before they were persisted, and that may never be persisted. At most one claim
/// per source, and at most [`PROVISIONAL_LIMIT`].
#[derive(Debug, Default)]
pub struct Provisional {
    claims: BTreeMap<SourceKey, Claim>,
}

/// The last admitted write of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The uid that the source has after the write; `None` when the write deletes it.
    pub uid: Option<String>,
    /// The digest of its data after the write; `None` when the write deletes it.
    pub whole: Option<Digest>,
    /// The object that an earlier admitted write deleted.
    pub deleted: Option<Deleted>,
    /// When the write was admitted.
    pub at: Instant,
}

/// An object that an admitted write deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// `metadata.uid`
    pub uid: String,
    /// It was immutable.
    pub immutable: bool,
}

impl Provisional {
    /// Notes an admitted create or update. Returns the object that was deleted before it, if admission saw that.
    pub fn admit(
        &mut self,
        key: &SourceKey,
        uid: &str,
        whole: Digest,
        at: Instant,
    ) -> Option<Deleted> {
        let deleted = self
            .claims
            .get(key)
            .and_then(|claim| claim.deleted.clone())
            .filter(|before| before.uid != uid);
        self.put(
            key,
            Claim {
                uid: Some(uid.to_owned()),
                whole: Some(whole),
                deleted: deleted.clone(),
                at,
            },
        );
        deleted
    }

    /// Notes an admitted deletion.
    pub fn delete(&mut self, key: &SourceKey, deleted: Deleted, at: Instant) {
        self.put(
            key,
            Claim {
                uid: None,
                whole: None,
                deleted: Some(deleted),
                at,
            },
        );
    }

    /// Whether a write of this source was admitted, and not seen yet.
    pub fn claims(&self, key: &SourceKey) -> bool {
        self.claims.contains_key(key)
    }

    /// Removes and returns the claims that are at least `age` old at `now`.
    pub fn take_due(&mut self, age: Duration, now: Instant) -> Vec<(SourceKey, Claim)> {
        let due: Vec<_> = self
            .claims
            .iter()
            .filter(|(_, claim)| claim.at + age <= now)
            .map(|(key, _)| key.clone())
            .collect();
        due.into_iter()
            .filter_map(|key| self.claims.remove_entry(&key))
            .collect()
    }

    /// Returns when the oldest claim was admitted.
    pub fn oldest(&self) -> Option<Instant> {
        self.claims.values().map(|claim| claim.at).min()
    }

    fn put(&mut self, key: &SourceKey, claim: Claim) {
        if self.claims.len() < PROVISIONAL_LIMIT || self.claims.contains_key(key) {
            self.claims.insert(key.clone(), claim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceName;

    fn whole() -> Digest {
        Digest::parse("AAAAAAAAAAAAAAAA").unwrap()
    }

    fn key(name: &str) -> SourceKey {
        SourceKey {
            namespace: "n".to_owned(),
            source: SourceName::secret(name),
        }
    }

    #[test]
    fn a_create_after_a_delete_is_a_recreation() {
        let mut provisional = Provisional::default();
        let now = Instant::now();
        assert!(!provisional.claims(&key("a")));
        assert_eq!(provisional.admit(&key("a"), "A", whole(), now), None);
        assert!(provisional.claims(&key("a")));
        let gone = Deleted {
            uid: "A".to_owned(),
            immutable: true,
        };
        provisional.delete(&key("a"), gone.clone(), now);
        assert_eq!(provisional.admit(&key("a"), "B", whole(), now), Some(gone));
        assert_eq!(provisional.take_due(Duration::ZERO, now).len(), 1);
        assert_eq!(provisional.oldest(), None);
    }

    #[test]
    fn it_is_bounded_and_what_is_known_is_still_updated() {
        let mut provisional = Provisional::default();
        let now = Instant::now();
        for number in 0..=PROVISIONAL_LIMIT {
            provisional.admit(&key(&format!("s{number}")), "A", whole(), now);
        }
        let gone = Deleted {
            uid: "A".to_owned(),
            immutable: false,
        };
        provisional.delete(&key("s0"), gone, now);
        let due = provisional.take_due(Duration::ZERO, now);
        assert_eq!(due.len(), PROVISIONAL_LIMIT);
        assert!(
            due.iter()
                .any(|(name, claim)| *name == key("s0") && claim.uid.is_none())
        );
    }
}
