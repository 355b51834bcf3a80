//! Requests that come so slowly that they never end.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures::{StreamExt as _, future::join_all, stream};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version::TLS13;
use tokio::time::sleep;

use crate::Https;

/// Has so many slow requests under way on one connection, and others when these are cut, for ever. Each declares so
/// many bytes, and sends so many of them at once.
pub async fn keep_slow(webhook: Https, streams: usize, declared: usize, first: usize) {
    loop {
        sleep(Duration::from_millis(20)).await;
        let Ok(stream) = webhook.connect(&[&TLS13]).await else {
            continue;
        };
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let Ok((send, connection)) = shaken else {
            continue;
        };
        let connection = tokio::spawn(connection);
        let slots = (0..streams).map(|_| {
            let mut send = send.clone();
            async move {
                while send.ready().await.is_ok() {
                    let request = Request::post("https://reroll/admit/sources")
                        .header("Content-Length", declared)
                        .body(trickle(first));
                    if let Ok(request) = request {
                        drop(send.send_request(request).await);
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        join_all(slots).await;
        connection.abort();
    }
}

/// So much at once, and then a byte each second.
fn trickle(first: usize) -> Body {
    let bytes = stream::unfold((), |()| async {
        sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    let first = stream::iter([Ok("{")]).chain(stream::iter((0..first / 1024).map(|_| {
        const KIB: &str = match str::from_utf8(&[b' '; 1024]) {
            Ok(text) => text,
            Err(_) => "",
        };
        Ok(KIB)
    })));
    Body::from_stream(first.chain(bytes))
}
