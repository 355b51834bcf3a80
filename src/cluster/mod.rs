//! The door to the API server: every call of reroll's goes through [`Cluster`], has a deadline, and fails with a
//! [`Failure`].
//!
//! Nothing here decides anything. What is read is handed on as the core knows it: versions of sources, metadata of pods,
//! what revisions tell.

pub mod adoptable;
pub mod connection;
pub mod discovery;
pub mod failure;
pub mod history;
pub mod lease;
pub mod own;
pub mod pods;
pub mod revisions;
pub mod served;
pub mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod workloads;

use std::{fmt::Debug, future::Future, time::Duration};

use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, PostParams},
    core::ObjectList,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use self::served::Served;
pub use self::{failure::Failure, served::DiscoveredKind};
use crate::model::annotation::FIELD_MANAGER;

/// How long the API server keeps a watch, in seconds. One that is silent for longer has stalled, and is started again.
pub const WATCH_SECONDS: u32 = 30;

/// A client of the API server whose calls end in time. Cheap to clone: clones share what discovery found.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    deadline: Duration,
    served: Served,
}

/// Whether a write is made, or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The API server persists it.
    Real,
    /// The API server checks it and persists nothing.
    DryRun,
}

impl Cluster {
    /// Makes a door; `deadline` is for each call.
    pub fn new(client: Client, deadline: Duration) -> Self {
        Self {
            client,
            deadline,
            served: Served::default(),
        }
    }

    /// Returns the same door with another deadline.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Returns the client, for watches: they have no deadline.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns how long each call may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns what discovery found so far.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Makes a call, within the deadline.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        match timeout(self.deadline, call).await {
            Err(_) => Err(Failure::Timeout),
            Ok(answer) => answer.map_err(|error| Failure::of(&error)),
        }
    }

    /// Reads one object as etcd has it; `None` where it does not exist.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn get<K>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        self.call(api.get_opt(name)).await
    }

    /// Lists objects, all at once: for what is few.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn list<K>(&self, api: &Api<K>, params: &ListParams) -> Result<ObjectList<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        self.call(api.list(params)).await
    }

    /// Creates an object.
    ///
    /// # Errors
    /// See [`Self::call`]; [`Failure::Gone`] where its namespace does not exist.
    pub async fn create<K>(&self, api: &Api<K>, object: &K, write: Write) -> Result<K, Failure>
    where
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        self.call(api.create(&post(write), object)).await
    }

    /// Replaces an object; with a resourceVersion, only as long as it is in that version.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn replace<K>(&self, api: &Api<K>, name: &str, object: &K) -> Result<K, Failure>
    where
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        self.call(api.replace(name, &post(Write::Real), object))
            .await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn delete<K>(
        &self,
        api: &Api<K>,
        name: &str,
        params: &DeleteParams,
    ) -> Result<(), Failure>
    where
        K: Clone + Debug + DeserializeOwned + Resource,
    {
        self.call(api.delete(name, params)).await.map(drop)
    }
}

fn post(write: Write) -> PostParams {
    PostParams {
        dry_run: write == Write::DryRun,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

#[cfg(test)]
mod tests;
