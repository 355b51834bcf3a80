//! Stores the manifests of Jobs that are being re-created, so that a crash does not lose them. They are Secrets of
//! reroll's own namespace, because a manifest may hold anything.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, ObjectMeta},
    core::DynamicObject,
};
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Failure, Write};
use crate::model::{WorkloadKey, workload::JOB};

/// The label of such a Secret.
const LABEL: &str = "reroll.dev/kept";
/// The value of that label.
const OF: &str = "job";
/// The type of such a Secret.
const TYPE: &str = "reroll.dev/kept-job";
/// The field of its data that holds the Job.
const FIELD: &str = "job.json";

/// A Job that is to be deleted, and the manifest of the one that takes its place.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredJob {
    /// The Job's namespace.
    pub namespace: String,
    /// The Job's name.
    pub name: String,
    /// The uid of the Job that is to be deleted.
    pub uid: String,
    /// The resourceVersion in which reroll read it to decide that.
    pub resource_version: String,
    /// The manifest of the new Job.
    pub manifest: DynamicObject,
    /// When it was stored, in unix seconds.
    pub at: i64,
}

/// The Secrets that hold them.
#[derive(Clone)]
pub struct Store {
    cluster: Cluster,
    api: Api<Secret>,
}

impl StoredJob {
    /// Returns the Job's key in the index.
    pub fn key(&self) -> WorkloadKey {
        WorkloadKey {
            kind: &JOB,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Store {
    /// Makes a store in this namespace.
    pub fn new(cluster: Cluster, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(cluster.client(), namespace),
            cluster,
        }
    }

    /// Stores a Job.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time; [`Failure::Exists`] where this Job is stored already.
    pub async fn store(&self, job: &StoredJob) -> Result<(), Failure> {
        let json = serde_json::to_vec(job).map_err(|_| Failure::Unreadable)?;
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name(&job.uid)),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), OF.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(json))])),
            immutable: Some(true),
            type_: Some(TYPE.to_owned()),
            ..Secret::default()
        };
        let created = self.cluster.create(&self.api, &secret, Write::Real);
        created.await.map(drop)
    }

    /// Deletes the Secret that stores the Job with this uid. No Secret is no error.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn drop(&self, uid: &str) -> Result<(), Failure> {
        let (name, params) = (name(uid), DeleteParams::default());
        match self.cluster.delete(&self.api, &name, &params).await {
            Ok(()) | Err(Failure::Gone) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Returns all Jobs that are stored. Logs a Secret that cannot be read, and leaves it where it is.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn all(&self) -> Result<Vec<StoredJob>, Failure> {
        let params = ListParams::default().labels(&format!("{LABEL}={OF}"));
        let list = self.cluster.list(&self.api, &params).await?;
        let read = |secret: Secret| {
            let json = secret.data.as_ref().and_then(|data| data.get(FIELD));
            // The error's own text might quote the manifest.
            let job = json.and_then(|json| serde_json::from_slice(&json.0).ok());
            if job.is_none() {
                let name = secret.metadata.name.unwrap_or_default();
                tracing::error!(
                    secret = name,
                    "a kept Job cannot be read: create it by hand, then delete the Secret"
                );
            }
            job
        };
        Ok(list.items.into_iter().filter_map(read).collect())
    }
}

fn name(uid: &str) -> String {
    format!("reroll-kept-job-{uid}")
}
