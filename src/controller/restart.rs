//! Carries intents out: one compare-and-swap patch each, retried until it succeeds or is void.
//!
//! A failed `test`, a refusing policy and a bad path all look like 422, so every conflict reads the workload again and
//! lets the next try decide from what is there. An answer that was lost is no different: if the patch had arrived,
//! `observed` has moved and the intent is void.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::{
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use tokio::{
    task::JoinSet,
    time::{Instant, error::Elapsed, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Controller,
    confirm::Unconfirmed,
    failure::Failure,
    intents::{Finish, Held, Intent},
    run_now::NotRun,
};
use crate::{
    model::{
        Cause, Decision, Observed, WorkloadKey,
        annotation::FIELD_MANAGER,
        decide::Restart,
        index::{self, By},
        patch,
        workload::{RestartBy, Workload},
    },
    ops::metrics::labels::IntentOutcome,
};

/// The most characters of `reroll.dev/last-restart`.
const LAST_RESTART_LENGTH: usize = 1024;

/// A moment of a restart that tests end the process at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Everything is decided, and nothing is sent yet; but for the run of a CronJob, which is made by then.
    BeforePatch,
    /// The API server has answered, and nobody has looked at the answer.
    AnswerUnread,
    /// The answer was taken over, and nothing more was done.
    AfterPatch,
    /// The manifest of a Job that is to be re-created is kept.
    Kept,
    /// The API server has answered that the Job is being deleted, and nobody has looked at the answer.
    Deleted,
    /// The new Job is created, as far as the API server is concerned.
    Created,
}

/// Is told of each [`Moment`].
pub type Probe = Arc<dyn Fn(Moment) + Send + Sync>;

/// How often the loop shows that it is alive when there is nothing to do.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// When some restarts are under way and none has ended for this long, they hang: every call has a timeout of a fraction.
const HANGS: Duration = Duration::from_mins(2);

/// How often is looked whether a CronJob's active run has ended, at the least; its own runs show in its status sooner.
const RUN_AGAIN: Duration = Duration::from_secs(10);

/// A workload that failed is tried again after a time that grows to a minute.
pub(super) fn backoff(attempts: u32) -> Duration {
    let delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_mins(1))
        .with_max_times(usize::MAX)
        .with_jitter();
    delays
        .build()
        .nth(attempts.min(16) as usize)
        .unwrap_or(Duration::from_mins(1))
}

/// What the API server said to a write; `Err`: nothing in time.
type Answer = Result<kube::Result<DynamicObject>, Elapsed>;

impl Controller {
    /// Carries out what is due, until `stop`; then lets what is under way end.
    pub async fn restart_due(self: Arc<Self>, stop: CancellationToken) {
        let mut running = JoinSet::new();
        let mut leadership = self.leadership.clone();
        let mut led = false;
        let mut moved = Instant::now();
        while !stop.is_cancelled() {
            if running.is_empty() {
                moved = Instant::now();
            }
            if moved.elapsed() < HANGS {
                self.heartbeat.beat();
            }
            let leads = leadership.leads();
            if leads && !led {
                // What was told to nobody while another led, or nobody did, is told now.
                self.intents().tell_again();
                self.judge_all();
            }
            led = leads;
            self.state.metrics.leading(leads);
            while leads && running.len() < self.settings.concurrency {
                let Some(intent) = self.intents().take(Instant::now()) else {
                    break;
                };
                let controller = Arc::clone(&self);
                running.spawn(async move { controller.carry_out(intent).await });
            }
            let next = self
                .intents()
                .next(Instant::now())
                .filter(|_| leads && running.len() < self.settings.concurrency);
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = running.join_next() => {
                    moved = Instant::now();
                    if ended.is_err() {
                        tracing::error!("a restart broke down; its workload is left to the next start");
                        return;
                    }
                }
                () = self.intents_changed.notified() => {}
                () = leadership.changed() => {}
                () = sleep(BEAT) => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn carry_out(&self, intent: Intent) {
        let _first = self.events.first();
        let key = &intent.workload;
        let finish = match self.confirm(key).await {
            Err(Unconfirmed::NoAnswer) => Finish::Retry(backoff(intent.attempts)),
            Err(Unconfirmed::News) => {
                self.intents().unused();
                Finish::Over
            }
            Ok(judged) => match &judged.decision {
                Some(Decision::Restart(restart)) if !judged.suspended => {
                    self.restart(&intent, &restart.causes, &restart.next).await
                }
                _ => {
                    self.state.metrics.intent_ended(IntentOutcome::Void);
                    self.intents().unused();
                    self.settle_held(key, &judged);
                    Finish::Over
                }
            },
        };
        self.intents().finish(intent, finish, Instant::now());
        self.intents_changed.notify_one();
    }

    /// Restarts a workload that was found behind when it is adopted: the same write adopts it.
    pub(super) async fn restart_adopted(&self, intent: &Intent, restart: &Restart) -> Finish {
        self.restart(intent, &restart.causes, &restart.next).await
    }

    async fn restart(&self, intent: &Intent, causes: &[Cause], next: &Observed) -> Finish {
        let key = &intent.workload;
        let told = causes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        let last_restart = limited(
            &format!("{:.0}: {told}", (self.state.clock)()),
            LAST_RESTART_LENGTH,
        );
        let prepared = {
            let index = self.state.index();
            let Some(tracked) = index.workload(key) else {
                return Finish::Over;
            };
            let observed = next.print(index.key());
            if tracked
                .workload
                .has_room(observed.len(), last_restart.len())
            {
                let patch = patch::restart(
                    key.kind,
                    &tracked.workload,
                    &observed,
                    &next.restarted_for,
                    &last_restart,
                    (self.state.clock)(),
                );
                Some((patch, tracked.workload.clone()))
            } else {
                None
            }
        };
        let Some((patch, known)) = prepared else {
            self.hold_without_room(key);
            self.intents().unused();
            return Finish::Over;
        };
        if self.drops(key, &patch, &next.restarted_for).await {
            if self.intents().hold(key, Some(Held::Dropped)) {
                self.report_dropped(key);
            }
            self.intents().unused();
            return Finish::Over;
        }
        let mark = &next.restarted_for;
        let mut run = None;
        if known.restart_by == RestartBy::Recreate {
            let begun = self
                .recreate(intent, &known, causes, mark, &last_restart)
                .await;
            return match begun {
                // The rest is done, and told, when the old Job is gone.
                Ok(()) => Finish::Over,
                Err(failure) => self.failed(intent, causes, failure),
            };
        }
        if known.restart_by == RestartBy::Run {
            match self.run_now(key, &known, mark).await {
                Ok(job) => run = Some(format!("ran Job {job}")),
                Err(NotRun::Busy) => {
                    if self.intents().hold(key, Some(Held::Running)) {
                        self.report_running(key);
                    }
                    self.intents().unused();
                    return Finish::Retry(backoff(intent.attempts).min(RUN_AGAIN));
                }
                Err(NotRun::Failed(failure)) => return self.failed(intent, causes, failure),
            }
        }
        (self.probe)(Moment::BeforePatch);
        let asked = self.tick();
        let answer = self.send(key, patch).await;
        (self.probe)(Moment::AnswerUnread);
        match self.take_answer(key, answer, asked).await {
            Ok(()) => {
                (self.probe)(Moment::AfterPatch);
                for cause in causes {
                    self.state
                        .metrics
                        .restarted(key.kind.kind, cause.kind.as_str());
                }
                self.state.metrics.intent_ended(IntentOutcome::Done);
                self.state.metrics.reacted(intent.since.elapsed());
                tracing::info!(workload = %key, run, causes = told, "restarted a workload");
                self.report_restart(key, causes, intent.attempts, run.as_deref());
                if run.is_some() {
                    self.count_once(key);
                } else {
                    self.intents().restarted(key, Instant::now());
                }
                self.intents().hold(key, None);
                self.housekeeping().told(key);
                Finish::Over
            }
            Err(failure) => self.failed(intent, causes, failure),
        }
    }

    /// Counts a restart against the workload's own limit, of what has no rollout that one could wait for.
    pub(super) fn count_once(&self, key: &WorkloadKey) {
        let (mut intents, now) = (self.intents(), Instant::now());
        intents.restarted(key, now);
        intents.rolls(key, false, now);
    }

    fn failed(&self, intent: &Intent, causes: &[Cause], failure: Failure) -> Finish {
        let key = &intent.workload;
        if failure == Failure::Gone {
            self.state.metrics.intent_ended(IntentOutcome::Void);
            return Finish::Over;
        }
        self.state
            .metrics
            .restart_failed(key.kind.kind, failure.as_str());
        self.report_failure(key, causes, failure, intent.attempts);
        Finish::Retry(backoff(intent.attempts))
    }

    /// Makes a guarded write of a workload and takes over what the API server answers; where it is refused, what is
    /// there now is read.
    pub(super) async fn write(
        &self,
        key: &WorkloadKey,
        patch: patch::Patch,
    ) -> Result<(), Failure> {
        let asked = self.tick();
        let answer = self.send(key, patch).await;
        self.take_answer(key, answer, asked).await
    }

    async fn send(&self, key: &WorkloadKey, patch: patch::Patch) -> Answer {
        let api = self.workloads(key);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::<()>::Json(patch);
        timeout(self.request_timeout, api.patch(&key.name, &params, &patch)).await
    }

    async fn take_answer(
        &self,
        key: &WorkloadKey,
        answer: Answer,
        asked: index::Tick,
    ) -> Result<(), Failure> {
        match answer {
            Err(_) => Err(Failure::Timeout),
            Ok(Ok(object)) => {
                self.take_over(key, object, asked);
                Ok(())
            }
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                if failure == Failure::Conflict {
                    self.read_workload(key).await;
                }
                Err(failure)
            }
        }
    }

    pub(super) async fn read_workload(&self, key: &WorkloadKey) {
        let (api, asked) = (self.workloads(key), self.tick());
        match timeout(self.request_timeout, api.get_opt(&key.name)).await {
            Ok(Ok(Some(object))) => self.take_over(key, object, asked),
            Ok(Ok(None)) => self.workload_missed(key, asked),
            // The next try meets the same, and says it.
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// Takes in a workload as the API server answered to what was sent at that moment.
    pub(super) fn take_over(
        &self,
        key: &WorkloadKey,
        mut object: DynamicObject,
        asked: index::Tick,
    ) {
        let vocabulary = &self.conventions.vocabulary;
        vocabulary.translate_workload(key.kind, &mut object);
        let workload = Workload::read(key.kind, &object);
        self.take_in(key, workload, By::Answer(asked));
    }

    fn hold_without_room(&self, key: &WorkloadKey) {
        if self.intents().hold(key, Some(Held::NoRoom)) {
            self.report_no_room(key);
        }
    }

    pub(super) fn has_room(&self, key: &WorkloadKey, observed: usize) -> bool {
        let room = self
            .state
            .index()
            .workload(key)
            .is_some_and(|tracked| tracked.workload.has_room(observed, 0));
        if !room {
            self.hold_without_room(key);
        }
        room
    }
}

/// At most so many characters.
fn limited(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_is_bounded() {
        assert!(backoff(0) <= Duration::from_millis(150));
        assert!(backoff(5) >= Duration::from_millis(50 * 16));
        assert!(backoff(1000) <= Duration::from_mins(2));
    }

    #[test]
    fn what_people_read_is_bounded() {
        assert_eq!(limited("abc", 3), "abc");
        assert_eq!(limited("äöüß", 3), "äö…");
    }
}
