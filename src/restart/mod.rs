//! Restarts workloads: one compare-and-swap patch for each intent, retried until it succeeds or is void.
//!
//! A failed `test`, a refusing policy and a bad path all look like 422, so every conflict reads the workload again and
//! lets the next try decide from what is there. An answer that was lost is no different: if the patch had arrived,
//! `observed` has moved and the intent is void.
//!
//! What cannot roll takes more than a patch: a CronJob's run is made first ([`cron_job`]), and another Job takes a Job's
//! place ([`job`]). What is only to be recorded is written at leisure ([`housekeeper`]).

mod adoption;
mod confirm;
mod cron_job;
pub mod housekeeper;
pub mod job;
pub mod moment;
mod pods;
mod retry;
#[cfg(test)]
mod testing;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    confirm::{Unconfirmed, confirm},
    cron_job::NotRun,
    job::Jobs,
    moment::{Moment, Probe},
    retry::{BEAT, backoff},
};
use crate::{
    cluster::{Failure, Write, lease::Leadership},
    judge::{
        intents::{Finish, Intent},
        live::Live,
    },
    model::{
        Cause, Decision, WorkloadKey,
        decide::Restart,
        held::Held,
        patch,
        workload::{RestartBy, RestartMarks, Workload},
    },
    ops::{health::Heartbeat, metrics::labels::IntentOutcome},
};

/// The most characters of `reroll.dev/last-restart`.
const LAST_RESTART_LENGTH: usize = 1024;

/// When some restarts are under way and none has ended for this long, they hang: every call has a timeout of a fraction.
const HANGS: Duration = Duration::from_mins(2);

/// How often is looked whether a CronJob's active run has ended, at the least; its own runs show in its status sooner.
const RUN_AGAIN: Duration = Duration::from_secs(10);

/// Restarts what is due, while this replica leads.
pub struct Restarter {
    live: Live,
    leadership: Leadership,
    /// Re-creates Jobs, where somebody may.
    jobs: Option<Arc<Jobs>>,
    /// How many restarts may be under way at the same time; at least 1.
    concurrency: usize,
    /// Shows that the loop is alive.
    heartbeat: Heartbeat,
    probe: Probe,
}

/// A restart that is decided.
struct Order<'a> {
    intent: &'a Intent,
    causes: &'a [Cause],
    /// The causes in words.
    told: String,
    /// The workload as it was when that was decided.
    known: Workload,
    mark: &'a str,
    last_restart: String,
    patch: patch::Patch,
}

impl Restarter {
    /// Makes one.
    pub fn new(
        live: Live,
        leadership: Leadership,
        jobs: Option<Arc<Jobs>>,
        concurrency: usize,
        heartbeat: Heartbeat,
        probe: Probe,
    ) -> Self {
        Self {
            live,
            leadership,
            jobs,
            concurrency,
            heartbeat,
            probe,
        }
    }

    /// Carries out what is due, until `stop`; then lets what is under way end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let judge = Arc::clone(&self.live.judge);
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
                // What was told to nobody while another led, or none did, is told now.
                judge.docket().held.tell_again();
                judge.judge_all();
            }
            led = leads;
            judge.teller.metrics.leading(leads);
            while leads && running.len() < self.concurrency {
                let Some(intent) = judge.docket().intents.take(Instant::now()) else {
                    break;
                };
                let restarter = Arc::clone(&self);
                running.spawn(async move { restarter.carry_out(intent).await });
            }
            let free = leads && running.len() < self.concurrency;
            let next = judge.docket().intents.next(Instant::now());
            let next = next.filter(|_| free);
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = running.join_next() => {
                    moved = Instant::now();
                    if ended.is_err() {
                        tracing::error!("a restart broke down; its workload is left to the next start");
                        return;
                    }
                }
                () = judge.intents_changed.notified() => {}
                () = leadership.changed() => {}
                () = sleep(BEAT) => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn carry_out(&self, intent: Intent) {
        let judge = &self.live.judge;
        let _first = judge.teller.first();
        let finish = match confirm(&self.live, &intent.workload).await {
            Err(Unconfirmed::NoAnswer) => Finish::Retry(backoff(intent.attempts)),
            Err(Unconfirmed::News) => {
                judge.docket().intents.unused();
                Finish::Over
            }
            Ok(judged) => match &judged.decision {
                Some(Decision::Restart(restart)) if !judged.suspended => {
                    self.restart(&intent, restart).await
                }
                _ => {
                    judge.teller.metrics.intent_ended(IntentOutcome::Void);
                    judge.docket().intents.unused();
                    Finish::Over
                }
            },
        };
        judge
            .docket()
            .intents
            .finish(intent, finish, Instant::now());
        judge.intents_changed.notify_one();
    }

    async fn restart(&self, intent: &Intent, restart: &Restart) -> Finish {
        let key = &intent.workload;
        let order = match self.order(intent, restart) {
            Ok(order) => order,
            Err(None) => return Finish::Over,
            Err(Some(held)) => return self.hold(key, held),
        };
        if self.drops(&order).await {
            return self.hold(key, Held::Dropped);
        }
        let run = match order.known.restart_by {
            RestartBy::Template | RestartBy::RestartAt { .. } => None,
            RestartBy::Run => {
                match cron_job::run(&self.live, key, &order.known, order.mark).await {
                    Ok(job) => Some(format!("ran Job {job}")),
                    Err(NotRun::Busy) => {
                        self.hold(key, Held::Running);
                        return Finish::Retry(backoff(intent.attempts).min(RUN_AGAIN));
                    }
                    Err(NotRun::Failed(failure)) => return self.failed(&order, &failure),
                }
            }
            RestartBy::Recreate => {
                return match self.recreate(&order).await {
                    // The rest is done, and told, when the old Job is gone.
                    Ok(()) => Finish::Over,
                    Err(failure) => self.failed(&order, &failure),
                };
            }
        };
        (self.probe)(Moment::BeforePatch);
        let asked = self.live.judge.tick();
        let answer = self
            .live
            .cluster
            .patch(key, &order.patch, Write::Real)
            .await;
        (self.probe)(Moment::AnswerUnread);
        match self.live.take_answer(key, answer, asked).await {
            Ok(()) => {
                (self.probe)(Moment::AfterPatch);
                self.restarted(&order, run.as_deref());
                Finish::Over
            }
            Err(failure) => self.failed(&order, &failure),
        }
    }

    /// Prepares a restart of a workload that is known. `Err(None)`: it is gone.
    fn order<'a>(
        &self,
        intent: &'a Intent,
        restart: &'a Restart,
    ) -> Result<Order<'a>, Option<Held>> {
        let Restart { causes, next, .. } = restart;
        let state = &self.live.judge.state;
        let now = state.time();
        let told = causes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        let last_restart = limited(&format!("{now:.0}: {told}"), LAST_RESTART_LENGTH);
        let index = state.index();
        let key = &intent.workload;
        let known = &index.workload(key).ok_or(None)?.workload;
        let observed = next.print(index.key());
        if !known.has_room(observed.len(), last_restart.len()) {
            return Err(Some(Held::NoRoom));
        }
        let mark = next.restarted_for.as_str();
        let patch = patch::restart(key.kind, known, &observed, mark, &last_restart, now);
        Ok(Order {
            intent,
            causes,
            told,
            known: known.clone(),
            mark,
            last_restart,
            patch,
        })
    }

    async fn recreate(&self, order: &Order<'_>) -> Result<(), Failure> {
        // No rights to re-create Jobs, no such kind: nothing would ask for it.
        let jobs = self.jobs.as_ref().ok_or(Failure::Forbidden)?;
        jobs.recreate(
            order.intent,
            &order.known,
            order.causes,
            order.mark,
            &order.last_restart,
        )
        .await
    }

    /// Whether the API server would take a restart and drop the mark that it sets: the schema of a
    /// `CustomResourceDefinition` may, and silently, as many do that spell a pod template out. Every such restart would
    /// be found undone, and made again. So a kind that not every cluster has is asked without effect first; where that
    /// says nothing, for instance because another webhook does not allow it, the restart is made.
    async fn drops(&self, order: &Order<'_>) -> bool {
        let key = &order.intent.workload;
        if !key.kind.optional {
            return false;
        }
        let tried = self
            .live
            .cluster
            .patch(key, &order.patch, Write::DryRun)
            .await;
        tried.is_ok_and(|object| RestartMarks::read(key.kind, &object).current() != order.mark)
    }

    /// No try will help: notes and tells why. Its token goes back.
    fn hold(&self, key: &WorkloadKey, held: Held) -> Finish {
        hold(&self.live, key, held);
        self.live.judge.docket().intents.unused();
        Finish::Over
    }

    fn restarted(&self, order: &Order<'_>, run: Option<&str>) {
        let (judge, intent) = (&self.live.judge, order.intent);
        let (teller, key) = (&judge.teller, &intent.workload);
        for cause in order.causes {
            teller.metrics.restarted(key.kind.kind, cause.kind.as_str());
        }
        teller.metrics.intent_ended(IntentOutcome::Done);
        teller.metrics.reacted(intent.since.elapsed());
        tracing::info!(workload = %key, run, causes = order.told, "restarted a workload");
        teller.restarted(key, order.causes, intent.attempts, run);
        let mut docket = judge.docket();
        let now = Instant::now();
        if run.is_some() {
            docket.intents.restarted_at_once(key, now);
        } else {
            docket.intents.restarted(key, now);
        }
        docket.held.hold(key, None);
        docket.tidying.told(key);
    }

    fn failed(&self, order: &Order<'_>, failure: &Failure) -> Finish {
        let (teller, intent) = (&self.live.judge.teller, order.intent);
        let key = &intent.workload;
        if *failure == Failure::Gone {
            teller.metrics.intent_ended(IntentOutcome::Void);
            return Finish::Over;
        }
        teller
            .metrics
            .restart_failed(key.kind.kind, failure.as_str());
        teller.failed(key, order.causes, failure, intent.attempts);
        Finish::Retry(backoff(intent.attempts))
    }
}

/// Notes why no intent can help a workload now, and tells where that is news.
fn hold(live: &Live, key: &WorkloadKey, held: Held) {
    if live.judge.docket().held.hold(key, Some(held)) {
        match held {
            Held::Running => live.judge.teller.running(key),
            Held::Dropped => live.judge.teller.dropped(key),
            _ => live.judge.teller.no_room(key),
        }
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
mod tests;
