//! What is looked up once for a workload: whether its pods have ever started, and when its revision was made.

use std::fmt::Debug;

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, ReplicaSet},
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::{DynamicObject, NamespaceResourceScope, PartialObjectMeta},
};
use tokio::time::timeout;

use super::Controller;
use crate::{
    model::{
        Cause, CauseKind, Decision, SourceName, WorkloadKey,
        decide::{Lookup, restart_for},
        policy::OnAdopt,
        source::containers_using,
        workload::{Means, Revisions, selector},
    },
    ops::events::EventType,
};

impl Controller {
    /// The sources of a workload that is being adopted that were written after its current revision was made. `Err`:
    /// nobody could say.
    pub(super) async fn outdated(&self, key: &WorkloadKey) -> Result<Vec<SourceName>, ()> {
        let Some(revision) = self.current_revision(key).await? else {
            return Ok(Vec::new());
        };
        let index = self.state.index();
        let Some(tracked) = index.workload(key) else {
            return Ok(Vec::new());
        };
        let newer = |source: &&SourceName| match index.source(&key.namespace, source) {
            Lookup::Present { version, .. } => version.written > revision,
            Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => false,
        };
        Ok(tracked.uses().keys().filter(newer).cloned().collect())
    }

    /// The restart for outdated sources, where the workload asks for one (`on-adopt: restart`).
    pub(super) fn restart_outdated(
        &self,
        key: &WorkloadKey,
        outdated: &[SourceName],
    ) -> Option<Decision> {
        let index = self.state.index();
        let tracked = index.workload(key)?;
        let restarts = tracked.policy.on_adopt == OnAdopt::Restart
            && !tracked.policy.suspend
            && !outdated.is_empty();
        let observed = tracked.observed().filter(|_| restarts)?;
        let causes = outdated
            .iter()
            .map(|source| Cause::plain(CauseKind::Outdated, Some(source)))
            .collect();
        Some(restart_for(
            &tracked.subject(key.kind, tracked.uses()),
            observed,
            causes,
            index.key(),
        ))
    }

    /// A workload was adopted, with these sources outdated.
    pub(super) fn report_adoption(&self, key: &WorkloadKey, outdated: &[SourceName]) {
        for source in outdated {
            let cause = Cause::plain(CauseKind::Outdated, Some(source));
            let secondary = Some(self.source_reference(key, source));
            self.events.publish(
                self.reference(key),
                EventType::Warning,
                "AdoptedOutdated",
                cause.to_string(),
                secondary,
            );
        }
        self.state.metrics.adopted();
        self.state.metrics.adopted_outdated(outdated.len() as u64);
    }

    /// Whether a container that needs one of these sources has ever started in any pod. `Err`: nobody could say.
    pub(super) async fn has_started(
        &self,
        key: &WorkloadKey,
        missing: &[SourceName],
    ) -> Result<bool, ()> {
        if key.kind.means == Means::Run {
            // Runs that wait go on when it is there, and others begin with it.
            return Ok(false);
        }
        let Some(object) = self.object(key).await? else {
            return Ok(false);
        };
        let Some(selector) = selector(key.kind, &object) else {
            return Ok(true);
        };
        let pods = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let params = ListParams::default().labels_from(&selector);
        let pods = timeout(self.request_timeout, pods.list(&params))
            .await
            .map_err(drop)?
            .map_err(drop)?;
        let state = |state: Option<&ContainerState>| {
            state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        };
        let started = |status: &ContainerStatus| {
            state(status.state.as_ref()) || state(status.last_state.as_ref())
        };
        // By each pod's own spec: pods of an earlier revision may have had no need of what is missing.
        Ok(pods.items.iter().any(|pod| {
            let template = serde_json::json!({ "spec": pod.spec });
            let names = containers_using(&template, missing);
            let status = pod.status.iter();
            let mut statuses = status.flat_map(|status| {
                let init = status.init_container_statuses.iter().flatten();
                init.chain(status.container_statuses.iter().flatten())
            });
            statuses.any(|status| names.contains(&status.name) && started(status))
        }))
    }

    /// When the workload's current revision was made, in unix seconds; `None` where that cannot be told.
    async fn current_revision(&self, key: &WorkloadKey) -> Result<Option<i64>, ()> {
        let Some(revisions) = key.kind.revisions else {
            return Ok(None);
        };
        let Some(object) = self.object(key).await? else {
            return Ok(None);
        };
        let found = object.uid().zip(selector(key.kind, &object));
        let Some((uid, selector)) = found else {
            return Ok(None);
        };
        let params = ListParams::default().labels_from(&selector);
        match revisions {
            Revisions::Itself => {
                let made = object.metadata.creation_timestamp.as_ref();
                Ok(made.map(|time| time.0.as_second()))
            }
            Revisions::ReplicaSets => self.newest_owned::<ReplicaSet>(key, &uid, &params).await,
            Revisions::ControllerRevisions => {
                self.newest_owned::<ControllerRevision>(key, &uid, &params)
                    .await
            }
        }
    }

    /// When the newest object of a kind that this uid owns was made.
    async fn newest_owned<K>(
        &self,
        key: &WorkloadKey,
        uid: &str,
        params: &ListParams,
    ) -> Result<Option<i64>, ()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
    {
        let api = Api::<PartialObjectMeta<K>>::namespaced(self.client.clone(), &key.namespace);
        let list = timeout(self.request_timeout, api.list(params))
            .await
            .map_err(drop)?
            .map_err(drop)?;
        let owned = list.items.iter().map(|item| &item.metadata).filter(|meta| {
            let mut owners = meta.owner_references.iter().flatten();
            owners.any(|owner| owner.uid == uid)
        });
        let made = owned.filter_map(|meta| meta.creation_timestamp.as_ref());
        Ok(made.map(|time| time.0.as_second()).max())
    }

    pub(super) async fn object(&self, key: &WorkloadKey) -> Result<Option<DynamicObject>, ()> {
        let api = self.workloads(key);
        let answer: Result<_, _> = timeout(self.request_timeout, api.get_opt(&key.name)).await;
        answer.map_err(drop)?.map_err(drop)
    }
}
