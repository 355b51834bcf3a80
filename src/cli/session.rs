//! A connection to the API server, and how to print what it shows.

use std::{collections::BTreeSet, fmt::Debug};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;

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

impl Session {
    /// Connects as the flags say.
    pub(super) async fn open(asking: &Asking) -> Result<Self, Error> {
        let (config, namespace) = asking.connection().await?;
        let address = config.cluster_url.to_string();
        let deadline = asking.request_timeout;
        let client = kube::Client::try_from(config).map_err(|error| Error::Client {
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
