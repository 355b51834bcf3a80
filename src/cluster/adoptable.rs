//! Lists the pods that a new workload adopts, or adopted when it was created. Reads only metadata, of pods and of
//! `ReplicaSet`s.
//!
//! The webhook asks during the review that creates the workload, within the time that a review may take. The
//! housekeeper asks where the webhook could not. A list without a resourceVersion is as new as etcd, so pods that were
//! orphaned a moment ago are in it.

use std::fmt::Debug;

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{Cluster, Failure};
use crate::model::{
    adopted::{Adopted, Adopter, POD_TEMPLATE_GENERATION},
    workload::Revisions,
};

/// The number of pages that the webhook reads: it must not wait for more.
pub const ONE_PAGE: usize = 1;
/// The number of pages that the housekeeper reads: all of them. No cluster has that many pods in a namespace.
pub const ALL_PAGES: usize = 1000;

const PAGE: u32 = 500;
/// Leaves out pods that have ended: they start nothing any more.
const ACTIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Why it is unknown which pods a workload adopts.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// There are more pages than were to be read.
    #[error("there are too many")]
    TooMany,
    /// The API server did not answer the list.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Returns the pods that a workload adopts. Reads at most `pages` pages of each list.
///
/// # Errors
/// When there are more pages, or the API server refuses or does not answer in time.
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

/// Returns whether a workload has pods with this number of a template. They may be as old as the API server's cache.
///
/// # Errors
/// When the API server refuses or does not answer in time.
pub async fn have_number(
    cluster: &Cluster,
    adopter: &Adopter,
    number: i64,
) -> Result<bool, NotFound> {
    let mut params = ListParams::default()
        .labels_from(&adopter.selector)
        .fields(ACTIVE)
        .match_any();
    let selector = params.label_selector.take().into_iter();
    let number = format!("{POD_TEMPLATE_GENERATION}={number}");
    let all: Vec<_> = selector
        .filter(|text| !text.is_empty())
        .chain([number])
        .collect();
    let pods = list::<Pod>(cluster, adopter, params.labels(&all.join(",")), ALL_PAGES).await?;
    Ok(pods.iter().any(|pod| adopter.has(pod)))
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
