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
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    activity::{Activity, Next},
    counts::Counts,
    limits::Limits,
    places::{Place, Places},
    requests::{Requests, Streams},
};

/// The most that HTTP/1 buffers of what it has not parsed. hyper's default is 25 times that.
const HTTP1_BUFFER: usize = 16 * 1024;
/// How much an HTTP/2 client may send ahead of the reader, in one stream and in all. hyper's default is 1 MiB for either: a
/// gigabyte for a thousand connections.
const HTTP2_WINDOWS: (u32, u32) = (64 * 1024, 128 * 1024);
/// How many requests an HTTP/2 client may have in flight on one connection.
const HTTP2_STREAMS: u32 = 128;
/// How many requests an HTTP/2 client may have taken back before the server looks at them. hyper's default of 20 is made
/// against floods. But a process may stand still for some seconds, because its CPU quota was used up. Then it finds all the
/// calls that an API server gave up meanwhile: at most 200 at a time, each for a second. A connection closed for that would
/// take those with it that can still be answered. What they hold is small and gone with the next look.
const HTTP2_TAKEN_BACK: usize = 4096;

/// What all connections of a server share.
pub(super) struct Connections {
    /// `None`: no TLS, and HTTP/1.1 only.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) counts: Counts,
    /// Each request holds one of them.
    pub(super) requests: Arc<Places>,
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
    /// Serves one connection to its end, or until others need its place more.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, place: Place) {
        let _open = self.counts.connection_open();
        // Answers are small, and a user's `kubectl` waits for them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let activity = Arc::new(Activity::new(place, Instant::now()));
            return self.speak(stream, None, activity).await;
        };
        let Some(stream) = self.handshake(tls, stream, &place).await else {
            return;
        };
        let activity = Arc::new(Activity::new(place, Instant::now()));
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        self.speak(stream, alpn.as_deref(), activity).await;
    }

    async fn handshake(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
        place: &Place,
    ) -> Option<TlsStream<TcpStream>> {
        let peer = stream.peer_addr().ok();
        let handshake = timeout(self.limits.handshake, tls.accept(stream));
        tokio::select! {
            handshake = handshake => match handshake {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => debug!(?peer, %error, "TLS handshake failed"),
                Err(_) => debug!(?peer, "TLS handshake took too long"),
            },
            () = place.is_cut() => {
                debug!(?peer, "others waited for a TLS handshake to end");
                self.counts.connection_cut();
            }
        }
        self.counts.metrics.handshake_failed();
        None
    }

    /// Speaks HTTP on a stream.
    async fn speak<S>(&self, stream: S, alpn: Option<&[u8]>, activity: Arc<Activity>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = Requests {
            router: self.router.clone(),
            activity: Arc::clone(&activity),
            places: Arc::clone(&self.requests),
            limit: self.limits.request,
            counts: self.counts.clone(),
            leaving: self.leaving.clone(),
        };
        // Dropped with this future: a request of an HTTP/2 connection that is gone has no client to answer to.
        let end = self.abort.child_token();
        let _end = end.clone().drop_guard();
        let tasks = self.tasks.clone();
        let http = self.http(alpn, Streams { tasks, end });
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        self.drive(pin!(connection), &activity).await;
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
            let until = match activity.next(&self.limits, closing, now) {
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
                () = activity.place.is_cut() => {
                    debug!("others waited for a connection");
                    self.counts.connection_cut();
                    return;
                }
                () = sleep_until(until) => {}
            }
        }
    }
}
