//! Tests of one POST, against servers and proxies of this process.

use std::{net::SocketAddr, sync::Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderName, response::IntoResponse};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::ops::alerts::settings::{AlertKind, AlertSinkKind};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a server was asked, and what it answers. Its tasks end with it.
struct Server {
    address: SocketAddr,
    asked: Asked,
    _tasks: JoinSet<()>,
}

/// The requests: request line and what of the headers matters, and the body.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

#[derive(Clone)]
struct Answer {
    status: u16,
    header: Option<(HeaderName, &'static str)>,
    asked: Asked,
}

async fn answer(
    State(answer): State<Answer>,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let head = |name| {
        headers
            .get(name)
            .map_or("", |value: &axum::http::HeaderValue| {
                value.to_str().unwrap()
            })
    };
    let line = format!("{uri} for {} as {}", head(HOST), head(CONTENT_TYPE));
    let body = String::from_utf8(body.to_vec()).unwrap();
    answer.asked.lock().unwrap().push((line, body));
    let status = axum::http::StatusCode::from_u16(answer.status).unwrap();
    let mut response = status.into_response();
    if let Some((name, value)) = answer.header {
        let value = axum::http::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn app(status: u16, header: Option<(HeaderName, &'static str)>) -> (Router, Asked) {
    let asked = Asked::default();
    let state = Answer {
        status,
        header,
        asked: Arc::clone(&asked),
    };
    (Router::new().fallback(answer).with_state(state), asked)
}

async fn plain(status: u16, header: Option<(HeaderName, &'static str)>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (app, asked) = app(status, header);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    Server {
        address,
        asked,
        _tasks: tasks,
    }
}

/// With a certificate for `localhost` by this authority.
async fn tls(authority: &Authority) -> Server {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, authority).unwrap().der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (app, asked) = app(200, None);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = hyper_util::service::TowerToHyperService::new(app.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            let serve = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            drop(serve.await);
        }
    });
    Server {
        address,
        asked,
        _tasks: tasks,
    }
}

/// A proxy that connects everything with `to`, and notes the head of what it is asked by CONNECT.
async fn tunnel(to: SocketAddr) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            notes.lock().unwrap().push((head, String::new()));
            let mut server = TcpStream::connect(to).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
    });
    Server {
        address,
        asked,
        _tasks: tasks,
    }
}

fn settings(url: &str) -> AlertSettings {
    AlertSettings {
        sink: AlertSinkKind::Json,
        target: AlertTarget::Url(url.parse().unwrap()),
        on: vec![AlertKind::Restarted],
        prefix: String::new(),
        window: Duration::ZERO,
        timeout: Duration::from_mins(5),
        proxy: Arc::new(Matcher::builder().build()),
        ca_file: None,
    }
}

fn through(settings: AlertSettings, proxy: &str) -> AlertSettings {
    let proxy = Arc::new(Matcher::builder().all(proxy).build());
    AlertSettings { proxy, ..settings }
}

fn content() -> Content {
    Content {
        media_type: "application/json; charset=utf-8",
        body: r#"{"a":1}"#.to_owned(),
    }
}

async fn post(settings: &AlertSettings) -> Delivery {
    Http::new(settings).unwrap().post(&content()).await
}

fn asked(server: &Server) -> Vec<(String, String)> {
    server.asked.lock().unwrap().clone()
}

#[tokio::test]
async fn the_body_arrives_with_its_type_under_the_whole_url() {
    let server = plain(200, None).await;
    let address = server.address;
    let settings = settings(&format!("http://{address}/services/T0/hush?token=a%20b"));
    assert_eq!(post(&settings).await, Delivery::Taken);
    let line =
        format!("/services/T0/hush?token=a%20b for {address} as application/json; charset=utf-8");
    assert_eq!(asked(&server), [(line, content().body)]);
}

#[tokio::test]
async fn answers_are_understood() {
    let retry = Some((axum::http::header::RETRY_AFTER, "7"));
    let server = plain(429, retry).await;
    let outcome = post(&settings(&format!("http://{}/", server.address))).await;
    let Delivery::Failed(why, Some(wait)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (&*why, wait.as_secs()),
        ("answered 429 Too Many Requests", 7)
    );
    let target = plain(200, None).await;
    let location: &'static str = format!("http://{}/", target.address).leak();
    let server = plain(307, Some((axum::http::header::LOCATION, location))).await;
    let outcome = post(&settings(&format!("http://{}/hush", server.address))).await;
    assert!(
        matches!(&outcome, Delivery::Refused(why) if why.contains("not followed")),
        "{outcome:?}"
    );
    assert_eq!(asked(&target), []);
}

#[tokio::test]
async fn what_nobody_answers_fails_in_time_and_says_nothing_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut hanging = settings(&format!("http://{address}/hush"));
    hanging.timeout = Duration::from_millis(50);
    let silent = post(&hanging).await;
    assert_eq!(
        silent,
        Delivery::Failed("no answer within 50ms".to_owned(), None)
    );
    // Nobody listens; and somebody who hangs up.
    drop(listener);
    let nobody = post(&settings(&format!("http://{address}/hush"))).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    });
    let hung_up = post(&settings(&format!("http://{address}/hush"))).await;
    for outcome in [nobody, hung_up] {
        let Delivery::Failed(why, None) = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(!why.contains("hush"), "{why}");
    }
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted_and_a_stranger_is_not() {
    let authority = authority();
    let server = tls(&authority).await;
    let mut settings = settings(&format!("https://localhost:{}/x", server.address.port()));
    let outcome = post(&settings).await;
    let Delivery::Failed(why, _) = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(asked(&server), []);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority.pem()).unwrap();
    settings.ca_file = Some(file.clone());
    assert_eq!(post(&settings).await, Delivery::Taken);
    assert_eq!(asked(&server).len(), 1);
    // A file without a certificate is said at the start.
    std::fs::write(&file, "nothing").unwrap();
    let error = Http::new(&settings).unwrap_err().to_string();
    assert!(error.starts_with("--alert-ca-file: "), "{error}");
}

#[tokio::test]
async fn http_goes_to_a_proxy_whole_and_https_through_a_tunnel() {
    // The proxy itself answers: what it is asked has the whole URL, and whose it is.
    let proxy = plain(200, None).await;
    let settings_http = through(
        settings("http://hooks.invalid/x"),
        &format!("http://{}", proxy.address),
    );
    assert_eq!(post(&settings_http).await, Delivery::Taken);
    let line = "http://hooks.invalid/x for hooks.invalid as application/json; charset=utf-8";
    assert_eq!(asked(&proxy)[0].0, line);

    let authority = authority();
    let server = tls(&authority).await;
    let proxy = tunnel(server.address).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority.pem()).unwrap();
    let mut settings_https = through(
        settings("https://localhost/x"),
        &format!("http://me:word@{}", proxy.address),
    );
    settings_https.ca_file = Some(file);
    assert_eq!(post(&settings_https).await, Delivery::Taken);
    let head = asked(&proxy)[0].0.clone();
    assert!(
        head.starts_with("CONNECT localhost:443 HTTP/1.1\r\n"),
        "{head}"
    );
    // me:word
    assert!(
        head.contains("Proxy-Authorization: Basic bWU6d29yZA=="),
        "{head}"
    );
    assert_eq!(
        asked(&server)[0].0,
        "/x for localhost as application/json; charset=utf-8"
    );
    // An exception is an exception.
    let address = format!("http://{}", proxy.address);
    let matcher = Matcher::builder().all(&*address).no("localhost").build();
    assert!(matcher.intercept(settings_url(&settings_https)).is_none());
}

fn settings_url(settings: &AlertSettings) -> &Uri {
    match &settings.target {
        AlertTarget::Url(url) => url.secret(),
        AlertTarget::File(_) => panic!("a URL"),
    }
}

#[tokio::test]
async fn a_url_in_a_file_is_read_for_every_message() {
    let (one, two) = (plain(200, None).await, plain(200, None).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let mut settings = settings("http://unused.invalid");
    settings.target = AlertTarget::File(file.clone());
    let error = Http::new(&settings).unwrap_err().to_string();
    assert!(
        error.starts_with("--alert-url-file: cannot read "),
        "{error}"
    );
    std::fs::write(&file, "hush").unwrap();
    let error = Http::new(&settings).unwrap_err().to_string();
    assert!(
        error.contains("expected a URL") && !error.contains("hush"),
        "{error}"
    );
    std::fs::write(&file, format!("http://{}/1\n", one.address)).unwrap();
    let http = Http::new(&settings).unwrap();
    assert_eq!(http.post(&content()).await, Delivery::Taken);
    std::fs::write(&file, format!("http://{}/2\n", two.address)).unwrap();
    assert_eq!(http.post(&content()).await, Delivery::Taken);
    assert_eq!((asked(&one).len(), asked(&two).len()), (1, 1));
}
