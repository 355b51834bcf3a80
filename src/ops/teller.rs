//! What people are told about workloads: a Kubernetes Event, an alert, and a line in the log.
//!
//! An Event names the source, its old and new uid, and keys; never a value. Of several replicas the one that leads tells.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::ObjectReference};
use kube::ResourceExt;

use super::{
    alerts::AlertSink,
    events::{EventSink, EventType, First},
    metrics::Metrics,
};
use crate::{
    cluster::{Failure, lease::Leadership},
    model::{
        Cause, CauseKind, Decision, SourceName, WorkloadKey, decide::Lookup, held::Held,
        index::Judged, policy::Complaint,
    },
    state::State,
};

/// The most Events about what cannot be read of one workload.
const MOST_COMPLAINTS: usize = 5;

/// Tells people, and counts. Cheap to clone.
#[derive(Clone)]
pub struct Teller {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    events: EventSink,
    alerts: AlertSink,
    leadership: Leadership,
    state: Arc<State>,
}

impl Teller {
    /// Makes one.
    pub fn new(
        metrics: Arc<Metrics>,
        events: EventSink,
        alerts: AlertSink,
        leadership: Leadership,
        state: Arc<State>,
    ) -> Self {
        Self {
            metrics,
            events,
            alerts,
            leadership,
            state,
        }
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.leadership.leads()
    }

    /// Has Events wait for what is done while the result lives.
    pub fn first(&self) -> First {
        self.events.first()
    }

    /// A workload was restarted, after so many tries that failed. `what`: how, where that is no restart of itself.
    pub fn restarted(
        &self,
        key: &WorkloadKey,
        causes: &[Cause],
        attempts: u32,
        what: Option<&str>,
    ) {
        self.alerts
            .restarted(key, causes, attempts + 1, self.state.time());
        for cause in causes {
            let secondary = cause
                .source
                .as_ref()
                .map(|source| self.source_reference(key, source));
            self.events.publish(
                self.reference(key),
                EventType::Normal,
                "Restarted",
                what.map_or_else(|| cause.to_string(), |what| format!("{what}: {cause}")),
                secondary,
            );
        }
    }

    /// A restart did not go through, after so many tries that failed. Conflicts are everyday; they are told when they stay.
    pub fn failed(&self, key: &WorkloadKey, causes: &[Cause], failure: &Failure, attempts: u32) {
        let everyday = matches!(failure, Failure::Conflict | Failure::Exists) && attempts < 4;
        if everyday {
            tracing::debug!(workload = %key, attempts, "a workload was written by somebody else, deciding again");
            return;
        }
        let why = failure.words();
        tracing::warn!(workload = %key, failure = failure.as_str(), attempts, "could not restart a workload, trying again");
        self.alerts
            .failing(key, causes, attempts + 1, why, self.state.time());
        let note = format!("could not restart it, trying again: {why}");
        self.tell(key, EventType::Warning, "RestartFailed", note);
    }

    /// A Job was created again that an earlier process deleted: why is known only as it was written down.
    pub fn recreated_late(&self, key: &WorkloadKey, last_restart: String) {
        self.tell(key, EventType::Normal, "Restarted", last_restart);
    }

    /// A Job that was deleted cannot be created again, after so many tries.
    pub fn not_recreated(
        &self,
        key: &WorkloadKey,
        causes: &[Cause],
        failure: &Failure,
        attempts: u32,
    ) {
        let why = failure.words();
        tracing::warn!(workload = %key, failure = failure.as_str(), attempts, "could not create a Job again yet: it is kept, trying again");
        self.alerts
            .failing(key, causes, attempts, why, self.state.time());
        let note = format!(
            "not created again yet, and kept in a Secret of reroll's namespace; trying again: {why}"
        );
        self.tell(key, EventType::Warning, "RestartFailed", note);
    }

    /// A CronJob lets only one run at a time, and there is one.
    pub fn running(&self, key: &WorkloadKey) {
        tracing::info!(workload = %key, "a CronJob runs when its active run is over");
        let note = "a run is active, and concurrencyPolicy allows only one at a time: the CronJob runs again when that run ends";
        self.tell(key, EventType::Normal, "RestartWaits", note.to_owned());
    }

    /// A workload is behind its sources, and no intent can help it.
    pub fn held(&self, key: &WorkloadKey, held: Held, judged: &Judged) {
        if !self.leadership.leads() {
            return;
        }
        let decision = judged.decision.as_ref();
        let causes = decision.map(|decision| {
            decision
                .causes()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        });
        let causes = causes.unwrap_or_default().join("; ");
        let missing = match decision {
            Some(Decision::Wait { missing, .. }) => missing.as_slice(),
            _ => &[],
        };
        let missing: Vec<_> = missing.iter().map(SourceName::spoken).collect();
        let missing = missing.join(", ");
        let (reason, note) = match held {
            Held::Missing => (
                "RestartWaits",
                format!("{causes}; reroll restarts it when {missing} exists with all required keys"),
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
                "reroll cannot read its opt-in, and restarts nothing".to_owned(),
            ),
            Held::NewerFormat => (
                "NewerFormat",
                "a newer reroll wrote reroll.dev/observed: this one restarts nothing".to_owned(),
            ),
            // One of many at once, for a moment: the watch of the digest key says what is wrong, once for all. A run that
            // is active is told of when it is found.
            Held::UnknownKey | Held::Running => return,
            Held::NoRoom => return self.no_room(key),
            Held::Dropped => return self.dropped(key),
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
        self.tell(key, EventType::Warning, reason, note);
    }

    /// Part of what a workload asks for cannot be read.
    pub fn complaints(&self, key: &WorkloadKey, complaints: &[Complaint]) {
        if !self.leadership.leads() {
            return;
        }
        tracing::info!(workload = %key, complaints = complaints.len(), "part of what a workload asks for cannot be read");
        for complaint in complaints.iter().take(MOST_COMPLAINTS) {
            self.tell(
                key,
                EventType::Warning,
                "SettingUnreadable",
                complaint.to_string(),
            );
        }
    }

    /// A workload was restarted so often that it has to wait.
    pub fn limited(&self, key: &WorkloadKey, wait: Duration) {
        if !self.leadership.leads() {
            return;
        }
        let seconds = wait.as_secs().max(1);
        tracing::warn!(workload = %key, seconds, "a workload is restarted so often that its next restart waits");
        let note = format!(
            "too many restarts in a short time: the next one waits {seconds} s. Find out what keeps changing its sources"
        );
        self.tell(key, EventType::Warning, "RestartLimited", note);
    }

    /// The workload's annotations leave no room.
    pub fn no_room(&self, key: &WorkloadKey) {
        tracing::warn!(workload = %key, "a workload's annotations leave no room for reroll.dev/observed: it is not restarted");
        let note = "its annotations leave no room for reroll.dev/observed: remove some to have it restarted".to_owned();
        self.tell(key, EventType::Warning, "NoRoom", note);
    }

    /// Restarting it again and again would not help.
    pub fn dropped(&self, key: &WorkloadKey) {
        let (kind, pointer) = (key.kind, key.kind.template);
        tracing::warn!(workload = %key, %kind, pointer, "the API server drops what a restart sets: is the pointer right, and the schema?");
        let note = format!(
            "not restarted: the schema of {} drops annotations of the pod template at {pointer}; it must list them, or \
             say x-kubernetes-preserve-unknown-fields for metadata there",
            key.kind.kind
        );
        self.tell(key, EventType::Warning, "NotRestarted", note);
    }

    /// A workload lost its opt-in, perhaps although somebody only meant to roll back.
    pub fn lost_opt_in(&self, key: &WorkloadKey) {
        if !self.leadership.leads() {
            return;
        }
        tracing::info!(workload = %key, "a workload is no longer opted in");
        let note =
            "reroll.dev/restart-on is gone: changes of its sources no longer restart it".to_owned();
        self.tell(key, EventType::Warning, "OptedOut", note);
    }

    /// A workload was adopted, with these sources outdated.
    pub fn adopted(&self, key: &WorkloadKey, outdated: &[SourceName]) {
        for source in outdated {
            let cause = Cause::plain(CauseKind::Outdated, Some(source));
            self.events.publish(
                self.reference(key),
                EventType::Warning,
                "AdoptedOutdated",
                cause.to_string(),
                Some(self.source_reference(key, source)),
            );
        }
        self.metrics.adopted();
        self.metrics.adopted_outdated(outdated.len() as u64);
    }

    /// etcd went back to an earlier state.
    pub fn history_went_back(&self, lease: &Lease) {
        let regarding = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: lease.namespace(),
            name: lease.metadata.name.clone(),
            uid: lease.uid(),
            ..ObjectReference::default()
        };
        // With the time in it no Event repeats another: that would take a right to patch Events.
        let note = format!(
            "{:.0}: etcd went back to an earlier state, as after a restore: reroll lists everything again. If this is said \
             every minute, an API server was not restarted together with etcd: restart it",
            self.state.time()
        );
        self.events
            .publish(regarding, EventType::Warning, "HistoryWentBack", note, None);
    }

    /// Queues an Event on a workload, without another object beside it.
    fn tell(&self, key: &WorkloadKey, event_type: EventType, reason: &'static str, note: String) {
        self.events
            .publish(self.reference(key), event_type, reason, note, None);
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
            Lookup::Present { version, .. } if source.kind.is_readable() => (
                Some(version.uid.clone()),
                Some(version.resource_version.to_string()),
            ),
            Lookup::Present { .. } | Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => {
                (None, None)
            }
        };
        ObjectReference {
            api_version: Some(source.kind.api_version().to_owned()),
            kind: Some(source.kind.as_str().to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(source.name.clone()),
            uid,
            resource_version,
            ..ObjectReference::default()
        }
    }
}
