//! What people are told about workloads: a Kubernetes Event, an alert, and a line in the log.
//!
//! An Event names the source, its old and new uid, and keys; never a value. Of several replicas the one that leads tells.

use std::sync::Arc;

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
        Cause, SourceKey, SourceName, WorkloadKey,
        decide::Lookup,
        held::Held,
        index::Judged,
        note::{Loudness, Note, Severity},
        policy::{Complaint, Stands},
        text::shortened_to_bytes,
    },
    state::State,
};

/// The most bytes of what is told of one thing, in the log as in an Event.
const MOST_TOLD: usize = 1024;
/// The most bytes of an object's name. Templates can name what cannot be one.
const MOST_NAME: usize = 253;
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

    /// Says what this replica did, or met.
    pub fn say(&self, key: &WorkloadKey, note: &Note<'_>) {
        log(note, key, None);
        self.publish(key, note);
    }

    /// Says what every replica sees, where this one leads.
    pub fn say_first(&self, key: &WorkloadKey, note: &Note<'_>) {
        if self.leads() {
            self.say(key, note);
        }
    }

    /// Says why no intent can help a workload, where this replica leads.
    pub fn held(&self, key: &WorkloadKey, held: Held, judged: &Judged) {
        let by_label = judged.complaints.iter().any(|it| it.on == Stands::Label);
        if held == Held::Unreadable && by_label {
            // It is the Namespace that cannot be read, and told.
            return;
        }
        if let Some(note) = Note::held(held, judged, key) {
            self.say_first(key, &note);
        }
    }

    /// Says what of a workload's annotations cannot be read, where this replica leads. Of many it says the first.
    pub fn complaints(&self, key: &WorkloadKey, complaints: &[Complaint]) {
        // What its namespace says is told there, once.
        let own = complaints.iter().filter(|it| it.on != Stands::Label);
        for complaint in own.take(MOST_COMPLAINTS) {
            self.say_first(key, &Note::SettingUnreadable(complaint));
        }
    }

    /// Says that a workload was restarted, after this many tries that failed. `how`: what was started, where that is not the
    /// workload itself.
    pub fn restarted(&self, key: &WorkloadKey, causes: &[Cause], attempts: u32, how: Option<&str>) {
        self.alerts
            .restarted(key, causes, attempts + 1, self.state.time());
        for cause in causes {
            self.say(key, &Note::Restarted { cause, how });
        }
    }

    /// Says that a restart did not go through, after this many tries that failed. Conflicts are everyday: it says them when
    /// they stay.
    pub fn failed(&self, key: &WorkloadKey, causes: &[Cause], failure: &Failure, attempts: u32) {
        let everyday = matches!(failure, Failure::Conflict | Failure::Exists) && attempts < 4;
        if everyday {
            tracing::debug!(workload = %key, attempts, "another writer changed a workload, deciding again");
            return;
        }
        let why = failure.words();
        self.fails(
            key,
            causes,
            failure,
            attempts + 1,
            &Note::RestartFailed { why },
        );
    }

    /// Says that a Job that was deleted cannot be created again, after this many tries.
    pub fn not_recreated(
        &self,
        key: &WorkloadKey,
        causes: &[Cause],
        failure: &Failure,
        attempts: u32,
    ) {
        let why = failure.words();
        self.fails(key, causes, failure, attempts, &Note::NotRecreated { why });
    }

    fn fails(
        &self,
        key: &WorkloadKey,
        causes: &[Cause],
        failure: &Failure,
        attempts: u32,
        note: &Note<'_>,
    ) {
        log(note, key, Some((failure, attempts)));
        let now = self.state.time();
        self.alerts
            .failing(key, causes, attempts, failure.words(), now);
        self.publish(key, note);
    }

    /// Says that a workload was adopted, with these sources outdated.
    pub fn adopted(&self, key: &WorkloadKey, outdated: &[SourceName]) {
        for source in outdated {
            self.say(key, &Note::AdoptedOutdated { source });
        }
        self.metrics.adopted();
        self.metrics.adopted_outdated(outdated.len() as u64);
    }

    /// Says that etcd went back to an earlier state; the Event is about reroll's Lease, where that can be read.
    pub fn history_went_back(&self, lease: Option<&Lease>) {
        let note = Note::HistoryWentBack {
            at: self.state.time(),
        };
        if let Some((_, line)) = note.log() {
            tracing::warn!("{line}");
        }
        self.metrics.history_went_back();
        let Some(lease) = lease else {
            return;
        };
        let regarding = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: lease.namespace(),
            name: lease.metadata.name.clone(),
            uid: lease.uid(),
            ..ObjectReference::default()
        };
        let (kind, reason) = (event_type(&note), note.reason());
        self.events
            .publish(regarding, kind, reason, &note.to_string(), None);
    }

    /// Says what of a namespace's annotations cannot be read, where this replica leads: an Event in it.
    pub fn of_namespace(&self, name: &str, complaint: &Complaint) {
        if !self.leads() {
            return;
        }
        let note = Note::SettingUnreadable(complaint);
        tracing::info!(namespace = name, note = %note, "part of what a namespace asks for cannot be read");
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Namespace".to_owned()),
            namespace: Some(name.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        };
        let (kind, reason) = (event_type(&note), note.reason());
        self.events
            .publish(regarding, kind, reason, &note.to_string(), None);
    }

    /// Says it on a source of a workload's namespace: to those who wrote that.
    pub fn say_on_source(&self, key: &WorkloadKey, source: &SourceName, note: &Note<'_>) {
        if source.name.len() > MOST_NAME {
            return;
        }
        let regarding = self.source_reference(&key.namespace, source);
        let (kind, reason) = (event_type(note), note.reason());
        let related = Some(self.reference(key));
        self.events
            .publish(regarding, kind, reason, &note.to_string(), related);
    }

    /// Says what is so of a source, in one Event that is named by `print`, however often and by whom it is said.
    pub fn say_once(&self, key: &SourceKey, note: &Note<'_>, print: &str) {
        let (source, reason) = (&key.source, note.reason());
        if source.name.len() > MOST_NAME {
            return;
        }
        if let Some((_, line)) = note.log() {
            let (namespace, source) = (&key.namespace, source.spoken());
            let note = note.to_string();
            let note = shortened_to_bytes(&note, MOST_TOLD);
            tracing::info!(%namespace, %source, reason, %note, "{line}");
        }
        let regarding = self.source_reference(&key.namespace, source);
        self.publish_once(regarding, note, print);
    }

    /// Says what is so of a workload, where this replica leads, in one Event that is named by `print`, however often and by whom it is
    /// said.
    pub fn say_once_of(&self, key: &WorkloadKey, note: &Note<'_>, print: &str) {
        if !self.leads() {
            return;
        }
        log(note, key, None);
        self.publish_once(self.reference(key), note, print);
    }

    /// Makes the Event of a note whose name follows from `print`, where none has that name.
    fn publish_once(&self, regarding: ObjectReference, note: &Note<'_>, print: &str) {
        let (kind, reason) = (event_type(note), note.reason());
        let print = format!("{}-{print}", reason.to_ascii_lowercase());
        self.events
            .publish_once(regarding, kind, reason, &note.to_string(), &print);
    }

    fn publish(&self, key: &WorkloadKey, note: &Note<'_>) {
        let source = note.source();
        let source = source.filter(|source| source.name.len() <= MOST_NAME);
        let secondary = source.map(|source| self.source_reference(&key.namespace, source));
        let (kind, reason) = (event_type(note), note.reason());
        self.events.publish(
            self.reference(key),
            kind,
            reason,
            &note.to_string(),
            secondary,
        );
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

    fn source_reference(&self, namespace: &str, source: &SourceName) -> ObjectReference {
        let (uid, resource_version) = match self.state.index().source(namespace, source) {
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
            namespace: Some(namespace.to_owned()),
            name: Some(source.name.clone()),
            uid,
            resource_version,
            ..ObjectReference::default()
        }
    }
}

fn event_type(note: &Note<'_>) -> EventType {
    match note.severity() {
        Severity::Normal => EventType::Normal,
        Severity::Warning => EventType::Warning,
    }
}

/// Logs a note about a workload; after this failure, at this try, where there was one.
fn log(note: &Note<'_>, key: &WorkloadKey, failed: Option<(&Failure, u32)>) {
    let Some((loudness, line)) = note.log() else {
        return;
    };
    let reason = note.reason();
    let failure = failed.map(|(failure, _)| failure.as_str());
    let attempts = failed.map(|(_, attempts)| attempts);
    let note = note.to_string();
    let note = shortened_to_bytes(&note, MOST_TOLD);
    match loudness {
        Loudness::Info => tracing::info!(workload = %key, reason, %note, "{line}"),
        Loudness::Warn => {
            tracing::warn!(workload = %key, reason, failure, attempts, %note, "{line}");
        }
    }
}
