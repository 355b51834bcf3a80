//! What a restart changes, and the mark it leaves.
//!
//! `observed` belongs to a mark (`rf`): a value never used before that every restart sets on the object in the same
//! write. Where the mark on the object is another, a rollback took the restart back.
//!
//! For nearly all workloads the mark is the annotation `reroll.dev/restarted-for` of the pod template. Setting it
//! *is* the restart, and a rollback of the template takes the mark with it.
//!
//! An Argo Rollout may be restarted by `spec.restartAt` instead. Argo then replaces every pod of every `ReplicaSet`
//! of the Rollout that was made before that second, and the template stays. So the mark cannot be in the template. It
//! cannot be `restartAt` itself either: users set that too (`kubectl argo rollouts restart`), which is no reason to
//! restart again, nor to take theirs back. It is the annotation `reroll.dev/restarted-at`, `MARK@TIME`, on the
//! Rollout's own metadata. The rules hold with it:
//! - it counts only while the restart of that time stands: `spec.restartAt` is not before it, or `status.restartedAt`
//!   is not where Argo has carried the restart out. A user who removes `restartAt` too soon has taken the restart
//!   back, and reroll notices;
//! - a rollback of the template behind the webhook brings no pod back that missed the restart: `restartAt` is not in
//!   the template, and reaches the pods of old `ReplicaSet`s. So while this mark counts, the template's need not;
//! - a write by a user may change the template, and the webhook may advance `observed` over it. That is no restart by
//!   `restartAt`: only pods of the new template see the new data. So the webhook sets the mark in the template, and
//!   removes this one. An undo brings back another mark, and reroll notices;
//! - the webhook keeps both marks as they were in all writes but reroll's own;
//! - Argo gives up a restart by `restartAt`, and notes it as carried out, where the template changes meanwhile. So in a
//!   write of the template only a mark counts whose restart was carried out, and else the template gets a new one;
//! - a change from one way to the other restarts nothing: the mark stays where it is until the next restart.
//!
//! An aborted Rollout is restarted by its time, whatever it asks for ([`super::abort`]).
//!
//! A workload may ask by `reroll.dev/mark: restartedAt` that reroll changes nothing of its template but
//! `kubectl.kubernetes.io/restartedAt`: a policy lets others change nothing else, or its owner keeps nothing else. Users
//! set that, too (`kubectl rollout restart`). So the mark is again `MARK@TIME` in `reroll.dev/restarted-at`; it begins with
//! `~` ([`is_time_mark`]), so that the two are never taken for each other:
//! - it counts while the template's value is not before that time. A rollback of the template takes it back;
//! - the time is that of the change, or one second after the value that stands, whichever is later: in whole seconds two
//!   changes may have one time, and a value that stands rolls nothing;
//! - a write by a user that brings a later value of its own is such a restart already, so the webhook takes its time;
//! - the webhook keeps the template's value in writes that would take the mark back, but not from a controller that owns
//!   the workload: it would write again and again. There a mark that is gone is no reason to restart.
//!
//! A run of a CronJob leaves no mark on it, because a run cannot be taken back. Its marks are a chain in `observed`
//! alone, which names the Jobs ([`super::batch`]).
//!
//! `restartAt` counts in whole seconds, and Argo does not replace a pod made in that very second. So the time is
//! rounded up, and Argo waits for it. Argo does nothing for a time that is not after `status.restartedAt`, so the
//! time is always after that.

use jiff::Timestamp;
use kube::core::DynamicObject;

use super::{
    Abort, Asks, Kind, RestartMeans,
    annotation::{
        KUBECTL_RESTARTED_AT, MARK, RESTARTED_AT, RESTARTED_FOR, reloader::ROLLOUT_STRATEGY,
    },
};

/// How the new pods of a restart are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPods {
    /// By this annotation.
    Marked {
        /// Its key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// They were made at this time, or later.
    MadeSince(Timestamp),
}

/// The marks on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartMarks {
    /// The template's `reroll.dev/restarted-for`.
    pub template: Option<String>,
    /// The text of `reroll.dev/restarted-at`, of kinds that know it.
    pub at: Option<String>,
    /// The text of the template's `kubectl.kubernetes.io/restartedAt`.
    pub kubectl: Option<String>,
    /// The mark in `at`, where it counts.
    standing: Option<String>,
    /// The restart of that mark is one of the template, or Argo has carried it out.
    carried_out: bool,
}

impl RestartMarks {
    /// Reads them off an object.
    pub fn read(kind: Kind, object: &DynamicObject) -> Self {
        let of_template = |key: &str| {
            let template = object.data.pointer(kind.template)?;
            let value = template.pointer("/metadata/annotations")?.get(key)?;
            value.as_str().map(ToOwned::to_owned)
        };
        let template = of_template(RESTARTED_FOR);
        let kubectl = of_template(KUBECTL_RESTARTED_AT);
        let annotations = object.metadata.annotations.as_ref();
        let knows = |text: &&String| match kind.means {
            RestartMeans::RestartAt => true,
            RestartMeans::Template => is_time_mark(text),
            RestartMeans::Run | RestartMeans::Recreate => false,
        };
        let at = annotations.and_then(|all| all.get(RESTARTED_AT));
        let at = at.filter(knows).cloned();
        let stands = |text: &String| {
            let (mark, at) = read_at(text)?;
            if is_time_mark(mark) {
                let (mark, _) = standing_time(text, kubectl.as_deref())?;
                // It is a change of the template.
                return Some((mark.to_owned(), true));
            }
            let asked = time(object, "/spec/restartAt").is_some_and(|asked| asked >= at);
            let done = time(object, RESTARTED).is_some_and(|done| done >= at);
            (asked || done).then(|| (mark.to_owned(), done))
        };
        let (standing, carried_out) = at.as_ref().and_then(stands).unzip();
        Self {
            template,
            standing,
            carried_out: carried_out == Some(true),
            at,
            kubectl,
        }
    }

    /// Returns the last value of `kubectl.kubernetes.io/restartedAt` that is known. One that was taken back is not used again:
    /// pods of its template may be left.
    pub fn last_time(&self) -> Option<Timestamp> {
        let marked = self.at.as_deref().and_then(read_at);
        let marked = marked.filter(|(mark, _)| is_time_mark(mark));
        let value = read_time(self.kubectl.as_deref());
        value.max(marked.map(|(_, at)| at))
    }

    /// Returns the mark that `observed` belongs to; empty where there is none.
    pub fn current(&self) -> &str {
        let mark = self.standing.as_ref().or(self.template.as_ref());
        mark.map_or("", String::as_str)
    }

    /// Returns the mark that pods of the template carry; empty where there is none.
    pub fn of_pods(&self) -> &str {
        let standing = self.standing.as_ref().filter(|mark| is_time_mark(mark));
        let mark = standing.or(self.template.as_ref());
        mark.map_or("", String::as_str)
    }

    /// Whether its last restart is one by time, which changes no template.
    pub fn is_by_time(&self) -> bool {
        let at = self.at.as_deref().and_then(read_at);
        at.is_some_and(|(mark, _)| mark == self.current() && !is_time_mark(mark))
    }

    /// Returns how the pods of its template, or of its last restart by time, are known.
    pub fn new_pods(&self) -> NewPods {
        let marked = |key, value: &str| NewPods::Marked {
            key,
            value: value.to_owned(),
        };
        let at = self.at.as_deref().and_then(read_at);
        match at.filter(|(mark, _)| *mark == self.current()) {
            Some((mark, _)) if is_time_mark(mark) => {
                let value = self.kubectl.as_deref().unwrap_or_default();
                marked(KUBECTL_RESTARTED_AT, value)
            }
            Some((_, at)) => NewPods::MadeSince(at),
            None => marked(RESTARTED_FOR, self.current()),
        }
    }

    /// Returns the same, without a restart by time that Argo has yet to carry out.
    pub(super) fn carried_out(&self) -> &str {
        let standing = self.standing.as_ref().filter(|_| self.carried_out);
        let mark = standing.or(self.template.as_ref());
        mark.map_or("", String::as_str)
    }
}

/// Whether a mark is one of `kubectl.kubernetes.io/restartedAt`.
pub fn is_time_mark(mark: &str) -> bool {
    mark.starts_with(TIME_MARK)
}

/// Returns a mark as one of `kubectl.kubernetes.io/restartedAt`. It is as long as it was.
pub(super) fn time_mark(mark: &str) -> String {
    format!("{TIME_MARK}{}", mark.get(1..).unwrap_or_default())
}

/// Returns the mark and the time in a text of `reroll.dev/restarted-at`.
pub fn read_at(text: &str) -> Option<(&str, Timestamp)> {
    let (mark, at) = text.split_once('@')?;
    Some((mark, at.parse().ok()?))
}

/// Returns the mark and the time in a text of `reroll.dev/restarted-at`, where it is one of
/// `kubectl.kubernetes.io/restartedAt` and stands: a template with this value has seen that restart.
pub fn standing_time<'a>(text: &'a str, value: Option<&str>) -> Option<(&'a str, Timestamp)> {
    let (mark, at) = read_at(text).filter(|(mark, _)| is_time_mark(mark))?;
    let value = read_time(value)?;
    (value >= at).then_some((mark, at))
}

/// Returns the time in `kubectl.kubernetes.io/restartedAt`, where it can be read.
pub fn read_time(text: Option<&str>) -> Option<Timestamp> {
    text?.trim().parse().ok()
}

/// Returns the time to set after the values of `kubectl.kubernetes.io/restartedAt` that stand: that of the change, or
/// later. It has whole seconds, as kubectl's.
pub fn time_after(changed: Timestamp, stand: &[Option<Timestamp>]) -> Timestamp {
    let next = |stands: &Timestamp| stands.as_second().saturating_add(1);
    let next = stand.iter().flatten().map(next).max();
    let seconds = changed.as_second().max(next.unwrap_or(i64::MIN));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// What a mark of `kubectl.kubernetes.io/restartedAt` begins with; no digest does.
const TIME_MARK: char = '~';

/// What a workload says by `reroll.dev/mark`.
pub const MARK_WORD: &str = "restartedAt";

/// What a restart of one workload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartBy {
    /// The pod template.
    Template,
    /// `spec.restartAt`
    RestartAt {
        /// The last such restart that was carried out.
        after: Option<Timestamp>,
    },
    /// `kubectl.kubernetes.io/restartedAt` of the pod template, as `kubectl rollout restart` does.
    LikeKubectl {
        /// The value that stands, or that of the mark before, whichever is later.
        stands: Option<Timestamp>,
    },
    /// Nothing: a Job is made of it.
    Run,
    /// Everything: another object takes its place.
    Recreate,
}

impl RestartBy {
    /// Reads it off an object that asks for this.
    pub(super) fn read(kind: Kind, asks: &Asks, object: &DynamicObject) -> Self {
        match kind.means {
            RestartMeans::Run => return Self::Run,
            RestartMeans::Recreate => return Self::Recreate,
            RestartMeans::Template | RestartMeans::RestartAt => {}
        }
        let asked = asks.get(ROLLOUT_STRATEGY).map(|asked| asked.trim()) == Some("restart");
        let borrows = object.data.pointer("/spec/workloadRef").is_some();
        let aborted = Abort::read(kind, &object.data).is_aborted();
        if kind.means == RestartMeans::RestartAt && (asked || borrows || aborted) {
            let after = time(object, RESTARTED);
            Self::RestartAt { after }
        } else if asks.get(MARK).map(|asked| asked.trim()) == Some(MARK_WORD) {
            let stands = RestartMarks::read(kind, object).last_time();
            Self::LikeKubectl { stands }
        } else {
            Self::Template
        }
    }

    /// Returns the mark that this way of restarting sets for a fresh one.
    pub fn mark(&self, fresh: &str) -> String {
        match self {
            Self::LikeKubectl { .. } => time_mark(fresh),
            _ => fresh.to_owned(),
        }
    }

    /// Returns the time to set in `spec.restartAt`, for a restart now; or in the template, for a change that was made
    /// then. `None` where no time is set.
    pub fn time(&self, then: Timestamp) -> Option<Timestamp> {
        let after = match self {
            Self::RestartAt { after } => after,
            Self::LikeKubectl { stands } => return Some(time_after(then, &[*stands])),
            Self::Template | Self::Run | Self::Recreate => return None,
        };
        let up = i64::from(then.subsec_nanosecond() > 0);
        let next = after.map_or(i64::MIN, |after| after.as_second().saturating_add(1));
        Timestamp::from_second(then.as_second().saturating_add(up).max(next)).ok()
    }
}

const RESTARTED: &str = "/status/restartedAt";

fn time(object: &DynamicObject, pointer: &str) -> Option<Timestamp> {
    object.data.pointer(pointer)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::workload::{CRON_JOB, JOB, KINDS, ROLLOUT, Workload};

    fn rollout(at: Option<&str>, restart_at: Option<&str>, restarted_at: Option<&str>) -> Workload {
        let mut object = json!({
            "metadata": {"annotations": {ROLLOUT_STRATEGY: "restart"}},
            "spec": {
                "restartAt": restart_at,
                "template": {"metadata": {"annotations": {RESTARTED_FOR: "of-template"}}},
            },
            "status": {"restartedAt": restarted_at},
        });
        if let Some(at) = at {
            object["metadata"]["annotations"][RESTARTED_AT] = json!(at);
        }
        Workload::read(&ROLLOUT, &serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_mark_counts_while_its_restart_stands() {
        let (before, then, later) = (
            Some("2026-01-01T00:00:00Z"),
            Some("2026-01-01T00:00:01Z"),
            Some("2026-01-01T00:00:02Z"),
        );
        let own = Some("own@2026-01-01T00:00:01Z");
        let rows = [
            (None, then, None, "of-template"),
            (own, then, None, "own"),
            (own, later, None, "own"),
            (own, Some("2026-01-01T01:00:01+01:00"), None, "own"),
            (own, before, None, "of-template"),
            (own, None, None, "of-template"),
            (own, None, before, "of-template"),
            (own, None, then, "own"),
            (own, before, later, "own"),
            (own, Some("soon"), None, "of-template"),
            (Some("own"), then, None, "of-template"),
            (Some("own@soon"), then, None, "of-template"),
            (Some("own@"), then, None, "of-template"),
            (Some("@"), then, None, "of-template"),
        ];
        for (at, restart_at, restarted_at, expected) in rows {
            let read = rollout(at, restart_at, restarted_at);
            assert_eq!(
                read.restarted_for, expected,
                "{at:?} {restart_at:?} {restarted_at:?}"
            );
        }
    }

    #[test]
    fn a_mark_by_kubectls_annotation_counts_while_its_value_stands() {
        let own = Some("~own@2026-01-01T00:00:01Z");
        let rows = [
            (own, Some("2026-01-01T00:00:01Z"), "~own"),
            (own, Some("2026-01-01T01:00:01+01:00"), "~own"),
            // A user restarted it later.
            (own, Some("2026-01-01T00:00:02Z"), "~own"),
            (own, Some("2026-01-01T00:00:00Z"), "of-template"),
            (own, Some("soon"), "of-template"),
            (own, None, "of-template"),
            (Some("~own"), Some("2026-01-01T00:00:01Z"), "of-template"),
            (
                Some("own@2026-01-01T00:00:01Z"),
                Some("2026-01-01T00:00:01Z"),
                "of-template",
            ),
            (None, Some("2026-01-01T00:00:01Z"), "of-template"),
        ];
        for kind in [&KINDS[0], &KINDS[1], &KINDS[2], &ROLLOUT] {
            for (at, value, expected) in rows {
                let object = json!({
                    "metadata": {"annotations": {RESTARTED_AT: at}},
                    "spec": {"template": {"metadata": {"annotations": {
                        RESTARTED_FOR: "of-template", KUBECTL_RESTARTED_AT: value,
                    }}}},
                });
                let mut object = object;
                if at.is_none() {
                    object["metadata"] = json!({});
                }
                if value.is_none() {
                    object["spec"]["template"]["metadata"]["annotations"] =
                        json!({RESTARTED_FOR: "of-template"});
                }
                let read = Workload::read(kind, &serde_json::from_value(object).unwrap());
                assert_eq!(
                    read.restarted_for, expected,
                    "{} {at:?} {value:?}",
                    kind.kind
                );
            }
        }
    }

    #[test]
    fn the_time_is_that_of_the_change_or_after_the_values_that_stand() {
        let at = |text: &str| read_time(Some(text));
        let (before, then, later) = (
            at("2026-01-01T00:00:00Z"),
            at("2026-01-01T00:00:01.5Z"),
            at("2026-01-01T00:00:09Z"),
        );
        let rows = [
            (vec![], "2026-01-01T00:00:01Z"),
            (vec![None], "2026-01-01T00:00:01Z"),
            (vec![before], "2026-01-01T00:00:01Z"),
            (vec![then], "2026-01-01T00:00:02Z"),
            (vec![before, later], "2026-01-01T00:00:10Z"),
        ];
        for (stand, expected) in rows {
            let time = time_after(then.unwrap(), &stand);
            assert_eq!(time.to_string(), expected, "{stand:?}");
        }
        assert_eq!(time_mark("abcd"), "~bcd");
        assert!(is_time_mark(&time_mark("")) && !is_time_mark("abcd"));
    }

    #[test]
    fn who_is_restarted_as_kubectl_does() {
        let asks = |value: &str| json!({"metadata": {"annotations": {MARK: value}}, "spec": {"template": {}}});
        let by = |kind, object: &serde_json::Value| {
            Workload::read(kind, &serde_json::from_value(object.clone()).unwrap()).restart_by
        };
        let like_kubectl = RestartBy::LikeKubectl { stands: None };
        assert_eq!(by(&KINDS[0], &asks("restartedAt")), like_kubectl);
        assert_eq!(by(&KINDS[0], &asks(" restartedAt ")), like_kubectl);
        assert_eq!(by(&KINDS[0], &asks("restartedat")), RestartBy::Template);
        assert_eq!(by(&ROLLOUT, &asks("restartedAt")), like_kubectl);
        let mut borrows = asks("restartedAt");
        borrows["spec"]["workloadRef"] = json!({});
        let restart_at = RestartBy::RestartAt { after: None };
        assert_eq!(by(&ROLLOUT, &borrows), restart_at);
        assert_eq!(by(&CRON_JOB, &asks("restartedAt")), RestartBy::Run);
        assert_eq!(by(&JOB, &asks("restartedAt")), RestartBy::Recreate);
    }

    #[test]
    fn other_kinds_have_one_mark() {
        let object = json!({
            "metadata": {"annotations": {RESTARTED_AT: "own@2026-01-01T00:00:01Z", ROLLOUT_STRATEGY: "restart"}},
            "spec": {"restartAt": "2026-01-01T00:00:01Z", "workloadRef": {}, "template": {}},
        });
        let read = Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap());
        assert_eq!((read.restarted_for.as_str(), read.marks.at), ("", None));
        assert_eq!(read.restart_by, RestartBy::Template);
    }

    #[test]
    fn how_a_rollout_is_restarted() {
        let by = |asks: serde_json::Value, spec: serde_json::Value| {
            let object = json!({"metadata": {"annotations": asks}, "spec": spec});
            Workload::read(&ROLLOUT, &serde_json::from_value(object).unwrap()).restart_by
        };
        let restart_at = RestartBy::RestartAt { after: None };
        assert_eq!(by(json!({}), json!({})), RestartBy::Template);
        assert_eq!(
            by(json!({ROLLOUT_STRATEGY: "rollout"}), json!({})),
            RestartBy::Template
        );
        assert_eq!(
            by(json!({ROLLOUT_STRATEGY: "restart"}), json!({})),
            restart_at
        );
        assert_eq!(by(json!({}), json!({"workloadRef": {}})), restart_at);
    }

    #[test]
    fn an_aborted_rollout_is_restarted_by_its_time() {
        let by = |kind, status: serde_json::Value| {
            let object = json!({"metadata": {}, "spec": {"template": {}}, "status": status});
            Workload::read(kind, &serde_json::from_value(object).unwrap()).restart_by
        };
        let restart_at = RestartBy::RestartAt { after: None };
        assert_eq!(by(&ROLLOUT, json!({"abort": true})), restart_at);
        for status in [json!({}), json!({"abort": false}), json!(null)] {
            assert_eq!(by(&ROLLOUT, status), RestartBy::Template);
        }
        assert_eq!(by(&KINDS[0], json!({"abort": true})), RestartBy::Template);
    }

    #[test]
    fn a_write_of_the_template_gives_up_what_was_not_carried_out() {
        let own = Some("own@2026-01-01T00:00:01Z");
        let (before, then) = (Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:01Z"));
        let rows = [
            (None, then, then, "of-template"),
            (own, then, None, "of-template"),
            (own, then, before, "of-template"),
            (own, then, then, "own"),
            (own, None, then, "own"),
        ];
        for (at, restart_at, restarted_at, expected) in rows {
            let read = rollout(at, restart_at, restarted_at);
            let told = format!("{at:?} {restart_at:?} {restarted_at:?}");
            assert_eq!(read.mark_before_write(), Some(expected), "{told}");
        }
    }

    #[test]
    fn times_are_whole_seconds_not_before_now_and_after_the_last() {
        let rows = [
            ("2026-01-01T00:00:05Z", None, "2026-01-01T00:00:05Z"),
            (
                "2026-01-01T00:00:05.000000001Z",
                None,
                "2026-01-01T00:00:06Z",
            ),
            (
                "2026-01-01T00:00:05.9Z",
                Some("2026-01-01T00:00:04Z"),
                "2026-01-01T00:00:06Z",
            ),
            (
                "2026-01-01T00:00:05.9Z",
                Some("2026-01-01T00:00:06Z"),
                "2026-01-01T00:00:07Z",
            ),
            (
                "2026-01-01T00:00:05Z",
                Some("2027-01-01T00:00:00Z"),
                "2027-01-01T00:00:01Z",
            ),
        ];
        for (now, restarted_at, expected) in rows {
            let by = rollout(None, None, restarted_at).restart_by;
            let time = by.time(now.parse().unwrap()).unwrap();
            assert_eq!(time.to_string(), expected, "{now} {restarted_at:?}");
        }
        assert_eq!(RestartBy::Template.time(Timestamp::UNIX_EPOCH), None);
    }
}
