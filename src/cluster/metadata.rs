//! The metadata of Secrets, ConfigMaps and SecretProviderClasses: no byte of their data is asked for.

use kube::{
    Api,
    api::{ApiResource, ListParams},
    core::{DynamicObject, ObjectMeta},
};

use super::{Cluster, Failure, PAGE};
use crate::model::SourceKind;

/// Shows the metadata of the sources of a kind one by one, of one namespace or of all.
///
/// # Errors
/// See [`Cluster::call`]. Some were shown then.
pub async fn each(
    cluster: &Cluster,
    kind: SourceKind,
    within: Option<&str>,
    mut see: impl FnMut(ObjectMeta),
) -> Result<(), Failure> {
    let (group, version) = kind
        .api_version()
        .split_once('/')
        .unwrap_or(("", kind.api_version()));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: kind.api_version().to_owned(),
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    };
    let client = cluster.client();
    let api: Api<DynamicObject> = match within {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = cluster.call(api.list_metadata(&params)).await?;
        page.items.into_iter().for_each(|one| see(one.metadata));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}
