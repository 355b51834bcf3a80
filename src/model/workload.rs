//! Workloads: the table of kinds, and what is read off one object.
//!
//! Objects are read as JSON through a pointer to their pod template. So most kinds are a row of [`Kinds`] and nothing
//! else, and fields that this release does not know are never touched. Kinds that restart in another way than by
//! their template have that in `batch` and `marks`.

mod abort;
mod asks;
mod batch;
mod change_cause;
mod deployed;
mod kinds;
mod lending;
mod marks;
mod opened;
mod print;
mod progress;
mod rollout;
mod selector;

use std::{collections::BTreeMap, fmt};

use kube::core::{DynamicObject, ObjectMeta};
use litemap::LiteMap;
use serde_json::Value;

use self::asks::{asks, stated};
pub use self::{
    abort::Abort,
    asks::{Asks, said_of, said_of_any},
    batch::{JobPhase, is_suspended, replacement, run, run_name, runs_alone},
    change_cause::ChangeCause,
    deployed::deployed,
    kinds::{
        CRON_JOB, Counts, DEPLOYMENT_CONFIG, JOB, KINDS, Kind, KindTwice, Kinds, NAMED, ROLLOUT,
        RestartMeans, Revisions, WorkloadKind, off_by_default, turned_on,
    },
    lending::{Borrowed, Lent},
    marks::{
        MARK_WORD, NewPods, RestartBy, RestartMarks, is_time_mark, read_at, read_time,
        standing_time, time_after,
    },
    opened::{Changed, LastRestart, Opened, SOURCES, VersionId},
    print::template_print,
    progress::{PodCounts, Progress, Void},
    rollout::{OlderPods, Rollout, Stays},
    selector::selector,
};
use super::{
    annotation::{
        self, FIELD_MANAGER, LAST_RESTART, OBSERVED, ON_CHANGE, PENDING, RESTARTED_FOR,
        ROLLOUT_OPENED, reloader::selecting,
    },
    digest::Digest,
    object::{resource_version, writers_of_observed},
    source::{Excess, References, excess, references},
};

/// A workload anywhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadKey {
    /// Row of the table.
    pub kind: Kind,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

impl WorkloadKey {
    /// Returns it as people write it: `Deployment web`.
    pub fn spoken(&self) -> String {
        format!("{} {}", self.kind.kind, self.name)
    }

    /// Returns it as kubectl names it within its namespace: `deployments/web`.
    pub fn named(&self) -> String {
        format!("{}/{}", self.kind.plural, self.name)
    }
}

impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.plural, self.namespace, self.name)
    }
}

/// Which of the maps that a patch writes into exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four maps, each of which is there or not"
)]
pub struct Shape {
    /// `metadata.annotations`
    pub annotations: bool,
    /// The pod template
    pub template: bool,
    /// `metadata` of the template
    pub template_metadata: bool,
    /// `metadata.annotations` of the template
    pub template_annotations: bool,
}

/// The finalizer by which the garbage collector is asked to leave behind what an object owns.
const ORPHAN: &str = "orphan";

/// What is read off a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// `metadata.uid`; empty while it is being created.
    pub uid: String,
    /// `metadata.resourceVersion`; 0 where unknown.
    pub resource_version: u64,
    /// `metadata.generation`
    pub generation: i64,
    /// `status.observedGeneration`: up to which its controller has seen it. `None` where its kind may have none.
    pub observed_generation: Option<i64>,
    /// `metadata.creationTimestamp` in unix seconds.
    pub created: i64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// It is being deleted, and what it owns stays behind (`kubectl delete --cascade=orphan`).
    pub orphans: bool,
    /// The owner that is its controller, as `Kind name`: what reroll wrote there would be reverted.
    pub controller: Option<String>,
    /// A digest of what others wrote of it, other than its status: another one means that they wrote it.
    pub stated: u64,
    /// What people ask for: reroll's annotations but for those it writes itself.
    pub asks: Asks,
    /// The text of `reroll.dev/observed`.
    pub observed: Option<String>,
    /// Who wrote that.
    pub observed_by: Writer,
    /// How many bytes `reroll.dev/last-restart` has, where it is there.
    pub last_restart: Option<usize>,
    /// The text of `reroll.dev/pending`.
    pub pending: Option<String>,
    /// Whether `reroll.dev/rollout` is there.
    pub has_opened: bool,
    /// What that says of the last restart.
    pub last: Option<Box<LastRestart>>,
    /// `kubernetes.io/change-cause`
    pub change_cause: Option<Box<ChangeCause>>,
    /// What its status shows of its pods.
    pub progress: Progress,
    /// Which template it has, our marks left out.
    pub print: Digest,
    /// The mark that `observed` belongs to; empty where there is none.
    pub restarted_for: String,
    /// The marks it is one of.
    pub marks: RestartMarks,
    /// What a restart changes.
    pub restart_by: RestartBy,
    /// Whether it starts pods, of a CronJob or Job.
    pub phase: JobPhase,
    /// What the template uses; of one that is borrowed, what it last used.
    pub references: References,
    /// How many they are, where they are more than reroll follows: then `references` is empty.
    pub excess: Option<Excess>,
    /// Whose template it has, where it has none of its own.
    pub borrows: Option<Borrowed>,
    /// What others say that have its template.
    pub lent: Lent,
    /// Whether it is aborted.
    pub abort: Abort,
    /// Whether its pods are those of its template.
    pub rollout: Rollout,
    /// Whether pods of an older template are left, by its status.
    older_pods: OlderPods,
    /// Which maps exist.
    pub shape: Shape,
    /// Bytes of all annotations but the two that [`Self::has_room`] is asked about.
    pub annotation_bytes: usize,
    /// Bytes of all annotations of the template but reroll's own.
    pub template_annotation_bytes: usize,
}

/// Who wrote something, as far as `managedFields` tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A reroll, or that cannot be told.
    Reroll,
    /// Another client. Through its write a webhook may have written.
    Another,
}

impl Writer {
    fn of_observed(meta: &ObjectMeta) -> Self {
        let mut writers = writers_of_observed(meta).peekable();
        if writers.peek().is_some() && writers.all(|manager| manager != FIELD_MANAGER) {
            Self::Another
        } else {
            Self::Reroll
        }
    }
}

impl Workload {
    /// Reads an object; total.
    pub fn read(kind: Kind, object: &DynamicObject) -> Self {
        let meta = &object.metadata;
        let empty = BTreeMap::new();
        let annotations = meta.annotations.as_ref().unwrap_or(&empty);
        let template = object.data.pointer(kind.template).unwrap_or(&Value::Null);
        let template_meta = template.get("metadata");
        let template_annotations = template_meta
            .and_then(|meta| meta.get("annotations"))
            .and_then(Value::as_object);
        let owner = meta
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true));
        let seconds = |time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
            time.map_or(0, |t| t.0.as_second())
        };
        let marks = RestartMarks::read(kind, object);
        let asks = asks(annotations, template_annotations);
        let restart_by = RestartBy::read(kind, &asks, object);
        let like_kubectl = matches!(restart_by, RestartBy::LikeKubectl { .. });
        let uid = meta.uid.as_deref().unwrap_or_default();
        let print = template_print(uid, template, like_kubectl);
        let opened = annotations.get(ROLLOUT_OPENED);
        let last = opened.and_then(|text| LastRestart::read(text, marks.current(), print));
        let references = references(template);
        let excess = excess(&references);
        let references = match excess {
            Some(_) => References::new(),
            None => exact(references),
        };
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: resource_version(meta.resource_version.as_deref()).unwrap_or(0),
            generation: meta.generation.unwrap_or(0),
            observed_generation: rollout::observed_generation(kind, &object.data),
            created: seconds(meta.creation_timestamp.as_ref()),
            deleting: meta.deletion_timestamp.is_some(),
            orphans: meta.deletion_timestamp.is_some()
                && meta.finalizers.iter().flatten().any(|one| one == ORPHAN),
            controller: owner.map(|owner| format!("{} {}", owner.kind, owner.name)),
            restart_by,
            phase: JobPhase::read(kind, object),
            stated: stated(meta),
            asks: exact(asks),
            observed: annotations.get(OBSERVED).cloned(),
            observed_by: Writer::of_observed(meta),
            last_restart: annotations.get(LAST_RESTART).map(String::len),
            pending: annotations.get(PENDING).cloned(),
            has_opened: opened.is_some(),
            last: last.map(Box::new),
            change_cause: ChangeCause::read(meta).map(Box::new),
            progress: Progress::read(kind, &object.data),
            print,
            restarted_for: marks.current().to_owned(),
            marks,
            references,
            excess,
            borrows: Borrowed::read(kind, object),
            lent: Lent::default(),
            abort: Abort::read(kind, &object.data),
            rollout: Rollout::read(kind, meta.generation.unwrap_or(0), &object.data),
            older_pods: OlderPods::read(kind, meta.generation.unwrap_or(0), &object.data),
            shape: Shape {
                annotations: meta.annotations.is_some(),
                template: template.is_object(),
                template_metadata: template_meta.is_some_and(Value::is_object),
                template_annotations: template_annotations.is_some(),
            },
            annotation_bytes: annotations
                .iter()
                .filter(|(key, _)| *key != OBSERVED && *key != LAST_RESTART)
                .map(|(key, value)| key.len() + value.len())
                .sum(),
            template_annotation_bytes: template_annotations
                .into_iter()
                .flatten()
                .filter(|(key, _)| *key != RESTARTED_FOR)
                .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
                .sum(),
        }
    }

    /// Returns the mark that must be the one of `observed`; `None` where restarts leave none on the workload.
    pub fn mark(&self) -> Option<&str> {
        (self.restart_by != RestartBy::Run).then_some(&self.restarted_for)
    }

    /// Returns the same for a write of the template. Argo Rollouts gives up a restart by `spec.restartAt` for that, where
    /// it has not carried it out. What a restart that was given up left behind does not count.
    pub fn mark_before_write(&self) -> Option<&str> {
        (self.restart_by != RestartBy::Run).then(|| self.marks.carried_out())
    }

    /// Whether the restart of another workload is its own, because it has the same template.
    pub fn is_led(&self) -> bool {
        let leads = self.borrows.as_ref().is_some_and(|template| template.leads);
        leads && !self.abort.is_aborted()
    }

    /// Returns whether pods of an older template are left. The status of a workload that lends its template does not
    /// count the pods of those that have it.
    pub fn older_pods(&self) -> OlderPods {
        if self.lent.any {
            OlderPods::Untold
        } else {
            self.older_pods
        }
    }

    /// Whether its controller has yet to see how it is now.
    pub fn is_behind(&self) -> bool {
        self.observed_generation
            .is_some_and(|seen| seen < self.generation)
    }

    /// Returns the owner that would revert what reroll sets in the template: its controller, but where the workload says that
    /// it keeps a mark.
    pub fn reverting_owner(&self) -> Option<&str> {
        let keeps = matches!(self.restart_by, RestartBy::LikeKubectl { .. });
        self.controller.as_deref().filter(|_| !keeps)
    }

    /// Whether the template's mark is its owner's to take back, as far as reroll sets one.
    pub fn yields_marks(&self) -> bool {
        self.controller.is_some() && self.reverting_owner().is_none()
    }

    /// Whether an annotation of reroll's is on its metadata, to be removed where it is not opted in.
    pub fn has_own(&self) -> bool {
        self.observed.is_some()
            || self.last_restart.is_some()
            || self.pending.is_some()
            || self.has_opened
    }

    /// Returns a CronJob or Job about which there is nothing to know: no annotation asks for anything, in our words or in
    /// Reloader's, nothing of reroll's is to be removed from it, and most objects are such. A Job that is over stays as it is, whatever it asked for.
    pub fn is_left_alone(&self) -> bool {
        let by_annotation = matches!(self.restart_by, RestartBy::Run | RestartBy::Recreate);
        let asks =
            self.asks.contains_key(ON_CHANGE) || selecting().any(|key| self.asks.contains_key(key));
        by_annotation && (self.is_past_asking() || !(asks || self.has_own()))
    }

    /// Whether it is a Job that is over, or one that a CronJob made: nobody asks anything of it.
    pub fn is_past_asking(&self) -> bool {
        let owner = self.controller.as_ref();
        self.phase == JobPhase::Over || owner.is_some_and(|it| it.starts_with("CronJob "))
    }

    /// Whether an `observed` and a `last-restart` of so many bytes fit beside all others, see [`annotation::RESERVE`];
    /// `None` where the latter stays as it is. Then what is no longer than what stands there always fits.
    pub fn has_room(&self, observed: usize, last_restart: Option<usize>) -> bool {
        let stands = self.observed.as_ref().map_or(0, String::len);
        if last_restart.is_none() && observed <= stands {
            return true;
        }
        let limit = annotation::TOTAL_LIMIT - annotation::RESERVE;
        let last_restart = last_restart.or(self.last_restart).unwrap_or_default();
        let own = OBSERVED.len() + observed + LAST_RESTART.len() + last_restart;
        self.annotation_bytes + own <= limit
            && self.template_annotation_bytes + RESTARTED_FOR.len() + 64 <= limit
    }
}

/// Returns the same without room for more: there are thousands of workloads, and most have one entry or two.
fn exact<K, V>(map: LiteMap<K, V>) -> LiteMap<K, V> {
    let mut entries = map.into_tuple_vec();
    entries.shrink_to_fit();
    LiteMap::from_sorted_store_unchecked(entries)
}

/// Returns the pod template without reroll's own annotation: what tells whether a user or another controller changed it.
pub fn bare_template(kind: Kind, object: &DynamicObject) -> Value {
    let template = object.data.pointer(kind.template).cloned();
    deployed::bare(template.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_an_object() {
        let read = Workload::read(
            &KINDS[0],
            &object(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {
                    "name": "web", "uid": "u", "resourceVersion": "7", "generation": 3,
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "annotations": {"a": "bc", RESTART_ON: "auto", OBSERVED: "{}", LAST_RESTART: "x"},
                    "ownerReferences": [{"apiVersion": "v1", "kind": "App", "name": "boss", "uid": "o", "controller": true}],
                },
                "spec": {"template": {"metadata": {"annotations": {RESTARTED_FOR: "rf", "k": "v"}}}},
            })),
        );
        assert_eq!(
            (read.uid.as_str(), read.resource_version, read.generation),
            ("u", 7, 3)
        );
        assert_eq!(read.controller.as_deref(), Some("App boss"));
        assert_eq!(read.asks.keys().collect::<Vec<_>>(), [RESTART_ON]);
        assert_eq!(read.observed.as_deref(), Some("{}"));
        assert_eq!(read.restarted_for, "rf");
        assert_eq!(read.annotation_bytes, 3 + RESTART_ON.len() + 4);
        assert_eq!(read.template_annotation_bytes, 2);
        assert_eq!(
            read.shape,
            Shape {
                annotations: true,
                template: true,
                template_metadata: true,
                template_annotations: true
            }
        );
    }

    #[test]
    fn reads_next_to_nothing() {
        let read = Workload::read(
            &KINDS[1],
            &object(json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {}})),
        );
        assert_eq!(read.shape, Shape::default());
        assert!(read.references.is_empty() && read.asks.is_empty());
    }

    #[test]
    fn own_annotation_is_no_change_of_the_template() {
        let of = |meta: Value| {
            bare_template(
                &KINDS[0],
                &object(json!({"metadata": {}, "spec": {"template": {"metadata": meta}}})),
            )
        };
        assert_eq!(
            of(json!({"annotations": {RESTARTED_FOR: "x"}})),
            of(json!({"creationTimestamp": null}))
        );
        for nothing in [json!(null), json!({}), json!({"annotations": null})] {
            assert_eq!(
                of(json!({"annotations": {RESTARTED_FOR: "x"}})),
                of(nothing)
            );
        }
        let missing = object(json!({"metadata": {}, "spec": {"template": {}}}));
        assert_eq!(bare_template(&KINDS[0], &missing), of(json!({})));
        assert_ne!(
            of(json!({"annotations": {"a": "x"}})),
            of(json!({"annotations": {"a": "y"}}))
        );
    }

    #[test]
    fn room_is_left_below_the_limit() {
        let read = |own: usize, others: usize, template: usize| {
            let text = |length| "x".repeat(length);
            Workload::read(
                &KINDS[0],
                &object(json!({
                    "metadata": {"annotations": {"a": text(others), OBSERVED: text(own), LAST_RESTART: text(own)}},
                    "spec": {"template": {"metadata": {"annotations": {"a": text(template), RESTARTED_FOR: text(own)}}}},
                })),
            )
        };
        let limit = annotation::TOTAL_LIMIT - annotation::RESERVE;
        let names = OBSERVED.len() + LAST_RESTART.len();
        let others = limit - 1 - names - 1000 - 100;
        for own in [0, 500] {
            assert!(
                read(own, others, 0).has_room(1000, Some(100)),
                "what is replaced does not count"
            );
            assert!(!read(own, others + 1, 0).has_room(1000, Some(100)));
            assert!(!read(own, others, 0).has_room(1001, Some(100)));
        }
        assert!(read(100, others, 0).has_room(1000, None), "what stays does");
        assert!(!read(101, others, 0).has_room(1000, None));
        assert!(read(101, limit, 0).has_room(101, None), "it gets no longer");
        let template = limit - 1 - RESTARTED_FOR.len() - 64;
        assert!(read(0, 0, template).has_room(0, Some(0)));
        assert!(!read(0, 0, template + 1).has_room(0, Some(0)));
        // Full to the brim: the biggest annotation of ours still leaves the reserve.
        let biggest = super::super::observed::LIMIT;
        assert!(read(0, limit - names - biggest - 1024 - 1, 0).has_room(biggest, Some(1024)));
    }

    use super::annotation::RESTART_ON;
}
