//! One POST to a webhook: through a proxy where there is one, over TLS by the product's own cryptography.
//!
//! Each try has a connection of its own. Alerts are rare, and a connection that was kept would have gone stale. So a URL or
//! an authority that was renewed in its file counts at once. Redirects are not followed: the user chose where messages go,
//! and a server must not choose another place.

use std::{error::Error, fmt::Write as _, io, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use axum::http::{
    Request, Response, Uri,
    header::{CONTENT_TYPE, HOST, PROXY_AUTHORIZATION, USER_AGENT},
};
use hyper::{
    body::Incoming,
    client::conn::http1,
    rt::{Read, Write},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::{
    legacy::connect::{HttpConnector, proxy::Tunnel},
    proxy::matcher::Matcher,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tower::{Service, ServiceExt as _};

use super::{
    answer::delivery,
    delivery::{Delivery, Webhook},
    payload::Content,
    settings::{AlertSettings, AlertTarget, AlertUrl, AlertUrlError},
};
use crate::build::VERSION;

/// A file that settings of alerts name cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// The file cannot be read.
    #[error("{flag}: cannot read {}: {source}", path.display())]
    Read {
        /// Which setting names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no URL.
    #[error("--alert-url-file: {}: {source}", path.display())]
    Url {
        /// The file.
        path: PathBuf,
        /// What is expected.
        source: AlertUrlError,
    },
    /// The file holds no certificate.
    #[error("--alert-ca-file: {} holds no certificate that can be read (PEM)", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
    /// The cryptography refuses its own defaults.
    #[error("cannot prepare TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Posts to one webhook.
#[derive(Debug)]
pub(super) struct Http {
    target: AlertTarget,
    timeout: Duration,
    proxy: Arc<Matcher>,
    system: RootCertStore,
    ca_file: Option<PathBuf>,
}

impl Http {
    /// Reads every file once, so that an unusable one shows at the start.
    pub(super) fn new(settings: &AlertSettings) -> Result<Self, AlertError> {
        let mut system = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        system.add_parsable_certificates(found.certs);
        let http = Self {
            target: settings.target.clone(),
            timeout: settings.timeout,
            proxy: Arc::clone(&settings.proxy),
            system,
            ca_file: settings.ca_file.clone(),
        };
        let url = http.url()?;
        http.tls()?;
        tracing::info!(host = url.host(), sink = ?settings.sink, on = ?settings.on, authorities = http.system.len(), "alerts are sent");
        Ok(http)
    }

    fn url(&self) -> Result<AlertUrl, AlertError> {
        let path = match &self.target {
            AlertTarget::Url(url) => return Ok(url.clone()),
            AlertTarget::File(path) => path.clone(),
        };
        match read("--alert-url-file", &path)?.parse() {
            Ok(url) => Ok(url),
            Err(source) => Err(AlertError::Url { path, source }),
        }
    }

    fn tls(&self) -> Result<ClientConfig, AlertError> {
        let mut roots = self.system.clone();
        if let Some(path) = &self.ca_file {
            let text = read("--alert-ca-file", path)?;
            let unusable = || AlertError::Authority { path: path.clone() };
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| unusable())?;
            if roots.add_parsable_certificates(certificates).0 == 0 {
                return Err(unusable());
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }

    async fn try_once(&self, content: &Content) -> Result<Response<Incoming>, String> {
        let (url, tls) = match (self.url(), self.tls()) {
            (Ok(url), Ok(tls)) => (url, tls),
            (Err(error), _) | (_, Err(error)) => return Err(error.to_string()),
        };
        let to = url.secret().clone();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let direct = over_tls(tls.clone(), tcp);
        let Some(proxy) = self.proxy.intercept(&to) else {
            return exchange(direct, to.clone(), request(&to, false, content)?).await;
        };
        let (way, auth) = (proxy.uri().clone(), proxy.basic_auth());
        if !matches!(way.scheme_str(), Some("http" | "https")) {
            return Err("the proxy is not an HTTP proxy, and no other can be used".to_owned());
        }
        if to.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(way, direct);
            if let Some(auth) = auth {
                tunnel = tunnel.with_auth(auth.clone());
            }
            let through = over_tls(tls, tunnel);
            return exchange(through, to.clone(), request(&to, false, content)?).await;
        }
        let mut request = request(&to, true, content)?;
        if let Some(auth) = auth {
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, auth.clone());
        }
        exchange(direct, way, request).await
    }
}

impl Webhook for Http {
    async fn post(&self, content: &Content) -> Delivery {
        match tokio::time::timeout(self.timeout, self.try_once(content)).await {
            Err(_) => Delivery::Failed(format!("no answer within {:?}", self.timeout), None),
            Ok(Err(why)) => Delivery::Failed(why, None),
            Ok(Ok(response)) => delivery(response.status(), response.headers()),
        }
    }

    fn host(&self) -> String {
        self.url()
            .map_or_else(|_| "unknown".to_owned(), |url| url.host().to_owned())
    }
}

fn read(flag: &'static str, path: &PathBuf) -> Result<String, AlertError> {
    // Mounted files are small, so that reading them is not worth a thread.
    std::fs::read_to_string(path).map_err(|source| AlertError::Read {
        flag,
        path: path.clone(),
        source,
    })
}

fn over_tls<C>(tls: ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

fn request(to: &Uri, absolute: bool, content: &Content) -> Result<Request<String>, String> {
    let authority = to.authority().map_or("", |authority| authority.as_str());
    let path = to.path_and_query().map_or("/", |path| path.as_str());
    let path = if absolute {
        to.clone()
    } else {
        path.parse().map_err(|_| "the URL has no usable path")?
    };
    Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, content.media_type)
        .header(USER_AGENT, format!("reroll/{VERSION}"))
        .body(content.body.clone())
        .map_err(|_| "the URL cannot be asked for".to_owned())
}

/// Connects, sends and waits for the head of the answer. Its body is of no use.
async fn exchange<C>(
    connector: C,
    to: Uri,
    request: Request<String>,
) -> Result<Response<Incoming>, String>
where
    C: Service<Uri, Error: Into<Box<dyn Error + Send + Sync>>>,
    C::Response: Read + Write + Unpin + Send + 'static,
{
    let stream = connector.oneshot(to).await;
    let stream = stream.map_err(|error| chain(&*error.into()))?;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|e| chain(&e))?;
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // The connection has handed over the answer, or the error, before it ended.
        _ = connection => answer.await,
    };
    answer.map_err(|error| chain(&error))
}

/// Returns an error and the errors behind it as one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        // Writing into a String does not fail.
        let _ = write!(text, ": {error}");
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
