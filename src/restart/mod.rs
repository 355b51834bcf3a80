//! Restarts workloads: one compare-and-swap patch for each intent, retried until it succeeds or is void.
//!
//! A failed `test`, a policy that refuses and a bad path all look like 422. So every conflict reads the workload again,
//! and the next try decides from what is there. A lost answer is handled in the same way: if the patch had arrived,
//! `observed` has moved and the intent is void.
//!
//! What is refused again and again stands on the workload meanwhile (`refused`).
//!
//! What cannot roll takes more than a patch: a run of a CronJob is created first (`cron_job`), and a Job is replaced by
//! another Job ([`job`]). What is only to be recorded, the [`housekeeper`] writes later.

pub mod absences;
mod adoption;
mod catch_up;
mod confirm;
pub mod converged;
mod cron_job;
pub mod housekeeper;
pub mod job;
pub mod moment;
mod numbers;
mod order;
mod pods;
mod recorded;
mod refused;
pub mod release;
mod retry;
mod rewritten;
mod shown;
mod stale;
#[cfg(test)]
mod testing;
mod who;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    catch_up::CatchUp,
    confirm::{Unconfirmed, confirm},
    cron_job::NotRun,
    job::Jobs,
    moment::{Moment, Probe},
    order::Order,
    refused::{ByOthers, rolled_by_others},
    retry::{BEAT, backoff},
    rewritten::Rewritten,
    stale::Stale,
    who::Names,
};
use crate::{
    cluster::{Failure, Write, lease::Leadership},
    judge::{
        brakes::Answer,
        braking,
        intents::{Finish, Intent},
        live::Live,
    },
    model::{
        Decision, WorkloadKey,
        decide::Restart,
        held::Held,
        note::Note,
        peer::May,
        workload::{RestartBy, RestartMarks},
    },
    ops::{health::Heartbeat, metrics::labels::IntentOutcome},
};

/// If restarts are under way and none has ended for this long, they hang: the timeout of each call is a fraction of it.
const HANGS: Duration = Duration::from_mins(2);

/// How often reroll checks, at the least, whether a CronJob's active run has ended. The status shows the CronJob's own
/// runs sooner.
const RUN_AGAIN: Duration = Duration::from_secs(10);

/// Restarts what is due, while this replica leads.
pub struct Restarter {
    live: Live,
    leadership: Leadership,
    /// Re-creates Jobs; `None` where Jobs are not among the kinds of workloads.
    jobs: Option<Arc<Jobs>>,
    /// The most restarts that may be under way at the same time; at least 1.
    concurrency: usize,
    /// Shows the kubelet's probe that the loop is alive.
    heartbeat: Heartbeat,
    probe: Probe,
    catch_up: CatchUp,
    stale: Stale,
    rewritten: Rewritten,
    names: Names,
}

impl Restarter {
    /// Makes a restarter that is not running yet.
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
            catch_up: CatchUp::default(),
            stale: Stale::default(),
            rewritten: Rewritten::default(),
            names: Names::default(),
        }
    }

    /// Carries out the intents that are due, until `stop`. Then waits for the restarts that are under way.
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
                // While another replica led, or none did, this one told nothing. It tells now.
                judge.docket().held.tell_again();
                let namespaces = judge.docket().held.namespaces();
                for (namespace, complaint) in namespaces {
                    judge.teller.of_namespace(&namespace, &complaint);
                }
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
            if running.len() < self.concurrency
                && let Some((key, rolling)) = self.stale.take(&self.live)
            {
                let restarter = Arc::clone(&self);
                let told = async move { restarter.stale.tell(&restarter.live, key, rolling).await };
                running.spawn(told);
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
        let finish = match confirm(&self.live, &self.catch_up, &intent.workload).await {
            Err(Unconfirmed::NoAnswer) => Finish::Retry(backoff(intent.attempts)),
            Err(Unconfirmed::News) => {
                judge.docket().intents.unused();
                Finish::Over
            }
            Ok(judged) => match &judged.decision {
                Some(Decision::Restart(restart))
                    if !judged.is_held_back() && judge.may(&intent.workload) == May::Work =>
                {
                    match rolled_by_others(&self.live, &intent, restart).await {
                        ByOthers::None
                            if braking::ask(judge, &intent.workload, restart) == Answer::Wait =>
                        {
                            judge.docket().intents.unused();
                            Finish::Parked
                        }
                        ByOthers::None => self.restart(&intent, restart).await,
                        ByOthers::Recorded => {
                            judge.teller.metrics.intent_ended(IntentOutcome::Void);
                            judge.docket().held.hold(&intent.workload, None);
                            judge.docket().intents.unused();
                            Finish::Over
                        }
                        ByOthers::Rolls | ByOthers::NotYet => {
                            judge.docket().intents.unused();
                            Finish::Retry(backoff(intent.attempts))
                        }
                    }
                }
                _ => {
                    judge.teller.metrics.intent_ended(IntentOutcome::Void);
                    judge.docket().intents.unused();
                    Finish::Over
                }
            },
        };
        let mut docket = judge.docket();
        let key = intent.workload.clone();
        docket.intents.finish(intent, finish, Instant::now());
        match finish {
            // It was let go before it was parked.
            Finish::Parked if docket.brakes.waits(&key).is_none() => {
                docket.intents.resume(&key, Instant::now());
            }
            Finish::Parked => {}
            Finish::Over | Finish::Retry(_) => docket.brakes.ended(&key, judge.state.time()),
        }
        drop(docket);
        judge.intents_changed.notify_one();
        judge.brakes_changed.notify_one();
    }

    async fn restart(&self, intent: &Intent, restart: &Restart) -> Finish {
        let key = &intent.workload;
        let restart = &self.names.named(&self.live, key, restart).await;
        let order = match self.ordered(intent, restart) {
            Ok(order) => order,
            Err(finish) => return finish,
        };
        if self.drops(&order).await {
            return self.hold(key, Held::Dropped);
        }
        let order = match self.past_numbers(&order, restart).await {
            Ok(later) => later.unwrap_or(order),
            Err(finish) => return finish,
        };
        let run = match order.known.restart_by {
            RestartBy::Template | RestartBy::RestartAt { .. } | RestartBy::LikeKubectl { .. } => {
                None
            }
            RestartBy::Run => {
                match cron_job::run(&self.live, key, &order.known, &order.mark).await {
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
                    Ok(()) => {
                        self.tell_left_behind(&order);
                        Finish::Over
                    }
                    Err(failure) => self.failed(&order, &failure),
                };
            }
        };
        let versions = rewritten::versions(&self.live, key, order.causes);
        let had = stale::nodes(&self.live, key, order.causes).await;
        (self.probe)(Moment::BeforePatch);
        let asked = self.live.judge.tick();
        let answer = self
            .live
            .cluster
            .patch_workload(key, &order.patch, Write::Real)
            .await;
        (self.probe)(Moment::AnswerUnread);
        match self.live.take_answer(key, answer, asked).await {
            Ok(()) => {
                (self.probe)(Moment::AfterPatch);
                self.restarted(&order, run.as_deref());
                self.stale.rolls(&self.live, key, had);
                self.rewritten.restarted(&self.live, key, versions).await;
                Finish::Over
            }
            Err(failure) => self.not_restarted(&order, &failure).await,
        }
    }

    async fn recreate(&self, order: &Order<'_>) -> Result<(), Failure> {
        // Jobs are not among the kinds of workloads, so no Job is known and nothing asks for this.
        let jobs = self.jobs.as_ref().ok_or(Failure::Forbidden)?;
        jobs.recreate(
            order.intent,
            &order.known,
            order.causes,
            &order.mark,
            &order.last_restart,
        )
        .await
    }

    /// Whether the API server would accept a restart but drop the mark that it sets. The schema of a
    /// `CustomResourceDefinition` may do so silently, as many do that spell out a pod template. The judge would find
    /// every such restart undone, and restart again.
    ///
    /// So a restart of a kind that not every cluster has is first tried without effect. If that is refused, for
    /// instance by another webhook, the restart is made.
    async fn drops(&self, order: &Order<'_>) -> bool {
        let key = &order.intent.workload;
        if !key.kind.optional {
            return false;
        }
        let tried = self
            .live
            .cluster
            .patch_workload(key, &order.patch, Write::DryRun)
            .await;
        tried.is_ok_and(|object| RestartMarks::read(key.kind, &object).current() != order.mark)
    }

    /// Notes and tells why another try would not help now. Returns the token of the intent.
    fn hold(&self, key: &WorkloadKey, held: Held) -> Finish {
        hold(&self.live, key, held);
        self.live.judge.docket().intents.unused();
        Finish::Over
    }

    fn restarted(&self, order: &Order<'_>, run: Option<&str>) {
        let (judge, intent) = (&self.live.judge, order.intent);
        let (teller, key) = (&judge.teller, &intent.workload);
        let took = intent.since.elapsed();
        teller.metrics.carried_out(key, order.causes, took);
        tracing::info!(workload = %key, run, causes = order.told, "restarted a workload");
        teller.restarted(key, order.causes, intent.attempts, run);
        self.tell_left_behind(order);
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

    /// Tells what has not changed that belongs together with what has.
    fn tell_left_behind(&self, order: &Order<'_>) {
        let words = order.left_behind.as_str();
        if !words.is_empty() {
            let note = Note::RestartedApart { words };
            self.live.judge.teller.say(&order.intent.workload, &note);
        }
    }

    fn failed(&self, order: &Order<'_>, failure: &Failure) -> Finish {
        let (teller, intent) = (&self.live.judge.teller, order.intent);
        let key = &intent.workload;
        if *failure == Failure::Gone {
            teller.metrics.intent_ended(IntentOutcome::Void);
            return Finish::Over;
        }
        teller.metrics.restart_failed(key, failure.as_str());
        teller.failed(key, order.causes, failure, intent.attempts);
        Finish::Retry(backoff(intent.attempts))
    }
}

/// Notes why no intent can help a workload now, and tells it if it is news.
fn hold(live: &Live, key: &WorkloadKey, held: Held) {
    let news = live.judge.docket().held.hold(key, Some(held));
    if let (true, Some(note)) = (news, Note::met(held, key.kind)) {
        live.judge.teller.say(key, &note);
    }
}

#[cfg(test)]
mod tests;
