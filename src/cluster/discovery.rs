//! Asks the API server whether it serves a kind that not every cluster has, and by which name.

use axum::http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::core::{ApiResource, GroupVersionKind};

use super::{Cluster, Failure, served::DiscoveredKind};

/// Asks how the API server serves a kind. Returns the kind in the version of its row if that is served, else in another
/// version, the preferred one first; `None` if it serves none.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
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
    // The sort is stable, so other versions keep the API server's order, which is by age of the version.
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

/// Maps 404 to `None`. The API server answers for an unknown group in plain text, so only the code tells.
fn or_none<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(Failure::Gone) => Ok(None),
        answer => answer.map(Some),
    }
}
