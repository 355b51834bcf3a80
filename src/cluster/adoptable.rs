//! Lists the pods that a workload adopts, or adopted when it was created: their metadata, and that of `ReplicaSet`s.
//!
//! The webhook asks within the time that a review may take, the controller where the webhook could not. A list without a
//! resourceVersion is as new as etcd: what was left behind a moment ago is in it.

use std::fmt::Debug;

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{Cluster, Failure};
use crate::model::{
    adopted::{Adopted, Adopter},
    workload::Revisions,
};

/// For who must not wait for more.
pub const ONE_PAGE: usize = 1;
/// As many as there are; no cluster has that many pods in a namespace.
pub const ALL_PAGES: usize = 1000;

const PAGE: u32 = 500;
/// Pods that have ended start no more, and are in nobody's way.
const ACTIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Why nobody can say which pods they are.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// There are more than were asked for.
    #[error("there are too many")]
    TooMany,
    /// The API server did not say.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The pods that a workload adopts, as far as so many pages of each list show them.
///
/// # Errors
/// Where there are more, or the API server does not tell.
pub async fn find(cluster: &Cluster, adopter: &Adopter, pages: usize) -> Result<Adopted, NotFound> {
    let params = ListParams::default()
        .labels_from(&adopter.selector)
        .limit(PAGE);
    let sets = if adopter.kind.revisions == Some(Revisions::ReplicaSets) {
        let sets = list::<ReplicaSet>(cluster, adopter, params.clone(), pages).await?;
        if !sets.iter().any(|set| adopter.takes(set)) {
            return Ok(Adopted::default());
        }
        sets
    } else {
        Vec::new()
    };
    let pods = list::<Pod>(cluster, adopter, params.fields(ACTIVE), pages).await?;
    Ok(adopter.adopts(&sets, &pods))
}

async fn list<K>(
    cluster: &Cluster,
    adopter: &Adopter,
    mut params: ListParams,
    pages: usize,
) -> Result<Vec<ObjectMeta>, NotFound>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api = Api::<K>::namespaced(cluster.client(), &adopter.namespace);
    let mut all = Vec::new();
    for _ in 0..pages {
        let page = cluster.call(api.list_metadata(&params)).await?;
        all.extend(page.items.into_iter().map(|item| item.metadata));
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            None => return Ok(all),
            Some(next) => params = params.continue_token(&next),
        }
    }
    Err(NotFound::TooMany)
}
