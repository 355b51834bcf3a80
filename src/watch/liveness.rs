//! Whether the watches are alive.
//!
//! The API server ends each watch after a while, and reroll starts it again. So a watch that works regularly brings
//! something, or ends as it should. (A bookmark before the end is not certain: where nothing at all changes the API
//! server sends none.) A watch that does neither has stalled: its connection hangs, or the task that takes its events
//! does. No layer above the connection can see that, so this is a layer of the client.
//!
//! An answer that refuses is a sign of life, because another replica would be refused too.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{Request, Response, StatusCode},
};
use futures::{
    StreamExt, TryFutureExt, TryStreamExt,
    future::{BoxFuture, ready},
    stream,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::cluster::WATCH_SECONDS;

/// When each watch, by its path, last brought something or ended; before that, when it was first started.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Liveness {
    /// How long a watch may bring nothing: the length of a watch, the client's wait for its end, and some time to start
    /// the next one.
    pub const STALLED: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 20);

    /// Returns the paths of the watches that have stalled.
    pub fn stalled(&self) -> Vec<String> {
        let stalled =
            |(path, at): (&String, &Instant)| (at.elapsed() > Self::STALLED).then(|| path.clone());
        self.watches().iter().filter_map(stalled).collect()
    }

    fn started(&self, path: &str) {
        let mut watches = self.watches();
        if !watches.contains_key(path) {
            watches.insert(path.to_owned(), Instant::now());
        }
    }

    /// Notes a sign of life. An answer to a list counts too: a watch begins anew with a list, and a long list has many
    /// pages.
    fn beat(&self, path: &str) {
        if let Some(at) = self.watches().get_mut(path) {
            *at = Instant::now();
        }
    }

    /// Forgets a watch of a kind that the API server does not serve any more: reroll does not watch it then.
    fn forget(&self, path: &str) {
        self.watches().remove(path);
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock()
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
        let uri = request.uri();
        let watches = uri.query().is_some_and(|query| {
            query
                .split('&')
                .any(|pair| matches!(pair, "watch=true" | "watch=1"))
        });
        let path = uri.path().to_owned();
        if watches {
            self.liveness.started(&path);
        }
        let liveness = self.liveness.clone();
        let answer = self.inner.call(request);
        Box::pin(answer.map_ok(move |response| {
            if response.status() == StatusCode::NOT_FOUND {
                liveness.forget(&path);
            } else if !response.status().is_success() {
                liveness.beat(&path);
            }
            response.map(|body| {
                let ended = (liveness.clone(), path.clone());
                let brings = Body::new(body)
                    .into_data_stream()
                    .inspect_ok(move |_| liveness.beat(&path));
                // This part is polled only when everything was brought.
                let end = stream::once(async move { ended.0.beat(&ended.1) });
                Body::from_stream(brings.chain(end.filter_map(|()| ready(None))))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
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
}
