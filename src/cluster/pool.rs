//! How long connections to the API server are kept that nothing uses.
//!
//! With kube what belongs to them stays until they are used again, though they are closed: 9 KiB each, of as many as were once
//! used at the same time. Reviews of large templates read many sources at once.

use std::time::Duration;

use axum::{
    BoxError,
    http::{Request, Response},
};
use http_body_util::BodyExt as _;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::client::{Body, ClientBuilder, ConfigExt as _, DynBody};
use tower::{
    Layer as _, ServiceExt as _,
    util::{BoxService, option_layer},
};

/// What answers requests to the API server.
pub type ApiService = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// How long a connection is kept that nothing uses. The API server closes it after 90 s. Who waits for a review soon after
/// another need not wait for new ones.
const IDLE: Duration = Duration::from_secs(30);

/// Makes clients of the API server, as kube does but for connections that nothing uses. By a proxy, and with credentials that a plugin
/// makes, they are kube's in this, too.
///
/// # Errors
///
/// If the configuration has certificates, keys or headers that cannot be used.
pub fn client_builder(config: kube::Config) -> kube::Result<ClientBuilder<ApiService>> {
    with_idle(config, IDLE)
}

fn with_idle(config: kube::Config, idle: Duration) -> kube::Result<ClientBuilder<ApiService>> {
    if config.proxy_url.is_some() || config.auth_info.exec.is_some() {
        return ClientBuilder::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let requests = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .build(connector)
        .map_err(BoxError::from);
    let requests = config.extra_headers_layer()?.layer(requests);
    let requests = option_layer(config.auth_layer()?).layer(requests);
    let requests = config.base_uri_layer().layer(requests);
    let answers = requests.map_response(|response: Response<hyper::body::Incoming>| {
        response.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>)
    });
    Ok(ClientBuilder::new(
        answers.boxed(),
        config.default_namespace,
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{net::TcpListener, sync::Barrier};

    use super::*;

    const AT_ONCE: usize = 48;

    /// Answers so many requests when all of them are there, each with the user that it names. Counts open connections.
    async fn server(open: Arc<AtomicUsize>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let all = Arc::new(Barrier::new(AT_ONCE));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (open, all) = (open.clone(), all.clone());
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
                        let all = all.clone();
                        async move {
                            all.wait().await;
                            let user = request.headers()["impersonate-user"].to_str().unwrap();
                            Ok::<_, Infallible>(Response::new(user.to_owned()))
                        }
                    });
                    let connection = http1::Builder::new();
                    drop(
                        connection
                            .serve_connection(TokioIo::new(stream), answer)
                            .await,
                    );
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        format!("http://{address}/base")
    }

    #[tokio::test]
    async fn connections_are_closed_that_nothing_uses() {
        let open = Arc::new(AtomicUsize::new(0));
        let mut config = kube::Config::new(server(open.clone()).await.parse().unwrap());
        config.auth_info.impersonate = Some("somebody".to_owned());
        let client = with_idle(config, Duration::from_millis(50))
            .unwrap()
            .build();
        let ask = || async {
            let request = Request::get("/api").body(Vec::new()).unwrap();
            client.request_text(request).await.unwrap()
        };
        let answers = futures::future::join_all((0..AT_ONCE).map(|_| ask())).await;
        assert_eq!(answers, ["somebody"; AT_ONCE]);
        let closed = async {
            while open.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_mins(1), closed).await;
        in_time.expect("connections are closed that nothing uses");
    }
}
