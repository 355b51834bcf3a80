//! Writes `observed` where nothing restarts: adoptions, and annotations that are to be brought up to date.
//!
//! These writes can wait, because what was observed counts in memory at once. [`crate::judge::tidying`] says which is
//! next. Before a workload is adopted, the housekeeper checks it: its pods may have been started with older versions
//! than exist now.

use std::sync::Arc;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Restarter,
    adoption::{
        Behind, Outdated,
        adopted::{Examined, examine},
        asks_for_restart, outdated, restart_outdated,
    },
    hold,
    retry::backoff,
};
use crate::{
    cluster::{Failure, lease::Leadership},
    judge::{brakes::Answer, braking, intents::Finish, live::Live, others, tidying::Due},
    model::{
        WorkloadKey,
        decide::Restart,
        held::Held,
        index::Bared,
        patch,
        peer::{May, Peers},
    },
};

/// Writes what is due, at the pace of each kind, while this replica leads.
pub struct Housekeeper {
    live: Live,
    leadership: Leadership,
    /// Restarts a workload that turns out to be behind when it is adopted.
    restarter: Arc<Restarter>,
}

/// What is to be written on a known workload.
struct Unwritten {
    /// The new `observed`, unless it is removed.
    text: Option<String>,
    /// `None` where another writer was faster.
    patch: Option<patch::Patch>,
    /// The mark of its template.
    mark: String,
}

impl Housekeeper {
    /// Makes a housekeeper that is not running yet.
    pub fn new(live: Live, leadership: Leadership, restarter: Arc<Restarter>) -> Self {
        Self {
            live,
            leadership,
            restarter,
        }
    }

    /// Writes what is due until `stop`. Then waits for what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let judge = Arc::clone(&this.live.judge);
        let mut leadership = this.leadership.clone();
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            while let Some(due) = this.take() {
                let housekeeper = Arc::clone(&this);
                running.spawn(async move { housekeeper.take_turn(due).await });
            }
            let next = judge.docket().tidying.next(Instant::now());
            let next = next.filter(|_| leadership.leads());
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = running.join_next() => if ended.is_err() {
                    tracing::error!("a write of observed broke down; its workload is left to the next start");
                    return;
                },
                () = judge.tidying_changed.notified() => {}
                () = leadership.changed() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn take(&self) -> Option<Due> {
        if !self.leadership.leads() {
            return None;
        }
        self.live.judge.docket().tidying.take(Instant::now())
    }

    async fn take_turn(&self, due: Due) {
        let before = self.made_of(&due.workload);
        let began = Instant::now();
        let finish = self.tidy(&due).await;
        self.wrote(&due.workload, before, began);
        let judge = &self.live.judge;
        let bare = judge.is_bare(&due.workload);
        let mut docket = judge.docket();
        docket.tidying.finish(due, finish, bare, Instant::now());
    }

    async fn tidy(&self, due: &Due) -> Finish {
        let (key, judge) = (&due.workload, &self.live.judge);
        if judge.docket().intents.is_taken(key) {
            // A task is restarting it, which writes the same annotation.
            return Finish::Retry(backoff(0));
        }
        let other = judge.other_key(key);
        let claim = |peers: &mut Peers, now| peers.claim(key, other.as_deref(), now);
        match judge.state.peers(claim) {
            May::Work => self.tidy_own(due).await,
            May::Try => self.try_out(key, due.attempts).await,
            // Another one is being tried out, and may not be written after all.
            May::Hold if judge.may(key) == May::Try => Finish::Retry(backoff(due.attempts)),
            // It is filed again when that changes.
            May::Hold => Finish::Over,
        }
    }

    /// Writes a workload that is another installation's, to see whether that one undoes it. It writes nothing else: it does
    /// not restart it, and does not report it.
    async fn try_out(&self, key: &WorkloadKey, attempts: u32) -> Finish {
        let judge = &self.live.judge;
        let patch = match self.unwritten(key) {
            Some(Unwritten {
                text: Some(text),
                patch: Some(patch),
                ..
            }) if self.has_room(key, text.len()) => patch,
            _ => {
                judge.state.peers(|peers, _| peers.gave_up(key));
                return Finish::Over;
            }
        };
        judge.docket().tidying.writes(key, Instant::now());
        match self.live.write(key, &patch).await {
            Ok(()) => {
                judge.teller.metrics.housekeeping_written();
                others::answered(judge, key);
                Finish::Over
            }
            Err(failure) => {
                judge.state.peers(|peers, _| peers.gave_up(key));
                if failure == Failure::Gone {
                    return Finish::Over;
                }
                tracing::debug!(workload = %key, failure = failure.as_str(), attempts, "did not take a workload over, trying again");
                Finish::Retry(backoff(attempts))
            }
        }
    }

    async fn tidy_own(&self, due: &Due) -> Finish {
        let (key, attempts) = (&due.workload, due.attempts);
        let (judge, state) = (&self.live.judge, &self.live.judge.state);
        let (report, bared) = judge.docket().tidying.take_report(key);
        let examined = examine(&self.live, key).await;
        if matches!(examined, Examined::Later) {
            if report {
                judge.docket().tidying.report_later(key);
            }
            return Finish::Retry(backoff(attempts));
        }
        let Some(Unwritten { text, patch, mark }) = self.unwritten(key) else {
            return Finish::Over;
        };
        let adopts = report && bared != Some(Bared::Restored);
        let found = adopts && bared.is_none();
        if text.is_some_and(|text| !self.has_room(key, text.len())) {
            return Finish::Over;
        }
        let outdated = if adopts {
            outdated(&self.live, key, found).await
        } else {
            Ok(Some(Outdated::default()))
        };
        let behind = match examined {
            Examined::Behind(restart) => Some(Behind::Restart(restart)),
            // `examine` knows what the pods have. That is more than times can tell.
            Examined::Stands | Examined::Later => None,
            Examined::Nothing => {
                let outdated = outdated.as_ref().ok().and_then(Option::as_ref);
                outdated.and_then(|outdated| restart_outdated(state, key, &mark, outdated))
            }
        };
        let (restart, patch) = match behind {
            Some(Behind::Restart(restart)) => (Some(restart), patch),
            Some(Behind::Later) => (None, self.unwritten(key).and_then(|it| it.patch)),
            None => (None, patch),
        };
        let finish = match (restart, patch) {
            // What is outdated is unknown. That holds the write up only for a restart: one that the workload asks for,
            // or one that reroll may have missed. A report alone holds nothing up.
            _ if self.must_know(key, &outdated, found) => Finish::Retry(backoff(attempts)),
            (Some(restart), _) => self.restart(key, &restart, attempts).await,
            (None, Some(patch)) => {
                judge.docket().tidying.writes(key, Instant::now());
                self.tidy_up(key, &patch, attempts).await
            }
            (None, None) => Finish::Over,
        };
        match finish {
            Finish::Over if adopts => {
                let outdated = outdated.ok().flatten().unwrap_or_default();
                judge.teller.adopted(key, &outdated.sources);
            }
            Finish::Retry(_) if adopts => judge.docket().tidying.report_later(key),
            _ => {}
        }
        finish
    }

    /// Restarts a workload that is behind, as soon as pace, budget and brakes let it go. The patch of the restart adopts it.
    async fn restart(&self, key: &WorkloadKey, restart: &Restart, attempts: u32) -> Finish {
        let judge = &self.live.judge;
        let now = Instant::now();
        let taken = judge.docket().intents.take_now(key, now);
        let mut intent = match taken {
            Ok(intent) => intent,
            Err(Some(at)) => return Finish::Retry(at - now),
            Err(None) => return Finish::Retry(backoff(attempts)),
        };
        intent.attempts = attempts;
        let finish = if braking::ask(judge, key, restart) == Answer::Wait {
            judge.docket().intents.unused();
            // It is asked again, and goes when it was let go meanwhile.
            Finish::Retry(backoff(attempts))
        } else {
            judge.docket().tidying.restarts(now);
            self.restarter.restart(&intent, restart).await
        };
        let mut docket = judge.docket();
        // What is tried again is tried by another turn.
        docket.intents.finish(intent, Finish::Over, Instant::now());
        docket.brakes.ended(key, judge.state.time());
        drop(docket);
        judge.intents_changed.notify_one();
        finish
    }

    fn unwritten(&self, key: &WorkloadKey) -> Option<Unwritten> {
        let index = self.live.judge.state.index();
        let tracked = index.workload(key)?;
        let workload = &tracked.workload;
        let mark = workload.restarted_for.clone();
        let (text, patch) = match index.unwritten(key) {
            None => (None, None),
            Some(None) => (None, Some(patch::forget(key.kind, workload))),
            Some(Some(text)) => {
                let patch = if tracked.is_pending_over() {
                    patch::settle(key.kind, workload, &text)
                } else {
                    patch::record(key.kind, workload, &text)
                };
                (Some(text), Some(patch))
            }
        };
        Some(Unwritten { text, patch, mark })
    }

    async fn tidy_up(&self, key: &WorkloadKey, patch: &patch::Patch, attempts: u32) -> Finish {
        let judge = &self.live.judge;
        match self.live.write(key, patch).await {
            Ok(()) => {
                judge.teller.metrics.housekeeping_written();
                let mut docket = judge.docket();
                if docket.held.of(key) == Some(Held::NoRoom) {
                    docket.held.hold(key, None);
                }
                Finish::Over
            }
            Err(Failure::Gone) => Finish::Over,
            Err(failure) => {
                tracing::debug!(workload = %key, failure = failure.as_str(), attempts, "did not write observed, trying again");
                Finish::Retry(backoff(attempts))
            }
        }
    }

    /// Whether the workload must not be adopted before it is known what is outdated.
    fn must_know(
        &self,
        key: &WorkloadKey,
        outdated: &Result<Option<Outdated>, Failure>,
        found: bool,
    ) -> bool {
        // If RBAC does not allow the read, no later try will do better.
        let refused = match outdated {
            Ok(Some(_)) => return false,
            Ok(None) => false,
            Err(failure) => matches!(failure, Failure::Forbidden | Failure::Unauthorized),
        };
        asks_for_restart(&self.live.judge.state, key) || (found && !refused)
    }

    fn has_room(&self, key: &WorkloadKey, observed: usize) -> bool {
        let room = {
            let index = self.live.judge.state.index();
            let tracked = index.workload(key);
            tracked.is_some_and(|tracked| tracked.workload.has_room(observed, None))
        };
        if !room {
            hold(&self.live, key, Held::NoRoom);
        }
        room
    }

    /// Returns the workload's generation, and the mark of its template.
    fn made_of(&self, key: &WorkloadKey) -> Option<(i64, String)> {
        let index = self.live.judge.state.index();
        let workload = &index.workload(key)?.workload;
        Some((workload.generation, workload.restarted_for.clone()))
    }

    /// Notes a write that was decided on at `began`. If it raised the workload's generation and is no restart, the
    /// workload's controller has work by what restarts nothing.
    fn wrote(&self, key: &WorkloadKey, before: Option<(i64, String)>, began: Instant) {
        // The docket stays locked until the write is noted, so that what a watch shows meanwhile is noted after it.
        let mut docket = self.live.judge.docket();
        let behind = {
            let index = self.live.judge.state.index();
            let workload = index.workload(key).map(|tracked| &tracked.workload);
            workload
                .filter(|workload| {
                    before.is_some_and(|(generation, mark)| {
                        generation < workload.generation && mark == workload.restarted_for
                    })
                })
                .filter(|workload| workload.is_behind())
                .map(|workload| workload.generation)
        };
        if let Some(generation) = behind {
            docket.tidying.wrote(key, generation, began, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
