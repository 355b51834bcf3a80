//! Whether the watches are alive, and whether they may have missed something.
//!
//! The API server ends each watch after a while, and reroll starts it again. So a watch that works regularly brings
//! something, or ends as it should. (A bookmark before the end is not certain: where nothing at all changes the API
//! server sends none.) A watch that does neither has stalled: its connection hangs, or the task that takes its events
//! does. No layer above the connection can see that, so this is a layer of the client.
//!
//! An answer that refuses is a sign of life, because another replica would be refused too.
//!
//! After an outage the watches come back one by one. What changed meanwhile then becomes known at different times, and
//! would be restarted for more than once. So a watch is in doubt while it is away, and all watches of sources are until
//! each has brought something, or ended as it should, since the last of them was back ([`Liveness::doubt`]).

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{Method, Request, Response, StatusCode},
};
use futures::{
    StreamExt, TryFutureExt,
    future::{BoxFuture, ready},
    stream,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::model::SourceKind;

/// How long the API server keeps a watch open, in seconds. A watch that is silent for longer has stalled, and is
/// started again.
pub const WATCH_SECONDS: u32 = 30;

/// The answers after which nothing is brought, or is asked for in another way.
const NEVER: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// What is known of each watch, by its path.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<BTreeMap<String, Life>>>);

/// What is known of one watch.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// The last sign of life; before that, when it was first started.
    alive: Instant,
    /// When it last brought something, or ended as it should.
    brought: Instant,
    /// How many requests it has sent.
    number: u64,
    /// The number of the request that it is at; an error where it is at none, since then.
    at: Result<u64, Instant>,
    /// When it last failed, or was back after it had perhaps missed something.
    doubted: Option<Instant>,
    /// It has gone on from a version, so that a list that comes now is another one.
    goes_on: bool,
    /// RBAC does not allow it: it brings nothing, and can miss nothing.
    forbidden: bool,
}

/// What a request asks a watch's path for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// Everything, and then what changes; or one page of everything.
    List,
    /// What has changed since a version.
    Changes,
}

impl Liveness {
    /// How long a watch may bring nothing: the length of a watch, the client's wait for its end, and some time to start
    /// the next one.
    pub const STALLED: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 20);

    /// How long a watch brings nothing at the most, if nothing is wrong: its length, and some time to start the next one.
    const SILENT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 2);

    /// How long it takes at the most to start the next watch, if nothing is wrong.
    const AWAY: Duration = Duration::from_millis(300);

    /// Returns the paths of the watches that have stalled.
    pub fn stalled(&self) -> Vec<String> {
        let stalled = |(path, life): (&String, &Life)| {
            (life.alive.elapsed() > Self::STALLED).then(|| path.clone())
        };
        self.watches().iter().filter_map(stalled).collect()
    }

    /// Returns since when watches of sources may have missed something that another one has brought; `None` if each is
    /// known to be up to date.
    pub fn doubt(&self) -> Option<Instant> {
        let now = Instant::now();
        let watches = self.watches();
        let sources = || {
            let of_sources = watches.iter().filter(|(path, _)| is_of_sources(path));
            of_sources
                .map(|(_, life)| life)
                .filter(|life| !life.forbidden)
        };
        let missed = sources().filter_map(|life| life.missed(now)).max()?;
        let brings = |life: &Life| life.at.is_ok() && life.brought >= missed;
        (!sources().all(brings)).then_some(missed)
    }

    /// Notes that a request is sent. Returns its number, if it is one of a watch.
    fn started(&self, path: &str, asks: Asks, watches: bool) -> Option<u64> {
        let (now, mut all) = (Instant::now(), self.watches());
        if !watches && !all.contains_key(path) {
            return None;
        }
        let life = all.entry(path.to_owned()).or_insert(Life {
            alive: now,
            brought: now,
            number: 0,
            at: Ok(0),
            doubted: None,
            goes_on: false,
            forbidden: false,
        });
        let lists_anew = asks == Asks::List && life.goes_on;
        if life.away(now).is_some() || lists_anew {
            life.doubted = Some(now);
        }
        life.goes_on = asks == Asks::Changes;
        let number = life.number + 1;
        (life.number, life.at) = (number, Ok(number));
        Some(number)
    }

    /// Notes a sign of life. An answer to a list counts too: a watch begins anew with a list, and a long list has many
    /// pages.
    fn beat(&self, path: &str) {
        if let Some(life) = self.watches().get_mut(path) {
            life.alive = Instant::now();
        }
    }

    /// Notes that RBAC does not allow a watch. That is a sign of life.
    fn forbidden(&self, path: &str) {
        self.beat(path);
        if let Some(life) = self.watches().get_mut(path) {
            life.forbidden = true;
        }
    }

    /// Notes that a watch brought something, or ended as it should.
    fn brought(&self, path: &str) {
        let now = Instant::now();
        if let Some(life) = self.watches().get_mut(path) {
            if now - life.brought > Self::SILENT {
                life.doubted = Some(now);
            }
            (life.alive, life.brought, life.forbidden) = (now, now, false);
        }
    }

    /// Notes that a request of a watch is over. `failed`: it may have missed something.
    fn ended(&self, path: &str, number: u64, failed: bool) {
        let now = Instant::now();
        if let Some(life) = self.watches().get_mut(path)
            && life.at == Ok(number)
        {
            life.at = Err(now);
            life.doubted = if failed { Some(now) } else { life.doubted };
        }
    }

    /// Forgets a watch of a kind that the API server does not serve any more: reroll does not watch it then.
    fn forget(&self, path: &str) {
        self.watches().remove(path);
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<String, Life>> {
        self.0.lock()
    }
}

impl Life {
    /// Returns since when it may have missed something, or when it last had.
    fn missed(&self, now: Instant) -> Option<Instant> {
        let silent = self.brought + Liveness::SILENT;
        let silent = (silent < now).then_some(silent);
        self.away(now).max(silent).max(self.doubted)
    }

    /// Returns since when it is at no request, if that is longer than it takes to send the next one. After a list it may take
    /// longer: a long one is taken in first. What a first list shows is judged when all are complete, so nothing is missed.
    fn away(&self, now: Instant) -> Option<Instant> {
        let away = self.at.err().filter(|_| self.goes_on);
        away.filter(|since| now - *since > Liveness::AWAY)
    }
}

/// Whether objects of this path are sources.
fn is_of_sources(path: &str) -> bool {
    let kinds = SourceKind::ALL
        .into_iter()
        .filter(|kind| kind.is_readable());
    let plural = path.rsplit('/').next();
    kinds.into_iter().any(|kind| plural == Some(kind.plural()))
}

/// A request of a watch. When this is dropped, it is over; and failed, if it did not end before.
struct Open {
    liveness: Liveness,
    path: String,
    number: Option<u64>,
}

impl Open {
    fn end(&self, failed: bool) {
        if let Some(number) = self.number {
            self.liveness.ended(&self.path, number, failed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end(true);
    }
}

impl<S> Layer<S> for Liveness {
    type Service = Listened<S>;

    fn layer(&self, inner: S) -> Listened<S> {
        let liveness = self.clone();
        Listened { inner, liveness }
    }
}

/// A service of the client that tells [`Liveness`] of watches.
#[derive(Clone, Debug)]
pub struct Listened<S> {
    inner: S,
    liveness: Liveness,
}

impl<S, A, B> Service<Request<A>> for Listened<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        if request.method() != Method::GET {
            // Objects are created where they are listed.
            let answer = self.inner.call(request);
            return Box::pin(answer.map_ok(|response| response.map(Body::new)));
        }
        let uri = request.uri();
        let has = |asked: &[&str]| {
            let mut pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
            pairs.any(|pair| asked.contains(&pair))
        };
        let watches = has(&["watch=true", "watch=1"]);
        let asks = if watches && !has(&["sendInitialEvents=true"]) {
            Asks::Changes
        } else {
            Asks::List
        };
        let path = uri.path().to_owned();
        let liveness = self.liveness.clone();
        let open = Arc::new(Open {
            number: liveness.started(&path, asks, watches),
            liveness: liveness.clone(),
            path: path.clone(),
        });
        let answer = self.inner.call(request);
        Box::pin(answer.map_ok(move |response| {
            let status = response.status();
            if status == StatusCode::NOT_FOUND {
                liveness.forget(&path);
            } else if status == StatusCode::FORBIDDEN {
                liveness.forbidden(&path);
            } else if !status.is_success() {
                liveness.beat(&path);
            }
            let succeeds = status.is_success();
            if NEVER.contains(&status) {
                open.end(false);
            }
            response.map(|body| {
                let ended = (liveness.clone(), path.clone(), Arc::clone(&open));
                let brings = Body::new(body)
                    .into_data_stream()
                    .inspect(move |part| match part {
                        Ok(_) if succeeds => liveness.brought(&path),
                        Ok(_) => liveness.beat(&path),
                        Err(_) => open.end(true),
                    });
                // This part is polled only when everything was brought.
                let end = stream::once(async move {
                    if succeeds {
                        ended.0.brought(&ended.1);
                        ended.2.end(false);
                    } else {
                        ended.0.beat(&ended.1);
                    }
                });
                Body::from_stream(brings.chain(end.filter_map(|()| ready(None))))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{channel::mpsc, stream};
    use tower::{ServiceExt, service_fn};

    use super::*;

    const WATCH: &str = "/api/v1/secrets?resourceVersion=1&watch=true";

    /// What the API server does with a request.
    #[derive(Clone, Copy)]
    enum Does {
        Nothing,
        /// Only a head, and no body follows.
        Head,
        Bring,
        /// It ends without having brought anything.
        End,
        /// It breaks off.
        Break,
        Refuse,
    }

    async fn request(liveness: &Liveness, uri: &str, does: Does) {
        let service = service_fn(move |_: Request<()>| async move {
            let body = match does {
                Does::Nothing => return std::future::pending().await,
                Does::Head => Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
                Does::Bring | Does::Refuse => Body::from("{}"),
                Does::End => Body::empty(),
                Does::Break => Body::from_stream(stream::once(ready(Err::<Bytes, _>(
                    std::io::Error::other("broken"),
                )))),
            };
            let status = if matches!(does, Does::Refuse) {
                403
            } else {
                200
            };
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        });
        let request = Request::get(uri).body(()).unwrap();
        let call = async {
            let response = liveness.layer(service).oneshot(request).await.unwrap();
            axum::body::to_bytes(response.into_body(), 100).await
        };
        drop(tokio::time::timeout(Duration::from_secs(1), call).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_brings_something_regularly_is_alive() {
        let liveness = Liveness::default();
        let a_little_less = Duration::from_secs(u64::from(WATCH_SECONDS) + 18);
        for does in [Does::Bring, Does::Refuse, Does::End, Does::Bring] {
            request(&liveness, WATCH, does).await;
            tokio::time::sleep(a_little_less).await;
            assert!(liveness.stalled().is_empty());
        }
        for does in [Does::Nothing, Does::Head, Does::Break] {
            request(&liveness, WATCH, does).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(liveness.stalled(), ["/api/v1/secrets"]);
        request(&liveness, "/api/v1/secrets?limit=50", Does::Bring).await;
        assert!(liveness.stalled().is_empty(), "a page of a new list");
    }

    #[tokio::test(start_paused = true)]
    async fn only_watches_are_expected_again() {
        let liveness = Liveness::default();
        request(&liveness, "/api/v1/pods?limit=1", Does::Bring).await;
        request(&liveness, "/api/v1/namespaces/n/secrets/s", Does::Nothing).await;
        request(&liveness, WATCH, Does::Nothing).await;
        tokio::time::sleep(Liveness::STALLED).await;
        assert_eq!(
            liveness.stalled(),
            ["/api/v1/secrets"],
            "also one that never brought anything"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_created_where_a_watch_is_tells_nothing_of_it() {
        let liveness = Liveness::default();
        let watch = open(&liveness, WATCH).await;
        bring(&watch).await;
        let create = async || {
            let answers = service_fn(|_: Request<()>| {
                ready(Ok::<_, Infallible>(Response::new(Body::from("{}"))))
            });
            let request = Request::post("/api/v1/secrets?dryRun=All");
            let request = request.body(()).unwrap();
            let answer = liveness.layer(answers).oneshot(request).await.unwrap();
            axum::body::to_bytes(answer.into_body(), 100).await.unwrap()
        };
        assert_eq!(create().await, "{}");
        pass(1000).await;
        assert_eq!(liveness.doubt(), None, "it is neither away nor begun anew");
        tokio::time::sleep(Liveness::STALLED).await;
        create().await;
        assert_eq!(liveness.stalled(), ["/api/v1/secrets"], "no sign of life");
    }

    const MAPS: &str = "/api/v1/configmaps?resourceVersion=1&watch=true";

    /// What a watch brings, until this is dropped.
    type Brings = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

    /// Starts a watch that is read until it ends or breaks off.
    async fn open(liveness: &Liveness, uri: &str) -> Brings {
        let (brings, parts) = mpsc::unbounded();
        let body = std::sync::Mutex::new(Some(Body::from_stream(parts)));
        let service = service_fn(move |_: Request<()>| {
            let body = body.lock().unwrap().take().unwrap();
            ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let answer = liveness.layer(service);
        let answer = answer.oneshot(Request::get(uri).body(()).unwrap()).await;
        tokio::spawn(axum::body::to_bytes(answer.unwrap().into_body(), 100));
        brings
    }

    async fn bring(watch: &Brings) {
        watch.unbounded_send(Ok(Bytes::from("{}"))).unwrap();
        pass(0).await;
    }

    async fn pass(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds + 1)).await;
    }

    /// What happens to a watch of Secrets, while that of `ConfigMap`s is well.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Silent,
        BreaksOff,
        ListsAnew,
        Ends,
        Forbidden,
        WorkloadsBreakOff,
    }

    #[tokio::test(start_paused = true)]
    async fn sources_are_in_doubt_until_each_watch_has_brought_something_again() {
        use Happens::{BreaksOff, Ends, Forbidden, ListsAnew, Silent, WorkloadsBreakOff};
        for (happens, doubts) in [
            (Silent, true),
            (BreaksOff, true),
            (ListsAnew, true),
            (Ends, false),
            (Forbidden, false),
            (WorkloadsBreakOff, false),
        ] {
            let liveness = Liveness::default();
            let mut secrets = open(&liveness, WATCH).await;
            let maps = open(&liveness, MAPS).await;
            let workloads = open(&liveness, "/apis/apps/v1/deployments?watch=true").await;
            pass(1000).await;
            bring(&secrets).await;
            bring(&maps).await;
            assert_eq!(liveness.doubt(), None);
            match happens {
                Silent => {
                    pass(31_000).await;
                    bring(&maps).await;
                    assert_eq!(liveness.doubt(), None, "it may be silent so long");
                    pass(2000).await;
                }
                BreaksOff => {
                    let broken = Err(std::io::Error::other("broken"));
                    secrets.unbounded_send(broken).unwrap();
                    pass(1).await;
                    assert!(liveness.doubt().is_some(), "it is away");
                    pass(1000).await;
                    assert!(liveness.doubt().is_some(), "it is still away");
                    secrets = open(&liveness, WATCH).await;
                }
                ListsAnew => {
                    drop(secrets);
                    pass(10).await;
                    let list = "/api/v1/secrets?watch=true&sendInitialEvents=true";
                    secrets = open(&liveness, list).await;
                }
                Ends => {
                    drop(secrets);
                    pass(10).await;
                    secrets = open(&liveness, WATCH).await;
                }
                Forbidden => {
                    drop(secrets);
                    pass(10).await;
                    request(&liveness, WATCH, Does::Refuse).await;
                    pass(1000).await;
                    assert_eq!(liveness.doubt(), None, "as long as that lasts");
                    continue;
                }
                WorkloadsBreakOff => {
                    let broken = Err(std::io::Error::other("broken"));
                    workloads.unbounded_send(broken).unwrap();
                    pass(1000).await;
                }
            }
            let doubt = liveness.doubt();
            assert_eq!(doubt.is_some(), doubts, "{happens:?}");
            pass(5).await;
            bring(&secrets).await;
            assert_eq!(
                liveness.doubt().is_some(),
                doubts,
                "{happens:?}: the other one is silent"
            );
            pass(5).await;
            bring(&maps).await;
            bring(&secrets).await;
            assert_eq!(liveness.doubt(), None, "{happens:?}");
        }
    }
}
