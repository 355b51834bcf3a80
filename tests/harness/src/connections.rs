//! Connections to an API server, none of which is used while it is being closed.

use std::time::Duration;

use hyper::body::Body;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use kube::{Config, client::ConfigExt as _};

/// Well before the API server closes idle connections (90 s, which is hyper's own limit, too): a request must not meet one
/// that is being closed.
const IDLE: Duration = Duration::from_secs(30);

/// Returns connections to the API server of `config`, by TLS, without its credentials.
///
/// # Errors
///
/// If `config` has certificates or keys that cannot be read.
pub(crate) fn connections<B>(
    config: &Config,
) -> kube::Result<Client<impl Connect + Clone + Send + Sync + 'static, B>>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(5)));
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(config.rustls_https_connector_with_connector(tcp)?))
}
