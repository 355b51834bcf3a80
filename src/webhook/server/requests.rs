//! What stands between a connection and the router.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::error;

use super::activity::Activity;
use super::connection::Connections;

/// The requests of one connection: counted, timed, and answered even when a handler panics.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) activity: Arc<Activity>,
    pub(super) connections: Arc<Connections>,
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
        let router = self.router.clone();
        let connections = Arc::clone(&self.connections);
        Box::pin(async move {
            let _in_flight = in_flight;
            let has_connection_header = request.version() <= Version::HTTP_11;
            let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
            let mut response = match timeout(connections.limits.request, answer).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(_panic)) => {
                    // What it said is the panic hook's to print. The API server takes a 500 as a failed call.
                    error!("a handler panicked");
                    connections.stats.handler_panicked();
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
                Err(_) => {
                    connections.stats.request_timeout();
                    StatusCode::GATEWAY_TIMEOUT.into_response()
                }
            };
            if has_connection_header && connections.leaving.is_cancelled() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// Where hyper runs the requests of an HTTP/2 connection: tracked, and ended with their connection.
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
