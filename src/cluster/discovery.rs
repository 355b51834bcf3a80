//! Kinds that not every cluster has: what the API server calls them, and whether it serves them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::core::{ApiResource, GroupVersionKind};
use parking_lot::Mutex;

use super::{Cluster, Failure};
use crate::model::{
    Kind,
    provided::{GROUP, Part, VERSION},
};

/// A kind that not every cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiscoveredKind {
    /// Of workloads. One that every cluster has is never looked for.
    Workload(Kind),
    /// Of the Secrets Store CSI driver.
    Csi(Part),
}

/// What the API server calls the kinds that it serves, as far as it was asked. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<Mutex<BTreeMap<DiscoveredKind, ApiResource>>>);

impl DiscoveredKind {
    /// Returns its name, and the version that is looked for first.
    pub fn gvk(self) -> GroupVersionKind {
        match self {
            Self::Workload(kind) => GroupVersionKind::gvk(kind.group, kind.version, kind.kind),
            Self::Csi(part) => GroupVersionKind::gvk(GROUP, VERSION, part.kind()),
        }
    }

    /// Returns what paths are expected to call it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Workload(kind) => kind.plural,
            Self::Csi(part) => part.plural(),
        }
    }
}

impl fmt::Display for DiscoveredKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gvk = self.gvk();
        write!(f, "{}/{}", gvk.api_version(), gvk.kind)
    }
}

impl Served {
    /// Notes that the API server serves a kind by this name. Returns whether that is news.
    pub fn appeared(&self, kind: DiscoveredKind, resource: &ApiResource) -> bool {
        let before = self.0.lock().insert(kind, resource.clone());
        before.as_ref() != Some(resource)
    }

    /// Notes that the API server serves a kind no more. Returns whether that is news.
    pub fn vanished(&self, kind: DiscoveredKind) -> bool {
        self.0.lock().remove(&kind).is_some()
    }

    /// Returns the kinds that are served.
    pub fn kinds(&self) -> Vec<DiscoveredKind> {
        self.0.lock().keys().copied().collect()
    }

    /// Returns what the API server calls a kind, or most likely does.
    pub fn named(&self, kind: DiscoveredKind) -> ApiResource {
        let served = self.0.lock().get(&kind).cloned();
        served.unwrap_or_else(|| ApiResource::from_gvk_with_plural(&kind.gvk(), kind.plural()))
    }
}

/// Asks how the API server serves a kind: in the row's version if it does, or in another. `None`: not at all.
///
/// # Errors
/// When the API server does not say.
pub async fn discover(
    cluster: &Cluster,
    kind: DiscoveredKind,
) -> Result<Option<ApiResource>, Failure> {
    let wanted = kind.gvk();
    let Some(group) = group(cluster, &wanted.group).await? else {
        return Ok(None);
    };
    let preferred = group.preferred_version.map(|preferred| preferred.version);
    let mut versions: Vec<_> = group
        .versions
        .into_iter()
        .map(|served| served.version)
        .collect();
    // Others keep their order: the API server's is by age of the version.
    versions.sort_by_key(|version| {
        (
            *version != wanted.version,
            preferred.as_ref() != Some(version),
        )
    });
    for version in versions {
        let gvk = GroupVersionKind::gvk(&wanted.group, &version, &wanted.kind);
        if let Some(plural) = plural(cluster, &gvk).await? {
            return Ok(Some(ApiResource::from_gvk_with_plural(&gvk, &plural)));
        }
    }
    Ok(None)
}

async fn group(cluster: &Cluster, name: &str) -> Result<Option<APIGroup>, Failure> {
    let client = cluster.client();
    let group = async {
        let request = Request::get(format!("/apis/{name}"))
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        client.request(request).await
    };
    or_none(cluster.call(group).await)
}

/// Returns the name of a kind's resource in a version that is served.
async fn plural(cluster: &Cluster, gvk: &GroupVersionKind) -> Result<Option<String>, Failure> {
    let (client, api_version) = (cluster.client(), gvk.api_version());
    let list = cluster.call(client.list_api_group_resources(&api_version));
    let list = or_none(list.await)?;
    let mut resources = list.into_iter().flat_map(|list| list.resources);
    let found = resources.find(|resource| {
        resource.kind == gvk.kind && resource.namespaced && !resource.name.contains('/')
    });
    Ok(found.map(|resource| resource.name))
}

/// A group that nothing ever served is answered by plain text, so only the code tells.
fn or_none<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(Failure::Gone) => Ok(None),
        answer => answer.map(Some),
    }
}
