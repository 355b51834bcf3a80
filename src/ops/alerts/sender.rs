//! The task that gathers alerts into messages and sends them, one after the other.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Alert, Lost,
    http::{AlertError, Http},
    message::Message,
    payload::Content,
};
use crate::{
    config::{AlertSettings, AlertSinkKind},
    ops::metrics::labels::AlertOutcome,
};

/// How long what is queued may take to get out once reroll is told to stop.
const LAST_ALERTS: Duration = Duration::from_secs(2);
/// Tries after the first: over about 8 s, and what they take.
const RETRIES: usize = 4;
/// The longest that is waited because a webhook asks for it.
const MOST_WAIT: Duration = Duration::from_mins(1);

/// Takes alerts from the queue and sends them. Made by [`channel`](super::channel).
#[derive(Debug)]
pub struct AlertSender {
    http: Http,
    gatherer: Gatherer,
}

#[derive(Debug)]
struct Gatherer {
    alerts: mpsc::Receiver<Alert>,
    lost: Lost,
    sink: AlertSinkKind,
    prefix: String,
    window: Duration,
}

/// What one try came to. The reasons name no path of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// Another try may help, after this time at the earliest.
    Failed(String, Option<Duration>),
    /// Another try cannot help.
    Refused(String),
}

/// A webhook, or a test.
pub(super) trait Webhook {
    /// One try.
    async fn post(&self, content: &Content) -> Outcome;
    /// Which one it is, for the log.
    fn host(&self) -> String;
}

// === impl AlertSender ===

impl AlertSender {
    pub(super) fn new(
        alerts: mpsc::Receiver<Alert>,
        lost: Lost,
        settings: AlertSettings,
    ) -> Result<Self, AlertError> {
        let http = Http::new(&settings)?;
        let gatherer = Gatherer {
            alerts,
            lost,
            sink: settings.sink,
            prefix: settings.prefix,
            window: settings.window,
        };
        Ok(Self { http, gatherer })
    }

    /// Sends until `stop`, then for up to two seconds what is left in the queue.
    pub async fn run(self, stop: CancellationToken) {
        self.gatherer.send_all(&self.http, stop).await;
    }
}

impl Gatherer {
    async fn send_all(mut self, webhook: &impl Webhook, stop: CancellationToken) {
        let deadline = async {
            stop.cancelled().await;
            sleep(LAST_ALERTS).await;
        };
        tokio::pin!(deadline);
        let mut unsent = 0;
        while let Some(first) = self.next(&stop).await {
            let alerts = self.gather(first, &stop).await;
            unsent = alerts.len() as u64;
            tokio::select! {
                () = self.send(webhook, alerts) => unsent = 0,
                () = &mut deadline => break,
            }
        }
        while self.alerts.try_recv().is_ok() {
            unsent += 1;
        }
        if unsent > 0 {
            self.lost.add(AlertOutcome::Dropped, unsent);
            tracing::warn!(
                alerts = unsent,
                host = webhook.host(),
                "alerts were not sent before the end"
            );
        }
    }

    /// The next alert; `None` when the queue is empty and nobody will add to it.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Alert> {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.alerts.is_closed() => {}
            alert = self.alerts.recv() => return alert,
        }
        // Closing ends the queue after what is in it: the sinks live on in tasks that are being stopped as well.
        self.alerts.close();
        self.alerts.recv().await
    }

    /// What comes within the window after the first, or until the end.
    async fn gather(&mut self, first: Alert, stop: &CancellationToken) -> Vec<Alert> {
        let mut alerts = vec![first];
        if self.window.is_zero() {
            return alerts;
        }
        let end = Instant::now() + self.window;
        tokio::select! {
            () = sleep_until(end) => {}
            () = stop.cancelled() => {}
        }
        while let Ok(alert) = self.alerts.try_recv() {
            alerts.push(alert);
        }
        alerts
    }

    async fn send(&self, webhook: &impl Webhook, alerts: Vec<Alert>) {
        let count = alerts.len() as u64;
        let message = Message::new(alerts, self.lost.take());
        let content = Content::new(self.sink, &self.prefix, &message);
        let (outcome, tries) = attempt(webhook, &content).await;
        match outcome {
            Outcome::Taken => {
                self.lost.metrics.alerts_ended(AlertOutcome::Sent, count);
                tracing::debug!(alerts = count, host = webhook.host(), tries, "sent alerts");
            }
            Outcome::Failed(why, _) | Outcome::Refused(why) => {
                self.lost.add(AlertOutcome::Failed, count);
                self.lost.put_back(message.lost);
                tracing::warn!(
                    alerts = count,
                    host = webhook.host(),
                    tries,
                    why,
                    "gave up sending alerts"
                );
            }
        }
    }
}

/// Tries until it works, or cannot, or has been tried five times; says how often.
async fn attempt(webhook: &impl Webhook, content: &Content) -> (Outcome, u32) {
    let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(500));
    let mut delays = backoff
        .with_factor(2.0)
        .with_max_times(RETRIES)
        .with_jitter()
        .build();
    let mut tries = 1;
    loop {
        let outcome = webhook.post(content).await;
        match (&outcome, delays.next()) {
            (Outcome::Failed(_, asked), Some(delay)) => {
                let asked = asked.unwrap_or_default().min(MOST_WAIT);
                sleep(delay.max(asked)).await;
            }
            _ => return (outcome, tries),
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests;
