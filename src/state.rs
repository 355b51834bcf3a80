//! What the webhook and the controller share: the index, and what the webhook has seen before the API shows it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::{sync::Notify, time::Instant};

pub use crate::clock::{Clock, system_clock};
use crate::model::{Conventions, Digest, DigestKey, Index, SourceKey, workload::Kinds};

/// What was agreed on before anything was read. It never changes and needs no lock.
pub struct Setup {
    /// Digests are made with it; it also knows the format of `observed` that is written.
    pub key: DigestKey,
    /// What holds where nothing is said, and what annotations are called.
    pub conventions: Arc<Conventions>,
    /// The kinds of workloads.
    pub kinds: Kinds,
    /// The time of day.
    pub clock: Clock,
    /// The user that the API server knows us as.
    pub own_user: String,
}

/// Shared by all tasks of one process. No lock in it is held across an await.
pub struct State {
    /// Read without a lock.
    pub setup: Setup,
    index: RwLock<Index>,
    provisional: Mutex<Provisional>,
    /// Rung when something was added to [`Provisional`].
    pub provisional_added: Notify,
    /// Rung when something was observed under a digest key that may be right instead of ours.
    pub key_doubted: Notify,
    /// How many admission reviews were answered.
    pub reviews: AtomicU64,
}

impl State {
    /// Around an index.
    pub fn new(index: Index, clock: Clock, own_user: String) -> Self {
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
            provisional_added: Notify::new(),
            key_doubted: Notify::new(),
            reviews: AtomicU64::new(0),
        }
    }

    /// Reads the index.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read()
    }

    /// Changes the index.
    pub fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write()
    }

    /// What admission has seen and the API has not shown yet.
    pub fn provisional(&self) -> MutexGuard<'_, Provisional> {
        self.provisional.lock()
    }

    /// The time of day.
    pub fn time(&self) -> Timestamp {
        (self.setup.clock)()
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        self.time().as_second()
    }
}

/// How many provisional intents are kept: the webhook's port is open to whoever reaches it. What does not fit is left
/// to the watches, which bring every persisted change anyway.
pub const PROVISIONAL_LIMIT: usize = 8192;

/// Writes of sources that admission saw before they were persisted, and may never be: one per source, bounded.
#[derive(Debug, Default)]
pub struct Provisional {
    claims: BTreeMap<SourceKey, Claim>,
}

/// What the last admitted write of a source would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The uid that the source has then; `None` when it is deleted.
    pub uid: Option<String>,
    /// What its data is then.
    pub whole: Option<Digest>,
    /// The uid that a deletion seen before took away.
    pub deleted: Option<String>,
    /// When it was admitted.
    pub at: Instant,
}

impl Provisional {
    /// A create or update was admitted. Gives the uid of the object that was deleted before it, where that was seen.
    pub fn admit(
        &mut self,
        key: &SourceKey,
        uid: &str,
        whole: Digest,
        at: Instant,
    ) -> Option<String> {
        let deleted = self
            .claims
            .get(key)
            .and_then(|claim| claim.deleted.clone())
            .filter(|before| before != uid);
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

    /// A deletion was admitted.
    pub fn delete(&mut self, key: &SourceKey, uid: &str, at: Instant) {
        self.put(
            key,
            Claim {
                uid: None,
                whole: None,
                deleted: Some(uid.to_owned()),
                at,
            },
        );
    }

    /// Takes out what is at least this old at this time.
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

    /// When the oldest was admitted.
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
        assert_eq!(provisional.admit(&key("a"), "A", whole(), now), None);
        provisional.delete(&key("a"), "A", now);
        assert_eq!(
            provisional.admit(&key("a"), "B", whole(), now).as_deref(),
            Some("A")
        );
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
        provisional.delete(&key("s0"), "A", now);
        let due = provisional.take_due(Duration::ZERO, now);
        assert_eq!(due.len(), PROVISIONAL_LIMIT);
        assert!(
            due.iter()
                .any(|(name, claim)| *name == key("s0") && claim.uid.is_none())
        );
    }
}
