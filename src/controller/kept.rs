//! Manifests of Jobs that are being re-created, kept where a crash does not lose them: Secrets of reroll's own
//! namespace, for a manifest may hold anything.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
    core::DynamicObject,
};
use serde::{Deserialize, Serialize};

use super::failure::{Failure, within};
use crate::model::{WorkloadKey, workload::JOB};

/// What marks such a Secret.
const LABEL: &str = "reroll.dev/kept";
/// And what it is of.
const OF: &str = "job";
/// Its type.
const TYPE: &str = "reroll.dev/kept-job";
/// Where in its data the Job stands.
const FIELD: &str = "job.json";

/// A Job that is to go, and what is to come in its place.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    /// The Job's namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The uid of the one that is to go.
    pub(super) uid: String,
    /// How it was when that was decided.
    pub(super) resource_version: String,
    /// What is to come.
    pub(super) manifest: DynamicObject,
    /// Since when it is kept, in unix seconds.
    pub(super) at: i64,
}

/// Where they are kept.
#[derive(Clone)]
pub struct Store {
    api: Api<Secret>,
    timeout: Duration,
}

impl Kept {
    /// The Job.
    pub(super) fn key(&self) -> WorkloadKey {
        WorkloadKey {
            kind: &JOB,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Store {
    /// In this namespace; `timeout` is for each call.
    pub fn new(client: Client, namespace: &str, timeout: Duration) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            timeout,
        }
    }

    /// Keeps one. It is a conflict where this Job is kept already.
    pub(super) async fn keep(&self, kept: &Kept) -> Result<(), Failure> {
        let json = serde_json::to_vec(kept).map_err(|_| Failure::Other)?;
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name(&kept.uid)),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), OF.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(json))])),
            immutable: Some(true),
            type_: Some(TYPE.to_owned()),
            ..Secret::default()
        };
        let params = PostParams::default();
        within(self.timeout, self.api.create(&params, &secret))
            .await
            .map(drop)
    }

    /// Keeps it no more.
    pub(super) async fn drop(&self, uid: &str) -> Result<(), Failure> {
        let (name, params) = (name(uid), DeleteParams::default());
        match within(self.timeout, self.api.delete(&name, &params)).await {
            Ok(_) | Err(Failure::Gone) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// All that are kept. What cannot be read is left where it is, and said.
    pub(super) async fn all(&self) -> Result<Vec<Kept>, Failure> {
        let params = ListParams::default().labels(&format!("{LABEL}={OF}"));
        let list = within(self.timeout, self.api.list(&params)).await?;
        let read = |secret: Secret| {
            let json = secret.data.as_ref().and_then(|data| data.get(FIELD));
            // The error's own text might quote the manifest.
            let kept = json.and_then(|json| serde_json::from_slice(&json.0).ok());
            if kept.is_none() {
                let name = secret.metadata.name.unwrap_or_default();
                tracing::error!(
                    secret = name,
                    "a kept Job cannot be read: create it by hand, then delete the Secret"
                );
            }
            kept
        };
        Ok(list.items.into_iter().filter_map(read).collect())
    }
}

fn name(uid: &str) -> String {
    format!("reroll-kept-job-{uid}")
}
