//! The digest key: 32 random bytes in a Secret of reroll's own namespace, made once and kept.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use rustls::crypto::aws_lc_rs;

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

/// Reads the key, and makes one where there is none. Of several that make one at once, the first wins.
pub async fn load_or_create(
    client: &Client,
    namespace: &str,
    name: &str,
    timeout: Duration,
) -> Result<DigestKey, DigestKeyError> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let failed = |reason: String| DigestKeyError::Api {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        reason,
    };
    let read = async || match tokio::time::timeout(timeout, api.get_opt(name)).await {
        Err(_) => Err(failed("no answer in time".to_owned())),
        Ok(Err(error)) => Err(failed(reason(&error))),
        Ok(Ok(secret)) => Ok(secret),
    };
    let secret = match read().await? {
        Some(secret) => Some(secret),
        None => {
            let made = new_secret(name)?;
            match tokio::time::timeout(timeout, api.create(&PostParams::default(), &made)).await {
                Err(_) => return Err(failed("no answer in time".to_owned())),
                Ok(Ok(secret)) => {
                    tracing::info!(namespace, name, "made a new digest key");
                    Some(secret)
                }
                Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => read().await?,
                Ok(Err(error)) => return Err(failed(reason(&error))),
            }
        }
    };
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let bytes = data
        .get(DATA_KEY)
        .map(|value| value.0.as_slice())
        .unwrap_or_default();
    DigestKey::new(bytes).map_err(|source| DigestKeyError::Bad {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        source,
    })
}

/// An error's reason without any part of an answer that could not be read: that would quote the Secret.
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(_) => "the answer cannot be read".to_owned(),
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
