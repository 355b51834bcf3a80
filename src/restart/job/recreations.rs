//! The Jobs that are being re-created, and when each is gone on with. Pure: time is an argument.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    cluster::own::stored_jobs::StoredJob,
    model::{Cause, WorkloadKey},
    restart::retry::backoff,
};

/// How often what is stored is read again.
const LIST_EVERY: Duration = Duration::from_mins(1);
/// How often a Job that is being deleted is looked at, at the least; a watch shows it sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Jobs that are being re-created, by the uid of the one that goes.
#[derive(Default)]
pub(super) struct Recreations {
    all: BTreeMap<String, Recreation>,
    /// Whether what is stored was read: before that nothing tells what an earlier process began.
    listed: bool,
    /// When it is to be read again.
    list_at: Option<Instant>,
}

/// One of them.
pub(super) struct Recreation {
    stored: StoredJob,
    told: Told,
    attempts: u32,
    /// When it is gone on with; `None` while it is begun.
    due: Option<Instant>,
    /// All that is left is to delete what is stored.
    over: bool,
}

/// Why it is re-created, and since when; of what an earlier process began nothing tells.
type Told = Option<(Vec<Cause>, Instant)>;

impl Recreations {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether this one is under way; `None` while nothing tells.
    pub(super) fn has(&self, uid: &str) -> Option<bool> {
        let has = self.all.contains_key(uid);
        (has || self.listed).then_some(has)
    }

    /// This one is begun, for these causes since then.
    pub(super) fn begin(&mut self, stored: &StoredJob, causes: Vec<Cause>, since: Instant) {
        let recreation = Recreation {
            told: Some((causes, since)),
            due: None,
            ..Recreation::found(stored, since)
        };
        self.all.insert(stored.uid.clone(), recreation);
    }

    /// It can be gone on with.
    pub(super) fn hand_over(&mut self, uid: &str) {
        if let Some(one) = self.all.get_mut(uid) {
            one.due = Some(Instant::now());
        }
    }

    /// It was not begun, as far as is known; what is stored is read again.
    pub(super) fn forget(&mut self, uid: &str) {
        self.all.remove(uid);
        self.list_at = None;
    }

    /// It is done.
    pub(super) fn remove(&mut self, uid: &str) {
        self.all.remove(uid);
    }

    /// Whether what is stored is to be read now.
    pub(super) fn is_to_list(&self, now: Instant) -> bool {
        self.list_at.is_none_or(|next| next <= now)
    }

    /// What is stored was read; `None`: it could not be.
    pub(super) fn listed(&mut self, all: Option<Vec<StoredJob>>, now: Instant) {
        let Some(all) = all else {
            self.list_at = Some(now + LOOK_AGAIN);
            return;
        };
        self.listed = true;
        self.list_at = Some(now + LIST_EVERY);
        for stored in all {
            let found = || Recreation::found(&stored, now);
            self.all.entry(stored.uid.clone()).or_insert_with(found);
        }
    }

    /// Those whose Job is gone can go on at once.
    pub(super) fn gone(&mut self, is_gone: impl Fn(&WorkloadKey) -> bool) {
        for one in self.all.values_mut() {
            if is_gone(&one.stored.key()) {
                one.due = one.due.map(|_| Instant::now());
            }
        }
    }

    /// Returns one that is due.
    pub(super) fn due(&self, now: Instant) -> Option<String> {
        let is_due = |one: &Recreation| one.due.is_some_and(|due| due <= now);
        let mut due = self.all.iter().filter(|(_, one)| is_due(one));
        due.next().map(|(uid, _)| uid.clone())
    }

    /// When there is something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.all.values().filter_map(|one| one.due);
        due.chain(self.list_at).min()
    }

    /// Returns what is stored of one, and whether that is to be deleted and no more.
    pub(super) fn find(&self, uid: &str) -> Option<(StoredJob, bool)> {
        let one = self.all.get(uid)?;
        Some((one.stored.clone(), one.over))
    }

    /// Returns what is to be told of one that is created, and how often that failed before.
    pub(super) fn told(&self, uid: &str) -> Option<(StoredJob, Told, u32)> {
        let one = self.all.get(uid)?;
        Some((one.stored.clone(), one.told.clone(), one.attempts))
    }

    /// Changes one, if it is still there.
    pub(super) fn change<T>(
        &mut self,
        uid: &str,
        change: impl FnOnce(&mut Recreation) -> T,
    ) -> Option<T> {
        self.all.get_mut(uid).map(change)
    }
}

impl Recreation {
    fn found(stored: &StoredJob, now: Instant) -> Self {
        Self {
            stored: stored.clone(),
            told: None,
            attempts: 0,
            due: Some(now),
            over: false,
        }
    }

    /// The old Job is not gone yet.
    pub(super) fn waits(&mut self) {
        self.due = Some(Instant::now() + LOOK_AGAIN);
    }

    /// It is tried again later. Returns how often it was, and for what.
    pub(super) fn failed(&mut self) -> (u32, Vec<Cause>) {
        self.due = Some(Instant::now() + backoff(self.attempts));
        self.attempts += 1;
        let causes = self.told.as_ref().map(|(causes, _)| causes.clone());
        (self.attempts, causes.unwrap_or_default())
    }

    /// Only what is stored is left, and could not be deleted: that is tried again.
    pub(super) fn is_over(&mut self) {
        self.over = true;
        self.failed();
    }
}
