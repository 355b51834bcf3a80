//! The digest key: 32 random bytes in a Secret of reroll's own namespace, made once and kept.
//!
//! To rotate it, a user writes a new key to `key` and the key before to `old`, in one write. reroll then compares what
//! was observed under the old key by that key, and writes it again under the new one.
//!
//! Every replica checks the Secret. If it was deleted, the leader writes it again from memory. If the key was replaced,
//! the process ends and starts again with the new key, so that no two replicas go on with different keys.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, api::ObjectMeta};
use tokio::time::sleep;

use crate::chance::{Chance, NoChance};
use crate::cluster::{Cluster, Failure, Write, lease::Leadership};
use crate::model::{DigestKey, digest::BadKey};

/// The field of the Secret that holds the key.
const DATA_KEY: &str = "key";
/// The field that holds the key before, during a rotation.
const DATA_OLD: &str = "old";

/// Why there is no key to work with.
#[derive(Debug, thiserror::Error)]
pub enum DigestKeyError {
    /// The Secret holds no key of the right form.
    #[error(
        "Secret {namespace}/{name} has no digest key in `{field}`: {source}; put it right, or delete the Secret to have a new one made (nothing restarts for that)"
    )]
    Bad {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
        /// The field of its data.
        field: &'static str,
        /// What is wrong with the key.
        source: BadKey,
    },
    /// The API server refused, or did not answer in time.
    #[error("cannot read or create Secret {namespace}/{name}: {reason}{}", remedy(.reason, .namespace))]
    Api {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why the call failed.
        reason: Failure,
    },
    /// There are no random bytes.
    #[error("{0} for a digest key")]
    Random(#[from] NoChance),
}

impl DigestKeyError {
    /// Whether it may pass though nobody does anything about it.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Api { reason, .. } if reason.passes())
    }
}

/// Returns what a person can do about a failure, to be put behind it.
fn remedy(reason: &Failure, namespace: &str) -> String {
    match reason {
        Failure::Forbidden | Failure::Unauthorized => {
            "; reroll needs get and create on Secrets of its own namespace".to_owned()
        }
        Failure::Gone => format!(
            "; the namespace must exist: kubectl create namespace {namespace}, or name another with --own-namespace"
        ),
        _ => String::new(),
    }
}

/// The Secret that holds the key.
#[derive(Clone)]
pub struct Store {
    cluster: Cluster,
    api: Api<Secret>,
    namespace: String,
    name: String,
}

/// The error that the key was replaced: what was digested with the old one can no longer be compared.
#[derive(Debug, thiserror::Error)]
#[error(
    "the digest key in Secret {namespace}/{name} is another one now: starting again with it (nothing restarts for that)"
)]
pub struct Replaced {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the Secret keeps the key in use as `old`: somebody rotates it, and no failure is to be seen.
    pub planned: bool,
}

/// What a check of the key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The Secret holds the key in use.
    Same,
    /// The Secret does not exist.
    Missing,
}

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// The Secret holds another key.
    #[error(transparent)]
    Replaced(#[from] Replaced),
    /// The key cannot be used, or the Secret cannot be read.
    #[error(transparent)]
    Unusable(#[from] DigestKeyError),
}

impl Store {
    /// Makes a store for this Secret of reroll's own namespace. Reads nothing yet.
    pub fn new(cluster: Cluster, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(cluster.client(), namespace),
            cluster,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Reads the key. Where there is none, the leader makes one and every other replica waits for it.
    ///
    /// # Errors
    /// See [`DigestKeyError`].
    pub async fn load_or_create(
        &self,
        mut leadership: Leadership,
        chance: &Chance,
    ) -> Result<DigestKey, DigestKeyError> {
        if self.read().await?.is_none() {
            self.try_out().await?;
        }
        loop {
            if let Some(secret) = self.read().await? {
                return self.key(&secret);
            }
            if leadership.leads() {
                if let Some(secret) = self.create(&random_key(chance)?).await? {
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

    /// Reads the key; `None` where there is none yet.
    ///
    /// # Errors
    /// See [`DigestKeyError`].
    pub async fn load(&self) -> Result<Option<DigestKey>, DigestKeyError> {
        let secret = self.read().await?;
        secret.map(|secret| self.key(&secret)).transpose()
    }

    /// Checks whether the Secret still holds the same key. If it was deleted, the leader writes it again from memory,
    /// so that the key is lost only if all replicas end at the same time.
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
        // An `old` key that was added is not known to this process yet, so it has to start again. One that was removed
        // does no harm.
        let adds = found.previous().is_some_and(|old| {
            key.previous()
                .is_none_or(|previous| previous.id() != old.id())
        });
        if found.id() != key.id() || adds {
            return Err(Unsound::Replaced(Replaced {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
                planned: found.id() == key.id()
                    || found.previous().is_some_and(|old| old.id() == key.id()),
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

    /// Fails early if the namespace does not exist: a key can never be made then, and this replica would wait for a
    /// Lease that it never gets.
    async fn try_out(&self) -> Result<(), DigestKeyError> {
        let probe = secret(&self.name, &[]);
        match self.cluster.create(&self.api, &probe, Write::DryRun).await {
            Err(gone @ Failure::Gone) => Err(self.failed(gone)),
            // Any other failure shows when the key is created.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Creates the Secret; `None` where another replica was faster.
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

/// How often a replica that does not lead checks whether the leader has made the key.
const LOOK_EVERY: Duration = Duration::from_millis(500);

fn random_key(chance: &Chance) -> Result<Vec<u8>, NoChance> {
    let mut key = vec![0; DigestKey::LENGTH];
    chance(&mut key)?;
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
