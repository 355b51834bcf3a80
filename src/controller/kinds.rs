//! Kinds that not every cluster has: found by discovery, watched while they are served, forgotten when they go.
//!
//! Nobody waits for them: neither readiness nor the reconciliation at start. When one appears, its first list is judged
//! as at start, for every workload is judged when it is seen, once the lists of sources are complete.
//!
//! An absent kind costs one small GET, of its group's discovery document, every interval and nothing else. A watch of
//! `CustomResourceDefinition`s would tell sooner, but needs rights in the whole cluster, and knows nothing of kinds
//! that an aggregated API server serves. A watch that is answered by 404 ends, and does not try again: the kind is
//! looked for as before.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use tokio::time::{sleep, timeout};

use super::{
    Controller,
    watch::{NOT_FOUND, Then, Watch, Watched},
};
use crate::model::{
    Kind, WorkloadKey,
    annotation::FIELD_MANAGER,
    csi::{GROUP, Part, VERSION},
    patch,
    workload::RestartMarks,
};

/// A kind that not every cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sought {
    /// Of workloads. One that every cluster has is never looked for.
    Workloads(Kind),
    /// Of the Secrets Store CSI driver.
    Provided(Part),
}

impl Sought {
    /// Its name, and the version that is looked for first.
    fn gvk(self) -> GroupVersionKind {
        match self {
            Self::Workloads(kind) => GroupVersionKind::gvk(kind.group, kind.version, kind.kind),
            Self::Provided(part) => GroupVersionKind::gvk(GROUP, VERSION, part.kind()),
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Workloads(kind) => kind.plural,
            Self::Provided(part) => part.plural(),
        }
    }

    pub(super) fn watched(self) -> Watched {
        match self {
            Self::Workloads(kind) => Watched::Workloads(kind),
            Self::Provided(part) => Watched::Provided(part),
        }
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gvk = self.gvk();
        write!(f, "{}/{}", gvk.api_version(), gvk.kind)
    }
}

/// What the API server calls the kinds that it serves, where it was asked.
pub(super) type Served = BTreeMap<Sought, ApiResource>;

/// Discovery did not say whether a kind is served.
#[derive(Debug, thiserror::Error)]
enum DiscoveryError {
    #[error("the API server did not answer in time")]
    Timeout,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl Controller {
    /// Looks for a kind every `interval`, and watches its objects in one namespace, or in all, while it is served.
    pub async fn follow_kind(
        self: Arc<Self>,
        kind: Sought,
        within: Option<String>,
        interval: Duration,
    ) {
        self.selection_known().await;
        loop {
            match self.discover(kind).await {
                Ok(Some(resource)) => {
                    self.appeared(kind, &resource);
                    let watch = Watch {
                        what: kind.watched(),
                        within: within.clone(),
                        then: Then::GoOn,
                    };
                    watch.run(Arc::clone(&self), self.client.clone()).await;
                    self.vanished(kind, within.as_deref());
                }
                Ok(None) => self.absent(kind, within.as_deref()),
                Err(error) => {
                    tracing::debug!(%kind, %error, "cannot tell whether the API server serves a kind, asking again");
                    self.absent(kind, within.as_deref());
                }
            }
            sleep(interval).await;
        }
    }

    /// Workloads of a kind that is not there are none; what nobody provides nobody waits for.
    fn absent(&self, kind: Sought, within: Option<&str>) {
        if let Sought::Provided(part) = kind {
            self.part_absent(part, within);
        }
    }

    fn appeared(&self, kind: Sought, resource: &ApiResource) {
        let before = self.served().insert(kind, resource.clone());
        if before.as_ref() == Some(resource) {
            return;
        }
        let (version, plural) = (&resource.version, &resource.plural);
        tracing::info!(%kind, version, plural, "the API server serves this kind: it is watched");
        if *version != kind.gvk().version {
            tracing::warn!(%kind, version, "the API server does not serve this version of the kind: another is used");
        }
        if let Sought::Workloads(kind) = kind
            && *plural != kind.plural
        {
            tracing::warn!(
                %kind,
                plural,
                expected = kind.plural,
                "the kind's resource has another name, which a webhook registered by the first one does not see: give it \
                 with --workload-kind, as GROUP/VERSION/KIND=PLURAL"
            );
        }
    }

    fn vanished(&self, kind: Sought, within: Option<&str>) {
        let objects = match kind {
            Sought::Workloads(kind) => self.forget_workloads(kind, within),
            Sought::Provided(part) => self.part_gone(part, within),
        };
        if self.served().remove(&kind).is_some() {
            tracing::info!(%kind, objects, "the API server serves this kind no more: it is looked for");
        }
    }

    fn forget_workloads(&self, kind: Kind, within: Option<&str>) -> usize {
        let gone = self.state.index().workloads(Some(kind), within);
        for key in &gone {
            self.workload_deleted(key);
        }
        gone.len()
    }

    /// What a kind is called, as far as known.
    pub(super) fn served_as(&self, kind: Sought) -> ApiResource {
        let served = self.served().get(&kind).cloned();
        served.unwrap_or_else(|| ApiResource::from_gvk_with_plural(&kind.gvk(), kind.plural()))
    }

    /// The API of a workload's kind in its namespace.
    pub(super) fn workloads(&self, key: &WorkloadKey) -> Api<DynamicObject> {
        let resource = self.served_as(Sought::Workloads(key.kind));
        Api::namespaced_with(self.client.clone(), &key.namespace, &resource)
    }

    /// Whether the API server would take a restart and drop the mark that it sets: the schema of a
    /// `CustomResourceDefinition` may, and silently, as many do that spell a pod template out. Every such restart would
    /// be found undone, and made again. So a kind that not every cluster has is asked without effect first; where that
    /// says nothing, for instance because another webhook does not allow it, the restart is made.
    pub(super) async fn drops(&self, key: &WorkloadKey, patch: &patch::Patch, mark: &str) -> bool {
        if !key.kind.optional {
            return false;
        }
        let api = self.workloads(key);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::<()>::Json(patch.clone());
        let answer = timeout(self.request_timeout, api.patch(&key.name, &params, &patch)).await;
        let Ok(Ok(object)) = answer else {
            return false;
        };
        RestartMarks::read(key.kind, &object).current() != mark
    }

    pub(super) fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the API server serves a kind: in the row's version if it does, or in another. `None`: not at all.
    async fn discover(&self, kind: Sought) -> Result<Option<ApiResource>, DiscoveryError> {
        let wanted = kind.gvk();
        let Some(group) = self.group(&wanted.group).await? else {
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
            if let Some(plural) = self.plural(&gvk).await? {
                return Ok(Some(ApiResource::from_gvk_with_plural(&gvk, &plural)));
            }
        }
        Ok(None)
    }

    async fn group(&self, name: &str) -> Result<Option<APIGroup>, DiscoveryError> {
        let request = Request::get(format!("/apis/{name}"))
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        self.asked(self.client.request(request)).await
    }

    /// The name of a kind's resource in a version that is served.
    async fn plural(&self, gvk: &GroupVersionKind) -> Result<Option<String>, DiscoveryError> {
        let api_version = gvk.api_version();
        let list = self.client.list_api_group_resources(&api_version);
        let list = self.asked(list).await?;
        let mut resources = list.into_iter().flat_map(|list| list.resources);
        let found = resources.find(|resource| {
            resource.kind == gvk.kind && resource.namespaced && !resource.name.contains('/')
        });
        Ok(found.map(|resource| resource.name))
    }

    /// `None`: there is no such thing.
    async fn asked<T>(
        &self,
        question: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, DiscoveryError> {
        match timeout(self.request_timeout, question).await {
            Err(_) => Err(DiscoveryError::Timeout),
            // A group that nothing ever served is answered by plain text, so only the code tells.
            Ok(Err(kube::Error::Api(status))) if status.code == NOT_FOUND => Ok(None),
            Ok(answer) => Ok(Some(answer?)),
        }
    }
}
