//! One connection, from its handshake to its end.

use std::{
    fmt::Display,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulConnection},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    activity::{Activity, Next},
    limits::Limits,
    requests::{Requests, Streams},
};
use crate::ops::metrics::Metrics;

/// The most that HTTP/1 buffers of what it has not parsed. hyper's default is six times that.
const HTTP1_BUFFER: usize = 64 * 1024;
/// How much an HTTP/2 client may send ahead of the reader, in one stream and in all. hyper's default is 1 MiB for either: a
/// gigabyte for a thousand connections.
const HTTP2_WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);
/// How many requests an HTTP/2 client may have in flight on one connection.
const HTTP2_STREAMS: u32 = 128;
/// How many requests an HTTP/2 client may have taken back before the server looks at them. hyper's default of 20 is made
/// against floods. But a process may stand still for some seconds, because its CPU quota was used up. Then it finds all the
/// calls that an API server gave up meanwhile: at most 200 at a time, each for a second. A connection closed for that would
/// take those with it that can still be answered. What they hold is small and gone with the next look.
const HTTP2_TAKEN_BACK: usize = 4096;

/// What all connections of a server share.
pub(super) struct Connections {
    pub(super) tls: TlsAcceptor,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    /// Each connection holds one of them.
    pub(super) slots: Arc<Semaphore>,
    /// All tasks that connections spawn.
    pub(super) tasks: TaskTracker,
    /// Answers carry `Connection: close` from then on.
    pub(super) leaving: CancellationToken,
    /// Connections finish what is in flight and close.
    pub(super) drain: CancellationToken,
    /// Tasks that still run are dropped.
    pub(super) abort: CancellationToken,
}

impl Connections {
    /// Serves one connection to its end.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, slot: OwnedSemaphorePermit) {
        let _slot = slot;
        let _open = self.metrics.connection_open();
        let Some(stream) = self.handshake(stream).await else {
            return;
        };
        let activity = Arc::new(Activity::new(Instant::now()));
        let service = Requests {
            router: self.router.clone(),
            activity: Arc::clone(&activity),
            limit: self.limits.request,
            metrics: Arc::clone(&self.metrics),
            leaving: self.leaving.clone(),
        };
        // Dropped with this future: a request of an HTTP/2 connection that is gone has no client to answer to.
        let end = self.abort.child_token();
        let _end = end.clone().drop_guard();
        let http = self.http(
            stream.get_ref().1.alpn_protocol(),
            Streams {
                tasks: self.tasks.clone(),
                end,
            },
        );
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        self.drive(pin!(connection), &activity).await;
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let peer = stream.peer_addr().ok();
        // Answers are small, and a user's `kubectl` waits for them.
        let _ = stream.set_nodelay(true);
        let limit = self
            .limits
            .in_a_crowd(self.limits.handshake, self.is_crowded());
        match timeout(limit, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                debug!(?peer, %error, "TLS handshake failed");
                self.metrics.handshake_failed();
                None
            }
            Err(_) => {
                debug!(?peer, "TLS handshake took too long");
                self.metrics.handshake_failed();
                None
            }
        }
    }

    /// Returns the protocol that ALPN names, so that nothing is read to guess it.
    fn http(&self, alpn: Option<&[u8]>, streams: Streams) -> auto::Builder<Streams> {
        let http = auto::Builder::new(streams);
        let mut http = if alpn == Some(b"h2") {
            http.http2_only()
        } else {
            http.http1_only()
        };
        http.http1()
            .header_read_timeout(None)
            .max_buf_size(HTTP1_BUFFER);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.ping.0)
            .keep_alive_timeout(self.limits.ping.1)
            .initial_stream_window_size(HTTP2_WINDOWS.0)
            .initial_connection_window_size(HTTP2_WINDOWS.1)
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_pending_accept_reset_streams(HTTP2_TAKEN_BACK);
        http
    }

    /// Runs the connection, and ends it in time.
    async fn drive<C>(&self, mut connection: Pin<&mut C>, activity: &Activity)
    where
        C: GracefulConnection<Error: Display>,
    {
        let mut closing = None;
        loop {
            let now = Instant::now();
            let until = match activity.next(&self.limits, self.is_crowded(), closing, now) {
                Next::Wait(until) => until,
                Next::Close => {
                    closing = Some(now);
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                Next::Cut => return,
            };
            tokio::select! {
                ended = poll_fn(|context| connection.as_mut().poll(context)) => {
                    if let Err(error) = ended {
                        debug!(%error, "connection failed");
                    }
                    return;
                }
                () = self.drain.cancelled(), if closing.is_none() => {
                    closing = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(until) => {}
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.slots.available_permits().saturating_mul(8) < self.limits.connections
    }
}
