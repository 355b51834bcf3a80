//! The Jobs that are being re-created, each gone on with when it is due, by the leader.

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Step;
use crate::{
    controller::{
        Controller, Occasion,
        kept::{Kept, Store},
        restart::{BEAT, backoff},
    },
    model::{Cause, WorkloadKey, annotation::LAST_RESTART, workload::JOB},
    ops::metrics::labels::IntentOutcome,
};

/// How often what is kept is read again.
const LIST_EVERY: Duration = Duration::from_mins(1);
/// How often a Job that is being deleted is looked at, at the least; a watch shows it sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Jobs that are being re-created, by the uid of the one that goes.
#[derive(Default)]
pub(in crate::controller) struct Recreations {
    all: BTreeMap<String, Recreation>,
    /// Whether what is kept was read: before that nobody knows what an earlier process began.
    listed: bool,
    /// When it is to be read again.
    list_at: Option<Instant>,
}

struct Recreation {
    kept: Kept,
    /// Why, and since when; of what an earlier process began nobody knows.
    told: Option<(Vec<Cause>, Instant)>,
    attempts: u32,
    /// When it is gone on with; `None` while it is begun.
    due: Option<Instant>,
    /// All that is left is to keep it no more.
    over: bool,
}

impl Recreations {
    /// Whether this one is under way; `None` while nobody knows.
    pub(super) fn has(&self, uid: &str) -> Option<bool> {
        let has = self.all.contains_key(uid);
        (has || self.listed).then_some(has)
    }

    /// This one is begun, for these causes since then.
    pub(super) fn begin(&mut self, kept: &Kept, causes: Vec<Cause>, since: Instant) {
        let recreation = Recreation {
            told: Some((causes, since)),
            due: None,
            ..Recreation::found(kept)
        };
        self.all.insert(kept.uid.clone(), recreation);
    }

    /// It can be gone on with.
    pub(super) fn hand_over(&mut self, uid: &str) {
        if let Some(one) = self.all.get_mut(uid) {
            one.due = Some(Instant::now());
        }
    }

    /// It was not begun, as far as is known; what is kept is read again.
    pub(super) fn forget(&mut self, uid: &str) {
        self.all.remove(uid);
        self.list_at = None;
    }
}

impl Recreation {
    fn found(kept: &Kept) -> Self {
        Self {
            kept: kept.clone(),
            told: None,
            attempts: 0,
            due: Some(Instant::now()),
            over: false,
        }
    }

    /// It is tried again later. Gives how often it was, and for what.
    fn failed(&mut self) -> (u32, Vec<Cause>) {
        self.due = Some(Instant::now() + backoff(self.attempts));
        self.attempts += 1;
        let causes = self.told.as_ref().map(|(causes, _)| causes.clone());
        (self.attempts, causes.unwrap_or_default())
    }
}

impl Controller {
    /// How many Jobs are being re-created.
    pub fn recreating(&self) -> usize {
        self.recreations().all.len()
    }

    pub(in crate::controller) fn recreations(&self) -> MutexGuard<'_, Recreations> {
        self.recreations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A Job is gone: if it is to be re-created, that can go on.
    pub(in crate::controller) fn recreate_next(&self, key: &WorkloadKey) {
        if key.kind != &JOB {
            return;
        }
        let mut recreations = self.recreations();
        let of_key = |recreation: &&mut Recreation| {
            recreation.kept.name == key.name && recreation.kept.namespace == key.namespace
        };
        for recreation in recreations.all.values_mut().filter(of_key) {
            recreation.due = recreation.due.map(|_| Instant::now());
        }
        self.recreations_changed.notify_one();
    }

    /// Goes on with every Job that is being re-created, until `stop`.
    pub async fn finish_recreations(self: Arc<Self>, stop: CancellationToken) {
        let Some(store) = self.kept.clone() else {
            return;
        };
        let mut leadership = self.leadership.clone();
        while !stop.is_cancelled() {
            let works = leadership.leads() && self.is_listed();
            if works {
                self.list_kept(&store).await;
                while let Some(uid) = self.due_recreation()
                    && leadership.leads()
                    && !stop.is_cancelled()
                {
                    self.go_on(&store, &uid).await;
                }
            } else {
                *self.recreations() = Recreations::default();
            }
            let next = self.next_recreation().filter(|_| works);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.recreations_changed.notified() => {}
                () = leadership.changed() => {}
                // Whether all lists are in is told to nobody.
                () = sleep(BEAT), if !works => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    async fn list_kept(&self, store: &Store) {
        let now = Instant::now();
        if self.recreations().list_at.is_some_and(|next| now < next) {
            return;
        }
        let listed = store.all().await;
        let mut recreations = self.recreations();
        match listed {
            Ok(all) => {
                recreations.listed = true;
                recreations.list_at = Some(now + LIST_EVERY);
                for kept in all {
                    let found = || Recreation::found(&kept);
                    recreations
                        .all
                        .entry(kept.uid.clone())
                        .or_insert_with(found);
                }
            }
            Err(failure) => {
                recreations.list_at = Some(now + LOOK_AGAIN);
                tracing::warn!(
                    failure = failure.as_str(),
                    "cannot list the Secrets of reroll's namespace that keep Jobs, trying again"
                );
            }
        }
    }

    fn due_recreation(&self) -> Option<String> {
        let now = Instant::now();
        let recreations = self.recreations();
        let is_due = |one: &Recreation| one.due.is_some_and(|due| due <= now);
        let mut due = recreations.all.iter().filter(|(_, one)| is_due(one));
        due.next().map(|(uid, _)| uid.clone())
    }

    fn next_recreation(&self) -> Option<Instant> {
        let recreations = self.recreations();
        let due = recreations.all.values().filter_map(|one| one.due);
        due.chain(recreations.list_at).min()
    }

    async fn go_on(&self, store: &Store, uid: &str) {
        let found = self
            .recreations()
            .all
            .get(uid)
            .map(|one| (one.kept.clone(), one.over));
        let Some((kept, over)) = found else {
            return;
        };
        let step = if over {
            Ok(Step::Over { created: false })
        } else {
            self.carry_on(&kept).await
        };
        match step {
            Ok(Step::Over { created }) => {
                if created {
                    self.report_recreated(uid);
                }
                self.keep_no_more(store, &kept).await;
            }
            Ok(Step::Waits) => {
                self.later(uid, |one| one.due = Some(Instant::now() + LOOK_AGAIN));
            }
            Err(failure) => {
                let Some((attempts, causes)) = self.later(uid, Recreation::failed) else {
                    return;
                };
                self.state
                    .metrics
                    .restart_failed(JOB.kind, failure.as_str());
                self.report_not_recreated(&kept.key(), &causes, failure, attempts);
            }
        }
    }

    async fn keep_no_more(&self, store: &Store, kept: &Kept) {
        if let Err(failure) = store.drop(&kept.uid).await {
            let again = self.later(&kept.uid, |one| {
                one.over = true;
                one.failed();
            });
            if again.is_some() {
                tracing::warn!(workload = %kept.key(), failure = failure.as_str(), "cannot delete the Secret that kept a Job, trying again");
            }
            return;
        }
        self.recreations().all.remove(&kept.uid);
        // It may be the old one still, which nobody took on meanwhile.
        self.judge(&kept.key(), Occasion::Look);
    }

    /// Changes one, if it is still there.
    fn later<T>(&self, uid: &str, change: impl FnOnce(&mut Recreation) -> T) -> Option<T> {
        self.recreations().all.get_mut(uid).map(change)
    }

    fn report_recreated(&self, uid: &str) {
        let Some((kept, told, attempts)) = self
            .recreations()
            .all
            .get(uid)
            .map(|one| (one.kept.clone(), one.told.clone(), one.attempts))
        else {
            return;
        };
        let key = kept.key();
        let annotations = kept.manifest.metadata.annotations.unwrap_or_default();
        let last_restart = annotations.get(LAST_RESTART).cloned().unwrap_or_default();
        tracing::info!(workload = %key, causes = last_restart, "created a Job again");
        self.count_once(&key);
        let Some((causes, since)) = told else {
            return self.report_recreated_late(&key, last_restart);
        };
        self.report_restart(&key, &causes, attempts, None);
        for cause in &causes {
            self.state
                .metrics
                .restarted(key.kind.kind, cause.kind.as_str());
        }
        self.state.metrics.intent_ended(IntentOutcome::Done);
        self.state.metrics.reacted(since.elapsed());
    }
}
