//! What is looked up once for a workload: whether its pods have ever started, and when its revision was made.

use std::fmt::Debug;

use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, ReplicaSet},
        core::v1::{ContainerState, ContainerStatus, Pod},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::{DynamicObject, NamespaceResourceScope, PartialObjectMeta, Selector},
};
use tokio::time::timeout;

use super::{Controller, watch::workloads};
use crate::{
    model::{
        Cause, CauseKind, SourceName, WorkloadKey,
        decide::{Lookup, restart_for},
        policy::OnAdopt,
        source::containers_using,
    },
    ops::events::EventType,
};

impl Controller {
    /// A workload was adopted: sources that were written after its current revision was made are told, and with
    /// `on-adopt: restart` it is restarted for them.
    pub(super) async fn report_adoption(&self, key: &WorkloadKey) {
        let Some(revision) = self.current_revision(key).await else {
            return;
        };
        let (outdated, decision) = {
            let index = self.state.index();
            let Some(tracked) = index.workload(key) else {
                return;
            };
            let newer = |source: &&SourceName| match index.source(&key.namespace, source) {
                Lookup::Present { version, .. } => version.written > revision,
                Lookup::Unsynced | Lookup::Absent { .. } => false,
            };
            let outdated: Vec<SourceName> = tracked.uses.keys().filter(newer).cloned().collect();
            let causes = outdated
                .iter()
                .map(|source| Cause::plain(CauseKind::Outdated, Some(source)))
                .collect();
            let restarts = tracked.policy.on_adopt == OnAdopt::Restart
                && !tracked.policy.suspend
                && !outdated.is_empty();
            let observed = tracked.observed().filter(|_| restarts);
            let decision = observed.map(|observed| {
                restart_for(
                    &tracked.subject(&tracked.uses),
                    observed,
                    causes,
                    index.key(),
                )
            });
            (outdated, decision)
        };
        for source in &outdated {
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
        self.state.metrics.adopted_outdated(outdated.len() as u64);
        if let Some(decision) = decision {
            self.restart_adopted(key, decision).await;
        }
    }

    /// Whether a container that needs one of these sources has ever started in any pod. `Err`: nobody could say.
    pub(super) async fn has_started(
        &self,
        key: &WorkloadKey,
        missing: &[SourceName],
    ) -> Result<bool, ()> {
        let Some(object) = self.object(key).await? else {
            return Ok(false);
        };
        let Some(selector) = selector(&object) else {
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
    async fn current_revision(&self, key: &WorkloadKey) -> Option<i64> {
        let object = self.object(key).await.ok()??;
        let uid = object.uid()?;
        let params = ListParams::default().labels_from(&selector(&object)?);
        if key.kind.kind == "Deployment" {
            self.newest_owned::<ReplicaSet>(key, &uid, &params).await
        } else {
            self.newest_owned::<ControllerRevision>(key, &uid, &params)
                .await
        }
    }

    /// When the newest object of a kind that this uid owns was made.
    async fn newest_owned<K>(
        &self,
        key: &WorkloadKey,
        uid: &str,
        params: &ListParams,
    ) -> Option<i64>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
    {
        let api = Api::<PartialObjectMeta<K>>::namespaced(self.client.clone(), &key.namespace);
        let list = timeout(self.request_timeout, api.list(params))
            .await
            .ok()?
            .ok()?;
        let owned = list.items.iter().map(|item| &item.metadata).filter(|meta| {
            let mut owners = meta.owner_references.iter().flatten();
            owners.any(|owner| owner.uid == uid)
        });
        let made = owned.filter_map(|meta| meta.creation_timestamp.as_ref());
        made.map(|time| time.0.as_second()).max()
    }

    async fn object(&self, key: &WorkloadKey) -> Result<Option<DynamicObject>, ()> {
        let api = workloads(self.client.clone(), key.kind, &key.namespace);
        let answer: Result<_, _> = timeout(self.request_timeout, api.get_opt(&key.name)).await;
        answer.map_err(drop)?.map_err(drop)
    }
}

fn selector(object: &DynamicObject) -> Option<Selector> {
    let selector: LabelSelector =
        serde_json::from_value(object.data.pointer("/spec/selector")?.clone()).ok()?;
    selector.try_into().ok()
}
