//! The server that API servers dial by HTTPS, and kubelets and Prometheus by HTTP.
//!
//! Every client that reaches a port can open connections. So whatever a connection may hold is bounded: how many there
//! are, and how many requests on them; how long one may take for its handshake and for its first request, how long it may
//! stay idle, and (in [`BodyReader`]) the memory of what it sends. When they run out, whoever has got on least makes room for
//! whoever comes (`places`): one that says nothing keeps nobody out.
//!
//! Two numbers come from the client. API servers keep idle connections for 90 s (Go's `http.Transport`, to which
//! client-go defaults). They do not repeat a POST that met a closing connection: the call fails, and the API server goes on
//! without the webhook. So [`Limits::idle`] is longer than that. hyper's own timeout for headers also runs between two
//! requests, so it is off; the `activity` of a connection has the deadlines instead.
//!
//! Invariant: no task outlives [`serve`].

mod activity;
mod body;
mod connection;
mod counts;
mod limits;
mod places;
mod requests;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use body::{BodyError, BodyLimits, BodyReader, HeldBody};
pub use limits::Limits;
pub use requests::Caller;

use self::{
    connection::Connections,
    counts::Counts,
    places::{Bounds, Places},
};
use crate::ops::metrics::{Metrics, labels::Port};

/// How long to wait before accepting again when the system would not: it is out of file descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(500);

/// When a server is to end, in two steps: when a connection closes between two requests, its client may have sent the
/// second.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Other servers are there. From now on an answer over HTTP/1.1 says `Connection: close`, so that the client itself
    /// takes its next request elsewhere. API servers speak HTTP/1.1 to webhooks behind a Service.
    pub leaving: CancellationToken,
    /// The end. The server takes no more connections, and closes each when nothing is in flight on it.
    pub shutdown: CancellationToken,
}

/// What is served on a port.
#[derive(Clone, Debug)]
pub enum Served {
    /// The webhook.
    Webhook(Arc<ServerConfig>),
    /// Probes and metrics, as plain HTTP/1.1.
    Probes,
}

/// Serves `router` on `listener` until the end; then, for at most [`Limits::drain`], what is in flight. Dropping the future
/// ends everything at once.
///
/// # Errors
/// When the listener can never accept again. When the system runs out of file descriptors, the server waits.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    ending: Ending,
) -> io::Result<()> {
    let (tls, port) = match served {
        Served::Webhook(config) => (Some(TlsAcceptor::from(config)), Port::Webhook),
        Served::Probes => (None, Port::Probes),
    };
    let counts = Counts { metrics, port };
    let places = |all: usize| {
        let (share, claim, fresh) = (all, 1, limits.fresh);
        Arc::new(Places::new(Bounds {
            all,
            share,
            claim,
            fresh,
        }))
    };
    let slots = places(limits.connections);
    let abort = CancellationToken::new();
    let _abort_when_dropped = abort.clone().drop_guard();
    let drain = CancellationToken::new();
    let tasks = TaskTracker::new();
    let connections = Arc::new(Connections {
        tls,
        router,
        requests: places(limits.requests),
        limits: limits.clone(),
        counts: counts.clone(),
        tasks: tasks.clone(),
        leaving: ending.leaving,
        drain: drain.clone(),
        abort: abort.clone(),
    });

    let accepting = async {
        loop {
            let stream = next_connection(&listener, &counts).await?;
            let place = slots.enter(None, 1);
            // Somebody makes room, or ends: all that hold a place are served.
            if place.take(1).await.is_ok() {
                let connection = Arc::clone(&connections).serve(stream, place);
                tasks.spawn(abort.child_token().run_until_cancelled_owned(connection));
            }
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
    let port = port.as_str();
    info!(port, connections = tasks.len(), "draining connections");
    if tokio::time::timeout(limits.drain, tasks.wait())
        .await
        .is_err()
    {
        warn!(port, tasks = tasks.len(), after = ?limits.drain, "cutting off what is still in flight");
        abort.cancel();
        tasks.wait().await;
    }
    accepted
}

/// Waits for a connection.
async fn next_connection(listener: &TcpListener, counts: &Counts) -> io::Result<TcpStream> {
    let mut failing = false;
    loop {
        let error = match listener.accept().await {
            Ok((stream, _)) => return Ok(stream),
            Err(error) => error,
        };
        match AcceptFailure::of(&error) {
            AcceptFailure::OfOneConnection => {}
            AcceptFailure::Permanent => return Err(error),
            AcceptFailure::OfTheSystem => {
                counts.accept_failed();
                if !failing {
                    warn!(port = counts.port.as_str(), %error, "cannot accept connections; is the limit of open files too low?");
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
    /// That client is gone. The next one may be there already.
    OfOneConnection,
    /// The system is out of file descriptors or memory. To try again at once would spin.
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
