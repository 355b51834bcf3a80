//! Alerts: what reroll tells people outside of the cluster, after a restart and about one that keeps failing.
//!
//! [`AlertSink`] returns at once. A bounded queue and one task ([`AlertSender`]) stand between a restart and a chat that
//! hangs. Alerts of a short window become one message. The sender tries a message a few times; then it gives it up, with
//! one line in the log. `reroll_alerts_total` counts those, and also the alerts that did not fit into the queue. The next
//! message says how many were lost.
//!
//! A message is sent at least once: where an answer was lost, it may come twice. It names workloads, sources and what
//! happened to them, never any data. The URL is a secret; logs have its host.

mod alert;
mod answer;
mod delivery;
mod http;
mod lost;
mod message;
mod payload;
mod sender;
pub mod settings;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

pub use http::AlertError;
pub use sender::AlertSender;

use self::{
    alert::Alert,
    lost::Lost,
    settings::{AlertKind, AlertSettings},
};
use super::metrics::{Metrics, labels::AlertOutcome};
use crate::model::{Cause, WorkloadKey};

/// How many alerts may wait. A message in flight can hang for a minute, in which restarts are paced to about this.
const QUEUE: usize = 1024;
/// The first try whose failure is told, about a second after the first. From then on, whenever the number has doubled.
const FAILING_FROM: u32 = 5;

/// Takes alerts in; cheap to clone. The default drops them.
#[derive(Clone, Debug, Default)]
pub struct AlertSink(Option<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    queue: mpsc::Sender<Alert>,
    on: Arc<[AlertKind]>,
    lost: Lost,
}

/// Returns a sink, and the sender that the caller has to [run](AlertSender::run).
///
/// # Errors
/// When a file that the settings name cannot be read, or does not hold what it should.
pub fn channel(
    settings: AlertSettings,
    metrics: Arc<Metrics>,
) -> Result<(AlertSink, AlertSender), AlertError> {
    let (queue, alerts) = mpsc::channel(QUEUE);
    let lost = Lost::new(metrics);
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
    /// Tells that a workload was restarted, at this try (1 is the first). Never waits.
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

    /// Tells that a try to restart a workload failed; `attempts` is how many did in a row. Tells the fifth, and from then
    /// on whenever their number has doubled. `error` says why, in fixed words. Never waits.
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

#[cfg(test)]
mod tests;
