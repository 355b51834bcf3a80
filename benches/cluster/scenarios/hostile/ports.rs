//! What strangers do at reroll's ports: any pod that reaches them.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures::{StreamExt as _, future::join_all, stream};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reroll::webhook::routes::{SOURCES_PATH, WORKLOADS_PATH};
use reroll_harness::{
    Https, RESTART_ON, deployment,
    generate::review,
    hostile::{CONFIG_MAP_RELOAD, SECRET_RELOAD, expression_list, glob_list, read_globs},
};
use rustls::version::TLS13;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::sleep};

use super::{tenants::every, times_a_second};

/// Half-spoken requests at once.
const CROWD: usize = 8000;
const BATCH: usize = 500;
/// Requests at once on an HTTP/2 connection.
const STREAMS: usize = 128;
/// What slow requests declare.
const SMALL: usize = 256 << 10;
const LARGE: usize = 12 << 20;

/// One forged review a second, of 38 KB, and one a second with as much as is read, and with everything of a namespace.
pub(super) fn reviews(work: &mut JoinSet<()>, webhook: &Https, namespace: &str) {
    let forged = |name: &str, annotations: Value| {
        let mut object = deployment(name, "w00", "k");
        object["metadata"]["annotations"] = annotations;
        let mut review = review("CREATE", &object, &Value::Null);
        review["request"]["namespace"] = json!(namespace);
        review.to_string()
    };
    let many = forged(
        "many",
        json!({
            RESTART_ON: glob_list(190, 0),
            SECRET_RELOAD: expression_list(1024),
            CONFIG_MAP_RELOAD: expression_list(1024),
        }),
    );
    let few = json!({ RESTART_ON: read_globs(0), SECRET_RELOAD: expression_list(8) });
    let all = json!({ RESTART_ON: "secret/*" });
    for body in [many, forged("few", few), forged("all", all)] {
        let webhook = webhook.clone();
        every(work, times_a_second(1), move |_| {
            let (webhook, body) = (webhook.clone(), body.clone());
            async move {
                let asked = webhook.try_request("POST", WORKLOADS_PATH, body.into());
                drop(asked.await);
            }
        });
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

/// Three connections full of requests that declare 256 KiB, and one with four large ones.
pub(super) fn slow(work: &mut JoinSet<()>, webhook: &Https) {
    let webhook = webhook.clone().http2();
    for _ in 0..3 {
        work.spawn(keep_slow(webhook.clone(), STREAMS, SMALL, 0));
    }
    work.spawn(keep_slow(webhook, 4, LARGE, LARGE - (1 << 20)));
}

/// Has so many slow requests under way on one connection, and others when these are cut.
async fn keep_slow(webhook: Https, streams: usize, declared: usize, first: usize) {
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
                    let request = Request::post(format!("https://reroll{SOURCES_PATH}"))
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

/// Thousands of requests that never end their header, and others when these are cut.
pub(super) fn probes(work: &mut JoinSet<()>, address: &str) {
    let address = address.to_owned();
    work.spawn(async move {
        let mut crowd = std::collections::VecDeque::new();
        loop {
            let half = async || {
                let mut stream = TcpStream::connect(&address).await.ok()?;
                let begun = b"GET /livez HTTP/1.1\r\nHost: re";
                stream.write_all(begun).await.ok()?;
                Some(stream)
            };
            crowd.push_back(join_all((0..BATCH).map(|_| half())).await);
            if crowd.len() > CROWD / BATCH {
                crowd.pop_front();
            }
            sleep(times_a_second(10)).await;
        }
    });
}
