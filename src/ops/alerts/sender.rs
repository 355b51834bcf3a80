//! The task that gathers alerts into messages and sends them, one after the other.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    alert::Alert,
    delivery::{Delivery, Webhook},
    http::{AlertError, Http},
    lost::Lost,
    message::Message,
    payload::Content,
    settings::{AlertSettings, AlertSinkKind},
};
use crate::ops::metrics::labels::AlertOutcome;

/// How long the sender goes on with what is queued once reroll is told to stop.
const LAST_ALERTS: Duration = Duration::from_secs(2);
/// How many tries follow the first: over about 8 s, and what they take.
const RETRIES: usize = 4;
/// The longest that the sender waits because a webhook asks for it.
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

    /// Sends until `stop`; then, for up to two seconds, what is left in the queue.
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

    /// Waits for the next alert. `None`: the queue is empty, and nothing more can come.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Alert> {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.alerts.is_closed() => {}
            alert = self.alerts.recv() => return alert,
        }
        // The sinks live on in tasks that are being stopped as well. Closing ends the queue after what is in it.
        self.alerts.close();
        self.alerts.recv().await
    }

    /// Gathers what comes within the window after the first, or until the end.
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
        let (delivery, tries) = attempt(webhook, &content).await;
        match delivery {
            Delivery::Taken => {
                self.lost.sent(count);
                tracing::debug!(alerts = count, host = webhook.host(), tries, "sent alerts");
            }
            Delivery::Failed(why, _) | Delivery::Refused(why) => {
                self.lost.add(AlertOutcome::Failed, count);
                self.lost.restore(message.lost);
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

/// Tries until it works, or cannot work, or was tried five times. Returns how often, too.
async fn attempt(webhook: &impl Webhook, content: &Content) -> (Delivery, u32) {
    let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(500));
    let mut delays = backoff
        .with_factor(2.0)
        .with_max_times(RETRIES)
        .with_jitter()
        .build();
    let mut tries = 1;
    loop {
        let delivery = webhook.post(content).await;
        match (&delivery, delays.next()) {
            (Delivery::Failed(_, asked), Some(delay)) => {
                let asked = asked.unwrap_or_default().min(MOST_WAIT);
                sleep(delay.max(asked)).await;
            }
            _ => return (delivery, tries),
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests;
