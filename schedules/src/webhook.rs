//! The way from the API server to the webhook of one installation, and what goes wrong on it.
//!
//! Each review goes to one of the replicas that serve. What reroll itself does with it is judged here: it answers within
//! its budget, whatever its own requests meet, and it never refuses.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use fastrand::Rng;
use http::Request;
use parking_lot::Mutex;
use reroll::webhook::routes::WORKLOADS_PATH;
use reroll_simulation::api_server::ApiServer;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt as _;

use crate::{
    faults::Hook,
    line::{Life, Line},
    oracle::Wrongs,
    register::WEBHOOKS,
};

/// How long reroll may take for a review: its budget for reads, and as good as nothing.
const BUDGET: Duration = Duration::from_millis(260);

/// The webhook of one installation.
pub(crate) struct Webhook {
    /// The user of the installation.
    user: String,
    /// The match conditions keep its own writes away.
    spared: AtomicBool,
    state: Mutex<State>,
    wrongs: Wrongs,
}

struct State {
    rng: Rng,
    serving: BTreeMap<String, Serving>,
    faults: Vec<(Hook, Instant)>,
}

/// What answers reviews in one process.
#[derive(Clone)]
struct Serving {
    router: Router,
    life: Arc<Life>,
    line: Arc<Line>,
}

impl Webhook {
    pub(crate) fn new(user: String, rng: Rng, wrongs: &Wrongs) -> Arc<Self> {
        let state = State {
            rng,
            serving: BTreeMap::new(),
            faults: Vec::new(),
        };
        Arc::new(Self {
            user,
            spared: AtomicBool::new(true),
            state: Mutex::new(state),
            wrongs: Arc::clone(wrongs),
        })
    }

    /// Its own writes come here too from now on: no match condition keeps them away.
    pub(crate) fn sees_own_writes(&self) {
        self.spared.store(false, Relaxed);
    }

    /// Lets it answer for the webhooks of a configuration.
    pub(crate) fn answer(self: &Arc<Self>, server: &ApiServer, configuration: &str) {
        for (name, path) in WEBHOOKS {
            let webhook = Arc::clone(self);
            server.answer_reviews(&format!("{configuration}/{name}"), move |review| {
                let webhook = Arc::clone(&webhook);
                async move { webhook.review(path, &review).await }
            });
        }
    }

    pub(crate) fn serve(&self, replica: &str, router: Router, life: &Arc<Life>, line: &Arc<Line>) {
        let serving = Serving {
            router,
            life: Arc::clone(life),
            line: Arc::clone(line),
        };
        self.state
            .lock()
            .serving
            .insert(replica.to_owned(), serving);
    }

    pub(crate) fn is_served_by(&self, replica: &str) -> bool {
        let state = self.state.lock();
        let serving = state.serving.get(replica);
        serving.is_some_and(|serving| !serving.life.is_over())
    }

    pub(crate) fn serve_no_more(&self, replica: &str) {
        self.state.lock().serving.remove(replica);
    }

    /// Lets go of all that serves: it reaches the API server, which has this.
    pub(crate) fn close(&self) {
        self.state.lock().serving.clear();
    }

    pub(crate) fn fail(&self, hook: Hook, lasts: Duration) {
        self.state
            .lock()
            .faults
            .push((hook, Instant::now() + lasts));
    }

    pub(crate) fn heal(&self) {
        self.state.lock().faults.clear();
    }

    fn draw(&self, time: Duration) -> Duration {
        let most = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.state.lock().rng.u64(0..=most))
    }

    fn choose(&self) -> (Option<Serving>, Option<Hook>) {
        let (now, mut state) = (Instant::now(), self.state.lock());
        state.faults.retain(|(_, until)| *until > now);
        let fault = state.faults.first().map(|(hook, _)| *hook);
        let number = state.serving.len();
        let chosen = if number > 1 {
            state.rng.usize(..number)
        } else {
            0
        };
        (state.serving.values().nth(chosen).cloned(), fault)
    }

    async fn review(&self, path: &str, review: &Value) -> Result<Value, String> {
        let (serving, fault) = self.choose();
        let serving = serving.ok_or("no replica serves")?;
        match fault {
            Some(Hook::Away) => return Err("connection refused".to_owned()),
            Some(Hook::AskedLate(by)) => sleep(self.draw(by)).await,
            _ => {}
        }
        let answer = tokio::select! {
            biased;
            _ = serving.life.ended() => return Err("connection reset by peer".to_owned()),
            answer = self.asks(&serving, path, review) => answer,
        };
        match fault {
            Some(Hook::Lost) => return Err("connection reset by peer".to_owned()),
            Some(Hook::AnswersLate(by)) => sleep(self.draw(by)).await,
            _ => {}
        }
        Ok(answer)
    }

    async fn asks(&self, serving: &Serving, path: &str, review: &Value) -> Value {
        let request = &review["request"];
        let own = request["userInfo"]["username"] == self.user.as_str()
            && request["options"]["fieldManager"] == "reroll";
        if own && path == WORKLOADS_PATH && self.spared.load(Relaxed) {
            self.wrong("is asked about reroll's own write");
        }
        sleep_until(serving.line.asleep()).await;
        let request = Request::post(path).body(Body::from(review.to_string()));
        let began = Instant::now();
        let answer = serving
            .router
            .clone()
            .oneshot(request.unwrap())
            .await
            .unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        let took = began.elapsed();
        let answer: Value = serde_json::from_slice(&body.unwrap()).unwrap_or_default();
        if took > BUDGET {
            self.wrong(&format!("took {took:?} for a review"));
        }
        if own && path == WORKLOADS_PATH && answer["response"]["patch"].is_string() {
            self.wrong("changes reroll's own write");
        }
        if !status.is_success() || answer["response"]["allowed"] != true {
            self.wrong(&format!("answered a review with {status}: {answer}"));
        }
        answer
    }

    fn wrong(&self, what: &str) {
        self.wrongs.lock().push(format!("the webhook {what}"));
    }
}
