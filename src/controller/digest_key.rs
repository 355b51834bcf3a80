//! The digest key: 32 random bytes in a Secret of reroll's own namespace, made once and kept.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use rustls::crypto::aws_lc_rs;
use tokio::time::{sleep, timeout};

use super::lease::Leadership;
use crate::model::{DigestKey, version::BadKey};

/// Where the key stands in the Secret's data.
const DATA_KEY: &str = "key";

/// There is no key to work with.
#[derive(Debug, thiserror::Error)]
pub enum DigestKeyError {
    /// The Secret holds something else.
    #[error(
        "Secret {namespace}/{name} is no digest key: {source}; delete it to have a new one made (nothing restarts for that)"
    )]
    Bad {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
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
        /// The API server's reason; never the Secret.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes for a digest key")]
    Random,
}

/// The Secret that keeps the key.
#[derive(Clone)]
pub struct Store {
    api: Api<Secret>,
    namespace: String,
    name: String,
    timeout: Duration,
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

/// How often is looked whether the key is still there.
const CHECK_EVERY: Duration = Duration::from_secs(5);

impl Store {
    /// A Secret of reroll's own namespace; `timeout` is for each call.
    pub fn new(client: Client, namespace: &str, name: &str, timeout: Duration) -> Self {
        let api = Api::namespaced(client, namespace);
        Self {
            api,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            timeout,
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

    /// Looks after the key for as long as the process runs: one that was deleted is written again from memory, so that
    /// it is lost only with all replicas at once.
    ///
    /// # Errors
    /// When somebody replaced it. One that cannot be used, or read, is told and left.
    pub async fn look_after(
        &self,
        key: &DigestKey,
        leadership: Leadership,
    ) -> Result<(), Replaced> {
        let mut told = false;
        loop {
            sleep(CHECK_EVERY).await;
            let found = self
                .read()
                .await
                .and_then(|secret| secret.map(|secret| self.key(&secret)).transpose());
            match found {
                Ok(Some(found)) if found.id() == key.id() => told = false,
                Ok(Some(_)) => {
                    return Err(Replaced {
                        namespace: self.namespace.clone(),
                        name: self.name.clone(),
                    });
                }
                Ok(None) if leadership.leads() => self.restore(key).await,
                Err(error) if !told => {
                    told = true;
                    tracing::error!(%error, "the digest key cannot be checked; the one in memory is used on");
                }
                Ok(None) | Err(_) => {}
            }
        }
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
        match timeout(self.timeout, self.api.get_opt(&self.name)).await {
            Err(_) => Err(self.failed("no answer in time".to_owned())),
            Ok(Err(error)) => Err(self.failed(reason(&error))),
            Ok(Ok(secret)) => Ok(secret),
        }
    }

    /// Says early that a key can never be made, because the namespace is not there: the Lease would never be won either.
    async fn try_out(&self) -> Result<(), DigestKeyError> {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let probe = secret(&self.name, &[]);
        match timeout(self.timeout, self.api.create(&dry, &probe)).await {
            Ok(Err(error)) if matches!(&error, kube::Error::Api(status) if status.is_not_found()) => {
                Err(self.failed(reason(&error)))
            }
            // Whatever else is wrong shows when it matters.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// `None` where somebody was faster.
    async fn create(&self, key: &[u8]) -> Result<Option<Secret>, DigestKeyError> {
        let made = secret(&self.name, key);
        match timeout(self.timeout, self.api.create(&PostParams::default(), &made)).await {
            Err(_) => Err(self.failed("no answer in time".to_owned())),
            Ok(Ok(secret)) => Ok(Some(secret)),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Ok(None),
            Ok(Err(error)) => Err(self.failed(reason(&error))),
        }
    }

    fn key(&self, secret: &Secret) -> Result<DigestKey, DigestKeyError> {
        let value = secret.data.as_ref().and_then(|data| data.get(DATA_KEY));
        let bytes = value.map(|value| value.0.as_slice()).unwrap_or_default();
        DigestKey::new(bytes).map_err(|source| DigestKeyError::Bad {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            source,
        })
    }

    fn failed(&self, reason: String) -> DigestKeyError {
        DigestKeyError::Api {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason,
        }
    }
}

/// How often somebody who may not make the key looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// An error's reason without any part of the answer, which would quote the Secret. The message of a `Status` is one:
/// kube puts whatever it cannot decode there (kube 5.0.0, `handle_api_errors`).
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code != 0 => {
            format!("{} {}", status.code, status.reason)
        }
        kube::Error::Api(_) | kube::Error::SerdeError(_) => "the answer cannot be read".to_owned(),
        other => other.to_string(),
    }
}

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
