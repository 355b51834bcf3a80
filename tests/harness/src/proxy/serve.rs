//! Connections of clients, and what becomes of their requests.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, ServiceExt as _};

use super::{
    flow,
    rule::Fault,
    traffic::{Exchange, RequestLine, Traffic},
    upstream::Upstream,
};

/// Serves until `stop`; then all connections are dropped.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    traffic: Arc<Traffic>,
    upstream: Upstream,
    stop: CancellationToken,
) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return clients.shutdown().await,
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("the fault proxy accepts connections");
                clients.spawn(serve_client(client, Arc::clone(&traffic), upstream.clone()));
            }
        }
    }
}

async fn serve_client(stream: TcpStream, traffic: Arc<Traffic>, upstream: Upstream) {
    let cut = CancellationToken::new();
    // Without it small chunks would wait for acknowledgements; if it cannot be set, the client is gone.
    let _ = stream.set_nodelay(true);
    let socket = Socket {
        stream,
        cut: cut.clone(),
    };
    let answers = tower::service_fn({
        let cut = cut.clone();
        move |request: Request<Body>| {
            answer(request, Arc::clone(&traffic), upstream.clone(), cut.clone())
        }
    })
    .map_request(|request: Request<_>| request.map(Body::new));
    let http = auto::Builder::new(TokioExecutor::new()).http1_only();
    tokio::select! {
        () = cut.cancelled() => {}
        // An error is a client that went away, a body that upstream broke off, or a cut: there is no one to tell.
        _ = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(answers)) => {}
    }
}

/// Says that the connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the fault proxy cut the connection")]
struct Severed;

async fn answer(
    request: Request<Body>,
    traffic: Arc<Traffic>,
    upstream: Upstream,
    cut: CancellationToken,
) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let line = RequestLine::of(&parts);
    let is_watch = line.is_watch();
    let exchange = traffic.begin(line, cut.clone());
    delay(&exchange).await;
    let outcome = match own_answer(&exchange) {
        Some(Fault::Answer(answer)) => {
            // hyper closes the connection if a body is left on it.
            let _ = to_bytes(body, usize::MAX).await;
            Ok(answer.response()?)
        }
        Some(_) => Err("cut by a rule".into()),
        None => upstream
            .send(parts, body)
            .await
            .inspect_err(|error| exchange.failed(&with_causes(error.as_ref()))),
    };
    let Ok(response) = outcome else {
        cut.cancel();
        return Err(Severed.into());
    };
    exchange.answered(response.status());
    if exchange
        .faults
        .iter()
        .any(|fault| matches!(fault, Fault::LoseAnswer))
    {
        if !is_watch {
            let _ = to_bytes(response.into_body(), usize::MAX).await;
        }
        cut.cancel();
        return Err(Severed.into());
    }
    Ok(response.map(|body| flow::through(body, exchange)))
}

async fn delay(exchange: &Exchange) {
    for fault in &exchange.faults {
        if let Fault::DelayRequest(delay) = fault {
            sleep(*delay).await;
        }
    }
}

/// What keeps the request from going upstream.
fn own_answer(exchange: &Exchange) -> Option<&Fault> {
    exchange
        .faults
        .iter()
        .find(|fault| matches!(fault, Fault::Cut | Fault::Answer(_)))
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}

/// A client's socket, which is reset instead of closed if it was cut: what is under way in either direction is lost.
struct Socket {
    stream: TcpStream,
    cut: CancellationToken,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            // Err means that the client was quicker.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
