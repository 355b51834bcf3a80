//! Tests of the publisher, against a scripted API server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::http::{Request, Response};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::clock::system_clock;
use crate::ops::events::{EventSink, EventType, QUEUE, ahead::GAP, channel};
use crate::ops::metrics::Metrics;

/// Answers calls from a script, then with success; notes every call.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Publication>>>,
    calls: Arc<Mutex<Vec<String>>>,
    /// Never answers.
    hangs: bool,
}

impl Script {
    async fn answer(&self, call: String) -> Publication {
        self.calls.lock().unwrap().push(call);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Publication::Published)
    }
}

impl Events for Script {
    async fn create(&self, event: &Event) -> Publication {
        self.answer(format!("create {}", event.note.as_deref().unwrap()))
            .await
    }

    async fn repeat(&self, event: &Event, repetition: &Repetition) -> Publication {
        let (note, count) = (event.note.as_deref().unwrap(), repetition.series.count);
        self.answer(format!("repeat {note} x{count}")).await
    }
}

struct Run {
    sink: EventSink,
    script: Script,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    task: JoinHandle<()>,
}

impl Run {
    fn begin(answers: impl IntoIterator<Item = Publication>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self::with(Script {
            answers,
            ..Script::default()
        })
    }

    fn with(script: Script) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (sink, publisher) = channel("reroll-0", system_clock(), metrics.clone());
        let stop = CancellationToken::new();
        let (api, ours) = (script.clone(), stop.clone());
        let task = tokio::spawn(async move { publisher.publish_all(&api, ours).await });
        Self {
            sink,
            script,
            stop,
            metrics,
            task,
        }
    }

    fn publish(&self, note: &str, secret_version: Option<&str>) {
        let secret = secret_version.map(|version| ObjectReference {
            kind: Some("Secret".to_owned()),
            uid: Some("s-1".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectReference::default()
        });
        self.sink
            .publish(workload(), EventType::Warning, "Changed", note, secret);
    }

    /// The calls made and the Events dropped, once the queue is empty.
    async fn end(self) -> (Vec<String>, u64) {
        self.stop.cancel();
        self.task.await.unwrap();
        let text = self.metrics.encode().unwrap();
        let dropped = text
            .lines()
            .find_map(|line| line.strip_prefix("reroll_events_dropped_total "));
        let calls = self.script.calls.lock().unwrap().clone();
        (calls, dropped.unwrap().parse().unwrap())
    }

    async fn calls_reach(&self, count: usize) {
        let enough = async {
            while self.script.calls.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), enough)
            .await
            .unwrap();
    }
}

fn workload() -> ObjectReference {
    ObjectReference {
        kind: Some("Deployment".to_owned()),
        namespace: Some("prod".to_owned()),
        name: Some("web".to_owned()),
        uid: Some("u-1".to_owned()),
        ..ObjectReference::default()
    }
}

fn failed() -> Publication {
    Publication::Failed("503".to_owned())
}

fn refused() -> Publication {
    Publication::Refused("403".to_owned())
}

#[tokio::test(start_paused = true)]
async fn events_come_after_what_goes_first() {
    let run = Run::begin([]);
    let (one, other) = (run.sink.first(), run.sink.first());
    run.publish("a", None);
    drop(one);
    tokio::time::sleep(WAIT / 2).await;
    assert!(run.script.calls.lock().unwrap().is_empty());
    let before = Instant::now();
    drop(other);
    run.calls_reach(1).await;
    assert!((GAP..2 * GAP).contains(&before.elapsed()));
    // The gap lasts: what follows does not wait.
    let before = Instant::now();
    run.publish("b", None);
    run.calls_reach(2).await;
    assert!(before.elapsed() < GAP / 2);
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_one_after_the_other_leaves_no_gap() {
    let run = Run::begin([]);
    run.publish("a", None);
    let before = Instant::now();
    while run.script.calls.lock().unwrap().is_empty() {
        let first = run.sink.first();
        tokio::time::sleep(GAP / 2).await;
        drop(first);
        tokio::time::sleep(GAP / 2).await;
    }
    assert!((WAIT..WAIT + 2 * GAP).contains(&before.elapsed()));
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_without_a_gap_does_not_keep_events_back() {
    let run = Run::begin([]);
    let _first = run.sink.first();
    run.publish("a", None);
    run.calls_reach(1).await;
    let before = Instant::now();
    for number in 0..QUEUE {
        run.publish(&number.to_string(), None);
    }
    run.calls_reach(QUEUE / 2).await;
    assert!(before.elapsed() < 2 * WAIT, "{:?}", before.elapsed());
    let (_, dropped) = run.end().await;
    assert_eq!(dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn two_changes_are_two_events_and_a_repetition_is_counted() {
    let run = Run::begin([]);
    run.publish("a changed", Some("1"));
    run.publish("b changed", Some("1"));
    run.publish("a changed", Some("2"));
    run.publish("a changed", Some("2"));
    run.publish("a changed", Some("2"));
    let expected = [
        "create a changed",
        "create b changed",
        "create a changed",
        "repeat a changed x2",
        "repeat a changed x3",
    ];
    assert_eq!(run.end().await, (expected.map(String::from).to_vec(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_repetition_of_an_event_that_is_gone_is_created() {
    let run = Run::begin([
        Publication::Published,
        Publication::Gone,
        Publication::Published,
    ]);
    for _ in 0..3 {
        run.publish("a", None);
    }
    let expected = ["create a", "repeat a x2", "create a", "repeat a x2"];
    assert_eq!(run.end().await, (expected.map(String::from).to_vec(), 0));
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again() {
    let run = Run::begin([failed(), failed(), Publication::Published]);
    run.publish("a", None);
    run.calls_reach(3).await;
    assert_eq!(run.end().await, (vec!["create a".to_owned(); 3], 0));
}

#[tokio::test(start_paused = true)]
async fn five_failures_drop_one_and_the_next_gets_its_turn() {
    let run = Run::begin([(); 5].map(|()| failed()));
    run.publish("a", None);
    run.publish("b", None);
    run.calls_reach(6).await;
    let (calls, dropped) = run.end().await;
    assert_eq!(
        (calls[4].as_str(), calls[5].as_str(), dropped),
        ("create a", "create b", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again_nor_remembered() {
    let run = Run::begin([refused()]);
    run.publish("a", None);
    run.publish("a", None);
    assert_eq!(run.end().await, (vec!["create a".to_owned(); 2], 1));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_an_api_server_that_hangs() {
    let run = Run::with(Script {
        hangs: true,
        ..Script::default()
    });
    run.publish("a", None);
    run.publish("b", None);
    run.calls_reach(1).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(run.end().await, (vec!["create a".to_owned()], 2));
    assert_eq!(begin.elapsed(), LAST_EVENTS);
}

type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// A client whose server answers every request with `code` and a matching Status, and notes method, path and body.
fn server(code: u16, reason: &'static str) -> (ApiServer, Requests) {
    let requests = Requests::default();
    let noted = requests.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let noted = noted.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = to_bytes(axum::body::Body::new(body), 1 << 20)
                .await
                .unwrap();
            let line = format!("{} {}", parts.method, parts.uri.path());
            noted
                .lock()
                .unwrap()
                .push((line, serde_json::from_slice(&bytes).unwrap()));
            let status = json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m" });
            let answer = if code < 300 {
                json!({ "metadata": {} })
            } else {
                status
            };
            let response = Response::builder()
                .status(code)
                .body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let client = Client::new(service, "default");
    let timeout = Duration::from_secs(10);
    (ApiServer { client, timeout }, requests)
}

fn queued() -> Event {
    let (sink, mut publisher) = channel("reroll-0", system_clock(), Arc::new(Metrics::new()));
    sink.publish(workload(), EventType::Normal, "Restarted", "a", None);
    publisher.events.try_recv().unwrap()
}

#[tokio::test]
async fn an_event_is_posted_to_its_namespace_and_a_repetition_patches_the_series_alone() {
    let (api, requests) = server(200, "");
    let event = queued();
    assert_eq!(api.create(&event).await, Publication::Published);
    let mut repeats = Repeats::default();
    repeats.published(&event, None);
    let repetition = repeats.find(&event).unwrap();
    assert_eq!(
        api.repeat(&event, &repetition).await,
        Publication::Published
    );

    let requests = requests.lock().unwrap();
    let base = "/apis/events.k8s.io/v1/namespaces/prod/events";
    assert_eq!(requests[0].0, format!("POST {base}"));
    assert_eq!(requests[0].1["note"], "a");
    assert_eq!(
        requests[1].0,
        format!("PATCH {base}/{}", event.metadata.name.unwrap())
    );
    assert_eq!(
        requests[1]
            .1
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["series"]
    );
    assert_eq!(requests[1].1["series"]["count"], 2);
}

#[tokio::test]
async fn answers_are_sorted_into_success_retry_and_refusal() {
    for (code, reason, expected) in [
        (409, "AlreadyExists", "Published"),
        (409, "Conflict", "Failed"),
        (429, "TooManyRequests", "Failed"),
        (503, "ServiceUnavailable", "Failed"),
        (403, "Forbidden", "Refused"),
        (404, "NotFound", "Refused"),
        (422, "Invalid", "Refused"),
    ] {
        let (api, _) = server(code, reason);
        let outcome = format!("{:?}", api.create(&queued()).await);
        assert!(outcome.starts_with(expected), "{code} {reason}: {outcome}");
    }
    let (api, _) = server(404, "NotFound");
    let event = queued();
    let mut repeats = Repeats::default();
    repeats.published(&event, None);
    let repetition = repeats.find(&event).unwrap();
    assert_eq!(api.repeat(&event, &repetition).await, Publication::Gone);
}

#[test]
fn what_repeats_after_the_window_is_new() {
    let mut event = queued();
    let mut repeats = Repeats::default();
    repeats.published(&event, None);
    let time = event.event_time.as_mut().unwrap();
    time.0 += jiff::SignedDuration::from_mins(6);
    assert!(repeats.find(&event).is_some());
    event.event_time.as_mut().unwrap().0 += jiff::SignedDuration::from_secs(1);
    assert_eq!(repeats.find(&event), None);
}
