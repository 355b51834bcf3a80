//! What `/readyz`, `/livez` and `/metrics` answer.
//!
//! *Ready* means: fit to serve. Every part that must come up first registers itself by name and says when it has; the
//! answer names those that have not. *Live* means: not stuck. A liveness check asks only what a new process would cure: an
//! API server that is away must not show here.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::metrics::Metrics;

/// Everything that the health server answers from.
#[derive(Clone, Debug)]
pub struct Health {
    /// Which parts are ready.
    pub readiness: Readiness,
    /// Which loops are alive.
    pub liveness: Liveness,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The parts that must be ready before reroll is. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<ReadinessState>>);

#[derive(Debug, Default)]
struct ReadinessState {
    draining: bool,
    /// The name of each part, and why it is not ready.
    parts: BTreeMap<&'static str, Result<(), &'static str>>,
}

/// The part that is ready when API servers call the webhook that this process has registered.
pub const REGISTRATION: &str = "webhook registration";

/// What one part says of its readiness, see [`Readiness::part`].
#[derive(Debug)]
pub struct ReadyPart {
    name: &'static str,
    readiness: Readiness,
}

/// The checks that say whether reroll is alive. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<Vec<(&'static str, Check)>>>);

struct Check(Box<dyn Fn() -> Result<(), String> + Send + Sync>);

/// A sign of life from a loop that must keep turning. Clones beat the same heart.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Mutex<Instant>>);

// === impl Readiness ===

impl Readiness {
    /// Returns readiness without parts, which counts as ready: register all parts before serving.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a part, by a name for people; it is not ready until it says so. One name is one part.
    pub fn part(&self, name: &'static str) -> ReadyPart {
        self.0.lock().parts.insert(name, Err("starting"));
        let readiness = self.clone();
        ReadyPart { name, readiness }
    }

    /// Makes reroll unready for good: it is shutting down.
    pub fn drain(&self) {
        self.0.lock().draining = true;
    }

    /// Returns what is not ready, one line each; nothing when all is.
    pub fn missing(&self) -> Vec<String> {
        let state = self.0.lock();
        if state.draining {
            return vec!["shutting down".to_owned()];
        }
        let missing = state.parts.iter();
        missing
            .filter_map(|(name, ready)| Some(format!("{name}: {}", ready.err()?)))
            .collect()
    }

    /// Returns the same without what would be no better on another replica: whether API servers call this one's webhook. That is no
    /// reason to let nobody lead.
    pub fn unseen(&self) -> Vec<String> {
        let mut missing = self.missing();
        missing.retain(|line| !line.starts_with(REGISTRATION));
        missing
    }

    /// Returns whether all parts are ready, and reroll is not shutting down.
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }
}

impl ReadyPart {
    /// Says that the part can do its work.
    pub fn ready(&self) {
        self.readiness.0.lock().parts.insert(self.name, Ok(()));
    }

    /// Says why the part cannot do its work, and what people can do about it.
    pub fn waits(&self, why: &'static str) {
        self.readiness.0.lock().parts.insert(self.name, Err(why));
    }
}

// === impl Liveness ===

impl Liveness {
    /// Returns liveness without checks: alive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a check, by a name for people; `Err` says what is wrong. It must answer at once.
    pub fn check(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.0.lock().push((name, Check(Box::new(check))));
    }

    /// Registers a loop that promises to beat at least once in `max_age`, beginning now.
    pub fn heartbeat(&self, name: &'static str, max_age: Duration) -> Heartbeat {
        let heart = Heartbeat(Arc::new(Mutex::new(Instant::now())));
        let ours = heart.clone();
        self.check(name, move || match ours.age() {
            age if age <= max_age => Ok(()),
            age => Err(format!("no sign of life for {} s", age.as_secs())),
        });
        heart
    }

    /// Returns what is wrong, one line each.
    pub fn failures(&self) -> Vec<String> {
        let checks = self.0.lock();
        let failure = |(name, check): &(&str, Check)| Some(format!("{name}: {}", check.0().err()?));
        checks.iter().filter_map(failure).collect()
    }
}

impl Heartbeat {
    /// Says that the loop has turned.
    pub fn beat(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns the time since the last beat.
    pub fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check")
    }
}

// === the routes ===

/// Returns what answers for all three.
pub fn router(health: Health) -> Router {
    Router::new()
        .route(
            "/readyz",
            get(|State(health): State<Health>| async move { answer(&health.readiness.missing()) }),
        )
        .route(
            "/livez",
            get(|State(health): State<Health>| async move { answer(&health.liveness.failures()) }),
        )
        .route(
            "/metrics",
            get(|State(health): State<Health>| async move { scrape(&health.metrics) }),
        )
        .with_state(health)
}

fn answer(complaints: &[String]) -> Response {
    if complaints.is_empty() {
        return "ok\n".into_response();
    }
    let mut body = String::new();
    for line in complaints {
        let _ = writeln!(body, "{line}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

fn scrape(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    fn health() -> Health {
        Health {
            readiness: Readiness::new(),
            liveness: Liveness::new(),
            metrics: Arc::new(Metrics::new()),
        }
    }

    async fn get(health: &Health, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(health.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (
            status,
            content_type,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    async fn status_and_body(health: &Health, path: &str) -> (u16, String) {
        let (status, _, body) = get(health, path).await;
        (status, body)
    }

    #[tokio::test]
    async fn readiness_names_who_is_missing() {
        let health = health();
        let secrets = health.readiness.part("watch secrets");
        let digest_key = health.readiness.part("digest key");
        let expected = "digest key: starting\nwatch secrets: starting\n";
        assert_eq!(
            status_and_body(&health, "/readyz").await,
            (503, expected.to_owned())
        );

        digest_key.ready();
        assert_eq!(
            status_and_body(&health, "/readyz").await,
            (503, "watch secrets: starting\n".to_owned())
        );
        secrets.waits("refused");
        assert_eq!(
            status_and_body(&health, "/readyz").await,
            (503, "watch secrets: refused\n".to_owned())
        );

        secrets.ready();
        assert_eq!(
            status_and_body(&health, "/readyz").await,
            (200, "ok\n".to_owned())
        );
    }

    #[test]
    fn a_webhook_that_is_not_called_is_no_reason_to_let_nobody_lead() {
        let readiness = Readiness::new();
        let registration = readiness.part(REGISTRATION);
        let secrets = readiness.part("list of secrets");
        assert_eq!(readiness.missing().len(), 2);
        assert_eq!(readiness.unseen(), ["list of secrets: starting"]);
        secrets.ready();
        assert!(readiness.unseen().is_empty() && !readiness.is_ready());
        registration.ready();
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn draining_is_not_ready_and_still_alive() {
        let health = health();
        let part = health.readiness.part("watch secrets");
        part.ready();
        health.readiness.drain();
        part.ready();
        assert_eq!(
            status_and_body(&health, "/readyz").await,
            (503, "shutting down\n".to_owned())
        );
        assert_eq!(status_and_body(&health, "/livez").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_heart_that_stops_is_named() {
        let health = health();
        let heart = health.liveness.heartbeat("intents", Duration::from_mins(1));
        health.liveness.check("disk", || Ok(()));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(
            status_and_body(&health, "/livez").await,
            (200, "ok\n".to_owned())
        );

        tokio::time::advance(Duration::from_secs(1)).await;
        let expected = "intents: no sign of life for 61 s\n".to_owned();
        assert_eq!(status_and_body(&health, "/livez").await, (503, expected));

        heart.beat();
        assert_eq!(status_and_body(&health, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let (status, content_type, body) = get(&health(), "/metrics").await;
        assert_eq!(status, 200);
        assert_eq!(
            content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert!(body.ends_with("# EOF\n"), "{body}");
    }
}
