//! What people are told: Kubernetes Events on the workload, and a line in the log.
//!
//! An Event names the source, its old and new uid, and keys; never a value.

use std::time::Duration;

use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, ReplicaSet},
        core::v1::{ContainerState, ContainerStatus, ObjectReference, Pod},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api, ResourceExt,
    api::ListParams,
    core::{DynamicObject, PartialObjectMeta, Selector},
};
use tokio::time::timeout;

use super::{Controller, Judged, intents::Held, restart::Failure, watch::workloads};
use crate::{
    model::{
        Cause, CauseKind, Outcome, SourceName, WorkloadKey,
        decide::{Lookup, restart_for},
        policy::{Complaint, OnAdopt},
        source::containers_using,
    },
    ops::events::EventType,
};

/// The most Events about what cannot be read of one workload.
const MOST_COMPLAINTS: usize = 5;

impl Controller {
    /// A workload was restarted.
    pub(super) fn report_restart(&self, key: &WorkloadKey, causes: &[Cause]) {
        for cause in causes {
            let secondary = cause
                .source
                .as_ref()
                .map(|source| self.source_reference(key, source));
            self.events.publish(
                self.reference(key),
                EventType::Normal,
                "Restarted",
                cause.to_string(),
                secondary,
            );
        }
    }

    /// A restart did not go through. Conflicts are everyday; they are told when they stay.
    pub(super) fn report_failure(&self, key: &WorkloadKey, failure: Failure, attempts: u32) {
        let everyday = failure == Failure::Conflict && attempts < 4;
        if everyday {
            tracing::debug!(workload = %key, attempts, "a workload was written by somebody else, deciding again");
            return;
        }
        let why = match failure {
            Failure::Forbidden => "RBAC or an admission policy does not allow it",
            Failure::Conflict => {
                "the patch is refused, by an admission webhook, a policy or its schema"
            }
            Failure::Overloaded => "the API server is overloaded",
            Failure::Timeout => "the API server did not answer in time",
            Failure::Gone | Failure::Other => "the API server answered with an error",
        };
        tracing::warn!(workload = %key, failure = failure.as_str(), attempts, "could not restart a workload, trying again");
        let note = format!("could not restart it, trying again: {why}");
        self.events.publish(
            self.reference(key),
            EventType::Warning,
            "RestartFailed",
            note,
            None,
        );
    }

    /// A workload is behind its sources, and no intent can help it.
    pub(super) fn report_held(&self, key: &WorkloadKey, held: Held, judged: &Judged) {
        if !self.leadership.leads() {
            return;
        }
        let decision = judged.decision.as_ref();
        let causes = decision.map(|decision| {
            decision
                .causes
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        });
        let causes = causes.unwrap_or_default().join("; ");
        let missing = decision.map(|decision| {
            decision
                .missing
                .iter()
                .map(SourceName::spoken)
                .collect::<Vec<_>>()
        });
        let missing = missing.unwrap_or_default().join(", ");
        let (reason, note) = match held {
            Held::Missing => (
                "RestartWaits",
                format!("{causes}; it is restarted when {missing} is there with all required keys"),
            ),
            Held::Suspended => (
                "RestartSuspended",
                format!("{causes}; not restarted because reroll.dev/suspend is true"),
            ),
            Held::Owned => {
                let owner = judged.owner.as_deref().unwrap_or("a controller");
                (
                    "NotRestarted",
                    format!(
                        "it belongs to {owner}, which would revert a restart: opt in there, or not at all"
                    ),
                )
            }
            Held::Unreadable => (
                "OptInUnreadable",
                "nothing of reroll.dev/restart-on can be read: nothing restarts".to_owned(),
            ),
            Held::NewerFormat => (
                "NewerFormat",
                "reroll.dev/observed was written by a newer reroll: nothing restarts".to_owned(),
            ),
            Held::NoRoom => return self.report_no_room(key),
            Held::Paused => ("NotRolling", "it was restarted, but it is paused: its pods roll when it is resumed".to_owned()),
            Held::OnDelete => (
                "NotRolling",
                "it was restarted, but its update strategy is OnDelete: delete its pods to have them replaced".to_owned(),
            ),
            Held::Partitioned => (
                "NotRolling",
                "it was restarted, but the partition of its update strategy keeps the pods below it".to_owned(),
            ),
        };
        tracing::info!(workload = %key, reason = held.as_str(), "a workload is held");
        self.events
            .publish(self.reference(key), EventType::Warning, reason, note, None);
    }

    /// Part of what a workload asks for cannot be read.
    fn report_complaints(&self, key: &WorkloadKey, complaints: &[Complaint]) {
        if !self.leadership.leads() {
            return;
        }
        tracing::info!(workload = %key, complaints = complaints.len(), "part of what a workload asks for cannot be read");
        for complaint in complaints.iter().take(MOST_COMPLAINTS) {
            self.events.publish(
                self.reference(key),
                EventType::Warning,
                "SettingUnreadable",
                complaint.to_string(),
                None,
            );
        }
    }

    /// A workload was restarted so often that it has to wait.
    pub(super) fn report_limited(&self, key: &WorkloadKey, wait: Duration) {
        if !self.leadership.leads() {
            return;
        }
        let seconds = wait.as_secs().max(1);
        tracing::warn!(workload = %key, seconds, "a workload is restarted so often that its next restart waits");
        let note = format!(
            "it was restarted too often in short order: the next restart waits {seconds} s; who keeps changing its sources?"
        );
        self.events.publish(
            self.reference(key),
            EventType::Warning,
            "RestartLimited",
            note,
            None,
        );
    }

    pub(super) fn report_no_room(&self, key: &WorkloadKey) {
        tracing::warn!(workload = %key, "a workload's annotations leave no room for reroll.dev/observed: it is not restarted");
        let note = "its annotations leave no room for reroll.dev/observed: remove some to have it restarted".to_owned();
        self.events.publish(
            self.reference(key),
            EventType::Warning,
            "NoRoom",
            note,
            None,
        );
    }

    /// A workload lost its opt-in, perhaps although somebody only meant to roll back.
    pub(super) fn report_lost_opt_in(&self, key: &WorkloadKey) {
        if !self.leadership.leads() {
            return;
        }
        tracing::info!(workload = %key, "a workload is no longer opted in");
        let note = "reroll.dev/restart-on is gone: changes of its Secrets and ConfigMaps do not restart it any more".to_owned();
        self.events.publish(
            self.reference(key),
            EventType::Warning,
            "OptedOut",
            note,
            None,
        );
    }

    /// What a new decision holds against the workload, after an intent was void.
    pub(super) fn settle_held(&self, key: &WorkloadKey, judged: &Judged) {
        let held = super::held(judged);
        let restarts = judged
            .decision
            .as_ref()
            .is_some_and(|decision| decision.outcome == Outcome::Restart);
        let news = {
            let mut intents = self.intents();
            // Whether there is room by now shows when it is written; until then it is no news.
            let no_room = intents.held(key) == Some(Held::NoRoom);
            if held.is_none() && no_room && (restarts || judged.unwritten) {
                false
            } else {
                intents.hold(key, held)
            }
        };
        if let (Some(held), true) = (held, news) {
            self.report_held(key, held, judged);
        }
        if self.intents().complain(key, &judged.complaints) {
            self.report_complaints(key, &judged.complaints);
        }
        if judged.unwritten {
            self.tidy_later(key);
        }
    }

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
        let newest = |owned: Vec<(Option<i64>, bool)>| {
            owned
                .into_iter()
                .filter(|(_, own)| *own)
                .filter_map(|(at, _)| at)
                .max()
        };
        let owned = |meta: &kube::api::ObjectMeta| {
            let own = meta
                .owner_references
                .iter()
                .flatten()
                .any(|owner| owner.uid == uid);
            (
                meta.creation_timestamp
                    .as_ref()
                    .map(|time| time.0.as_second()),
                own,
            )
        };
        let wait = self.request_timeout;
        if key.kind.kind == "Deployment" {
            let api = Api::<PartialObjectMeta<ReplicaSet>>::namespaced(
                self.client.clone(),
                &key.namespace,
            );
            let list = timeout(wait, api.list(&params)).await.ok()?.ok()?;
            newest(
                list.items
                    .iter()
                    .map(|item| owned(&item.metadata))
                    .collect(),
            )
        } else {
            let api = Api::<PartialObjectMeta<ControllerRevision>>::namespaced(
                self.client.clone(),
                &key.namespace,
            );
            let list = timeout(wait, api.list(&params)).await.ok()?.ok()?;
            newest(
                list.items
                    .iter()
                    .map(|item| owned(&item.metadata))
                    .collect(),
            )
        }
    }

    async fn object(&self, key: &WorkloadKey) -> Result<Option<DynamicObject>, ()> {
        let api = workloads(self.client.clone(), key.kind, &key.namespace);
        let answer: Result<_, _> = timeout(self.request_timeout, api.get_opt(&key.name)).await;
        answer.map_err(drop)?.map_err(drop)
    }

    fn reference(&self, key: &WorkloadKey) -> ObjectReference {
        let uid = self
            .state
            .index()
            .workload(key)
            .map(|tracked| tracked.workload.uid.clone());
        ObjectReference {
            api_version: Some(key.kind.api_version()),
            kind: Some(key.kind.kind.to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid,
            ..ObjectReference::default()
        }
    }

    fn source_reference(&self, key: &WorkloadKey, source: &SourceName) -> ObjectReference {
        let (uid, resource_version) = match self.state.index().source(&key.namespace, source) {
            Lookup::Present { version, .. } => (
                Some(version.uid.clone()),
                Some(version.resource_version.to_string()),
            ),
            Lookup::Unsynced | Lookup::Absent { .. } => (None, None),
        };
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(source.kind.as_str().to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(source.name.clone()),
            uid,
            resource_version,
            ..ObjectReference::default()
        }
    }
}

fn selector(object: &DynamicObject) -> Option<Selector> {
    let selector: LabelSelector =
        serde_json::from_value(object.data.pointer("/spec/selector")?.clone()).ok()?;
    selector.try_into().ok()
}
