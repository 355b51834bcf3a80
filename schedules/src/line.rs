//! The line between one replica of reroll and the API servers: what goes wrong on it.
//!
//! A line outlives the processes that use it. Each request is asked for what it is ([`Requests`]), and meets the first
//! [`Disturbance`] that concerns it. A request that is *held* is made later, whether or not the process still waits for it,
//! or lives: as what is in the buffers of a network.

mod asked;
mod leader;
mod life;
mod watches;

use std::{future::pending, sync::Arc, time::Duration};

use axum::body::Body as AxumBody;
use fastrand::Rng;
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response, header::RETRY_AFTER};
use http_body_util::BodyExt as _;
use kube::client::{Body, DynBody};
use parking_lot::Mutex;
use reroll::run::ApiService;
use reroll_simulation::api_server::{AnswerBody, ApiServer, User};
use serde_json::json;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, sleep_until},
};
use tower::{BoxError, ServiceExt as _, service_fn, util::BoxService};

use self::asked::Asked;
pub(crate) use self::{
    leader::Leader,
    life::Life,
    watches::{How, Silence},
};
use crate::faults::{Effect, Lasts, Requests, Write};

type Answer = Response<Box<DynBody>>;

/// What requests of some kind meet.
struct Disturbance {
    requests: Requests,
    effect: Effect,
    until: Instant,
    /// How many it still concerns.
    left: u32,
}

/// A process that is to be killed at one of its writes.
struct Crash {
    write: Write,
    /// How many such writes come before.
    before: u8,
    /// The write is made.
    made: bool,
    away: Duration,
}

/// Between one replica and the API servers.
pub(crate) struct Line {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    user: User,
    /// The replica that it is the line of, and what knows who leads.
    own: (String, Arc<Leader>),
}

struct State {
    rng: Rng,
    /// Two API servers, each with a view of its own.
    views: [ApiServer; 2],
    /// Which of them requests go to.
    at: usize,
    disturbances: Vec<Disturbance>,
    silences: Vec<Silence>,
    /// When watches were ended, in this order.
    cuts: Vec<watches::Cut>,
    crash: Option<Crash>,
    /// Nothing gets through before.
    asleep: Instant,
    /// When something was last wrong.
    disturbed: Option<Instant>,
}

impl Line {
    pub(crate) fn new(
        server: &ApiServer,
        user: User,
        rng: Rng,
        own: (String, Arc<Leader>),
    ) -> Arc<Self> {
        let view = || {
            let view = server.lagging();
            view.keep_up();
            view
        };
        let state = State {
            rng,
            views: [view(), view()],
            at: 0,
            disturbances: Vec::new(),
            silences: Vec::new(),
            cuts: Vec::new(),
            crash: None,
            asleep: Instant::now(),
            disturbed: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: watch::channel(()).0,
            user,
            own,
        })
    }

    /// Returns what answers the requests of a process.
    pub(crate) fn service(self: &Arc<Self>, life: &Arc<Life>) -> ApiService {
        let (line, life) = (Arc::clone(self), Arc::clone(life));
        BoxService::new(service_fn(move |request| {
            Arc::clone(&line).answer(Arc::clone(&life), request)
        }))
    }

    pub(crate) fn disturb(&self, requests: Requests, effect: Effect, lasts: Lasts) {
        let now = Instant::now();
        let (until, left) = match lasts {
            Lasts::For(time) => (now + time, u32::MAX),
            Lasts::Next(number) => (now + Duration::from_mins(2), u32::from(number)),
        };
        let disturbance = Disturbance {
            requests,
            effect,
            until,
            left,
        };
        self.state.lock().disturbances.push(disturbance);
    }

    pub(crate) fn crash_at(&self, write: Write, before: u8, made: bool, away: Duration) {
        let crash = Crash {
            write,
            before,
            made,
            away,
        };
        self.state.lock().crash = Some(crash);
    }

    /// Takes back that the process is to be killed at a write.
    pub(crate) fn crash_no_more(&self) {
        self.state.lock().crash = None;
    }

    /// Lets nothing through for a while: no request, no answer, no event. What is sent meanwhile arrives then.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        self.silence(Silence::all(until));
        self.state.lock().asleep = until;
    }

    /// Returns until when nothing gets through.
    pub(crate) fn asleep(&self) -> Instant {
        self.state.lock().asleep
    }

    /// Lets one of both API servers fall behind.
    pub(crate) fn fall_behind(&self, other: bool) -> ApiServer {
        let state = self.state.lock();
        let view = state.views[(state.at + usize::from(other)) % 2].clone();
        view.fall_behind();
        view
    }

    /// Breaks all connections off; new ones go to the other API server.
    pub(crate) fn change_over(&self) {
        self.state.lock().at ^= 1;
        self.cut(None, How::Broken);
    }

    /// Ends whatever is wrong.
    pub(crate) fn heal(&self) {
        let mut state = self.state.lock();
        state.disturbances.clear();
        state.silences.clear();
        state.crash = None;
        state.asleep = Instant::now();
        for view in &state.views {
            view.keep_up();
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Whether a request was disturbed since then.
    pub(crate) fn was_disturbed(&self, since: Instant) -> bool {
        self.state.lock().disturbed.is_some_and(|at| at >= since)
    }

    fn meets(&self, asked: &Asked) -> Option<Effect> {
        let (now, mut state) = (Instant::now(), self.state.lock());
        state
            .disturbances
            .retain(|one| one.until > now && one.left > 0);
        let met = state
            .disturbances
            .iter_mut()
            .find(|one| asked.is(one.requests))?;
        met.left -= 1;
        let effect = met.effect;
        state.disturbed = Some(now);
        Some(effect)
    }

    /// Whether the process is to be killed at this write, and whether it is made.
    fn kills(&self, asked: &Asked) -> Option<(bool, Duration)> {
        let mut state = self.state.lock();
        let crash = state
            .crash
            .as_mut()
            .filter(|crash| asked.write() == Some(crash.write))?;
        if crash.before > 0 {
            crash.before -= 1;
            return None;
        }
        state.crash.take().map(|crash| (crash.made, crash.away))
    }

    fn answer(
        self: Arc<Self>,
        life: Arc<Life>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Answer, BoxError>> {
        async move {
            if life.is_over() {
                return pending().await;
            }
            let asked = Asked::of(&request);
            if let Some((made, away)) = self.kills(&asked) {
                if made {
                    drop(self.serve(request).await);
                }
                life.end(away);
                return pending().await;
            }
            let request = self.look_at(request, &asked).await?;
            let asleep = self.asleep();
            if asleep > Instant::now() {
                self.state.lock().disturbed = Some(Instant::now());
                return self.serve_at(asleep, request, asked).await;
            }
            match self.meets(&asked) {
                None => self.serve_watching(request, asked).await,
                Some(Effect::Refused(code, after)) => Ok(refusal(code, after)),
                Some(Effect::Unsent) => Err("connection refused".into()),
                Some(Effect::Lost) => {
                    drop(self.serve(request).await);
                    Err("connection reset by peer".into())
                }
                Some(Effect::Late(by)) => {
                    let by = self.some_of(by);
                    sleep(by).await;
                    self.serve_watching(request, asked).await
                }
                Some(Effect::AnsweredLate(by)) => {
                    let answer = self.serve_watching(request, asked).await;
                    let by = self.some_of(by);
                    sleep(by).await;
                    answer
                }
                Some(Effect::Held(by)) => {
                    let at = Instant::now() + self.some_of(by);
                    self.serve_at(at, request, asked).await
                }
            }
        }
        .boxed()
    }

    /// Looks at a write that may not be made.
    async fn look_at(
        &self,
        request: Request<Body>,
        asked: &Asked,
    ) -> Result<Request<Body>, BoxError> {
        let (own, leader) = &self.own;
        match asked.write() {
            Some(Write::DigestKey) => leader.makes_key(own),
            Some(Write::Workload) => {
                leader.is_asked_by(own);
                if leader.writes_without_end() {
                    return pending().await;
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                leader.takes_over(own, parts.uri.path(), &body);
                return Ok(Request::from_parts(parts, Body::from(body.to_vec())));
            }
            _ => {}
        }
        Ok(request)
    }

    /// Returns a random part of a time.
    fn some_of(&self, time: Duration) -> Duration {
        let most = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.state.lock().rng.u64(0..=most))
    }

    async fn serve(&self, request: Request<Body>) -> Response<AnswerBody> {
        let service = {
            let state = self.state.lock();
            state.views[state.at].service(self.user.clone())
        };
        self.own.1.look();
        match service.oneshot(request).await {
            Ok(answer) => answer,
        }
    }

    async fn serve_watching(
        self: &Arc<Self>,
        request: Request<Body>,
        asked: Asked,
    ) -> Result<Answer, BoxError> {
        let born = self.born();
        let answer = self.serve(request).await;
        if asked.watches && answer.status().is_success() {
            let line = Arc::clone(self);
            return Ok(answer.map(|body| watches::body(line, asked, born, body)));
        }
        Ok(
            answer
                .map(|body| Box::new(AxumBody::new(body).map_err(BoxError::from)) as Box<DynBody>),
        )
    }

    /// Serves a request at a later moment, whoever waits for it.
    async fn serve_at(
        self: &Arc<Self>,
        at: Instant,
        request: Request<Body>,
        asked: Asked,
    ) -> Result<Answer, BoxError> {
        let (answered, answer) = oneshot::channel();
        let line = Arc::clone(self);
        tokio::spawn(async move {
            sleep_until(at).await;
            let answer = line.serve_watching(request, asked).await;
            drop(answered.send(answer));
        });
        answer.await?
    }
}

/// Returns an answer that refuses, as the API server and its filters write it.
fn refusal(code: u16, after: Option<u8>) -> Answer {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "message": "it is simulated", "code": code,
    });
    if let Some(seconds) = after {
        status["details"] = json!({ "retryAfterSeconds": seconds });
    }
    let body = AxumBody::from(status.to_string()).map_err(BoxError::from);
    let mut answer = Response::new(Box::new(body) as Box<DynBody>);
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    if let Some(seconds) = after {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, u16::from(seconds).into());
    }
    answer
}
