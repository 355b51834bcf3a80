//! Kubernetes Events on workloads: what a person reads in `kubectl describe` and `kubectl events`.
//!
//! [`EventSink::publish`] returns at once. A bounded queue and one task ([`EventPublisher`]) stand between a restart and the
//! API server. An Event that cannot be published is dropped and counted (`reroll_events_dropped_total`); the log has the first
//! of a row of drops. Events of a storm come after its restarts ([`EventSink::first`]), because each costs the API server as
//! much as a restart does.
//!
//! The publisher writes `events.k8s.io/v1` objects itself. `kube::runtime::events::Recorder` (5.0.0) does not fit:
//! - Its key for repeats leaves the note out, and it keeps the *first* note. Of two failures of one restart within six
//!   minutes, or two changes of one Secret, a person would read one. Here the note and the version of the changed object
//!   belong to the key (`repeats.rs`).
//! - Each of its calls makes a new name, so that a retry after a timeout may publish twice. Here a retry has the same name,
//!   and `AlreadyExists` says that the first try went through.
//! - A publisher of our own can be tested without a cluster.

mod ahead;
mod drops;
mod publisher;
mod repeats;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
pub use kube::runtime::events::EventType;
use tokio::sync::{mpsc, watch};

pub use ahead::First;
pub use publisher::EventPublisher;

use self::{ahead::Ahead, drops::Drops};
use super::metrics::Metrics;
use crate::{clock::Clock, model::text::shortened_to_bytes};

/// The writer of the Events, as `kubectl describe` shows it ("From").
const CONTROLLER: &str = "reroll";
/// How many Events may wait, of about a kilobyte: those of a storm, until its restarts are through.
const QUEUE: usize = 4096;
/// The API server's limits, in bytes (`pkg/apis/core/validation/events.go`).
const MAX_NOTE: usize = 1024;
const MAX_INSTANCE: usize = 128;
/// What the suffix leaves of a name of 253 bytes.
const MAX_NAME_STEM: usize = 220;

/// Takes Events in; cheap to clone.
#[derive(Clone)]
pub struct EventSink {
    queue: mpsc::Sender<Event>,
    clock: Clock,
    instance: Arc<str>,
    sequence: Arc<AtomicU64>,
    drops: Drops,
    first: watch::Sender<Ahead>,
}

/// Returns a sink, and the publisher that the caller has to [run](EventPublisher::run). `instance` names this replica;
/// `clock` tells when an Event happens.
pub fn channel(instance: &str, clock: Clock, metrics: Arc<Metrics>) -> (EventSink, EventPublisher) {
    let (queue, events) = mpsc::channel(QUEUE);
    let drops = Drops::new(metrics);
    let sink = EventSink {
        queue,
        clock,
        instance: truncate(instance, MAX_INSTANCE).into(),
        sequence: Arc::default(),
        drops: drops.clone(),
        first: Ahead::none(),
    };
    let publisher = EventPublisher::new(events, sink.first.subscribe(), drops);
    (sink, publisher)
}

// === impl EventSink ===

impl EventSink {
    /// Lets what the caller does now go before Events: they wait until the answer is dropped, and a little longer. They do
    /// not wait for long, and only while few are queued.
    pub fn first(&self) -> First {
        First::new(self.first.clone())
    }

    /// Queues an Event about `regarding` (give it kind, apiVersion, namespace, name and uid). Never waits.
    ///
    /// `reason` is one word in `PascalCase` and also becomes the Event's action. `note` is for people: it never holds data of
    /// a source, and is cut at 1 kB. `secondary` is the object that caused it. With its resourceVersion, each change of it
    /// gets an Event of its own; what repeats exactly within six minutes becomes a count on the first.
    pub fn publish(
        &self,
        regarding: ObjectReference,
        event_type: EventType,
        reason: &'static str,
        note: &str,
        secondary: Option<ObjectReference>,
    ) {
        let event = self.event(
            (self.clock)(),
            regarding,
            event_type,
            reason,
            note,
            secondary,
        );
        self.queue(event);
    }

    /// Queues an Event about a version of `regarding` (give it its resourceVersion, too) of which there is to be one, whoever
    /// publishes it and how often: it is named by `print`, a DNS label, and a second one of that name is not published while the
    /// first is there.
    pub fn publish_once(
        &self,
        regarding: ObjectReference,
        event_type: EventType,
        reason: &'static str,
        note: &str,
        print: &str,
    ) {
        let name = regarding.name.as_deref().unwrap_or(CONTROLLER);
        let stem = truncate(name, MAX_NAME_STEM).trim_end_matches(['-', '.']);
        let name = format!("{stem}.{print}");
        // The same words about another version are no repetition.
        let version = Some(regarding.clone());
        let now = (self.clock)();
        let mut event = self.event(now, regarding, event_type, reason, note, version);
        event.metadata.name = Some(name);
        self.queue(event);
    }

    fn queue(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.drops
                .dropped("the queue is full, or reroll is shutting down");
        }
    }

    fn event(
        &self,
        now: Timestamp,
        regarding: ObjectReference,
        event_type: EventType,
        reason: &'static str,
        note: &str,
        secondary: Option<ObjectReference>,
    ) -> Event {
        // The API server wants an Event about an object without a namespace in `default`.
        let namespace = regarding
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) & 0xfff;
        let stem = truncate(
            regarding.name.as_deref().unwrap_or(CONTROLLER),
            MAX_NAME_STEM,
        );
        let name = format!("{stem}.{:x}{sequence:03x}", now.as_nanosecond());
        Event {
            metadata: ObjectMeta {
                namespace: Some(namespace),
                name: Some(name),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(format!("{event_type:?}")),
            reason: Some(reason.to_owned()),
            action: Some(reason.to_owned()),
            note: Some(shortened_to_bytes(note, MAX_NOTE).into_owned()),
            regarding: Some(regarding),
            related: secondary,
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.to_string()),
            ..Event::default()
        }
    }
}

fn truncate(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests;
