//! Tests of the sink: what an Event looks like, and what happens when nobody takes it.

use serde_json::json;

use super::*;
use crate::clock::system_clock;

fn workload() -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        namespace: Some("prod".to_owned()),
        name: Some("web".to_owned()),
        uid: Some("u-1".to_owned()),
        ..ObjectReference::default()
    }
}

fn sink() -> (EventSink, EventPublisher, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let (sink, publisher) = channel("reroll-0", system_clock(), metrics.clone());
    (sink, publisher, metrics)
}

fn event(note: &str) -> Event {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let (sink, ..) = sink();
    sink.event(now, workload(), EventType::Normal, "Restarted", note, None)
}

#[test]
fn an_event_has_what_the_api_server_demands() {
    let event = serde_json::to_value(event("Secret db was recreated")).unwrap();
    assert_eq!(
        event,
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": "web.18fae27693b40000000", "namespace": "prod" },
            "eventTime": "2027-01-15T08:00:00.000000Z",
            "type": "Normal",
            "reason": "Restarted",
            "action": "Restarted",
            "note": "Secret db was recreated",
            "regarding": {
                "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "prod", "name": "web", "uid": "u-1",
            },
            "reportingController": "reroll",
            "reportingInstance": "reroll-0",
        })
    );
}

#[test]
fn notes_are_cut_on_a_character() {
    assert_eq!(event("short").note.unwrap(), "short");
    let exact = "x".repeat(1024);
    assert_eq!(event(&exact).note.unwrap(), exact);
    // Three bytes each: 1021 is not a boundary.
    let note = event(&"€".repeat(1000)).note.unwrap();
    assert_eq!(note.len(), 1023);
    assert!(note.ends_with("€…"), "{note}");
}

#[test]
fn names_differ_within_one_instant_and_stay_short() {
    let (sink, ..) = sink();
    let long = ObjectReference {
        name: Some("n".repeat(253)),
        ..workload()
    };
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let name = || {
        let event = sink.event(now, long.clone(), EventType::Warning, "Refused", "", None);
        event.metadata.name.unwrap()
    };
    let (first, second) = (name(), name());
    assert_ne!(first, second);
    assert!(first.len() <= 253, "{}", first.len());
}

#[tokio::test]
async fn what_is_said_once_has_a_name_of_its_own_and_is_no_repetition() {
    let (sink, mut publisher, _) = sink();
    let version = |name: &str, version: &str| ObjectReference {
        name: Some(name.to_owned()),
        resource_version: Some(version.to_owned()),
        ..workload()
    };
    let long = format!("{}.-{}", "n".repeat(218), "n".repeat(33));
    let rows = [
        (version("db", "1"), "converged-00ff", "db.converged-00ff"),
        (version("db", "2"), "converged-01ff", "db.converged-01ff"),
        (
            version(&long, "2"),
            "converged-0",
            &format!("{}.converged-0", "n".repeat(218)),
        ),
    ];
    let mut repeats = repeats::Repeats::default();
    for (regarding, print, expected) in rows {
        sink.publish_once(
            regarding,
            EventType::Normal,
            "Converged",
            "all have it",
            print,
        );
        let event = publisher.take().await;
        assert_eq!(event.metadata.name.as_deref(), Some(expected));
        assert_eq!(repeats.find(&event), None);
        repeats.published(&event, None);
        assert!(repeats.find(&event).is_some());
    }
}

#[test]
fn objects_without_a_namespace_have_their_events_in_default() {
    let (sink, ..) = sink();
    let namespace = ObjectReference {
        namespace: None,
        ..workload()
    };
    let event = sink.event(
        Timestamp::UNIX_EPOCH,
        namespace,
        EventType::Normal,
        "A",
        "",
        None,
    );
    assert_eq!(event.metadata.namespace.unwrap(), "default");
}

#[test]
fn a_full_queue_drops_and_counts_and_does_not_wait() {
    let (sink, publisher, metrics) = sink();
    for _ in 0..QUEUE + 3 {
        sink.publish(workload(), EventType::Normal, "Restarted", "", None);
    }
    let text = metrics.encode().unwrap();
    assert!(text.contains("reroll_events_dropped_total 3\n"), "{text}");
    drop(publisher);
}
