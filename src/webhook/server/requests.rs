//! What stands between a connection and the router.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Bytes, HttpBody},
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use futures::{FutureExt, future::BoxFuture};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};
use tracing::error;

use super::activity::Activity;
use crate::ops::metrics::{Metrics, labels::RequestFailure};

/// The requests of one connection: counted, timed, and answered even when a handler panics.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) activity: Arc<Activity>,
    /// How long one may take.
    pub(super) limit: Duration,
    pub(super) metrics: Arc<Metrics>,
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
        let Self {
            router,
            limit,
            metrics,
            leaving,
            ..
        } = self.clone();
        Box::pin(async move {
            let _in_flight = in_flight;
            let has_connection_header = request.version() <= Version::HTTP_11;
            let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
            let mut response = match timeout(limit, answer).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(_panic)) => {
                    // The panic hook logs where. The API server takes a 500 for a failed call.
                    error!("a handler panicked");
                    metrics.request_failed(RequestFailure::Panic);
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
                Err(_) => {
                    metrics.request_failed(RequestFailure::Timeout);
                    StatusCode::GATEWAY_TIMEOUT.into_response()
                }
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
