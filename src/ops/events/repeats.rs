//! The Events of the last minutes, so that one that repeats becomes a count on the first (`series`).

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// The time in which the same Event counts as a repetition, as in client-go.
const WINDOW: SignedDuration = SignedDuration::from_mins(6);
/// How many Events are remembered. The repetition of one that is not remembered is an Event of its own.
const MOST: usize = 4096;

/// Events of the last minutes, by what a person reads in them. Bounded.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<Key, Published>);

/// What makes an Event the same as another. It is hashed, because thousands are remembered and their texts are long. Two
/// different Events that meet in one hash would be counted together: once in some 10¹² times that so many are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

#[derive(Debug)]
struct Published {
    name: String,
    count: i32,
    last: Timestamp,
}

/// The Event that an Event repeats.
#[derive(Debug, PartialEq)]
pub(super) struct Repetition {
    /// The first Event's name, in the same namespace.
    pub(super) name: String,
    /// The count and the time to write there.
    pub(super) series: EventSeries,
}

impl Repeats {
    /// Returns the Event that `event` repeats, if there is one in the window.
    pub(super) fn find(&self, event: &Event) -> Option<Repetition> {
        let first = self.0.get(&Key::of(event))?;
        let now = time(event);
        if now.duration_since(first.last) > WINDOW {
            return None;
        }
        let series = EventSeries {
            count: first.count.saturating_add(1),
            last_observed_time: MicroTime(now),
        };
        Some(Repetition {
            name: first.name.clone(),
            series,
        })
    }

    /// Remembers that `event` was published: under its own name, or as a repetition.
    pub(super) fn published(&mut self, event: &Event, repetition: Option<&Repetition>) {
        let now = time(event);
        if self.0.len() >= MOST {
            self.0
                .retain(|_, first| now.duration_since(first.last) <= WINDOW);
        }
        let (name, count) = match repetition {
            Some(repetition) => (repetition.name.clone(), repetition.series.count),
            None => (event.metadata.name.clone().unwrap_or_default(), 1),
        };
        let key = Key::of(event);
        if self.0.len() < MOST || self.0.contains_key(&key) {
            let last = now;
            self.0.insert(key, Published { name, count, last });
        }
    }

    /// Forgets the Event that `event` repeats: it is gone from the API server.
    pub(super) fn forget(&mut self, event: &Event) {
        self.0.remove(&Key::of(event));
    }
}

impl Key {
    /// Leaves the workload's resourceVersion out: it moves all the time while a warning stays the same. Takes that of the
    /// changed object in: it tells one change from the next.
    fn of(event: &Event) -> Self {
        fn text(field: Option<&String>) -> &str {
            field.map_or("", String::as_str)
        }
        let none = ObjectReference::default();
        let regarding = event.regarding.as_ref().unwrap_or(&none);
        let related = event.related.as_ref().unwrap_or(&none);
        let same = [
            text(event.reason.as_ref()),
            text(event.note.as_ref()),
            text(regarding.kind.as_ref()),
            text(regarding.namespace.as_ref()),
            text(regarding.name.as_ref()),
            text(regarding.uid.as_ref()),
            text(related.kind.as_ref()),
            text(related.uid.as_ref()),
            text(related.resource_version.as_ref()),
        ];
        let mut hasher = DefaultHasher::new();
        same.hash(&mut hasher);
        Self(hasher.finish())
    }
}

fn time(event: &Event) -> Timestamp {
    event
        .event_time
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
