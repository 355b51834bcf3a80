//! Checks the fault proxy that other tests put between reroll and an API server. Behind it is a fake API server, so no
//! cluster is needed.

#![allow(
    clippy::unwrap_used,
    reason = "the functions that the tests share are not recognized as tests"
)]

mod fake;

use std::{
    io::{Read as _, Write as _},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, BodyDataStream, to_bytes},
    http::{Request, Response, StatusCode},
};
use fake::{FakeApiServer, LARGE};
use futures::{StreamExt as _, TryStreamExt as _};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Config, ResourceExt as _,
    api::{ListParams, WatchEvent, WatchParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use reroll_harness::proxy::{Answer, Fault, FaultProxy, Matcher, Rule};

/// The deadline of whatever must happen.
const DEADLINE: Duration = Duration::from_mins(5);

/// How long a thing is watched that must not happen.
const QUIET: Duration = Duration::from_millis(300);

const LIST: &str = "/api/v1/secrets?limit=50";
const WATCH: &str = "/api/v1/secrets?watch=true&resourceVersion=7";

struct Bench {
    fake: FakeApiServer,
    proxy: FaultProxy,
    http: Client<HttpConnector, Body>,
}

impl Bench {
    async fn start() -> Self {
        let fake = FakeApiServer::start().await.unwrap();
        let proxy = FaultProxy::start(&fake.kubeconfig()).await.unwrap();
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { fake, proxy, http }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> Result<Response<Body>, hyper_util::client::legacy::Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.proxy.url()));
        let request = request.body(Body::from(body)).unwrap();
        let response = within(self.http.request(request)).await?;
        Ok(response.map(Body::new))
    }

    async fn get(&self, path: &str) -> Result<Response<Body>, hyper_util::client::legacy::Error> {
        self.send("GET", path, "").await
    }

    /// Opens a watch, and returns when the API server has it open.
    async fn watch(&self) -> BodyDataStream {
        let watch = self
            .get(WATCH)
            .await
            .unwrap()
            .into_body()
            .into_data_stream();
        within(self.fake.open_watches(1)).await;
        watch
    }

    /// Statuses of so many lists.
    async fn statuses(&self, lists: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..lists {
            statuses.push(self.get(LIST).await.unwrap().status().as_u16());
        }
        statuses
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens in time")
}

/// The next chunk.
async fn next(body: &mut BodyDataStream) -> String {
    let chunk = within(body.next())
        .await
        .expect("the body goes on")
        .unwrap();
    String::from_utf8(chunk.to_vec()).unwrap()
}

/// As many chunks as make up so many bytes.
async fn read(body: &mut BodyDataStream, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text += &next(body).await;
    }
    text
}

async fn is_quiet(body: &mut BodyDataStream) -> bool {
    tokio::time::timeout(QUIET, body.next()).await.is_err()
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

fn too_many_requests() -> Fault {
    Fault::Answer(Answer::status(429, "TooManyRequests", "slow down").header("Retry-After", "1"))
}

async fn kube_config(kubeconfig: &std::path::Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn requests_and_answers_pass_unchanged() {
    let bench = Bench::start().await;
    let request = Request::patch(format!(
        "{}/apis/apps/v1/x?fieldManager=reroll",
        bench.proxy.url()
    ))
    .header("Content-Type", "application/json-patch+json")
    .header("Impersonate-User", "shop")
    .body(Body::from("[1]"))
    .unwrap();
    let response = within(bench.http.request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        within(to_bytes(Body::new(response.into_body()), LARGE))
            .await
            .unwrap(),
        "[1]"
    );

    let [seen] = <[_; 1]>::try_from(bench.fake.seen()).unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.uri.as_str()),
        ("PATCH", "/apis/apps/v1/x?fieldManager=reroll")
    );
    assert_eq!(seen.headers["content-type"], "application/json-patch+json");
    assert_eq!(seen.headers["impersonate-user"], "shop");
    assert_eq!(seen.body, "[1]");
    assert!(seen.with_client_certificate);
}

#[tokio::test]
async fn a_token_goes_upstream_without_the_client_certificate() {
    let bench = Bench::start().await;
    let user = AuthInfo {
        token: Some("abc".into()),
        ..AuthInfo::default()
    };
    let config = kube_config(&bench.proxy.kubeconfig_as(&user).unwrap()).await;
    let secrets: Api<Secret> = Api::default_namespaced(config.try_into().unwrap());
    within(secrets.list(&ListParams::default())).await.unwrap();
    bench.get(LIST).await.unwrap();

    let [with_token, without] = <[_; 2]>::try_from(bench.fake.seen()).unwrap();
    assert_eq!(with_token.headers["authorization"], "Bearer abc");
    assert!(!with_token.with_client_certificate);
    assert!(without.with_client_certificate);
}

#[tokio::test]
async fn kube_lists_and_watches_through_the_proxy() {
    let bench = Bench::start().await;
    let config = kube_config(&bench.proxy.kubeconfig()).await;
    assert_eq!(config.default_namespace, "shop");
    let secrets: Api<Secret> = Api::default_namespaced(config.try_into().unwrap());
    let list = within(secrets.list(&ListParams::default())).await.unwrap();
    assert_eq!(list.items[0].name_any(), "tls");

    let watch = within(secrets.watch(&WatchParams::default(), "7"))
        .await
        .unwrap();
    let mut watch = Box::pin(watch);
    within(bench.fake.open_watches(1)).await;
    for (kind, version) in [("MODIFIED", "8"), ("DELETED", "9")] {
        bench.fake.emit(&format!(
            r#"{{"type":"{kind}","object":{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"tls","resourceVersion":"{version}"}}}}}}{}"#,
            "\n",
        ));
        let event = within(watch.try_next()).await.unwrap().unwrap();
        let (WatchEvent::Modified(secret) | WatchEvent::Deleted(secret)) = event else {
            panic!("{event:?}")
        };
        assert_eq!(secret.resource_version().unwrap(), version);
    }
    bench.fake.end_watches();
    assert!(within(watch.try_next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_upstream() {
    let bench = Bench::start().await;
    let watch = bench.watch().await;
    assert_eq!(bench.proxy.in_flight().len(), 1);
    drop(watch);
    within(bench.fake.open_watches(0)).await;
    bench
        .proxy
        .wait_until(DEADLINE, |proxy| proxy.in_flight().is_empty())
        .await
        .unwrap();
}

#[tokio::test]
async fn requests_are_counted_with_their_status() {
    let bench = Bench::start().await;
    bench.proxy.add(Rule::new(
        Matcher::any().method("PATCH"),
        too_many_requests(),
    ));
    bench.send("PATCH", "/apis/apps/v1/x", "[]").await.unwrap();
    bench.get(LIST).await.unwrap();
    let _watch = bench.watch().await;

    assert_eq!(
        bench
            .proxy
            .count(|request| request.path.ends_with("/secrets")),
        2
    );
    let lines = bench.proxy.requests();
    assert!(lines.is_sorted_by_key(|line| line.at));
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| (line.method, line.path, line.query, line.status))
        .collect();
    let line = |method: &str, path: &str, query: &str, status| {
        (
            method.to_owned(),
            path.to_owned(),
            query.to_owned(),
            Some(status),
        )
    };
    assert_eq!(
        lines,
        [
            line("PATCH", "/apis/apps/v1/x", "", 429),
            line("GET", "/api/v1/secrets", "limit=50", 200),
            line(
                "GET",
                "/api/v1/secrets",
                "watch=true&resourceVersion=7",
                200
            ),
        ]
    );
}

#[tokio::test]
async fn an_unreachable_api_server_cuts_the_client_and_is_noted() {
    let Bench { fake, proxy, http } = Bench::start().await;
    let kubeconfig = fake.kubeconfig();
    assert!(kubeconfig.exists());
    drop(fake);
    let request = Request::get(proxy.url()).body(Body::empty()).unwrap();
    assert!(within(http.request(request)).await.is_err());
    let [line] = <[_; 1]>::try_from(proxy.requests()).unwrap();
    assert_eq!(line.status, None);
    assert!(line.error.is_some());
}

#[tokio::test]
async fn delayed_bodies_arrive_late_in_order_and_at_full_speed() {
    const DELAY: Duration = Duration::from_secs(2);
    let bench = Bench::start().await;
    let mut watch = bench.watch().await;
    // The watch is in flight already.
    bench
        .proxy
        .add(Rule::new(Matcher::any(), Fault::DelayBody(DELAY)));
    let emitted = Instant::now();
    let events: Vec<String> = (0..200).map(|number| format!("{number}\n")).collect();
    for event in &events {
        bench.fake.emit(event);
    }
    for event in &events {
        assert_eq!(&next(&mut watch).await, event);
        assert!(emitted.elapsed() >= DELAY);
    }
    // A pause for each chunk would take longer.
    assert!(emitted.elapsed() < DEADLINE);

    let asked = Instant::now();
    let large = bench.get("/large").await.unwrap();
    assert_eq!(
        within(to_bytes(large.into_body(), LARGE))
            .await
            .unwrap()
            .len(),
        LARGE
    );
    assert!(asked.elapsed() >= DELAY);
}

#[tokio::test]
async fn delayed_requests_reach_upstream_late() {
    const DELAY: Duration = Duration::from_millis(200);
    let bench = Bench::start().await;
    bench.proxy.add(Rule::new(
        Matcher::any().path_contains("/secrets"),
        Fault::DelayRequest(DELAY),
    ));
    bench.get(LIST).await.unwrap();
    let asked = bench.proxy.requests()[0].at;
    assert!(bench.fake.seen()[0].at.duration_since(asked) >= DELAY);
}

#[tokio::test]
async fn stalled_bodies_go_on_where_they_were() {
    let bench = Bench::start().await;
    let mut watch = bench.watch().await;
    bench.fake.emit("1\n");
    assert_eq!(next(&mut watch).await, "1\n");

    let stall = bench.proxy.add(Rule::new(Matcher::any(), Fault::Stall));
    bench.fake.emit("2\n");
    bench.fake.emit("3\n");
    bench.fake.end_watches();
    let mut list = bench
        .get(LIST)
        .await
        .unwrap()
        .into_body()
        .into_data_stream();
    let (watch_is_quiet, list_is_quiet) = tokio::join!(is_quiet(&mut watch), is_quiet(&mut list));
    assert!(watch_is_quiet && list_is_quiet);
    assert_eq!(bench.proxy.in_flight().len(), 2);

    bench.proxy.remove(stall);
    assert_eq!(read(&mut watch, 4).await, "2\n3\n");
    assert!(within(watch.next()).await.is_none());
    assert!(next(&mut list).await.starts_with('{'));
}

#[tokio::test]
async fn cut_resets_connections_in_flight_and_new_ones() {
    let bench = Bench::start().await;
    let mut watch = bench.watch().await;
    bench
        .proxy
        .add(Rule::new(Matcher::any().watch(true), Fault::Cut));
    let error = within(watch.next()).await.unwrap().unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    within(bench.fake.open_watches(0)).await;

    let error = bench.get(WATCH).await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(bench.fake.seen().len(), 1);
    assert_eq!(
        bench.statuses(1).await,
        [200],
        "other requests are left alone"
    );

    bench.proxy.clear();
    let mut watch = bench.watch().await;
    bench.fake.emit("1\n");
    assert_eq!(next(&mut watch).await, "1\n");
}

#[tokio::test]
async fn answers_are_given_without_asking_upstream() {
    let bench = Bench::start().await;
    bench
        .proxy
        .add(Rule::new(Matcher::any(), too_many_requests()));
    let response = bench.get(LIST).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");

    let mut config = kube_config(&bench.proxy.kubeconfig()).await;
    config.default_retry = false;
    let secrets: Api<Secret> = Api::all(config.try_into().unwrap());
    let error = within(secrets.list(&ListParams::default()))
        .await
        .unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (status.code, status.reason.as_str()),
        (429, "TooManyRequests")
    );

    bench.proxy.clear();
    bench.proxy.add(Rule::new(
        Matcher::any(),
        Fault::Answer(Answer::watch_error(410, "Expired", "too old")),
    ));
    let mut watch = Box::pin(
        within(secrets.watch(&WatchParams::default(), "7"))
            .await
            .unwrap(),
    );
    let event = within(watch.try_next()).await.unwrap();
    let Some(WatchEvent::Error(status)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(status.code, 410);
    assert!(bench.fake.seen().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_a_write_that_happened() {
    let bench = Bench::start().await;
    bench
        .proxy
        .add(Rule::new(Matcher::any().method("PATCH"), Fault::LoseAnswer).times(1));
    let error = bench
        .send("PATCH", "/apis/apps/v1/x", "[]")
        .await
        .unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(bench.fake.seen().len(), 1);
    assert_eq!(bench.proxy.requests()[0].status, Some(200));
    assert_eq!(
        bench
            .send("PATCH", "/apis/apps/v1/x", "[]")
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn whole_events_are_sent_twice() {
    let bench = Bench::start().await;
    let mut watch = bench.watch().await;
    bench.fake.emit(r#"{"a""#);
    assert_eq!(next(&mut watch).await, r#"{"a""#);

    let doubling = bench
        .proxy
        .add(Rule::new(Matcher::any(), Fault::DuplicateEvents));
    bench.fake.emit(":1}\n{\"b\":2}\n{\"c\"");
    bench.fake.emit(":3}\n");
    let expected = ":1}\n{\"b\":2}\n{\"b\":2}\n{\"c\":3}\n{\"c\":3}\n";
    assert_eq!(read(&mut watch, expected.len()).await, expected);

    bench.proxy.remove(doubling);
    bench.fake.emit("{\"d\":4}\n");
    bench.fake.end_watches();
    let rest: Vec<_> = within(watch.try_collect()).await.unwrap();
    assert_eq!(rest.concat(), b"{\"d\":4}\n");

    bench
        .proxy
        .add(Rule::new(Matcher::any(), Fault::DuplicateEvents));
    let list = bench.get(LIST).await.unwrap().into_body();
    let list = within(to_bytes(list, LARGE)).await.unwrap();
    serde_json::from_slice::<serde_json::Value>(&list).expect("a list is sent once");
}

#[tokio::test]
async fn rules_can_be_limited() {
    let bench = Bench::start().await;
    bench
        .proxy
        .add(Rule::new(Matcher::any(), too_many_requests()).nth(2));
    assert_eq!(bench.statuses(3).await, [200, 429, 200]);

    bench.proxy.clear();
    bench
        .proxy
        .add(Rule::new(Matcher::any().method("GET"), too_many_requests()).times(2));
    assert_eq!(bench.statuses(3).await, [429, 429, 200]);

    bench.proxy.clear();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let rule = bench
            .proxy
            .add(Rule::new(Matcher::any(), too_many_requests()).with_probability(0.5, 7));
        runs.push(bench.statuses(40).await);
        bench.proxy.remove(rule);
    }
    assert_eq!(runs[0], runs[1], "the same seed gives the same faults");
    assert!(runs[0].contains(&200) && runs[0].contains(&429));
}

#[tokio::test]
async fn a_blocked_test_does_not_hold_the_proxy_up() {
    let bench = Bench::start().await;
    bench
        .proxy
        .add(Rule::new(Matcher::any(), too_many_requests()));
    // This blocks the only thread of the test's runtime.
    let mut stream =
        std::net::TcpStream::connect(bench.proxy.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}
