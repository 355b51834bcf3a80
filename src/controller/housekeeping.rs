//! Writes of `observed` that restart nothing: adoption, and bringing annotations up to date.
//!
//! What was observed counts in memory at once, so these writes are in no hurry, and they are not free: the deployment
//! controller answers every annotation write with writes of its own. So they have a rate of their own, far below that
//! of restarts, and the webhook makes them for nothing wherever somebody writes the workload anyway.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Controller,
    adopted::Examined,
    failure::Failure,
    intents::{Bounds, Finish, Held, Intent, Intents, Pacing},
    restart::backoff,
};
use crate::model::{WorkloadKey, patch, policy::OnAdopt};

/// Workloads whose annotations are to be written, and those whose adoption is to be reported; one entry per workload.
#[derive(Debug)]
pub struct Housekeeping {
    due: Intents,
    reports: BTreeSet<WorkloadKey>,
}

impl Housekeeping {
    /// Nothing to do yet; `rate` is per second.
    pub fn new(rate: Option<f64>, now: Instant) -> Self {
        Self {
            due: Intents::new(Bounds::paced(Pacing { rate, burst: 10 }), now),
            reports: BTreeSet::new(),
        }
    }

    /// Its annotations are to be written.
    pub fn write(&mut self, workload: &WorkloadKey, now: Instant) {
        self.due.noticed(workload, now, std::time::Duration::ZERO);
    }

    /// Somebody else's write adopted it: what was found then is to be told.
    pub fn report(&mut self, workload: &WorkloadKey, now: Instant) {
        self.reports.insert(workload.clone());
        self.write(workload, now);
    }

    /// The workload is gone.
    pub fn forget(&mut self, workload: &WorkloadKey) {
        self.due.forget(workload);
        self.reports.remove(workload);
    }
}

impl Controller {
    /// Writes what is due, one at a time, until `stop`.
    pub async fn keep_house(self: Arc<Self>, stop: CancellationToken) {
        let mut leadership = self.leadership.clone();
        while !stop.is_cancelled() {
            let leads = leadership.leads();
            let taken = if leads {
                self.housekeeping().due.take(Instant::now())
            } else {
                None
            };
            if let Some(intent) = taken {
                let finish = self.tidy(&intent).await;
                self.housekeeping()
                    .due
                    .finish(intent, finish, Instant::now());
                continue;
            }
            let next = self
                .housekeeping()
                .due
                .next(Instant::now())
                .filter(|_| leads);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.housekeeping_changed.notified() => {}
                () = leadership.changed() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    async fn tidy(&self, intent: &Intent) -> Finish {
        let (key, attempts) = (&intent.workload, intent.attempts);
        if self.intents().is_taken(key) {
            // It is being restarted, which writes the same annotation.
            return Finish::Retry(backoff(0));
        }
        let report = self.housekeeping().reports.remove(key);
        let examined = self.examine(key).await;
        if matches!(examined, Examined::Later) {
            if report {
                self.housekeeping().reports.insert(key.clone());
            }
            return Finish::Retry(backoff(attempts));
        }
        let (text, adopts, patch) = {
            let index = self.state.index();
            let Some(tracked) = index.workload(key) else {
                return Finish::Over;
            };
            match index.unwritten(key) {
                None => (None, report, None),
                Some(None) => (
                    None,
                    report,
                    Some(patch::forget(key.kind, &tracked.workload)),
                ),
                Some(Some(text)) => {
                    let patch = patch::record(key.kind, &tracked.workload, &text);
                    (
                        Some(text),
                        report || tracked.workload.observed.is_none(),
                        Some(patch),
                    )
                }
            }
        };
        if text.is_some_and(|text| !self.has_room(key, text.len())) {
            return Finish::Over;
        }
        let outdated = if adopts {
            self.outdated(key).await
        } else {
            Ok(Vec::new())
        };
        let restart = match examined {
            Examined::Behind(decision) => Some(*decision),
            // What they have is known better than by times.
            Examined::Stands | Examined::Later => None,
            Examined::Nothing => outdated
                .as_ref()
                .ok()
                .and_then(|outdated| self.restart_outdated(key, outdated)),
        };
        let finish = match (restart, patch) {
            // A report that nobody can make holds nothing up; a restart that may be asked for does.
            _ if outdated.is_err() && self.restarts_at_adoption(key) => {
                Finish::Retry(backoff(attempts))
            }
            (Some(decision), _) => self.restart_adopted(intent, &decision).await,
            (None, Some(patch)) => self.tidy_up(key, patch, attempts).await,
            (None, None) => Finish::Over,
        };
        match finish {
            Finish::Over if adopts => self.report_adoption(key, &outdated.unwrap_or_default()),
            Finish::Retry(_) if adopts => {
                self.housekeeping().reports.insert(key.clone());
            }
            _ => {}
        }
        finish
    }

    async fn tidy_up(&self, key: &WorkloadKey, patch: patch::Patch, attempts: u32) -> Finish {
        match self.write(key, patch).await {
            Ok(()) => {
                self.state.metrics.housekeeping_written();
                let mut intents = self.intents();
                if intents.held(key) == Some(Held::NoRoom) {
                    intents.hold(key, None);
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

    fn restarts_at_adoption(&self, key: &WorkloadKey) -> bool {
        let index = self.state.index();
        let tracked = index.workload(key);
        tracked.is_some_and(|tracked| tracked.policy.on_adopt == OnAdopt::Restart)
    }
}
