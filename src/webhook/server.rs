//! The HTTPS server that API servers dial.
//!
//! Anybody who can reach the port can open connections, so whatever a connection may hold is bounded: how many there
//! are, how long one may take for its handshake and for its first request, how long it may stay idle, and (in
//! [`BodyReader`]) the memory of what it sends. When connections run out, idle ones make room.
//!
//! Two numbers come from the client. API servers keep idle connections for 90 s (Go's `http.Transport`, to which
//! client-go defaults), and do not repeat a POST that met a closing connection: the call fails, and the object passes
//! without us. So [`Limits::idle`] is longer than that, and hyper's own timeout for headers, which also runs between
//! two requests, is off. The `activity` of a connection has the deadlines instead.
//!
//! Invariant: no task outlives [`serve`].

mod activity;
mod body;
mod connection;
mod requests;
mod stats;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use body::{BodyError, BodyLimits, BodyReader, HeldBody};
pub use stats::{ConnectionCounts, ConnectionStats};

use connection::Connections;

/// How long to wait before accepting again when the system would not (it is out of file descriptors or memory).
const ACCEPT_BACKOFF: Duration = Duration::from_millis(500);

/// What connections may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many may be open at once. More wait in the listener's backlog. Three API servers with 200 mutating requests
    /// in flight each (their default) open 600.
    pub connections: usize,
    /// How long the TLS handshake may take.
    pub handshake: Duration,
    /// How long until the header of the first request is complete, and until a connection that was asked to close does.
    pub header: Duration,
    /// How long a connection may be without a request. Longer than the client's own limit (90 s), see above.
    pub idle: Duration,
    /// The most that each of the three above is when fewer than an eighth of `connections` is left, so that silent
    /// connections cannot keep everybody out. Also how often a connection is looked at.
    pub when_crowded: Duration,
    /// How long a request may take in all. An API server waits 30 s at most.
    pub request: Duration,
    /// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
    pub ping: (Duration, Duration),
    /// How long requests in flight may take after the shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            when_crowded: Duration::from_secs(1),
            request: Duration::from_secs(30),
            ping: (Duration::from_secs(20), Duration::from_secs(10)),
            drain: Duration::from_secs(15),
        }
    }
}

impl Limits {
    fn in_a_crowd(&self, limit: Duration, crowded: bool) -> Duration {
        if crowded {
            limit.min(self.when_crowded)
        } else {
            limit
        }
    }
}

/// When a server is to end, in two steps: a client whose connection closes between two requests may have sent the second.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Other servers are there. From now on an answer over HTTP/1.1 says `Connection: close`, so that the client itself
    /// takes its next request elsewhere; API servers speak it to webhooks behind a Service.
    pub leaving: CancellationToken,
    /// The end: no more connections, and those that are open are closed when nothing is in flight.
    pub shutdown: CancellationToken,
}

/// Serves `router` over TLS on `listener` until the end, then what is in flight for at most [`Limits::drain`]. Dropping
/// the future ends everything at once.
///
/// # Errors
/// When the listener can never accept again. Running out of file descriptors is waited out.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    stats: Arc<ConnectionStats>,
    ending: Ending,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let abort = CancellationToken::new();
    let _abort_when_dropped = abort.clone().drop_guard();
    let drain = CancellationToken::new();
    let tasks = TaskTracker::new();
    let connections = Arc::new(Connections {
        tls: TlsAcceptor::from(tls),
        router,
        limits: limits.clone(),
        stats: Arc::clone(&stats),
        slots: Arc::clone(&slots),
        tasks: tasks.clone(),
        leaving: ending.leaving,
        drain: drain.clone(),
        abort: abort.clone(),
    });

    let accepting = async {
        loop {
            let (stream, slot) = next_connection(&listener, &slots, &stats).await?;
            let connection = Arc::clone(&connections).serve(stream, slot);
            tasks.spawn(abort.child_token().run_until_cancelled_owned(connection));
        }
    };
    let accepted: io::Result<()> = tokio::select! {
        biased;
        () = ending.shutdown.cancelled() => Ok(()),
        failed = accepting => failed,
    };
    drop(listener);

    drain.cancel();
    tasks.close();
    info!(
        connections = tasks.len(),
        "draining the webhook's connections"
    );
    if tokio::time::timeout(limits.drain, tasks.wait())
        .await
        .is_err()
    {
        warn!(tasks = tasks.len(), after = ?limits.drain, "cutting off what is still in flight");
        abort.cancel();
        tasks.wait().await;
    }
    accepted
}

/// A slot first, so that what finds no slot waits in the backlog and costs nothing here.
async fn next_connection(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stats: &ConnectionStats,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let mut failing = false;
    loop {
        let error = match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, slot)),
            Err(error) => error,
        };
        match AcceptFailure::of(&error) {
            AcceptFailure::OfOneConnection => {}
            AcceptFailure::Permanent => return Err(error),
            AcceptFailure::OfTheSystem => {
                stats.accept_failed();
                if !failing {
                    warn!(%error, "cannot accept connections; is the limit of open files too low?");
                }
                failing = true;
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// What a failed `accept` says about the next one.
#[derive(Debug, PartialEq, Eq)]
enum AcceptFailure {
    /// That client is gone; the next one may be there already.
    OfOneConnection,
    /// Out of file descriptors or memory: to try again at once would spin.
    OfTheSystem,
    /// The socket does not listen.
    Permanent,
}

impl AcceptFailure {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted => Self::OfOneConnection,
            io::ErrorKind::InvalidInput => Self::Permanent,
            _ => Self::OfTheSystem,
        }
    }
}

#[cfg(test)]
mod tests;
