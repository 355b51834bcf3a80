//! A webhook that only says allowed, in a process of its own. It shows the least that any webhook costs.
//!
//! It is registered as reroll is, so that API servers send it the same reviews.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    routing::post,
    serve::{Listener, serve},
};
use jiff::Timestamp;
use kube::Client;
use reroll::{
    cluster::Cluster,
    model::workload::Kinds,
    run::own_user,
    webhook::{
        registration::Registration,
        tls::{Authority, CertificateResolver, ServingCertificate, TlsVersion, server_config},
    },
};
use reroll_harness::Arena;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The argument that starts this process; only the benchmark passes it.
pub const ONLY_ALLOW: &str = "--only-allow";

const LIFETIME: Duration = Duration::from_hours(24);
const TIMEOUT: Duration = Duration::from_secs(10);
/// API servers take up a registration within a second.
const TAKEN_UP: Duration = Duration::from_secs(3);

/// The process, registered.
pub struct OnlyAllows {
    client: Client,
    child: Child,
    registration: Registration,
}

impl OnlyAllows {
    /// Starts it, and registers it with the API server.
    pub async fn start(arena: &Arena) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a certificate of now")]
        let now = Timestamp::now();
        let authority = Authority::new(now, LIFETIME).expect("it can be made");
        let leaf = authority.issue(&["127.0.0.1"], now, LIFETIME);
        let leaf = leaf.expect("it can be issued");
        let mut child = Command::new(std::env::current_exe().expect("a program has a path"))
            .arg(ONLY_ALLOW)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let mut stdin = child.stdin.take().expect("it is piped");
        let pem = [leaf.certificate_pem(), leaf.key_pem()].concat();
        stdin.write_all(pem.as_bytes()).expect("it reads");
        drop(stdin);
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = stdout.lines().next().expect("it says where").expect("text");
        let user = own_user(&Cluster::new(arena.client.clone(), TIMEOUT)).await;
        let registration = Registration {
            name: arena.namespace.clone(),
            url: format!("https://{address}"),
            authority: authority.pem().to_owned(),
            namespaces: vec![arena.namespace.clone()],
            own_namespace: arena.own_namespace.clone(),
            // As with reroll, what the benchmark writes in its place is not asked about.
            own_user: user.expect("everybody may ask"),
            kinds: Kinds::default(),
            conventions: Arc::default(),
        };
        let applied = registration
            .apply(&Cluster::new(arena.client.clone(), TIMEOUT))
            .await;
        applied.expect("it can be registered");
        tokio::time::sleep(TAKEN_UP).await;
        Self {
            client: arena.client.clone(),
            child,
            registration,
        }
    }

    /// Removes the registration and ends the process.
    pub async fn stop(mut self) {
        let removed = self
            .registration
            .remove(&Cluster::new(self.client.clone(), TIMEOUT))
            .await;
        removed.expect("it can be removed");
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// The process itself: reads its certificate and key, prints its address, and serves until it is killed.
pub async fn serve_only_allowed() {
    let mut pem = Vec::new();
    std::io::stdin()
        .read_to_end(&mut pem)
        .expect("a certificate");
    let certificate = ServingCertificate::from_pem(&pem, &pem).expect("a certificate");
    let resolver = Arc::new(CertificateResolver::new(certificate));
    let config = server_config(resolver, TlsVersion::V1_3, None).expect("a usable provider");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound"));
    let tls = Tls {
        listener,
        acceptor: TlsAcceptor::from(config),
    };
    let router = Router::new().fallback(post(allowed));
    serve(tls, router).await.expect("it serves");
}

async fn allowed(Json(review): Json<Value>) -> Json<Value> {
    Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": { "uid": review["request"]["uid"], "allowed": true },
    }))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // As reroll's: an answer that waits for an acknowledgement would be what is measured.
            stream.set_nodelay(true).expect("it is connected");
            // Only API servers call, a few times: one after the other will do.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
