//! Reads single sources from the API server, and digests them at once.
//!
//! A watch may be behind. That matters when a workload is admitted, or when a decision needs a version that no watch
//! has shown yet. Then reroll reads the source itself: a quorum of etcd answers a GET without resourceVersion.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::{Cluster, Failure};
use crate::model::{Conventions, DigestKey, SourceKey, SourceKind, Version};

/// Reads the current version of a source; `None` where it does not exist. A source of the Secrets Store CSI driver
/// consists of many objects and is not read: that is [`Failure::Unreadable`].
///
/// # Errors
/// When the API server refuses, or does not answer in time. The error never quotes the answer.
pub async fn read(
    cluster: &Cluster,
    digest_key: &DigestKey,
    conventions: &Conventions,
    key: &SourceKey,
) -> Result<Option<Version>, Failure> {
    let (namespace, name) = (key.namespace.as_str(), key.source.name.as_str());
    match key.source.kind {
        SourceKind::SecretProviderClass => Err(Failure::Unreadable),
        SourceKind::Secret => {
            let api = Api::<Secret>::namespaced(cluster.client(), namespace);
            let found = cluster.get(&api, name).await?;
            Ok(found.map(|mut secret| {
                conventions.read_source(&mut secret.metadata);
                Version::of_secret(digest_key, namespace, &secret)
            }))
        }
        SourceKind::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(cluster.client(), namespace);
            let found = cluster.get(&api, name).await?;
            Ok(found.map(|mut map| {
                conventions.read_source(&mut map.metadata);
                Version::of_config_map(digest_key, namespace, &map)
            }))
        }
    }
}
