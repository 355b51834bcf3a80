//! How the process reaches the API server, and is reached by it.

use std::sync::Arc;

use axum::{Router, http::Uri};
use kube::{Client, client::ClientBuilder};

pub use crate::cluster::pool::ApiService;
use crate::{
    cluster::{connection::ConnectionSettings, liveness::Liveness, pool::client_builder},
    watch::stream,
};

/// How the process reaches the API server, and is reached by it.
#[derive(Clone, Default)]
pub enum Doors {
    /// By the network, as the settings say.
    #[default]
    Network,
    /// Both are in this process: for tests that run a whole cluster in one.
    InProcess(InProcess),
}

/// An API server in this process.
#[derive(Clone)]
pub struct InProcess {
    /// Makes what answers requests.
    pub api_server: Arc<dyn Fn() -> ApiService + Send + Sync>,
    /// Takes what answers reviews.
    pub webhook: Arc<dyn Fn(Router) + Send + Sync>,
    /// Takes what answers for health and metrics.
    pub health: Arc<dyn Fn(Router) + Send + Sync>,
}

/// The way to the API server.
#[derive(Clone)]
pub(super) enum Connection {
    Network(Box<kube::Config>),
    InProcess(InProcess),
}

impl Doors {
    /// Returns the way to the API server.
    pub(super) async fn connect(
        &self,
        settings: &ConnectionSettings,
    ) -> anyhow::Result<Connection> {
        match self {
            Self::Network => Ok(Connection::Network(Box::new(
                settings.client_config().await?,
            ))),
            Self::InProcess(doors) => Ok(Connection::InProcess(doors.clone())),
        }
    }
}

impl Connection {
    /// Returns where the API server is.
    pub(super) fn api_server(&self) -> Uri {
        match self {
            Self::Network(config) => config.cluster_url.clone(),
            Self::InProcess(_) => Uri::from_static("https://127.0.0.1"),
        }
    }

    /// Whether the API server is in this process, where everything runs on one thread.
    pub(super) fn is_in_process(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }

    /// Returns a client that tells `liveness` of its watches.
    pub(super) fn watching(&self, liveness: &Liveness) -> kube::Result<Client> {
        Ok(stream::client(self.builder()?, liveness))
    }

    /// Returns a client.
    pub(super) fn client(&self) -> kube::Result<Client> {
        Ok(self.builder()?.build())
    }

    fn builder(&self) -> kube::Result<ClientBuilder<ApiService>> {
        match self {
            Self::Network(config) => client_builder((**config).clone()),
            Self::InProcess(doors) => Ok(ClientBuilder::new((doors.api_server)(), "default")),
        }
    }
}
