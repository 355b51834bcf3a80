//! The task that publishes Events, one after the other.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::repeats::{Repeats, Repetition};
use super::{Ahead, Drops, QUEUE};

/// So long nothing is restarted in a gap: what changes one after the other leaves shorter ones all the time.
const GAP: Duration = Duration::from_millis(100);
/// How long an Event waits for a gap between restarts.
const WAIT: Duration = Duration::from_secs(1);
/// How long what is queued may take to get out once reroll is told to stop.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Takes Events from the queue and publishes them. Made by [`channel`](super::channel).
#[derive(Debug)]
pub struct EventPublisher {
    events: mpsc::Receiver<Event>,
    first: watch::Receiver<Ahead>,
    repeats: Repeats,
    drops: Drops,
}

/// What a call to the API server came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Published,
    /// Only for repetitions: the first Event is gone.
    Gone,
    /// Another try may help.
    Failed(String),
    /// Another try cannot help.
    Refused(String),
}

/// The API server, or a test.
trait Events {
    async fn create(&self, event: &Event) -> Outcome;
    async fn repeat(&self, event: &Event, repetition: &Repetition) -> Outcome;
}

struct ApiServer {
    client: Client,
    timeout: Duration,
}

// === impl EventPublisher ===

impl EventPublisher {
    pub(super) fn new(
        events: mpsc::Receiver<Event>,
        first: watch::Receiver<Ahead>,
        drops: Drops,
    ) -> Self {
        let repeats = Repeats::default();
        Self {
            events,
            first,
            repeats,
            drops,
        }
    }

    /// Publishes until `stop`, then for up to two seconds what is left in the queue. One call takes `timeout` at most.
    ///
    /// Needs `create` and `patch` on `events` of `events.k8s.io`, in the namespaces of the workloads.
    pub async fn run(self, client: Client, timeout: Duration, stop: CancellationToken) {
        self.publish_all(&ApiServer { client, timeout }, stop).await;
    }

    async fn publish_all(mut self, api: &impl Events, stop: CancellationToken) {
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_EVENTS).await;
        };
        tokio::pin!(deadline);
        while let Some(event) = self.next(&stop).await {
            // A storm has no gap for as long as it takes; a few Events get out meanwhile.
            if self.events.len() < QUEUE / 2 && !stop.is_cancelled() {
                let gap = timeout(WAIT, gap(&mut self.first));
                let _ = stop.run_until_cancelled(gap).await;
            }
            tokio::select! {
                () = self.publish(api, &event) => {}
                () = &mut deadline => {
                    self.drops.dropped("reroll is shutting down");
                    break;
                }
            }
        }
        while self.events.try_recv().is_ok() {
            self.drops.dropped("reroll is shutting down");
        }
    }

    /// The next Event; `None` when the queue is empty and nobody will add to it.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Event> {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.events.is_closed() => {}
            event = self.events.recv() => return event,
        }
        // Closing ends the queue after what is in it: the senders live on in tasks that are being stopped as well.
        self.events.close();
        self.events.recv().await
    }

    async fn publish(&mut self, api: &impl Events, event: &Event) {
        let mut repetition = self.repeats.find(event);
        let mut outcome = attempt(api, event, repetition.as_ref()).await;
        if outcome == Outcome::Gone {
            self.repeats.forget(event);
            repetition = None;
            outcome = attempt(api, event, None).await;
        }
        match outcome {
            Outcome::Published => {
                self.repeats.published(event, repetition.as_ref());
                self.drops.published();
            }
            Outcome::Gone => self.drops.dropped("the Event it repeats is gone"),
            Outcome::Failed(why) | Outcome::Refused(why) => self.drops.dropped(&why),
        }
    }
}

/// Waits for a gap; it may be there, and have lasted for long.
async fn gap(first: &mut watch::Receiver<Ahead>) {
    loop {
        let ahead = *first.borrow_and_update();
        let over = sleep_until(ahead.changed + GAP);
        tokio::select! {
            () = over, if ahead.count == 0 => return,
            changed = first.changed() => if changed.is_err() { return },
        }
    }
}

/// Tries until it works, or cannot, or has been tried five times (over about 4 s, and the timeouts).
async fn attempt(api: &impl Events, event: &Event, repetition: Option<&Repetition>) -> Outcome {
    let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(250));
    let mut delays = backoff
        .with_factor(2.0)
        .with_max_times(4)
        .with_jitter()
        .build();
    loop {
        let outcome = match repetition {
            Some(repetition) => api.repeat(event, repetition).await,
            None => api.create(event).await,
        };
        match (&outcome, delays.next()) {
            (Outcome::Failed(_), Some(delay)) => tokio::time::sleep(delay).await,
            _ => return outcome,
        }
    }
}

// === impl ApiServer ===

impl ApiServer {
    fn api(&self, event: &Event) -> Api<Event> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn call(&self, call: impl Future<Output = Result<Event, kube::Error>>) -> Outcome {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(_)) => Outcome::Published,
            Ok(Err(error)) => outcome(&error),
            Err(_) => Outcome::Failed(format!("no answer within {:?}", self.timeout)),
        }
    }
}

impl Events for ApiServer {
    async fn create(&self, event: &Event) -> Outcome {
        let (api, params) = (self.api(event), PostParams::default());
        match self.call(api.create(&params, event)).await {
            // Names are used once (time and sequence), and there is no other Event to be missing.
            Outcome::Gone => Outcome::Refused("the namespace is gone".to_owned()),
            outcome => outcome,
        }
    }

    async fn repeat(&self, event: &Event, repetition: &Repetition) -> Outcome {
        let (api, params) = (self.api(event), PatchParams::default());
        let patch = Patch::Merge(json!({ "series": repetition.series }));
        self.call(api.patch(&repetition.name, &params, &patch))
            .await
    }
}

/// Sorts the API server's answers. 409 `AlreadyExists` means that an earlier try went through after all.
fn outcome(error: &kube::Error) -> Outcome {
    let kube::Error::Api(status) = error else {
        return Outcome::Failed(error.to_string());
    };
    let why = format!("{} {}: {}", status.code, status.reason, status.message);
    match status.code {
        409 if status.reason == "AlreadyExists" => Outcome::Published,
        404 => Outcome::Gone,
        409 | 429 | 500.. => Outcome::Failed(why),
        // Forbidden, which is also what a namespace that is being deleted answers; invalid; and so on.
        _ => Outcome::Refused(why),
    }
}

#[cfg(test)]
mod tests;
