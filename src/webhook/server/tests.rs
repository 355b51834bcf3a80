//! A live server on a real socket, and clients that behave and that do not.

mod probes;
mod slow;

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, Version, header};
use axum::routing::{get, post};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::webhook::tls::{
    Authority, CertificateFiles, CertificateResolver, SelfMade, TlsVersion, server_config,
};

/// Longer than anything here takes; only a failure waits for it.
const LIFETIME: Duration = Duration::from_hours(365 * 24);
const DEADLINE: Duration = Duration::from_mins(5);
/// Of a limit that is to be met before it ends: longer than a busy machine keeps a thread waiting.
const SHORT: Duration = Duration::from_secs(1);

type Tls = TlsStream<TcpStream>;

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "clients compare certificates with the clock"
    )]
    Timestamp::now()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("done within the deadline")
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    within(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// What the handlers of the tests share.
#[derive(Clone)]
struct Shared {
    bodies: BodyReader,
    /// `/held` came in, and is let go.
    held: Arc<(Notify, Notify)>,
}

struct Server {
    address: SocketAddr,
    ca: String,
    metrics: Arc<Metrics>,
    ending: Ending,
    shared: Shared,
    serving: JoinHandle<io::Result<()>>,
}

fn limits() -> Limits {
    Limits::default()
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, TlsVersion::V1_3).await
    }

    async fn start_with(limits: Limits, lowest: TlsVersion) -> Self {
        let made = SelfMade::for_host("127.0.0.1", now()).unwrap();
        let certificates = Arc::new(CertificateResolver::new(made.certificate));
        let bodies = BodyLimits::default();
        Self::serve(limits, bodies, lowest, made.ca_pem, certificates).await
    }

    async fn with_bodies(limits: Limits, bodies: BodyLimits) -> Self {
        let made = SelfMade::for_host("127.0.0.1", now()).unwrap();
        let certificates = Arc::new(CertificateResolver::new(made.certificate));
        Self::serve(limits, bodies, TlsVersion::V1_3, made.ca_pem, certificates).await
    }

    async fn serve(
        limits: Limits,
        bodies: BodyLimits,
        lowest: TlsVersion,
        ca: String,
        certificates: Arc<CertificateResolver>,
    ) -> Self {
        let shared = Shared {
            bodies: BodyReader::new(bodies),
            held: Arc::default(),
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route(
                "/panic",
                get(async || -> &'static str { panic!("as asked") }),
            )
            .route("/never", get(pending::<()>))
            .route("/held", get(held))
            .route("/length", post(length))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, ending) = (Arc::new(Metrics::new()), Ending::default());
        let tls = server_config(certificates, lowest, None).unwrap();
        let serving = tokio::spawn(serve(
            listener,
            Served::Webhook(tls),
            router,
            limits,
            Arc::clone(&metrics),
            ending.clone(),
        ));
        Self {
            address,
            ca,
            metrics,
            ending,
            shared,
            serving,
        }
    }

    async fn tcp(&self) -> TcpStream {
        let stream = within(TcpStream::connect(self.address)).await.unwrap();
        // As Go does.
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn tls(
        &self,
        alpn: &str,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> io::Result<Tls> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(crate::webhook::tls::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        within(TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await)).await
    }

    async fn tls13(&self, alpn: &str) -> Tls {
        self.tls(alpn, &[&rustls::version::TLS13]).await.unwrap()
    }

    async fn http1(&self) -> Client {
        let (send, connection) = http1::handshake(TokioIo::new(self.tls13("http/1.1").await))
            .await
            .unwrap();
        Client {
            send,
            connection: tokio::spawn(connection),
        }
    }

    fn open(&self) -> u64 {
        shown(&self.metrics, OPEN)
    }

    fn failed_handshakes(&self) -> u64 {
        shown(&self.metrics, "reroll_tls_handshake_failures_total ")
    }

    fn failed_requests(&self, reason: &str) -> u64 {
        let name = format!("reroll_webhook_request_failures_total{{reason=\"{reason}\"}} ");
        shown(&self.metrics, &name)
    }

    /// The server has ended by itself.
    async fn end(self) {
        let Self {
            serving, metrics, ..
        } = self;
        within(serving).await.unwrap().unwrap();
        assert_eq!(shown(&metrics, OPEN), 0);
    }

    async fn stop(self) {
        self.ending.shutdown.cancel();
        self.end().await;
    }
}

const OPEN: &str = "reroll_webhook_connections ";

/// The value of a metric. The name ends with a space.
fn shown(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.encode().unwrap();
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    values.next().expect(name).parse().unwrap()
}

async fn held(State(shared): State<Shared>) -> &'static str {
    shared.held.0.notify_one();
    shared.held.1.notified().await;
    "let go"
}

async fn length(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> (StatusCode, String) {
    match shared.bodies.read(Some(caller), body).await {
        Ok(body) => (StatusCode::OK, body.len().to_string()),
        Err(error @ BodyError::TooLarge { .. }) => {
            (StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// A connection of HTTP/1.1 as an API server's is: kept, and used again.
struct Client {
    send: http1::SendRequest<Body>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Client {
    async fn get(&mut self, path: &str) -> hyper::Result<Response<hyper::body::Incoming>> {
        within(self.send.send_request(request("GET", path, Body::empty()))).await
    }

    async fn text(&mut self, path: &str) -> String {
        text(self.get(path).await.unwrap()).await
    }

    async fn closes(self) {
        within(self.connection).await.unwrap().unwrap();
    }
}

fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "reroll")
        .body(body)
        .unwrap()
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = within(axum::body::to_bytes(
        Body::new(response.into_body()),
        1 << 20,
    ))
    .await
    .unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn http1_is_served_on_one_connection() {
    let server = Server::start(limits()).await;
    let mut client = server.http1().await;
    for _ in 0..3 {
        let response = client.get("/").await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        assert_eq!(text(response).await, "here");
    }
    assert_eq!((server.open(), server.failed_handshakes()), (1, 0));
    server.stop().await;
    client.closes().await;
}

#[tokio::test]
async fn http2_is_served_by_alpn() {
    let server = Server::start(limits()).await;
    let stream = server.tls13("h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let response = within(send.send_request(request("GET", "https://reroll/", Body::empty())))
        .await
        .unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(text(response).await, "here");
    server.stop().await;
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn tls12_is_refused_unless_allowed() {
    let strict = Server::start(limits()).await;
    let error = strict
        .tls("http/1.1", &[&rustls::version::TLS12])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    until(async || strict.failed_handshakes() == 1).await;
    strict.stop().await;

    let lenient = Server::start_with(limits(), TlsVersion::V1_2).await;
    for (version, spoken) in [
        (&rustls::version::TLS12, rustls::ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, rustls::ProtocolVersion::TLSv1_3),
    ] {
        let stream = lenient.tls("http/1.1", &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
    }
    lenient.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(now(), LIFETIME).unwrap();
    let swap = |generation: &str| {
        let issued = authority.issue(&["127.0.0.1"], now(), LIFETIME).unwrap();
        std::fs::create_dir(directory.path().join(generation)).unwrap();
        std::fs::write(
            directory.path().join(generation).join("tls.crt"),
            issued.certificate_pem(),
        )
        .unwrap();
        std::fs::write(
            directory.path().join(generation).join("tls.key"),
            issued.key_pem(),
        )
        .unwrap();
        std::os::unix::fs::symlink(generation, directory.path().join("..data_tmp")).unwrap();
        std::fs::rename(
            directory.path().join("..data_tmp"),
            directory.path().join("..data"),
        )
        .unwrap();
    };
    swap("..1");
    let data = directory.path().join("..data");
    let metrics = Arc::new(Metrics::new());
    let files = CertificateFiles::load(data.join("tls.crt"), data.join("tls.key"), metrics, now());
    let files = files.await.unwrap();
    let server = Server::serve(
        limits(),
        BodyLimits::default(),
        TlsVersion::V1_3,
        authority.pem().to_owned(),
        files.resolver(),
    )
    .await;
    let following = tokio::spawn(files.follow(
        Duration::from_millis(10),
        now,
        server.ending.shutdown.clone(),
    ));

    let leaf = async || {
        server
            .tls13("http/1.1")
            .await
            .get_ref()
            .1
            .peer_certificates()
            .unwrap()[0]
            .clone()
    };
    let mut before = server.http1().await;
    let first = leaf().await;
    assert_eq!(first, leaf().await);
    swap("..2");
    until(async || leaf().await != first).await;
    assert_eq!(before.text("/").await, "here", "open connections go on");
    server.stop().await;
    within(following).await.unwrap();
}

#[tokio::test]
async fn what_is_not_tls_disturbs_nobody() {
    let server = Server::start(limits()).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 4096],
        b"",
    ] {
        let mut stream = server.tcp().await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = within(stream.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(server.http1().await.text("/").await, "here");
    until(async || server.failed_handshakes() == 3).await;
    server.stop().await;
}

#[tokio::test]
async fn a_slow_handshake_is_cut_and_counts_as_failed() {
    let server = Server::start(Limits {
        handshake: Duration::from_millis(50),
        ..limits()
    })
    .await;
    let mut silent = server.tcp().await;
    assert_eq!(within(silent.read(&mut [0; 1])).await.unwrap(), 0);
    until(async || server.open() == 0).await;
    assert_eq!(server.failed_handshakes(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_slow_header_is_cut_in_both_protocols() {
    let server = Server::start(Limits {
        header: Duration::from_millis(50),
        idle: DEADLINE * 2,
        ..limits()
    })
    .await;
    for (alpn, beginning) in [
        ("http/1.1", "GET / HT"),
        ("http/1.1", ""),
        ("h2", "PRI * HT"),
        ("h2", ""),
    ] {
        let mut slow = server.tls13(alpn).await;
        slow.write_all(beginning.as_bytes()).await.unwrap();
        slow.flush().await.unwrap();
        let _ = within(slow.read_to_end(&mut Vec::new())).await;
    }
    until(async || server.open() == 0).await;
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_header_may_take() {
    let server = Server::start(Limits {
        header: SHORT,
        ..limits()
    })
    .await;
    let mut client = server.http1().await;
    assert_eq!(client.text("/").await, "here");
    // One that came later, and has sent no header, has been cut meanwhile.
    let mut silent = server.tls13("http/1.1").await;
    let _ = within(silent.read_to_end(&mut Vec::new())).await;
    until(async || server.open() == 1).await;
    assert_eq!(client.text("/").await, "here");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let short = Duration::from_millis(50);
    let server = Server::start(Limits {
        idle: short,
        ..limits()
    })
    .await;
    let mut client = server.http1().await;
    assert_eq!(client.text("/").await, "here");
    client.closes().await;
    server.stop().await;
}

#[tokio::test]
async fn half_a_second_request_ends_with_the_idle_limit() {
    let server = Server::start(Limits {
        idle: SHORT,
        header: SHORT,
        ..limits()
    })
    .await;
    let mut stream = server.tls13("http/1.1").await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    until(async || server.open() == 0).await;
    server.stop().await;
}

#[tokio::test]
async fn silent_and_idle_connections_make_room_when_all_are_taken() {
    let crowd = Limits {
        connections: 2,
        handshake: DEADLINE * 2,
        header: DEADLINE * 2,
        idle: DEADLINE * 2,
        ..limits()
    };
    let server = Server::start(crowd).await;
    let silent_in_tcp = (server.tcp().await, server.tcp().await);
    assert_eq!(server.http1().await.text("/").await, "here");
    drop(silent_in_tcp);

    let silent_in_tls = (server.tls13("http/1.1").await, server.tls13("h2").await);
    assert_eq!(server.http1().await.text("/").await, "here");
    drop(silent_in_tls);

    let mut idle = (server.http1().await, server.http1().await);
    assert_eq!(idle.0.text("/").await, "here");
    assert_eq!(idle.1.text("/").await, "here");
    assert_eq!(server.http1().await.text("/").await, "here");
    drop(idle);
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_bound_wait_for_a_slot() {
    let server = Server::start(Limits {
        connections: 1,
        ..limits()
    })
    .await;
    let mut busy = server.http1().await;
    let answer = tokio::spawn(async move { busy.text("/held").await });
    within(server.shared.held.0.notified()).await;

    let mut waiting = Box::pin(server.tls13("http/1.1"));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut waiting)
            .await
            .is_err()
    );
    assert_eq!(server.open(), 1);
    server.shared.held.1.notify_one();
    assert_eq!(within(answer).await.unwrap(), "let go");
    // The client went with its task.
    within(waiting).await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_and_the_connection_goes_on() {
    let server = Server::start(limits()).await;
    let mut client = server.http1().await;
    let body = Body::from(vec![b'x'; 20 << 20]);
    let response = within(client.send.send_request(request("POST", "/length", body)))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        text(response).await,
        "the request is larger than 17825792 bytes"
    );

    let body = Body::from(vec![b'x'; 16 << 20]);
    let response = within(client.send.send_request(request("POST", "/length", body)))
        .await
        .unwrap();
    assert_eq!(text(response).await, (16 << 20).to_string());
    server.stop().await;
}

#[tokio::test]
async fn a_large_body_is_read_over_http2_too() {
    let server = Server::start(limits()).await;
    let stream = TokioIo::new(server.tls13("h2").await);
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    for (mebibytes, status) in [(20, StatusCode::PAYLOAD_TOO_LARGE), (16, StatusCode::OK)] {
        let body = Body::from(vec![b'x'; mebibytes << 20]);
        let response = within(send.send_request(request("POST", "https://reroll/length", body)))
            .await
            .unwrap();
        assert_eq!(response.status(), status);
    }
    server.stop().await;
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_answered_and_the_connection_goes_on() {
    let server = Server::start(limits()).await;
    let mut client = server.http1().await;
    assert_eq!(
        client.get("/panic").await.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(client.text("/").await, "here");
    assert_eq!(server.failed_requests("panic"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let server = Server::start(Limits {
        request: Duration::from_millis(50),
        ..limits()
    })
    .await;
    let mut client = server.http1().await;
    assert_eq!(
        client.get("/never").await.unwrap().status(),
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(server.failed_requests("timeout"), 1);
    server.stop().await;
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight() {
    let server = Server::start(limits()).await;
    let mut client = server.http1().await;
    let mut idle = server.http1().await;
    assert_eq!(idle.text("/").await, "here");
    let in_flight = tokio::spawn(async move { client.get("/held").await.unwrap() });
    within(server.shared.held.0.notified()).await;

    server.ending.leaving.cancel();
    server.ending.shutdown.cancel();
    idle.closes().await;
    until(async || TcpStream::connect(server.address).await.is_err()).await;
    assert!(!server.serving.is_finished());
    server.shared.held.1.notify_one();
    let response = within(in_flight).await.unwrap();
    assert_eq!(response.headers()[header::CONNECTION], "close");
    assert_eq!(text(response).await, "let go");
    server.end().await;
}

#[tokio::test]
async fn draining_ends_at_its_deadline() {
    for alpn in ["http/1.1", "h2"] {
        let drain = Duration::from_millis(200);
        let server = Server::start(Limits { drain, ..limits() }).await;
        let stream = TokioIo::new(server.tls13(alpn).await);
        let answer = if alpn == "h2" {
            let (mut send, connection) = http2::handshake(TokioExecutor::new(), stream)
                .await
                .unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move {
                send.send_request(request("GET", "https://reroll/held", Body::empty()))
                    .await
            })
        } else {
            let (mut send, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move {
                send.send_request(request("GET", "/held", Body::empty()))
                    .await
            })
        };
        within(server.shared.held.0.notified()).await;
        let start = Instant::now();
        server.stop().await;
        assert!(start.elapsed() >= drain);
        within(answer).await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn connections_are_served_on_for_a_while_and_told_to_close() {
    let server = Server::start(limits()).await;
    let mut open = server.http1().await;
    assert_eq!(open.text("/").await, "here");
    server.ending.leaving.cancel();
    let mut new = server.http1().await;
    for client in [&mut open, &mut new] {
        let response = client.get("/").await.unwrap();
        assert_eq!(response.headers()[header::CONNECTION], "close");
        assert_eq!(text(response).await, "here");
    }
    open.closes().await;
    server.serving.abort();
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections() {
    let server = Server::start(limits()).await;
    let mut client = server.http1().await;
    assert_eq!(client.text("/").await, "here");
    server.serving.abort();
    until(async || server.open() == 0).await;
}

#[test]
fn a_failed_accept_is_retried_according_to_its_cause() {
    let of = |error: i32| AcceptFailure::of(&io::Error::from_raw_os_error(error));
    assert_eq!(of(103), AcceptFailure::OfOneConnection, "ECONNABORTED");
    assert_eq!(of(24), AcceptFailure::OfTheSystem, "EMFILE");
    assert_eq!(of(23), AcceptFailure::OfTheSystem, "ENFILE");
    assert_eq!(of(12), AcceptFailure::OfTheSystem, "ENOMEM");
    assert_eq!(of(22), AcceptFailure::Permanent, "EINVAL");
}
