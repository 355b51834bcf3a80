//! Reads single sources from the API server, and digests them at once.
//!
//! A watch may be behind. That matters when a workload is admitted, or when a decision needs a version that no watch
//! has shown yet. Then reroll reads the source itself: a quorum of etcd answers a GET without resourceVersion.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::Api;

use super::{Cluster, Failure};
use crate::model::{
    Conventions, DigestKey, SourceKey, Version,
    version::{OfKind, SourceObject, writer},
};

/// A source that is to be read.
struct Read<'a> {
    cluster: &'a Cluster,
    digest_key: &'a DigestKey,
    conventions: &'a Conventions,
    key: &'a SourceKey,
}

impl<'a> OfKind for Read<'a> {
    type Output = BoxFuture<'a, Result<Option<Version>, Failure>>;

    fn of<K: SourceObject>(self) -> Self::Output {
        let namespace = self.key.namespace.as_str();
        let api = Api::<K>::namespaced(self.cluster.client(), namespace);
        let read = async move {
            let found = self.cluster.get(&api, &self.key.source.name).await?;
            let (conventions, key) = (self.conventions, self.digest_key);
            Ok(found.map(|object| conventions.version_of(object, namespace, key)))
        };
        read.boxed()
    }
}

/// Finds out who wrote a source last.
struct Writer<'a> {
    cluster: &'a Cluster,
    key: &'a SourceKey,
}

impl<'a> OfKind for Writer<'a> {
    type Output = BoxFuture<'a, Result<Option<LastWrite>, Failure>>;

    fn of<K: SourceObject>(self) -> Self::Output {
        let api = Api::<K>::namespaced(self.cluster.client(), &self.key.namespace);
        let read = async move {
            let call = api.get_metadata(&self.key.source.name);
            let found = self.cluster.call(call).await?;
            Ok(writer(&found.metadata).map(|(manager, at)| LastWrite {
                uid: found.metadata.uid.clone().unwrap_or_default(),
                manager: manager.to_owned(),
                at,
            }))
        };
        read.boxed()
    }
}

/// The last write of a source's data, as far as its metadata tell.
pub struct LastWrite {
    /// The object's `metadata.uid`.
    pub uid: String,
    /// The field manager.
    pub manager: String,
    /// When it was made.
    pub at: Timestamp,
}

/// Reads which field manager wrote the data of a source last; `None` where nothing tells. No data is read.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn last_write(cluster: &Cluster, key: &SourceKey) -> Result<Option<LastWrite>, Failure> {
    match key.source.kind.typed(Writer { cluster, key }) {
        Some(read) => read.await,
        None => Ok(None),
    }
}

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
    let read = Read {
        cluster,
        digest_key,
        conventions,
        key,
    };
    match key.source.kind.typed(read) {
        Some(read) => read.await,
        None => Err(Failure::Unreadable),
    }
}
