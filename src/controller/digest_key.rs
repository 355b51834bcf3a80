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

/// Reads the key. Where there is none the leader makes one, and everybody else waits for it.
pub async fn load_or_create(
    client: &Client,
    namespace: &str,
    name: &str,
    timeout: Duration,
    mut leadership: Leadership,
) -> Result<DigestKey, DigestKeyError> {
    let store = Store {
        api: Api::namespaced(client.clone(), namespace),
        namespace,
        name,
        timeout,
    };
    loop {
        if let Some(secret) = store.read().await? {
            return store.key(secret);
        }
        if leadership.leads() {
            if let Some(secret) = store.create().await? {
                tracing::info!(namespace, name, "made a new digest key");
                return store.key(secret);
            }
        } else {
            tokio::select! {
                () = leadership.changed() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// How often somebody who may not make the key looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

struct Store<'a> {
    api: Api<Secret>,
    namespace: &'a str,
    name: &'a str,
    timeout: Duration,
}

impl Store<'_> {
    async fn read(&self) -> Result<Option<Secret>, DigestKeyError> {
        match timeout(self.timeout, self.api.get_opt(self.name)).await {
            Err(_) => Err(self.failed("no answer in time".to_owned())),
            Ok(Err(error)) => Err(self.failed(reason(&error))),
            Ok(Ok(secret)) => Ok(secret),
        }
    }

    /// `None` where somebody was faster.
    async fn create(&self) -> Result<Option<Secret>, DigestKeyError> {
        let made = new_secret(self.name)?;
        match timeout(self.timeout, self.api.create(&PostParams::default(), &made)).await {
            Err(_) => Err(self.failed("no answer in time".to_owned())),
            Ok(Ok(secret)) => Ok(Some(secret)),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Ok(None),
            Ok(Err(error)) => Err(self.failed(reason(&error))),
        }
    }

    fn key(&self, secret: Secret) -> Result<DigestKey, DigestKeyError> {
        let data = secret.data.unwrap_or_default();
        let bytes = data
            .get(DATA_KEY)
            .map(|value| value.0.as_slice())
            .unwrap_or_default();
        DigestKey::new(bytes).map_err(|source| DigestKeyError::Bad {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            source,
        })
    }

    fn failed(&self, reason: String) -> DigestKeyError {
        DigestKeyError::Api {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            reason,
        }
    }
}

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

fn new_secret(name: &str) -> Result<Secret, DigestKeyError> {
    let mut key = vec![0; DigestKey::LENGTH];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut key)
        .map_err(|_| DigestKeyError::Random)?;
    let labels = BTreeMap::from([(
        "app.kubernetes.io/managed-by".to_owned(),
        "reroll".to_owned(),
    )]);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(DATA_KEY.to_owned(), ByteString(key))])),
        ..Secret::default()
    })
}
