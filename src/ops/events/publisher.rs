//! The task that publishes Events, one after the other.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    ahead::{Ahead, gap},
    drops::Drops,
    repeats::{Repeats, Repetition},
};

/// How long an Event waits for a gap between restarts.
const WAIT: Duration = Duration::from_secs(1);
/// How long the publisher goes on with what is queued once reroll is told to stop.
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
enum Publication {
    /// The Event, or its repetition, is there.
    Published,
    /// The first Event is gone. Only for repetitions.
    Gone,
    /// Another try may help.
    Failed(String),
    /// Another try cannot help.
    Refused(String),
}

/// The API server, or a test.
trait Events {
    async fn create(&self, event: &Event) -> Publication;
    async fn repeat(&self, event: &Event, repetition: &Repetition) -> Publication;
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

    /// Publishes until `stop`; then, for up to two seconds, what is left in the queue. One call takes `timeout` at most.
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
            if self.events.len() < self.events.max_capacity() / 2 && !stop.is_cancelled() {
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

    /// Waits for the next Event. `None`: the queue is empty, and nothing more can come.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Event> {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.events.is_closed() => {}
            event = self.events.recv() => return event,
        }
        // The senders live on in tasks that are being stopped as well. Closing ends the queue after what is in it.
        self.events.close();
        self.events.recv().await
    }

    /// Returns the next Event that was queued.
    #[cfg(test)]
    pub(super) async fn take(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    async fn publish(&mut self, api: &impl Events, event: &Event) {
        let mut repetition = self.repeats.find(event);
        let mut ended = attempt(api, event, repetition.as_ref()).await;
        if ended == Publication::Gone {
            self.repeats.forget(event);
            repetition = None;
            ended = attempt(api, event, None).await;
        }
        match ended {
            Publication::Published => {
                self.repeats.published(event, repetition.as_ref());
                self.drops.published();
            }
            Publication::Gone => self.drops.dropped("the Event it repeats is gone"),
            Publication::Failed(why) | Publication::Refused(why) => self.drops.dropped(&why),
        }
    }
}

/// Tries until it works, or cannot work, or was tried five times (over about 4 s, and the timeouts).
async fn attempt(api: &impl Events, event: &Event, repetition: Option<&Repetition>) -> Publication {
    let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(250));
    let mut delays = backoff
        .with_factor(2.0)
        .with_max_times(4)
        .with_jitter()
        .build();
    loop {
        let ended = match repetition {
            Some(repetition) => api.repeat(event, repetition).await,
            None => api.create(event).await,
        };
        match (&ended, delays.next()) {
            (Publication::Failed(_), Some(delay)) => tokio::time::sleep(delay).await,
            _ => return ended,
        }
    }
}

// === impl ApiServer ===

impl ApiServer {
    fn api(&self, event: &Event) -> Api<Event> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn call(&self, call: impl Future<Output = Result<Event, kube::Error>>) -> Publication {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(_)) => Publication::Published,
            Ok(Err(error)) => publication(&error),
            Err(_) => Publication::Failed(format!("no answer within {:?}", self.timeout)),
        }
    }
}

impl Events for ApiServer {
    async fn create(&self, event: &Event) -> Publication {
        let (api, params) = (self.api(event), PostParams::default());
        match self.call(api.create(&params, event)).await {
            // Names are used once (time and sequence, or what is said). So what is missing is not another Event.
            Publication::Gone => Publication::Refused("the namespace is gone".to_owned()),
            ended => ended,
        }
    }

    async fn repeat(&self, event: &Event, repetition: &Repetition) -> Publication {
        let (api, params) = (self.api(event), PatchParams::default());
        let patch = Patch::Merge(json!({ "series": repetition.series }));
        self.call(api.patch(&repetition.name, &params, &patch))
            .await
    }
}

/// Sorts what the API server answers instead of an Event. 409 `AlreadyExists`: an earlier try went through after all, or another
/// process said it.
fn publication(error: &kube::Error) -> Publication {
    let kube::Error::Api(status) = error else {
        return Publication::Failed(error.to_string());
    };
    let why = format!("{} {}: {}", status.code, status.reason, status.message);
    match status.code {
        409 if status.reason == "AlreadyExists" => Publication::Published,
        404 => Publication::Gone,
        409 | 429 | 500.. => Publication::Failed(why),
        // Invalid, and so on; or forbidden, which is also what a namespace that is being deleted answers.
        _ => Publication::Refused(why),
    }
}

#[cfg(test)]
mod tests;
