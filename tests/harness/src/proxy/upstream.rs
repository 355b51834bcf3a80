//! The way to the API server: with the kubeconfig's credentials, or with those of the request.

use std::path::Path;

use anyhow::Context as _;
use axum::{
    body::Body,
    http::{
        HeaderMap, Request, Response, Uri,
        header::{self, HeaderName},
        request::Parts,
        uri::PathAndQuery,
    },
};
use kube::{
    Config,
    client::ConfigExt as _,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use crate::connections::connections;

/// Headers that are about one connection, not about the request (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

type Requests = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// An API server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub(super) struct Upstream {
    /// The default namespace of the kubeconfig.
    pub(super) namespace: String,
    base: Uri,
    as_kubeconfig: Requests,
    as_request: Requests,
}

impl Upstream {
    /// The API server of the current context of `kubeconfig`.
    pub(super) async fn of(kubeconfig: &Path) -> anyhow::Result<Self> {
        let read = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("reading the kubeconfig {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
            .await
            .with_context(|| format!("the kubeconfig {} cannot be used", kubeconfig.display()))?;
        let mut anonymous = config.clone();
        anonymous.auth_info = AuthInfo::default();
        Ok(Self {
            namespace: config.default_namespace.clone(),
            base: config.cluster_url.clone(),
            as_kubeconfig: requests(&config)?,
            as_request: requests(&anonymous)?,
        })
    }

    /// Asks the API server. Dropping the future, or later the body, closes the connection upstream.
    pub(super) async fn send(
        &self,
        mut parts: Parts,
        body: Body,
    ) -> Result<Response<Body>, BoxError> {
        parts.uri = self.uri(&parts.uri)?;
        // The client wrote the proxy's name there; hyper puts the API server's.
        parts.headers.remove(header::HOST);
        strip(&mut parts.headers);
        let requests = if parts.headers.contains_key(header::AUTHORIZATION) {
            &self.as_request
        } else {
            &self.as_kubeconfig
        };
        let mut response = requests
            .clone()
            .oneshot(Request::from_parts(parts, body))
            .await?;
        strip(response.headers_mut());
        Ok(response)
    }

    fn uri(&self, asked: &Uri) -> Result<Uri, BoxError> {
        let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query =
            Some(format!("{}{path}", self.base.path().trim_end_matches('/')).parse()?);
        Ok(Uri::from_parts(parts)?)
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn requests(config: &Config) -> anyhow::Result<Requests> {
    let client = connections::<Body>(config)?
        .map_response(|response| response.map(Body::new))
        .map_err(BoxError::from);
    Ok(match config.auth_layer()? {
        Some(credentials) => BoxCloneSyncService::new(credentials.layer(client)),
        None => BoxCloneSyncService::new(client),
    })
}
