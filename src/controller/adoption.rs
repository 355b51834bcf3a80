//! What is looked up once for a workload: whether its pods have ever started, when its revision was made, and whether it
//! was ours before.

mod revisions;

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, ReplicaSet},
    core::v1::{ContainerState, ContainerStatus},
};
use kube::{
    Resource,
    api::ListParams,
    core::{DynamicObject, NamespaceResourceScope, Request, Selector},
};
use tokio::time::timeout;

use self::revisions::{History, Revisions as Listed, Whose};
use super::Controller;
use crate::{
    model::{
        Cause, CauseKind, SourceName, WorkloadKey,
        decide::{Lookup, Restart, restart_for},
        policy::OnAdopt,
        source::containers_using,
        workload::{RestartMeans, Revisions, Workload, selector},
    },
    ops::events::EventType,
};

/// Why nobody could say how old a workload's pods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The API server refused to: no later try will do better.
    Refused,
    /// It did not answer.
    NoAnswer,
}

/// The sources of a workload that is being adopted that were written after its current revision was made.
#[derive(Debug, Default)]
pub(super) struct Outdated {
    /// All of them.
    pub(super) sources: Vec<SourceName>,
    /// Those that its pods are behind of, because reroll looked after them before.
    pub(super) missed: Vec<SourceName>,
}

impl Controller {
    /// What is outdated of a workload that is being adopted. `found`: it was without `observed` when it was first seen,
    /// so it may have been ours before.
    pub(super) async fn outdated(
        &self,
        key: &WorkloadKey,
        found: bool,
    ) -> Result<Outdated, Unknown> {
        let (history, behind) = self.history(key).await?;
        if behind && (found || self.asks_at_adoption(key)) {
            // Its newest revision may not be made yet.
            return Err(Unknown::NoAnswer);
        }
        let Some(revision) = history.newest else {
            return Ok(Outdated::default());
        };
        let index = self.state.index();
        let Some(tracked) = index.workload(key) else {
            return Ok(Outdated::default());
        };
        // One that was made again may go back to a revision that is older than itself. Pods of before are looked at apart
        // (`adopted.rs`); those that it makes are no older than it is.
        let revision = revision.max(tracked.workload.created);
        let mut outdated = Outdated::default();
        for (source, usage) in tracked.uses() {
            let Lookup::Present { version, .. } = index.source(&key.namespace, source) else {
                continue;
            };
            if version.written <= revision {
                continue;
            }
            if found && history.was_ours && !history.has(source, usage, version) {
                outdated.missed.push(source.clone());
            }
            outdated.sources.push(source.clone());
        }
        Ok(outdated)
    }

    /// Whether a workload asks for a restart where something is outdated (`on-adopt: restart`).
    pub(super) fn asks_at_adoption(&self, key: &WorkloadKey) -> bool {
        let index = self.state.index();
        let tracked = index.workload(key);
        tracked.is_some_and(|tracked| tracked.policy.on_adopt == OnAdopt::Restart)
    }

    /// The restart for outdated sources: for those that were missed, or for all, where the workload asks for that. None
    /// where its mark is not this one any more: it was restarted meanwhile.
    pub(super) fn restart_outdated(
        &self,
        key: &WorkloadKey,
        mark: &str,
        outdated: &Outdated,
    ) -> Option<Restart> {
        let index = self.state.index();
        let tracked = index.workload(key)?;
        let sources = match tracked.policy.on_adopt {
            OnAdopt::Restart => &outdated.sources,
            OnAdopt::Report => &outdated.missed,
        };
        let restarts = !tracked.policy.suspend
            && !sources.is_empty()
            && tracked.workload.restarted_for == mark;
        let observed = tracked.observed().filter(|_| restarts)?;
        let causes = sources
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
        if key.kind.means == RestartMeans::Run {
            // Runs that wait go on when it is there, and others begin with it.
            return Ok(false);
        }
        let Some(pods) = self.pods_of(key).await? else {
            return Ok(true);
        };
        let state = |state: Option<&ContainerState>| {
            state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        };
        let started = |status: &ContainerStatus| {
            state(status.state.as_ref()) || state(status.last_state.as_ref())
        };
        // By each pod's own spec: pods of an earlier revision may have had no need of what is missing.
        Ok(pods.iter().any(|pod| {
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

    /// What the workload's revisions tell, and whether its controller has yet to see how it is now.
    async fn history(&self, key: &WorkloadKey) -> Result<(History, bool), Unknown> {
        let nothing = (History::default(), false);
        let Some(revisions) = key.kind.revisions else {
            return Ok(nothing);
        };
        let object = self.object(key).await.map_err(|()| Unknown::NoAnswer)?;
        let Some(object) = object else {
            return Ok(nothing);
        };
        let Some(selector) = selector(key.kind, &object) else {
            return Ok(nothing);
        };
        let workload = Workload::read(key.kind, &object);
        let listed = match revisions {
            Revisions::Itself => return Ok((History::of_itself(workload.created), false)),
            Revisions::ReplicaSets => self.revisions::<ReplicaSet>(key, &selector).await?,
            Revisions::ControllerRevisions => {
                self.revisions::<ControllerRevision>(key, &selector).await?
            }
        };
        let history = History::of(&listed, Whose::of(&workload), &self.digest_key);
        Ok((history, workload.is_behind()))
    }

    /// The objects of a kind that a workload's pods have the labels of. They come at once, a dozen or so; a limit would
    /// have the API server read all of the namespace's from etcd.
    async fn revisions<K>(&self, key: &WorkloadKey, pods: &Selector) -> Result<Listed, Unknown>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let params = ListParams::default().labels_from(pods);
        let request = Request::new(K::url_path(&(), Some(&key.namespace)))
            .list(&params)
            .map_err(|_| Unknown::Refused)?;
        match timeout(self.request_timeout, self.client.request(request)).await {
            Ok(Ok(listed)) => Ok(listed),
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => Err(Unknown::Refused),
            Ok(Err(_)) | Err(_) => Err(Unknown::NoAnswer),
        }
    }

    pub(super) async fn object(&self, key: &WorkloadKey) -> Result<Option<DynamicObject>, ()> {
        let api = self.workloads(key);
        let answer: Result<_, _> = timeout(self.request_timeout, api.get_opt(&key.name)).await;
        answer.map_err(drop)?.map_err(drop)
    }
}
