//! A connection to the API server, and how to print what it shows.

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
            why: error.to_string(),
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
}
