//! Reads single sources from the API server, and digests them at once.
//!
//! A watch may be behind. That matters when a workload is admitted, or when a decision needs a version that no watch
//! has shown yet. Then reroll reads the source itself: a quorum of etcd answers a GET without resourceVersion.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{Api, api::ListParams, core::ObjectMeta};

use super::{Cluster, Failure};
use crate::model::{
    Conventions, DigestKey, SourceKey, SourceKind, SourceName, Version,
    version::{OfKind, SourceObject, writer},
};

/// A source as it was written.
pub struct Written {
    /// Its version.
    pub version: Version,
    /// Which field manager wrote its data last, where that is told.
    pub by: Option<String>,
    /// What it is called, and its annotations and labels.
    pub meta: ObjectMeta,
}

/// A source that is to be read.
struct Read<'a> {
    cluster: &'a Cluster,
    digest_key: &'a DigestKey,
    conventions: &'a Conventions,
    key: &'a SourceKey,
}

impl<'a> OfKind for Read<'a> {
    type Output = BoxFuture<'a, Result<Option<Written>, Failure>>;

    fn of<K: SourceObject>(self) -> Self::Output {
        let namespace = self.key.namespace.as_str();
        let api = Api::<K>::namespaced(self.cluster.client(), namespace);
        let read = async move {
            let found = self.cluster.get(&api, &self.key.source.name).await?;
            let (conventions, key) = (self.conventions, self.digest_key);
            Ok(found.map(|object| written(object, namespace, conventions, key)))
        };
        read.boxed()
    }
}

fn written<K: SourceObject>(
    object: K,
    namespace: &str,
    conventions: &Conventions,
    key: &DigestKey,
) -> Written {
    let meta = object.meta();
    let by = writer(meta).map(|(by, _)| by.to_owned());
    let meta = ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        annotations: meta.annotations.clone(),
        labels: meta.labels.clone(),
        ..ObjectMeta::default()
    };
    Written {
        version: conventions.version_of(object, namespace, key),
        by,
        meta,
    }
}

/// Sources that are to be listed.
struct Listing<'a> {
    cluster: &'a Cluster,
    digest_key: &'a DigestKey,
    conventions: &'a Conventions,
    kind: SourceKind,
    within: Option<&'a str>,
    see: &'a mut (dyn FnMut(SourceKey, Written) + Send),
}

impl<'a> OfKind for Listing<'a> {
    type Output = BoxFuture<'a, Result<(), Failure>>;

    fn of<K: SourceObject>(self) -> Self::Output {
        let client = self.cluster.client();
        let api = match self.within {
            Some(namespace) => Api::<K>::namespaced(client, namespace),
            None => Api::all(client),
        };
        let skipped = self.conventions.skipped_types.iter();
        let skipped: Vec<_> = skipped.map(|kind| format!("type!={kind}")).collect();
        let params = match self.kind {
            SourceKind::Secret if !skipped.is_empty() => {
                ListParams::default().fields(&skipped.join(","))
            }
            _ => ListParams::default(),
        };
        let list = async move {
            let see = |object: K| {
                let meta = object.meta();
                let (Some(namespace), Some(name)) = (meta.namespace.clone(), meta.name.clone())
                else {
                    return;
                };
                let written = written(object, &namespace, self.conventions, self.digest_key);
                let source = SourceName {
                    kind: self.kind,
                    name,
                };
                (self.see)(SourceKey { namespace, source }, written);
            };
            self.cluster.each(&api, params, see).await
        };
        list.boxed()
    }
}

/// Shows the sources of a kind one by one, of one namespace or of all: but those that are not watched. What the Secrets Store
/// CSI driver provides consists of many objects, and is not shown.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn each(
    cluster: &Cluster,
    (digest_key, conventions): (&DigestKey, &Conventions),
    kind: SourceKind,
    within: Option<&str>,
    see: &mut (dyn FnMut(SourceKey, Written) + Send),
) -> Result<(), Failure> {
    let listing = Listing {
        cluster,
        digest_key,
        conventions,
        kind,
        within,
        see,
    };
    match kind.typed(listing) {
        Some(list) => list.await,
        None => Ok(()),
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
    let found = read_written(cluster, digest_key, conventions, key).await?;
    Ok(found.map(|written| written.version))
}

/// Reads the same, and who wrote its data last.
///
/// # Errors
/// As of [`read`].
pub async fn read_written(
    cluster: &Cluster,
    digest_key: &DigestKey,
    conventions: &Conventions,
    key: &SourceKey,
) -> Result<Option<Written>, Failure> {
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
