//! Alerts: what a receiver gets from the whole program, and that a receiver that hangs delays nothing else.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use reroll_harness::{Arena, Policy, RerollBuilder, deployment, eventually};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// A webhook that notes what it gets. Its tasks end with it.
struct Webhook {
    url: String,
    got: Got,
    _tasks: JoinSet<()>,
}

type Got = Arc<Mutex<Vec<Value>>>;

impl Webhook {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hush", listener.local_addr().unwrap());
        let got = Got::default();
        let take = async |State(got): State<Got>, Json(body): Json<Value>| {
            got.lock().unwrap().push(body);
            StatusCode::ACCEPTED
        };
        let app = Router::new()
            .route("/hush", post(take))
            .with_state(Arc::clone(&got));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            got,
            _tasks: tasks,
        }
    }

    /// A reroll that posts here.
    fn told_by(&self, arena: &Arena) -> RerollBuilder {
        arena
            .reroll()
            .flag("--alert-url", &self.url)
            .flag("--alert-sink", "json")
            .flag("--alert-prefix", "test")
            .flag("--alert-window", "100ms")
    }

    /// All alerts about a workload.
    fn about(&self, name: &str) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter()
            .flat_map(|body| body["alerts"].as_array().unwrap().clone())
            .filter(|alert| alert["workload"]["name"] == name)
            .collect()
    }

    async fn alert(&self, name: &str, kind: &str) -> Value {
        eventually(&format!("{name} is told to be {kind}"), async || {
            let mut all = self.about(name).into_iter();
            all.find(|alert| alert["alert"] == kind)
        })
        .await
    }
}

#[tokio::test]
async fn one_recreation_is_one_alert() {
    let arena = Arena::new("alerts-one").await;
    let webhook = Webhook::start().await;
    let reroll = webhook.told_by(&arena).start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "s3cr3t")]).await;
    let alert = webhook.alert("web", "restarted").await;
    assert_eq!(
        alert["workload"],
        json!({ "kind": "Deployment", "namespace": arena.namespace, "name": "web" })
    );
    let cause = &alert["causes"][0];
    assert_eq!(
        json!([cause["kind"], cause["name"], cause["reason"]]),
        json!(["Secret", "db", "recreated"])
    );
    assert_eq!(
        (&alert["attempts"], &alert["error"]),
        (&json!(1), &Value::Null)
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    // What waits in the window is sent at the end.
    let log = reroll.log();
    assert!(reroll.stop().await);
    assert_eq!(webhook.about("web").len(), 1);
    let all = format!("{:?}", webhook.got.lock().unwrap());
    assert!(!all.contains("s3cr3t"), "{all}");
    assert!(!log.contains("hush"), "{log}");
}

#[tokio::test]
async fn a_webhook_that_hangs_is_in_nobodys_way() {
    let arena = Arena::new("alerts-hang").await;
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hush", hanging.local_addr().unwrap());
    let reroll = arena
        .reroll()
        .flag("--alert-url", &url)
        .flag("--alert-sink", "slack")
        .flag("--alert-window", "0s")
        .flag("--alert-timeout", "1h")
        .start()
        .await;
    arena.secret("db", &[("k", "0")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    // It is asked, and hangs for an hour: what waited for it would not come in any test's time.
    let mut held = None;
    for number in 1..=3 {
        arena
            .update_secret("db", &[("k", &number.to_string())])
            .await;
        recorder.reaches("Deployment", "web", number).await;
        if held.is_none() {
            held = Some(hanging.accept().await.unwrap());
        }
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
    assert!(reroll.stop().await);
}

#[tokio::test]
async fn a_restart_that_keeps_being_refused_is_told_and_then_its_success() {
    let arena = Arena::new("alerts-refused").await;
    let webhook = Webhook::start().await;
    let _reroll = webhook.told_by(&arena).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let mut web = deployment("web", "db", "k");
    web["metadata"]["labels"] = json!({ "refuse": "true" });
    arena.create(&web).await;
    arena.adopted("Deployment", "web").await;
    let expression = "!has(object.metadata.labels) || !('refuse' in object.metadata.labels)";
    let policy = Policy::enforce(&arena, &["deployments"], expression).await;
    arena.update_secret("db", &[("k", "two")]).await;
    let alert = webhook.alert("web", "failing").await;
    assert_eq!(alert["attempts"], 5);
    assert_eq!(alert["causes"][0]["reason"], "updated");
    let error = alert["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    policy.lift(&arena).await;
    let alert = webhook.alert("web", "restarted").await;
    assert!(alert["attempts"].as_u64().unwrap() > 5, "{alert}");
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used() {
    let arena = Arena::new("alerts-proxy").await;
    // As a proxy it is asked for another server's URL, and answers itself.
    let proxy = Webhook::start().await;
    let _reroll = proxy
        .told_by(&arena)
        .flag("--alert-url", "http://hooks.invalid/hush")
        .surroundings("HTTP_PROXY", &proxy.url.replace("/hush", ""))
        .surroundings("NO_PROXY", "localhost,.svc")
        .start()
        .await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    arena.update_secret("db", &[("k", "two")]).await;
    proxy.alert("web", "restarted").await;
}
