//! Puts another Job in a Job's place, and never loses it.
//!
//! Every step can be repeated by whoever comes next: the Job is read, and must be what was decided about; a dry run
//! proves the manifest of the new one, and where it is refused the old one stays; the manifest is kept ([`super::kept`]);
//! the old Job is deleted in the foreground, so that pods of both never run side by side, and only if it did not change
//! since it was read, so that one that completes meanwhile stays; when it is gone the new one is created, however long
//! that takes; then the manifest is kept no more. A Job of which nothing is kept is never brought back: a person deleted
//! it.
//!
//! What is kept is read by whoever becomes leader, and looked at every minute. It says by itself how far it came, see
//! [`Controller::carry_on`].

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
    core::DynamicObject,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Controller, Occasion,
    intents::Intent,
    kept::{Kept, Store},
    restart::{BEAT, Failure, Moment, backoff},
};
use crate::{
    model::{
        Cause, Outcome, WorkloadKey,
        annotation::{FIELD_MANAGER, LAST_RESTART, OBSERVED},
        index::Overlay,
        workload::{JOB, Standing, Workload, replacement},
    },
    ops::metrics::labels::IntentOutcome,
};

/// How often what is kept is read again.
const LIST_EVERY: Duration = Duration::from_mins(1);
/// No request that was sent so long ago, in seconds, can still be carried out.
const REQUESTS_END: i64 = 120;
/// How often a Job that is being deleted is looked at, at the least; a watch shows it sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Jobs that are being re-created, by the uid of the one that goes.
#[derive(Default)]
pub(super) struct Recreations {
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
    due: Instant,
}

/// How far it came.
enum Step {
    /// Nothing is left to do, whether it was this process that created the new Job or not.
    Over { created: bool },
    /// The old Job is not gone yet.
    Waits,
}

impl Controller {
    /// The same, keeping Jobs that are being re-created.
    #[must_use]
    pub fn with_kept(self, store: Store) -> Self {
        Self {
            kept: Some(store),
            ..self
        }
    }

    /// How many Jobs are being re-created.
    pub fn recreating(&self) -> usize {
        self.recreations().all.len()
    }

    pub(super) fn recreations(&self) -> MutexGuard<'_, Recreations> {
        self.recreations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A Job is gone: if it is to be re-created, that can go on.
    pub(super) fn recreate_next(&self, key: &WorkloadKey) {
        if key.kind != &JOB {
            return;
        }
        let mut recreations = self.recreations();
        let of_key = |recreation: &&mut Recreation| {
            recreation.kept.name == key.name && recreation.kept.namespace == key.namespace
        };
        for recreation in recreations.all.values_mut().filter(of_key) {
            recreation.due = Instant::now();
        }
        self.recreations_changed.notify_one();
    }

    /// Begins to re-create a Job: all until the old one is being deleted. `known`: as it was when that was decided.
    pub(super) async fn recreate(
        &self,
        intent: &Intent,
        known: &Workload,
        causes: &[Cause],
        mark: &str,
        last_restart: &str,
    ) -> Result<(), Failure> {
        let (key, store) = (&intent.workload, self.kept.as_ref().ok_or(Failure::Other)?);
        {
            let recreations = self.recreations();
            if recreations.all.contains_key(&known.uid) {
                return Ok(());
            }
            if !recreations.listed {
                return Err(Failure::Conflict);
            }
        }
        let job = self.as_known(key, known).await?;
        if Workload::read(key.kind, &job).standing != Standing::Active {
            return Err(self.changed(key, job));
        }
        let kept = Kept {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: known.uid.clone(),
            resource_version: job.metadata.resource_version.clone().unwrap_or_default(),
            manifest: replacement(&job, mark, last_restart),
            at: self.state.now(),
        };
        self.prove(&kept).await?;
        if let Err(failure) = store.keep(&kept).await {
            // Another process, which led until now, began the same.
            self.recreations().list_at = None;
            self.recreations_changed.notify_one();
            return Err(failure);
        }
        (self.probe)(Moment::Kept);
        let deleted = self.delete_old(&kept).await;
        (self.probe)(Moment::Deleted);
        if let Err(
            failure
            @ (Failure::Conflict | Failure::Gone | Failure::Forbidden | Failure::Overloaded),
        ) = deleted
        {
            // It changed, or a person deleted it, or nobody may: this deleted nothing.
            store.drop(&kept.uid).await?;
            self.read_workload(key).await;
            return Err(failure);
        }
        // Where nobody knows whether it is being deleted, that is found out by looking.
        let recreation = Recreation {
            told: Some((causes.to_vec(), intent.since)),
            attempts: 0,
            due: Instant::now(),
            kept,
        };
        self.recreations().all.insert(known.uid.clone(), recreation);
        self.recreations_changed.notify_one();
        Ok(())
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
                    let key = kept.uid.clone();
                    recreations.all.entry(key).or_insert_with(|| Recreation {
                        kept,
                        told: None,
                        attempts: 0,
                        due: now,
                    });
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
        let mut due = recreations.all.iter().filter(|(_, one)| one.due <= now);
        due.next().map(|(uid, _)| uid.clone())
    }

    fn next_recreation(&self) -> Option<Instant> {
        let recreations = self.recreations();
        let due = recreations.all.values().map(|one| one.due);
        due.chain(recreations.list_at).min()
    }

    async fn go_on(&self, store: &Store, uid: &str) {
        let Some(kept) = self.recreations().all.get(uid).map(|one| one.kept.clone()) else {
            return;
        };
        let step = match self.carry_on(&kept).await {
            Ok(Step::Over { created }) => {
                if created {
                    self.report_recreated(uid);
                }
                store.drop(uid).await.map(|()| None)
            }
            Ok(Step::Waits) => Ok(Some(LOOK_AGAIN)),
            Err(failure) => Err(failure),
        };
        let mut recreations = self.recreations();
        let Some(one) = recreations.all.get_mut(uid) else {
            return;
        };
        match step {
            Ok(None) => {
                recreations.all.remove(uid);
                drop(recreations);
                // It may be the old one still, which nobody took on meanwhile.
                self.judge(&kept.key(), Occasion::Look);
            }
            Ok(Some(again)) => one.due = Instant::now() + again,
            Err(failure) => {
                one.due = Instant::now() + backoff(one.attempts);
                one.attempts += 1;
                let (attempts, told) = (one.attempts, one.told.clone());
                drop(recreations);
                let causes = told.map(|(causes, _)| causes).unwrap_or_default();
                self.state
                    .metrics
                    .restart_failed(JOB.kind, failure.as_str());
                self.report_not_recreated(&kept.key(), &causes, failure, attempts);
            }
        }
    }

    /// Does what comes next, by what is there:
    /// - the old Job, as it was when that was decided: it was not deleted, or not yet. It is now, if it still has to be;
    /// - the old Job, changed: it was not deleted, and no request that is still under way can, so it stays;
    /// - the old Job, being deleted: wait;
    /// - nothing: create the new one;
    /// - another Job: somebody, or an earlier process, created it.
    async fn carry_on(&self, kept: &Kept) -> Result<Step, Failure> {
        let (key, api) = (kept.key(), self.jobs(&kept.namespace));
        let job = match timeout(self.request_timeout, api.get_opt(&kept.name)).await {
            Err(_) => return Err(Failure::Timeout),
            Ok(Err(error)) => return Err(Failure::of(&error)),
            Ok(Ok(job)) => job,
        };
        let Some(job) = job else {
            return self.create_new(kept, &api).await;
        };
        if job.metadata.uid.as_deref() != Some(&kept.uid) {
            return Ok(Step::Over { created: false });
        }
        if job.metadata.deletion_timestamp.is_some() {
            return Ok(Step::Waits);
        }
        if job.metadata.resource_version.as_deref() != Some(&kept.resource_version) {
            return Ok(Step::Over { created: false });
        }
        let judged = self.state.index_mut().judge(&key, &Overlay::new());
        let restarts = judged
            .decision
            .is_some_and(|decision| decision.outcome == Outcome::Restart);
        if restarts && !judged.suspended {
            return match self.delete_old(kept).await {
                Ok(()) | Err(Failure::Conflict | Failure::Gone) => Ok(Step::Waits),
                Err(failure) => Err(failure),
            };
        }
        let sure = self.state.now() - kept.at > REQUESTS_END;
        Ok(if sure {
            Step::Over { created: false }
        } else {
            Step::Waits
        })
    }

    /// Whether the API server would take the new Job. Under another name, for its own is taken.
    async fn prove(&self, kept: &Kept) -> Result<(), Failure> {
        let mut manifest = kept.manifest.clone();
        let base: String = kept.name.chars().take(50).collect();
        manifest.metadata.generate_name = Some(base);
        manifest.metadata.name = None;
        let params = PostParams {
            dry_run: true,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let api = self.jobs(&kept.namespace);
        match timeout(self.request_timeout, api.create(&params, &manifest)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Ok(Ok(_)) => Ok(()),
        }
    }

    async fn delete_old(&self, kept: &Kept) -> Result<(), Failure> {
        let params = DeleteParams::foreground().preconditions(Preconditions {
            uid: Some(kept.uid.clone()),
            resource_version: Some(kept.resource_version.clone()),
        });
        let api = self.jobs(&kept.namespace);
        match timeout(self.request_timeout, api.delete(&kept.name, &params)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Ok(Ok(_)) => {
                tracing::info!(workload = %kept.key(), "deleted a Job, to create it again");
                Ok(())
            }
        }
    }

    async fn create_new(&self, kept: &Kept, api: &Api<DynamicObject>) -> Result<Step, Failure> {
        let job = self.stamped(kept);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let answer = timeout(self.request_timeout, api.create(&params, &job)).await;
        (self.probe)(Moment::Created);
        match answer {
            Err(_) => Err(Failure::Timeout),
            Ok(Ok(_)) => Ok(Step::Over { created: true }),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {
                Ok(Step::Over { created: false })
            }
            Ok(Err(error)) => match Failure::of(&error) {
                // There is no such namespace any more.
                Failure::Gone => Ok(Step::Over { created: false }),
                failure => Err(failure),
            },
        }
    }

    /// With the versions of right now: its pods start with these or with later ones, which restart it again.
    fn stamped(&self, kept: &Kept) -> DynamicObject {
        let mut job = kept.manifest.clone();
        let mut translated = job.clone();
        let vocabulary = &self.conventions.vocabulary;
        vocabulary.translate_workload(&JOB, &mut translated);
        let workload = Workload::read(&JOB, &translated);
        let now = self.state.now();
        let observed = self
            .state
            .index()
            .observed_of_new(&kept.key(), &workload, now);
        let annotations = job.metadata.annotations.get_or_insert_default();
        annotations.extend(observed.map(|text| (OBSERVED.to_owned(), text)));
        job
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
