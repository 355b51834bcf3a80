//! The door to the API server. A call through [`Cluster`] has a deadline and fails with a [`Failure`]. Only two take
//! the client from it and call by themselves: watches, which have no deadline, and the publisher of Events, which has
//! its own.
//!
//! This layer decides nothing. It hands on what it read as the model knows it: versions of sources, metadata of pods,
//! what revisions tell.

pub mod adoptable;
pub mod applying;
pub mod connection;
mod credentials;
pub mod delays;
pub mod deploys;
pub mod discovery;
pub mod failure;
pub mod history;
pub mod holders;
pub mod lease;
pub mod liveness;
pub mod metadata;
pub mod own;
pub mod pods;
pub mod pool;
pub mod reach;
pub mod revisions;
pub mod served;
pub mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod workloads;

use std::{fmt::Debug, future::Future, sync::Arc, time::Duration};

use axum::http::Request;
use futures::AsyncReadExt as _;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::ObjectList,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

pub use self::{failure::Failure, served::DiscoveredKind};
use self::{liveness::Liveness, reach::Reach, served::Served};
use crate::model::annotation::FIELD_MANAGER;

/// How many objects a page has.
const PAGE: u32 = 500;

/// A client of the API server whose calls end in time. Cheap to clone. Clones share what discovery found.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    deadline: Duration,
    served: Served,
    watches: Liveness,
    reach: Reach,
    /// Whoever has it reads an answer that a tenant can make large.
    reading: Arc<Semaphore>,
}

/// Whether a write is made or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The API server persists it.
    Real,
    /// The API server checks it and persists nothing.
    DryRun,
}

impl Cluster {
    /// Makes a door in which each call may take as long as `deadline`.
    pub fn new(client: Client, deadline: Duration) -> Self {
        Self {
            client,
            deadline,
            served: Served::default(),
            watches: Liveness::default(),
            reach: Reach::default(),
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    /// Returns the same door, which knows of the watches of its client.
    #[must_use]
    pub fn with_watches(self, watches: Liveness) -> Self {
        Self { watches, ..self }
    }

    /// Returns the same door, which tells this of its calls.
    #[must_use]
    pub fn with_reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Returns the same door with another deadline for each call.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Returns the same door through another client.
    #[must_use]
    pub fn by(&self, client: &Client) -> Self {
        Self {
            client: client.clone(),
            ..self.clone()
        }
    }

    /// Returns the client: to name the API of a kind, for watches, and for the publisher of Events.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns how long each call may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns whether the API server can be reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Returns what is known of the watches.
    pub fn watches(&self) -> &Liveness {
        &self.watches
    }

    /// Returns what discovery found so far.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Awaits a call, but not longer than the deadline.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let began = Instant::now();
        let ended = match timeout(self.deadline, call).await {
            Err(_) => Err(Failure::Timeout),
            Ok(answer) => answer.map_err(|error| Failure::of(&error)),
        };
        self.reach.ended(began, ended.as_ref().err());
        ended
    }

    /// Makes a request whose answer a tenant can make large. Of all such answers one is read at a time, and the others are
    /// left with the API server. Until it answers, they are waited for side by side.
    ///
    /// # Errors
    /// See [`Self::call`].
    async fn read_alone<T: DeserializeOwned>(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<T, Failure> {
        self.call(async {
            let mut answer = self.client.request_stream(request).await?;
            let _reading = self.reading.acquire().await.ok();
            let mut body = Vec::new();
            let read = answer.read_to_end(&mut body).await;
            read.map_err(|cut| kube::Error::Service(cut.into()))?;
            serde_json::from_slice(&body).map_err(kube::Error::SerdeError)
        })
        .await
    }

    /// Reads one object as etcd has it (a GET without resourceVersion); `None` where it does not exist.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn get<K>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        self.call(api.get_opt(name)).await
    }

    /// Lists objects in one page. Only for kinds of which there are few objects.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn list<K>(&self, api: &Api<K>, params: &ListParams) -> Result<ObjectList<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        self.call(api.list(params)).await
    }

    /// Shows objects one by one, page by page: there may be very many. `params`: what is selected.
    ///
    /// # Errors
    /// See [`Self::call`]. Some were shown then.
    pub async fn each<K>(
        &self,
        api: &Api<K>,
        params: ListParams,
        mut see: impl FnMut(K),
    ) -> Result<(), Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let mut params = params.limit(PAGE);
        loop {
            let page = self.list(api, &params).await?;
            page.items.into_iter().for_each(&mut see);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Sets an annotation of an object in the name of this field manager, or removes it (`None`). Nothing else is written.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn annotate<K>(
        &self,
        api: &Api<K>,
        (name, manager): (&str, &str),
        key: &str,
        text: Option<&str>,
    ) -> Result<K, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let patch = serde_json::json!({ "metadata": { "annotations": { key: text } } });
        let patch = Patch::Merge(patch);
        self.call(api.patch(name, &params, &patch)).await
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

    /// Replaces an object. If `object` has a resourceVersion, the API server refuses unless the stored object has it
    /// too.
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

    /// Applies an object, whoever owned its fields before, and creates it where it does not exist.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn apply<K>(&self, api: &Api<K>, name: &str, object: &Value) -> Result<K, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object);
        self.call(api.patch(name, &params, &patch)).await
    }

    /// Patches an object by a JSON Patch.
    ///
    /// # Errors
    /// See [`Self::call`]; the API server may have made the write where it does not answer in time.
    pub async fn patch<K>(
        &self,
        api: &Api<K>,
        name: &str,
        patch: &json_patch::Patch,
        write: Write,
    ) -> Result<K, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            dry_run: write == Write::DryRun,
            ..PatchParams::default()
        };
        let patch = Patch::<()>::Json(patch.clone());
        self.call(api.patch(name, &params, &patch)).await
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
