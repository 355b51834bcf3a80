//! When an Event was last seen, whichever API it was made by.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

/// Returns when an Event was last seen. `events.k8s.io` counts in a series; core Events have a last time.
pub(super) fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let series = series.and_then(|series| series.last_observed_time.as_ref());
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    series.map(|time| time.0).or(last).or(first)
}
