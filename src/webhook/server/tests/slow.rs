//! Clients that hold on to what they take by sending slowly: who keeps others out, and what it costs.

use futures::{StreamExt as _, future::join_all, stream};

use super::*;

const SMALL: usize = 256 << 10;
const MEBIBYTE: usize = 1 << 20;

/// No API server waits longer. Only a failure does.
const PATIENCE: Duration = Duration::from_secs(10);

/// For as long as a test takes nobody is cut for being slow alone.
fn patient() -> BodyLimits {
    BodyLimits {
        total: DEADLINE * 2,
        stall: DEADLINE * 2,
        ..BodyLimits::default()
    }
}

/// A body that begins with so many bytes, and goes on by a byte at a time.
fn trickle(begin: usize) -> Body {
    let begin = vec![b'x'; begin];
    let begin: Vec<_> = begin.chunks(16 << 10).map(<[u8]>::to_vec).collect();
    let rest = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((vec![b'x'], ()))
    });
    Body::from_stream(stream::iter(begin).chain(rest).map(Ok::<_, io::Error>))
}

fn post(body: Body, declared: Option<usize>) -> Request<Body> {
    let mut request = request("POST", "https://reroll/length", body);
    if let Some(length) = declared {
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    request
}

/// Requests on one connection of HTTP/2, each of which declares so much, and begins with so much. Ends when all have begun.
struct Slow {
    requests: Vec<JoinHandle<()>>,
}

impl Slow {
    async fn over_http2(server: &Server, streams: usize, declared: usize, begin: usize) -> Self {
        let stream = TokioIo::new(server.tls13("h2").await);
        let (send, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = async |mut send: http2::SendRequest<Body>| {
            send.ready().await.unwrap();
            let answer = send.send_request(post(trickle(begin), Some(declared)));
            let answer = tokio::spawn(async move { drop(answer.await) });
            Some(answer)
        };
        let requests = join_all((0..streams).map(|_| request(send.clone()))).await;
        let requests = requests.into_iter().flatten().collect();
        Self { requests }
    }

    async fn over_http1(server: &Server, declared: usize, begin: usize) -> Self {
        let stream = TokioIo::new(server.tls13("http/1.1").await);
        let (mut send, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let answer = async move {
            drop(
                send.send_request(post(trickle(begin), Some(declared)))
                    .await,
            );
        };
        Self {
            requests: vec![tokio::spawn(answer)],
        }
    }

    /// Returns how many have no answer yet.
    fn going_on(&self) -> usize {
        let going_on = |request: &&JoinHandle<()>| !request.is_finished();
        self.requests.iter().filter(going_on).count()
    }
}

/// Posts so much, on a connection of its own. Returns whether it was read.
async fn is_read(server: &Server, bytes: usize) -> bool {
    let read = async {
        let mut client = server.http1().await;
        let post = post(vec![b'x'; bytes].into(), None);
        let answer = client.send.send_request(post).await.ok()?;
        Some(answer.status() == StatusCode::OK && text(answer).await == bytes.to_string())
    };
    tokio::time::timeout(PATIENCE, read).await == Ok(Some(true))
}

/// Returns how many of so many are read, that come at the same time.
async fn count_read(server: &Server, posts: usize, bytes: usize) -> usize {
    let read = join_all((0..posts).map(|_| is_read(server, bytes))).await;
    read.into_iter().filter(|read| *read).count()
}

#[tokio::test]
async fn small_requests_that_come_slowly_keep_nobody_out() {
    let server = Server::with_bodies(limits(), patient()).await;
    let mut slow = Vec::new();
    for begin in [1, SMALL / 2, SMALL - (16 << 10)] {
        slow.push(Slow::over_http2(&server, 128, SMALL, begin).await);
    }
    until(async || server.open() == 3).await;
    assert_eq!(count_read(&server, 64, 1000).await, 64);
    drop(slow);
    server.stop().await;
}

#[tokio::test]
async fn one_connection_cannot_take_the_memory_of_large_requests() {
    let bodies = BodyLimits {
        largest: MEBIBYTE,
        small: 16 << 10,
        memory_large: 4 * MEBIBYTE,
        ..patient()
    };
    for begin in [1, MEBIBYTE - (16 << 10)] {
        let server = Server::with_bodies(limits(), bodies).await;
        let slow = Slow::over_http2(&server, 4, MEBIBYTE, begin).await;
        until(async || server.open() == 1).await;
        assert_eq!(count_read(&server, 8, MEBIBYTE).await, 8, "{begin}");
        drop(slow);
        server.stop().await;
    }
}

#[tokio::test]
async fn many_connections_that_send_slowly_leave_the_memory_to_who_sends() {
    let bodies = BodyLimits {
        largest: MEBIBYTE,
        small: 16 << 10,
        memory_large: 4 * MEBIBYTE,
        ..patient()
    };
    let server = Server::with_bodies(limits(), bodies).await;
    let mut slow = Vec::new();
    for _ in 0..16 {
        slow.push(Slow::over_http1(&server, MEBIBYTE, MEBIBYTE - (16 << 10)).await);
    }
    until(async || server.open() >= 4).await;
    assert_eq!(count_read(&server, 8, MEBIBYTE).await, 8);
    drop(slow);
    server.stop().await;
}

#[tokio::test]
async fn one_that_sends_slowly_gives_its_connection_up_when_others_wait() {
    let few = Limits {
        connections: 8,
        ..limits()
    };
    let server = Server::with_bodies(few, patient()).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(Slow::over_http1(&server, SMALL, 1).await);
    }
    until(async || server.open() == 8).await;
    assert!(is_read(&server, 1000).await);
    let going_on: usize = slow.iter().map(Slow::going_on).sum();
    assert_eq!(going_on, 7, "who waits costs one its place, and no more");
    server.stop().await;
}

#[tokio::test]
async fn requests_that_come_slowly_give_their_places_to_others() {
    let few = Limits {
        requests: 8,
        ..limits()
    };
    let server = Server::with_bodies(few, patient()).await;
    let slow = [
        Slow::over_http2(&server, 4, SMALL, 1).await,
        Slow::over_http2(&server, 4, SMALL, 1).await,
    ];
    until(async || server.open() == 2).await;
    let mut client = server.http1().await;
    for _ in 0..3 {
        // Each takes the place that the one before left.
        let posted = client.send.send_request(post("abc".into(), None));
        assert_eq!(text(within(posted).await.unwrap()).await, "3");
    }
    until(async || server.failed_requests("slow") == 1).await;
    assert_eq!(slow.iter().map(Slow::going_on).sum::<usize>(), 7);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_are_being_answered_give_no_place_up() {
    let few = Limits {
        requests: 1,
        ..limits()
    };
    let server = Server::start(few).await;
    let mut busy = server.http1().await;
    let answer = tokio::spawn(async move { busy.text("/held").await });
    within(server.shared.held.0.notified()).await;
    let waits = server.http1().await;
    let waits = tokio::spawn(async move { { waits }.text("/").await });
    until(async || server.open() == 2).await;
    let mut refused = Vec::new();
    until(async || {
        // As many wait as there are places: one more is refused.
        let mut one = server.http1().await;
        let sent = one.send.send_request(request("GET", "/", Body::empty()));
        refused.push(tokio::spawn(sent));
        server.failed_requests("crowd") > 0
    })
    .await;
    server.shared.held.1.notify_one();
    assert_eq!(within(answer).await.unwrap(), "let go");
    assert_eq!(within(waits).await.unwrap(), "here");
    server.stop().await;
}
