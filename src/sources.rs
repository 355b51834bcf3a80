//! Reads single sources from the API server, digested at once.
//!
//! A watch may be behind. Where that matters — a workload is admitted, or a decision needs a version that has not come
//! yet — the source itself is read: a GET without resourceVersion is answered from a quorum of etcd.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

use crate::model::{DigestKey, SourceKey, SourceKind, Version, conventions::Conventions};

/// A source could not be read. The text never quotes the answer, which may hold a Secret's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The API server did not answer in time.
    #[error("the API server did not answer in time")]
    Timeout,
    /// RBAC does not allow it.
    #[error(
        "reroll may not read it: give its ServiceAccount get, list and watch on Secrets and ConfigMaps"
    )]
    Forbidden,
    /// It stands in many objects.
    #[error("it is not one object that could be read")]
    NotOne,
    /// Any other failure.
    #[error("the API server answered with an error ({0})")]
    Failed(u16),
}

/// The version of a source right now, `None` where it does not exist.
pub async fn read(
    client: &Client,
    digest_key: &DigestKey,
    conventions: &Conventions,
    key: &SourceKey,
    timeout: Duration,
) -> Result<Option<Version>, ReadError> {
    let (namespace, name) = (key.namespace.as_str(), key.source.name.as_str());
    if !key.source.kind.is_readable() {
        return Err(ReadError::NotOne);
    }
    let read = async {
        match key.source.kind {
            SourceKind::SecretProviderClass => Ok(None),
            SourceKind::Secret => {
                let found = Api::<Secret>::namespaced(client.clone(), namespace)
                    .get_opt(name)
                    .await?;
                Ok(found.map(|mut secret| {
                    conventions.read_source(&mut secret.metadata);
                    Version::of_secret(digest_key, namespace, &secret)
                }))
            }
            SourceKind::ConfigMap => {
                let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
                    .get_opt(name)
                    .await?;
                Ok(found.map(|mut map| {
                    conventions.read_source(&mut map.metadata);
                    Version::of_config_map(digest_key, namespace, &map)
                }))
            }
        }
    };
    match tokio::time::timeout(timeout, read).await {
        Err(_) => Err(ReadError::Timeout),
        Ok(Ok(version)) => Ok(version),
        Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => Err(ReadError::Forbidden),
        Ok(Err(kube::Error::Api(status))) => Err(ReadError::Failed(status.code)),
        Ok(Err(_)) => Err(ReadError::Failed(0)),
    }
}
