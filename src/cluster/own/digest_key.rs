//! The digest key: 32 random bytes in a Secret of reroll's own namespace, made once and kept.
//!
//! Who wants another one puts it in the place of `key` and the one before into `old`, in one write: what was observed
//! under the old one is then compared with it, and rewritten under the new one. Every replica looks after the Secret.
//! One that was deleted is written again; one that was replaced ends the process, which starts again with the new key,
//! so that no two replicas go on with different ones.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, api::ObjectMeta};
use rustls::crypto::aws_lc_rs;
use tokio::time::sleep;

use crate::cluster::{Cluster, Failure, Write, lease::Leadership};
use crate::model::{DigestKey, digest::BadKey};

/// Where the key stands in the Secret's data.
const DATA_KEY: &str = "key";
/// Where the key before stands, while a rotation lasts.
const DATA_OLD: &str = "old";

/// There is no key to work with.
#[derive(Debug, thiserror::Error)]
pub enum DigestKeyError {
    /// The Secret holds something else.
    #[error(
        "Secret {namespace}/{name} has no digest key in `{field}`: {source}; put it right, or delete the Secret to have a new one made (nothing restarts for that)"
    )]
    Bad {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Where in its data.
        field: &'static str,
        /// What is wrong.
        source: BadKey,
    },
    /// The API server refused.
    #[error(
        "cannot read or create Secret {namespace}/{name}: {reason}; reroll needs get and create on Secrets of its own namespace, which must exist"
    )]
    Api {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        reason: Failure,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes for a digest key")]
    Random,
}

/// The Secret that keeps the key.
#[derive(Clone)]
pub struct Store {
    cluster: Cluster,
    api: Api<Secret>,
    namespace: String,
    name: String,
}

/// The key was replaced: what was digested with the old one cannot be compared any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "the digest key in Secret {namespace}/{name} is another one now: starting again with it (nothing restarts for that)"
)]
pub struct Replaced {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a check of the key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the one in use.
    Same,
    /// The Secret is not there.
    Missing,
}

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It is another one.
    #[error(transparent)]
    Replaced(#[from] Replaced),
    /// It cannot be used, or read.
    #[error(transparent)]
    Unusable(#[from] DigestKeyError),
}

impl Store {
    /// A Secret of reroll's own namespace.
    pub fn new(cluster: Cluster, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(cluster.client(), namespace),
            cluster,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Reads the key. Where there is none the leader makes one, and everybody else waits for it.
    pub async fn load_or_create(
        &self,
        mut leadership: Leadership,
    ) -> Result<DigestKey, DigestKeyError> {
        if self.read().await?.is_none() {
            self.try_out().await?;
        }
        loop {
            if let Some(secret) = self.read().await? {
                return self.key(&secret);
            }
            if leadership.leads() {
                if let Some(secret) = self.create(&random_key()?).await? {
                    tracing::info!(
                        namespace = self.namespace,
                        name = self.name,
                        "made a new digest key"
                    );
                    return self.key(&secret);
                }
            } else {
                tokio::select! {
                    () = leadership.changed() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
            }
        }
    }

    /// Looks whether the key is still there and the same: one that was deleted is written again from memory by the
    /// leader, so that it is lost only with all replicas at once.
    ///
    /// # Errors
    /// See [`Unsound`].
    pub async fn check(&self, key: &DigestKey, leads: bool) -> Result<Checked, Unsound> {
        let Some(secret) = self.read().await? else {
            if leads {
                self.restore(key).await;
            }
            return Ok(Checked::Missing);
        };
        let found = self.key(&secret)?;
        // One that was added to be compared with is not known here yet; one that was taken away does no harm.
        let adds = found.previous().is_some_and(|old| {
            key.previous()
                .is_none_or(|previous| previous.id() != old.id())
        });
        if found.id() != key.id() || adds {
            return Err(Unsound::Replaced(Replaced {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
            }));
        }
        Ok(Checked::Same)
    }

    async fn restore(&self, key: &DigestKey) {
        match self.create(key.bytes()).await {
            Ok(_) => tracing::warn!(
                namespace = self.namespace,
                name = self.name,
                "the digest key was deleted: written again from memory"
            ),
            Err(error) => {
                tracing::error!(%error, "the digest key was deleted and cannot be written again");
            }
        }
    }

    async fn read(&self) -> Result<Option<Secret>, DigestKeyError> {
        let found = self.cluster.get(&self.api, &self.name).await;
        found.map_err(|failure| self.failed(failure))
    }

    /// Says early that a key can never be made, because the namespace is not there: the Lease would never be won either.
    async fn try_out(&self) -> Result<(), DigestKeyError> {
        let probe = secret(&self.name, &[]);
        match self.cluster.create(&self.api, &probe, Write::DryRun).await {
            Err(gone @ Failure::Gone) => Err(self.failed(gone)),
            // Whatever else is wrong shows when it matters.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// `None` where somebody was faster.
    async fn create(&self, key: &[u8]) -> Result<Option<Secret>, DigestKeyError> {
        let made = secret(&self.name, key);
        match self.cluster.create(&self.api, &made, Write::Real).await {
            Ok(secret) => Ok(Some(secret)),
            Err(Failure::Exists) => Ok(None),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn key(&self, secret: &Secret) -> Result<DigestKey, DigestKeyError> {
        let data = |field| secret.data.as_ref()?.get(field).map(|value| &value.0[..]);
        let old = data(DATA_OLD).map(|old| self.read_key(DATA_OLD, old));
        let key = self.read_key(DATA_KEY, data(DATA_KEY).unwrap_or_default())?;
        Ok(key.with_previous(old.transpose()?))
    }

    fn read_key(&self, field: &'static str, bytes: &[u8]) -> Result<DigestKey, DigestKeyError> {
        DigestKey::new(bytes).map_err(|source| DigestKeyError::Bad {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field,
            source,
        })
    }

    fn failed(&self, reason: Failure) -> DigestKeyError {
        DigestKeyError::Api {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason,
        }
    }
}

/// How often somebody who may not make the key looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

fn random_key() -> Result<Vec<u8>, DigestKeyError> {
    let mut key = vec![0; DigestKey::LENGTH];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut key).map_err(|_| DigestKeyError::Random)?;
    Ok(key)
}

fn secret(name: &str, key: &[u8]) -> Secret {
    let labels = BTreeMap::from([(
        "app.kubernetes.io/managed-by".to_owned(),
        "reroll".to_owned(),
    )]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            DATA_KEY.to_owned(),
            ByteString(key.to_vec()),
        )])),
        ..Secret::default()
    }
}
