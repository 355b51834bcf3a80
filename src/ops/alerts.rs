//! Alerts: what people are told outside of the cluster, after a restart and about one that keeps failing.
//!
//! [`AlertSink`] returns at once: a bounded queue and one task ([`AlertSender`]) stand between a restart and a chat that
//! hangs. What comes within a short window is one message. A message that was not taken is tried a few times, then given
//! up with one line in the log; that is counted (`reroll_alerts_total`), and so is what did not fit into the queue, and
//! the next message says how many were lost.
//!
//! A message is sent at least once: where an answer was lost, it may come twice. It names workloads, sources and what
//! happened to them, never any data. The URL is a secret; logs have its host.

mod answer;
mod http;
mod message;
mod payload;
mod sender;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use tokio::sync::mpsc;

pub use http::AlertError;
pub use sender::AlertSender;

use super::metrics::{Metrics, labels::AlertOutcome};
use crate::{
    config::{AlertKind, AlertSettings},
    model::{Cause, WorkloadKey},
};

/// Alerts that may wait: a message in flight can hang for a minute, in which restarts are paced to about this.
const QUEUE: usize = 1024;
/// Causes that an alert lists; the rest is a number.
const CAUSES: usize = 5;
/// A restart is told to fail at this try, which is after about a second, and then whenever the number has doubled.
const FAILING_FROM: u32 = 5;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alert {
    kind: AlertKind,
    workload: WorkloadKey,
    /// A few.
    causes: Vec<AlertCause>,
    /// How many more there are.
    more_causes: usize,
    /// How many tries there were.
    attempts: u32,
    /// Why it fails.
    error: Option<&'static str>,
    time: Timestamp,
}

/// Why a workload is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AlertCause {
    /// Kind and name, where it is about one source.
    source: Option<(&'static str, String)>,
    reason: &'static str,
    /// The sentence that Events have, too.
    text: String,
}

/// Where alerts go in; cheap to clone. By default nobody listens.
#[derive(Clone, Debug, Default)]
pub struct AlertSink(Option<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    queue: mpsc::Sender<Alert>,
    on: Arc<[AlertKind]>,
    lost: Lost,
}

/// Alerts that nobody will get: counted for metrics, and for the next message.
#[derive(Clone, Debug)]
struct Lost {
    metrics: Arc<Metrics>,
    untold: Arc<AtomicU64>,
}

/// A sink, and the sender that somebody has to [run](AlertSender::run).
///
/// # Errors
/// When a file that the settings name cannot be read, or does not hold what it should.
pub fn channel(
    settings: AlertSettings,
    metrics: Arc<Metrics>,
) -> Result<(AlertSink, AlertSender), AlertError> {
    let (queue, alerts) = mpsc::channel(QUEUE);
    let untold = Arc::default();
    let lost = Lost { metrics, untold };
    let entry = Entry {
        queue,
        on: settings.on.clone().into(),
        lost: lost.clone(),
    };
    let sender = AlertSender::new(alerts, lost, settings)?;
    Ok((AlertSink(Some(entry)), sender))
}

// === impl AlertSink ===

impl AlertSink {
    /// A workload was restarted, at this try (1 is the first). Never waits.
    pub fn restarted(
        &self,
        workload: &WorkloadKey,
        causes: &[Cause],
        attempts: u32,
        now: Timestamp,
    ) {
        let kind = AlertKind::Restarted;
        self.add(kind, || {
            Alert::new(kind, workload, causes, attempts, None, now)
        });
    }

    /// A try to restart a workload failed, the how many-th in a row. Tells the fifth, and from then on whenever their
    /// number has doubled. `error` says why, in fixed words. Never waits.
    pub fn failing(
        &self,
        workload: &WorkloadKey,
        causes: &[Cause],
        attempts: u32,
        error: &'static str,
        now: Timestamp,
    ) {
        let kind = AlertKind::Failing;
        if keeps_failing(attempts) {
            self.add(kind, || {
                Alert::new(kind, workload, causes, attempts, Some(error), now)
            });
        }
    }

    fn add(&self, kind: AlertKind, alert: impl FnOnce() -> Alert) {
        let Some(entry) = self.0.as_ref().filter(|entry| entry.on.contains(&kind)) else {
            return;
        };
        if entry.queue.try_send(alert()).is_err() {
            entry.lost.add(AlertOutcome::Dropped, 1);
        }
    }
}

fn keeps_failing(attempts: u32) -> bool {
    attempts.is_multiple_of(FAILING_FROM) && (attempts / FAILING_FROM).is_power_of_two()
}

// === impl Alert ===

impl Alert {
    fn new(
        kind: AlertKind,
        workload: &WorkloadKey,
        causes: &[Cause],
        attempts: u32,
        error: Option<&'static str>,
        time: Timestamp,
    ) -> Self {
        let cause = |cause: &Cause| AlertCause {
            source: cause
                .source
                .as_ref()
                .map(|source| (source.kind.as_str(), source.name.clone())),
            reason: cause.kind.as_str(),
            text: cause.to_string(),
        };
        Self {
            kind,
            workload: workload.clone(),
            causes: causes.iter().take(CAUSES).map(cause).collect(),
            more_causes: causes.len().saturating_sub(CAUSES),
            attempts,
            error,
            time,
        }
    }
}

// === impl Lost ===

impl Lost {
    fn add(&self, outcome: AlertOutcome, count: u64) {
        self.metrics.alerts_ended(outcome, count);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }

    /// What the next message has to say.
    fn take(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// The message that said so was not taken.
    fn put_back(&self, count: u64) {
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
