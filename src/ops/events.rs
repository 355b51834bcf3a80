//! Kubernetes Events on workloads: what a person reads in `kubectl describe` and `kubectl events`.
//!
//! [`EventSink::publish`] returns at once: a bounded queue and one task ([`EventPublisher`]) stand between a restart
//! and the API server. What cannot be published is dropped and counted (`reroll_events_dropped_total`), and the first of a
//! row of drops is logged. Events of a storm come after its restarts ([`EventSink::first`]): each costs the API server as
//! much as a restart does.
//!
//! The Events are `events.k8s.io/v1` objects written directly, and not by `kube::runtime::events::Recorder` (5.0.0):
//! - its key for repeats leaves the note out and it keeps the *first* note, so of two failures of one restart within six
//!   minutes, or two changes of one Secret, a person would read one. Here the note and the version of the changed object
//!   belong to the key (`repeats.rs`);
//! - each of its calls makes a new name, so a retry after a timeout may publish twice. Here a retry has the same name,
//!   and `AlreadyExists` says that the first try went through;
//! - a publisher of its own can be tested without a cluster.

mod publisher;
mod repeats;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
pub use kube::runtime::events::EventType;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use publisher::EventPublisher;

use super::metrics::Metrics;

/// Who writes the Events, as shown in `kubectl describe` ("From").
const CONTROLLER: &str = "reroll";
/// Events that may wait, of about a kilobyte: those of a storm, until its restarts are through.
const QUEUE: usize = 4096;
/// The API server's limits, in bytes (`pkg/apis/core/validation/events.go`).
const MAX_NOTE: usize = 1024;
const MAX_INSTANCE: usize = 128;
/// What is left of a name of 253 bytes after the suffix.
const MAX_NAME_STEM: usize = 220;

/// Where Events go in; cheap to clone.
#[derive(Clone, Debug)]
pub struct EventSink {
    queue: mpsc::Sender<Event>,
    instance: Arc<str>,
    sequence: Arc<AtomicU64>,
    drops: Drops,
    first: watch::Sender<Ahead>,
}

/// Something that goes before Events, while this lives.
#[derive(Debug)]
pub struct First(watch::Sender<Ahead>);

/// What goes before Events.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// How much of it is going on.
    count: usize,
    /// When that changed last.
    changed: Instant,
}

/// Counts drops, and logs the first of each row.
#[derive(Clone, Debug)]
struct Drops {
    metrics: Arc<Metrics>,
    in_a_row: Arc<AtomicBool>,
}

/// A sink, and the publisher that somebody has to [run](EventPublisher::run). `instance` names this replica.
pub fn channel(instance: &str, metrics: Arc<Metrics>) -> (EventSink, EventPublisher) {
    let (queue, events) = mpsc::channel(QUEUE);
    let in_a_row = Arc::default();
    let drops = Drops { metrics, in_a_row };
    let sink = EventSink {
        queue,
        instance: truncate(instance, MAX_INSTANCE).into(),
        sequence: Arc::default(),
        drops: drops.clone(),
        first: watch::Sender::new(Ahead {
            count: 0,
            changed: Instant::now(),
        }),
    };
    let publisher = EventPublisher::new(events, sink.first.subscribe(), drops);
    (sink, publisher)
}

// === impl EventSink ===

impl EventSink {
    /// Events wait for what is done now, and a little longer, but not for long, and only while few are queued.
    pub fn first(&self) -> First {
        self.first.send_modify(|ahead| ahead.moved(1));
        First(self.first.clone())
    }

    /// Queues an Event about `regarding` (give it kind, apiVersion, namespace, name and uid). Never waits.
    ///
    /// `reason` is one word in `PascalCase` and also becomes the Event's action; `note` is for people, never holds data of a
    /// source, and is cut at 1 kB. `secondary` is the object that caused it: with its resourceVersion, each change of it
    /// gets an Event of its own, and what repeats exactly within six minutes becomes a count on the first.
    pub fn publish(
        &self,
        regarding: ObjectReference,
        event_type: EventType,
        reason: &'static str,
        note: String,
        secondary: Option<ObjectReference>,
    ) {
        #[expect(
            clippy::disallowed_methods,
            reason = "an edge: the time is only shown, nothing is decided by it"
        )]
        let now = Timestamp::now();
        let event = self.event(now, regarding, event_type, reason, note, secondary);
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
        note: String,
        secondary: Option<ObjectReference>,
    ) -> Event {
        // The API server demands that an Event about an object without a namespace is in `default`.
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
            note: Some(truncate_note(note)),
            regarding: Some(regarding),
            related: secondary,
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.to_string()),
            ..Event::default()
        }
    }
}

impl Ahead {
    fn moved(&mut self, by: isize) {
        self.count = self.count.saturating_add_signed(by);
        self.changed = Instant::now();
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.0.send_modify(|ahead| ahead.moved(-1));
    }
}

impl Drops {
    fn dropped(&self, why: &str) {
        self.metrics.event_dropped();
        if self.in_a_row.swap(true, Ordering::Relaxed) {
            tracing::debug!(why, "dropped a Kubernetes Event");
        } else {
            tracing::warn!(
                why,
                "dropped a Kubernetes Event; further drops are only counted until one gets through"
            );
        }
    }

    fn published(&self) {
        self.in_a_row.store(false, Ordering::Relaxed);
    }
}

fn truncate(text: &str, most: usize) -> &str {
    // `str::floor_char_boundary` is in Rust 1.91 and later.
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

fn truncate_note(note: String) -> String {
    const CUT: &str = "…";
    if note.len() <= MAX_NOTE {
        return note;
    }
    format!("{}{CUT}", truncate(&note, MAX_NOTE - CUT.len()))
}

#[cfg(test)]
mod tests;
