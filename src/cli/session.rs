//! A connection to the API server, and how to print what it shows.

use std::{collections::BTreeSet, fmt::Debug, io::Write as _, time::Duration};

use axum::http::uri::Authority;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{args::Asking, error::Error, output::Output};
use crate::cluster::{Cluster, Failure};

/// A connection, and how to print what it shows.
pub(super) struct Session {
    pub(super) cluster: Cluster,
    /// The API server's address.
    address: String,
    /// The namespace that the command is about, where none is named.
    pub(super) namespace: String,
    pub(super) output: Output,
}

/// Returns the API server's address, and that of the proxy on the way to it, without what it has of a password.
fn address(config: &kube::Config) -> String {
    let server = config.cluster_url.to_string();
    let Some(proxy) = &config.proxy_url else {
        return server;
    };
    let host = proxy.authority().map(Authority::as_str);
    let host = host.and_then(|all| all.rsplit('@').next());
    let scheme = proxy.scheme_str().unwrap_or("http");
    format!(
        "{server}, by the proxy {scheme}://{}",
        host.unwrap_or_default()
    )
}

/// Makes a client. A plugin that makes the token runs meanwhile, and may ask somebody to log in: nobody ends it, but that it is
/// waited for is said.
async fn client(
    config: kube::Config,
    patience: Duration,
) -> Result<Result<kube::Client, kube::Error>, Error> {
    let plugin = config.auth_info.exec.as_ref();
    let plugin = plugin.and_then(|exec| exec.command.clone());
    let making = tokio::task::spawn_blocking(move || kube::Client::try_from(config));
    tokio::pin!(making);
    let made = if let Ok(made) = timeout(patience, &mut making).await {
        made
    } else {
        let name = plugin.unwrap_or_default();
        let _ = writeln!(
            anstream::stderr(),
            "reroll: still waits for {name}, the plugin of your kubeconfig that makes the token; interrupt to give up"
        );
        making.await
    };
    made.map_err(|error| Error::Write(std::io::Error::other(error)))
}

impl Session {
    /// Connects as the flags say.
    pub(super) async fn open(asking: &Asking) -> Result<Self, Error> {
        let (config, namespace) = asking.connection().await?;
        if namespace.is_empty() {
            return Err(Error::Usage(
                "the namespace has no name: name one by -n".to_owned(),
            ));
        }
        let address = address(&config);
        let deadline = asking.request_timeout;
        let client = client(config, deadline).await?;
        let client = client.map_err(|error| Error::Client {
            address: address.clone(),
            why: Failure::of(&error).to_string(),
        })?;
        Ok(Self {
            cluster: Cluster::new(client, deadline),
            address,
            namespace,
            output: Output::new(asking),
        })
    }

    /// Returns the error of a call without which there is no answer.
    pub(super) fn failed(&self, what: impl Into<String>, why: Failure) -> Error {
        Error::Call {
            what: what.into(),
            address: self.address.clone(),
            why,
        }
    }

    /// Returns the error of who may read nothing that an answer could be made of.
    pub(super) fn may_not_read(&self, what: &str, place: &str) -> Error {
        Error::Usage(format!(
            "you have no right to list {what} {place}: nothing can be answered; ask for `get` and `list` of them there, or name \
             another namespace with -n (API server {})",
            self.address
        ))
    }

    /// Returns the API groups that the API server serves.
    pub(super) async fn served(&self) -> Result<BTreeSet<String>, Error> {
        let listed = self
            .cluster
            .call(self.cluster.client().list_api_groups())
            .await;
        let listed = listed.map_err(|why| self.failed("list API groups", why))?;
        Ok(listed.groups.into_iter().map(|group| group.name).collect())
    }

    /// Shows all objects of a kind, in a namespace or in all. Returns a note where they may not be listed.
    pub(super) async fn each<K>(
        &self,
        within: Option<&str>,
        see: impl FnMut(K),
    ) -> Result<Option<String>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let client = self.cluster.client();
        let api = match within {
            Some(namespace) => Api::<K>::namespaced(client, namespace),
            None => Api::all(client),
        };
        let plural = K::plural(&());
        let place = within.map_or_else(String::new, |namespace| format!(" in {namespace}"));
        match self.cluster.each(&api, ListParams::default(), see).await {
            Ok(()) => Ok(None),
            Err(Failure::Forbidden) => Ok(Some(format!("no right to list {plural}{place}"))),
            Err(why) => Err(self.failed(format!("list {plural}{place}"), why)),
        }
    }
}
