//! What stands between a connection and the router.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use futures::{FutureExt, future::BoxFuture};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};
use tracing::error;

use super::{
    activity::{Activity, Coming},
    counts::Counts,
    places::{Place, Places, Standing},
};
use crate::ops::metrics::labels::RequestFailure;

/// Whose share of what is bounded a request uses up.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The connection that it came on.
    pub(super) connection: u64,
}

/// The requests of one connection: counted, timed, and answered even when a handler panics.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) activity: Arc<Activity>,
    /// Those of all connections.
    pub(super) places: Arc<Places>,
    /// How long one may take.
    pub(super) limit: Duration,
    pub(super) counts: Counts,
    /// Answers carry `Connection: close` from then on.
    pub(super) leaving: CancellationToken,
}

impl<B> Service<Request<B>> for Requests
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let in_flight = self.activity.begin();
        let connection = self.activity.place.id();
        let place = Arc::new(self.places.enter(Some(connection), 1));
        let Self {
            router,
            limit,
            counts,
            leaving,
            activity,
            ..
        } = self.clone();
        let has_connection_header = request.version() <= Version::HTTP_11;
        let mut request = request.map(|body| Body::new(Watched::new(body, &activity, &place)));
        request.extensions_mut().insert(Caller { connection });
        Box::pin(async move {
            let _in_flight = in_flight;
            let failed = |why, status: StatusCode| {
                counts.request_failed(why);
                status.into_response()
            };
            let answer = async {
                if place.take(1).await.is_err() {
                    let why = if place.was_cut() {
                        RequestFailure::Slow
                    } else {
                        RequestFailure::Crowd
                    };
                    return failed(why, StatusCode::SERVICE_UNAVAILABLE);
                }
                let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
                tokio::select! {
                    answer = answer => match answer {
                        Ok(Ok(response)) => response,
                        Err(_panic) => {
                            // The panic hook logs where. The API server takes a 500 for a failed call.
                            error!("a handler panicked");
                            failed(RequestFailure::Panic, StatusCode::INTERNAL_SERVER_ERROR)
                        }
                    },
                    () = place.is_cut() => failed(RequestFailure::Slow, StatusCode::REQUEST_TIMEOUT),
                }
            };
            let mut response = match timeout(limit, answer).await {
                Ok(response) => response,
                Err(_) => failed(RequestFailure::Timeout, StatusCode::GATEWAY_TIMEOUT),
            };
            if has_connection_header && leaving.is_cancelled() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// The body of a request, which says how it comes.
struct Watched<B> {
    body: Pin<Box<B>>,
    coming: Option<Coming>,
    place: Arc<Place>,
}

impl<B: HttpBody> Watched<B> {
    fn new(body: B, activity: &Arc<Activity>, place: &Arc<Place>) -> Self {
        let mut watched = Self {
            body: Box::pin(body),
            coming: Some(activity.comes()),
            place: Arc::clone(place),
        };
        watched.look();
        watched
    }

    /// Looks whether it has come completely: then reroll owes an answer.
    fn look(&mut self) {
        if self.coming.is_some() && self.body.is_end_stream() {
            self.came();
        }
    }

    fn came(&mut self) {
        if self.coming.take().is_some() {
            self.place.gets_on(Standing::Owed);
        }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = self.body.as_mut().poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.place.came(bytes);
                if let Some(Coming(activity)) = &self.coming {
                    activity.place.came(bytes);
                }
                self.look();
            }
            Poll::Ready(None | Some(Err(_))) => self.came(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the requests of an HTTP/2 connection for hyper: tracked, and ended with their connection.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) tasks: TaskTracker,
    pub(super) end: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.tasks
            .spawn(self.end.clone().run_until_cancelled_owned(stream));
    }
}
