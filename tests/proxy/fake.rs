//! A stand-in for an API server, for the proxy's own tests: TLS with an optional client certificate, lists, watches
//! whose events the test sends, and writes that are only written down.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// How long the body of `/large` is, in bytes.
pub(crate) const LARGE: usize = 32 << 20;

/// The server: it serves until it is dropped.
pub(crate) struct FakeApiServer {
    shared: Arc<Shared>,
    files: tempfile::TempDir,
    _serving: JoinSet<()>,
}

/// One request that reached the server.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) with_client_certificate: bool,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    watches: Mutex<Vec<mpsc::UnboundedSender<Bytes>>>,
    open: watch::Sender<usize>,
}

#[derive(Clone, Copy)]
struct WithClientCertificate(bool);

impl FakeApiServer {
    /// Starts it on the current runtime.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let tls = write_certificates(files.path())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        write_kubeconfig(files.path(), listener.local_addr()?)?;
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), router));
        Ok(Self {
            shared,
            files,
            _serving: serving,
        })
    }

    /// A kubeconfig with the server's CA and a client certificate.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.files.path().join("kubeconfig")
    }

    /// What it was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// Sends a chunk to every open watch.
    pub(crate) fn emit(&self, chunk: &str) {
        let chunk = Bytes::copy_from_slice(chunk.as_bytes());
        self.shared
            .watches
            .lock()
            .expect("not poisoned")
            .retain(|watch| watch.send(chunk.clone()).is_ok());
    }

    /// Ends every open watch, as the API server does after a while.
    pub(crate) fn end_watches(&self) {
        self.shared.watches.lock().expect("not poisoned").clear();
    }

    /// Waits until so many watches are open. The caller sets the deadline.
    pub(crate) async fn open_watches(&self, count: usize) {
        // Err would mean that the sender is gone, which `self` holds.
        let _ = self
            .shared
            .open
            .subscribe()
            .wait_for(|open| *open == count)
            .await;
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("the fake API server accepts connections");
                clients.spawn(serve_client(client, tls.clone(), router.clone()));
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve_client(client: TcpStream, tls: TlsAcceptor, router: Router) {
    let Ok(stream) = tls.accept(client).await else {
        return;
    };
    let with_client_certificate =
        WithClientCertificate(stream.get_ref().1.peer_certificates().is_some());
    let service = TowerToHyperService::new(router.layer(Extension(with_client_certificate)));
    // An error is a client that went away.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(WithClientCertificate(with_client_certificate)): Extension<WithClientCertificate>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let seen = Seen {
        method: parts.method.clone(),
        uri: parts.uri.to_string(),
        headers: parts.headers,
        body: body.clone(),
        with_client_certificate,
        at: Instant::now(),
    };
    shared.seen.lock().expect("not poisoned").push(seen);
    if parts
        .uri
        .query()
        .is_some_and(|query| query.contains("watch=true"))
    {
        return watch(shared);
    }
    match (parts.method, parts.uri.path()) {
        (Method::GET, "/large") => {
            let chunk = Bytes::from(vec![b'x'; 64 << 10]);
            let chunks = std::iter::repeat_n(chunk, LARGE / (64 << 10)).map(Ok::<_, axum::Error>);
            Body::from_stream(stream::iter(chunks)).into_response()
        }
        (Method::GET, _) => Json(list()).into_response(),
        _ => body.into_response(),
    }
}

fn list() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "7"},
        "items": [{"metadata": {"name": "tls", "namespace": "shop", "resourceVersion": "5"}}],
    })
}

fn watch(shared: Arc<Shared>) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    shared.watches.lock().expect("not poisoned").push(sender);
    let open = Open::new(shared);
    let events = stream::unfold((receiver, open), async |(mut receiver, open)| {
        let chunk: Bytes = receiver.recv().await?;
        Some((chunk, (receiver, open)))
    });
    Body::from_stream(events.map(Ok::<_, axum::Error>)).into_response()
}

/// Counts a watch as open until it is dropped.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// Writes `ca.crt`, `client.crt` and `client.key`, and returns what the server needs.
fn write_certificates(files: &Path) -> anyhow::Result<ServerConfig> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    std::fs::write(files.join("ca.crt"), ca.pem())?;

    let client_key = KeyPair::generate()?;
    let client = CertificateParams::new(vec!["admin".to_owned()])?.signed_by(&client_key, &ca)?;
    std::fs::write(files.join("client.crt"), client.pem())?;
    std::fs::write(files.join("client.key"), client_key.serialize_pem())?;

    let server_key = KeyPair::generate()?;
    let server =
        CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&server_key, &ca)?;
    let server_key = PrivateKeyDer::from_pem_slice(server_key.serialize_pem().as_bytes())?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone())?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .allow_unauthenticated()
        .build()?;
    Ok(ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], server_key)?)
}

fn write_kubeconfig(files: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let file = |name: &str| files.join(name);
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {
            "server": format!("https://{address}"), "certificate-authority": file("ca.crt"),
        }}],
        "users": [{"name": "admin", "user": {
            "client-certificate": file("client.crt"), "client-key": file("client.key"),
        }}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "admin", "namespace": "shop"}}],
    });
    Ok(std::fs::write(file("kubeconfig"), kubeconfig.to_string())?)
}
