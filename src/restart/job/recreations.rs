//! The Jobs that are being re-created, and when each of them continues. Pure: time is an argument.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    cluster::own::stored_jobs::StoredJob,
    model::{Cause, WorkloadKey},
    restart::retry::backoff,
};

/// How often what is stored is read again.
const LIST_EVERY: Duration = Duration::from_mins(1);
/// How often, at the least, reroll looks at a Job that is being deleted. A watch shows its end sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The Jobs that are being re-created, by the uid of the old Job.
#[derive(Default)]
pub(super) struct Recreations {
    all: BTreeMap<String, Recreation>,
    /// Whether the stored Jobs were read. Before that nothing tells what an earlier process began.
    listed: bool,
    /// When they are to be read again; `None` means now.
    list_at: Option<Instant>,
}

/// One Job that is being re-created.
pub(super) struct Recreation {
    stored: StoredJob,
    told: Told,
    attempts: u32,
    /// When it continues; `None` while [`super::Jobs::recreate`] is at work on it.
    due: Option<Instant>,
    /// Whether all that is left is to delete what is stored.
    over: bool,
}

/// Why it is re-created, and since when; `None` if an earlier process began it.
type Told = Option<(Vec<Cause>, Instant)>;

impl Recreations {
    /// Returns the namespace of each Job that is being re-created.
    pub(super) fn namespaces(&self) -> Vec<String> {
        let all = self.all.values();
        all.map(|one| one.stored.key().namespace.clone()).collect()
    }

    /// Whether the Job with this uid is being re-created; `None` while that is unknown.
    pub(super) fn has(&self, uid: &str) -> Option<bool> {
        let has = self.all.contains_key(uid);
        (has || self.listed).then_some(has)
    }

    /// Begins the re-creation of a Job, for these causes, the first of which was seen at `since`.
    pub(super) fn begin(&mut self, stored: &StoredJob, causes: Vec<Cause>, since: Instant) {
        let recreation = Recreation {
            told: Some((causes, since)),
            due: None,
            ..Recreation::found(stored, since)
        };
        self.all.insert(stored.uid.clone(), recreation);
    }

    /// Lets a re-creation continue at once.
    pub(super) fn hand_over(&mut self, uid: &str) {
        if let Some(one) = self.all.get_mut(uid) {
            one.due = Some(Instant::now());
        }
    }

    /// Forgets a re-creation that was not begun as far as is known. What is stored is read again.
    pub(super) fn forget(&mut self, uid: &str) {
        self.all.remove(uid);
        self.list_at = None;
    }

    /// Removes a re-creation that is done.
    pub(super) fn remove(&mut self, uid: &str) {
        self.all.remove(uid);
    }

    /// Whether the stored Jobs are to be read now.
    pub(super) fn is_to_list(&self, now: Instant) -> bool {
        self.list_at.is_none_or(|next| next <= now)
    }

    /// Takes in the stored Jobs; `None` if they could not be read.
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

    /// Lets the re-creations continue at once whose Job is gone.
    pub(super) fn gone(&mut self, is_gone: impl Fn(&WorkloadKey) -> bool) {
        for one in self.all.values_mut() {
            if is_gone(&one.stored.key()) {
                one.due = one.due.map(|_| Instant::now());
            }
        }
    }

    /// Returns the uid of one that is due.
    pub(super) fn due(&self, now: Instant) -> Option<String> {
        let is_due = |one: &Recreation| one.due.is_some_and(|due| due <= now);
        let mut due = self.all.iter().filter(|(_, one)| is_due(one));
        due.next().map(|(uid, _)| uid.clone())
    }

    /// Returns when there is something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.all.values().filter_map(|one| one.due);
        due.chain(self.list_at).min()
    }

    /// Returns what is stored of one, and whether all that is left is to delete that.
    pub(super) fn find(&self, uid: &str) -> Option<(StoredJob, bool)> {
        let one = self.all.get(uid)?;
        Some((one.stored.clone(), one.over))
    }

    /// Returns what is to be told of a Job that is created, and how many tries failed before.
    pub(super) fn told(&self, uid: &str) -> Option<(StoredJob, Told, u32)> {
        let one = self.all.get(uid)?;
        Some((one.stored.clone(), one.told.clone(), one.attempts))
    }

    /// Changes a re-creation, if it is still there.
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

    /// Notes that the old Job is not gone yet.
    pub(super) fn waits(&mut self) {
        self.due = Some(Instant::now() + LOOK_AGAIN);
    }

    /// Notes a failed try, which is repeated later. Returns how many tries failed, and the causes.
    pub(super) fn failed(&mut self) -> (u32, Vec<Cause>) {
        self.due = Some(Instant::now() + backoff(self.attempts));
        self.attempts += 1;
        let causes = self.told.as_ref().map(|(causes, _)| causes.clone());
        (self.attempts, causes.unwrap_or_default())
    }

    /// Notes that only what is stored is left, and that deleting it failed. That is tried again.
    pub(super) fn is_over(&mut self) {
        self.over = true;
        self.failed();
    }
}
