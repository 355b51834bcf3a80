//! Reads single sources from the API server, digested at once.
//!
//! A watch may be behind. Where that matters — a workload is admitted, or a decision needs a version that has not come
//! yet — the source itself is read: a GET without resourceVersion is answered from a quorum of etcd.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::{Cluster, Failure};
use crate::model::{Conventions, DigestKey, SourceKey, SourceKind, Version};

/// Reads the version of a source right now; `None` where it does not exist. What the Secrets Store CSI driver provides
/// stands in many objects and is not read.
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
