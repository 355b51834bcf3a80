//! A client of the webhook's port that is not an API server.

use std::{io, sync::Arc};

use axum::{body::Body, http::Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Arena, PATIENCE, Reroll};

/// A client that trusts the webhook's authority and connects to it.
#[derive(Clone)]
pub struct Https {
    /// The port, as `IP:PORT`.
    pub address: String,
    host: String,
    roots: RootCertStore,
    /// A certificate with its key, both PEM.
    identity: Option<(String, String)>,
    protocol: &'static str,
}

impl Https {
    /// To a reroll that registered itself: its authority stands in the webhook configuration.
    pub async fn to(reroll: &mut Reroll, arena: &Arena) -> Self {
        let api = Api::<ValidatingWebhookConfiguration>::all(arena.client.clone());
        let configuration = api.get(&arena.namespace).await.unwrap();
        let client = configuration.webhooks.unwrap().remove(0).client_config;
        let authority = client.ca_bundle.unwrap().0;
        Self::new(reroll.webhook_address().await, &authority)
    }

    /// To `address`, trusting these authorities (PEM).
    pub fn new(address: String, authorities: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities) {
            roots.add(authority.unwrap()).unwrap();
        }
        Self {
            address,
            host: "127.0.0.1".to_owned(),
            roots,
            identity: None,
            protocol: "http/1.1",
        }
    }

    /// Speaks HTTP/2 on connections that the caller makes.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.protocol = "h2";
        self
    }

    /// Asks for another host than the address.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Shows a certificate where it is asked for one.
    #[must_use]
    pub fn identity(mut self, certificate: &str, key: &str) -> Self {
        self.identity = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// A connection after its handshake, with these versions of TLS.
    pub async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config
                    .with_client_auth_cert(vec![certificate], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = vec![self.protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(&self.address).await?;
        let name = ServerName::try_from(self.host.clone()).unwrap();
        let connect = TlsConnector::from(Arc::new(config)).connect(name, stream);
        tokio::time::timeout(PATIENCE, connect).await?
    }

    /// The certificate that a new connection is given.
    pub async fn certificate(&self) -> CertificateDer<'static> {
        let stream = self.connect(&[&TLS13]).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].clone().into_owned()
    }

    /// One request on a connection of its own: status and body of the answer.
    pub async fn request(&self, method: &str, path: &str, body: Body) -> (u16, String) {
        self.try_request(method, path, body).await.unwrap()
    }

    /// Makes a request that may be refused: with TLS 1.3 the client learns that only after its own handshake.
    pub async fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Body,
    ) -> io::Result<(u16, String)> {
        let stream = TokioIo::new(self.connect(&[&TLS13]).await?);
        let (mut send, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "reroll")
            .header("Content-Type", "application/json")
            .body(body)
            .unwrap();
        let answer = tokio::time::timeout(PATIENCE, send.send_request(request));
        let answer = answer.await.unwrap().map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 20);
        let body = body.await.unwrap();
        connection.abort();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }

    /// POST: status and body of the answer.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> (u16, String) {
        self.request("POST", path, body.into()).await
    }

    /// The `response` of an answer to a review.
    pub async fn review(&self, path: &str, review: &Value) -> Value {
        let (status, answer) = self.post(path, review.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["response"].clone()
    }
}
