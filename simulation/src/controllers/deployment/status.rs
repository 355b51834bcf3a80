//! What a Deployment's status says.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    super::{
        objects::{condition, name, number, replicas, time, without_zeros},
        worker::Next,
    },
    Rollout,
    numbers::{Limits, asked, summed},
    sets::Sets,
};

pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const AVAILABLE: &str = "NewReplicaSetAvailable";
const FAILURE: &str = "ReplicaFailure";

/// What becomes of the status.
pub(super) enum Progress {
    /// It stays; whether to come back.
    Same(Next),
    /// It becomes this.
    Status(Value),
}

/// Makes a condition.
pub(super) fn new(kind: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": now,
        "lastTransitionTime": now,
    })
}

/// Sets a condition, unless there is one with the same status and reason.
pub(super) fn set(status: &mut Value, mut condition: Value) {
    let mut all = take(status);
    let before = all.iter().position(|one| one["type"] == condition["type"]);
    if let Some(at) = before {
        let same = |field: &str| all[at][field] == condition[field];
        if same("status") && same("reason") {
            status["conditions"] = json!(all);
            return;
        }
        if same("status") {
            condition["lastTransitionTime"] = all[at]["lastTransitionTime"].clone();
        }
        all.remove(at);
    }
    all.push(condition);
    status["conditions"] = json!(all);
}

fn take(status: &mut Value) -> Vec<Value> {
    let conditions = status.get_mut("conditions").map(Value::take);
    match conditions {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    }
}

fn remove(status: &mut Value, kind: &str) {
    let mut all = take(status);
    all.retain(|one| one["type"] != kind);
    status["conditions"] = json!(all);
}

/// Whether a Deployment is what it asks for, by a status.
pub(super) fn is_complete(deployment: &Value, status: &Value) -> bool {
    let wanted = replicas(deployment);
    ["/updatedReplicas", "/replicas", "/availableReplicas"]
        .iter()
        .all(|pointer| number(status, pointer) == wanted)
        && number(status, "/observedGeneration") >= number(deployment, "/metadata/generation")
}

/// Whether there is progress from one status to another.
fn is_progress(before: &Value, after: &Value) -> bool {
    let more = |pointer: &str| number(after, pointer) > number(before, pointer);
    let old = |status: &Value| number(status, "/replicas") - number(status, "/updatedReplicas");
    more("/updatedReplicas")
        || old(after) < old(before)
        || more("/readyReplicas")
        || more("/availableReplicas")
}

impl Rollout<'_> {
    /// Returns the status by what the sets say.
    pub(super) fn status(&self, sets: &Sets) -> Value {
        let deployment = &self.deployment;
        let available = summed(sets.all(), "/status/availableReplicas");
        let terminating = "/status/terminatingReplicas";
        let told = sets.all().all(|set| set.pointer(terminating).is_some());
        let mut status = without_zeros(
            json!({
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": summed(sets.all(), "/status/replicas"),
                "updatedReplicas": summed(&sets.new, "/status/replicas"),
                "readyReplicas": summed(sets.all(), "/status/readyReplicas"),
                "availableReplicas": available,
                "unavailableReplicas": (asked(sets.all()) - available).max(0),
                "terminatingReplicas": told.then(|| summed(sets.all(), terminating)),
                "collisionCount": deployment["status"].get("collisionCount"),
                "conditions": deployment["status"].get("conditions"),
            }),
            &["terminatingReplicas", "collisionCount"],
        );
        let enough = replicas(deployment) - Limits::of(deployment).unavailable;
        let now = self.access.now();
        let condition = if available >= enough {
            let message = "Deployment has minimum availability.";
            new(
                "Available",
                "True",
                "MinimumReplicasAvailable",
                message,
                &now,
            )
        } else {
            let message = "Deployment does not have minimum availability.";
            let reason = "MinimumReplicasUnavailable";
            new("Available", "False", reason, message, &now)
        };
        set(&mut status, condition);
        status
    }

    /// Returns what becomes of the status, with the progress of a rollout.
    pub(super) fn progress(&self, sets: &Sets) -> Progress {
        let mut status = self.status(sets);
        let current = condition(&self.deployment, PROGRESSING);
        let is_done = number(&status, "/replicas") == number(&status, "/updatedReplicas")
            && current.is_some_and(|one| one["reason"] == AVAILABLE);
        if !self.has_deadline() {
            remove(&mut status, PROGRESSING);
        } else if !is_done {
            self.judge(&mut status, sets, current);
        }
        let mut failures = sets.new.iter().chain(&sets.old);
        let failure = failures.find_map(|set| condition(set, FAILURE));
        match failure {
            Some(failure) => {
                let mut failure = failure.clone();
                failure["lastUpdateTime"] = failure["lastTransitionTime"].clone();
                set(&mut status, failure);
            }
            None => remove(&mut status, FAILURE),
        }
        if status == self.deployment["status"] {
            Progress::Same(self.deadline(&status))
        } else {
            Progress::Status(status)
        }
    }

    fn judge(&self, status: &mut Value, sets: &Sets, current: Option<&Value>) {
        let now = self.access.now();
        let who = sets.new.as_ref().map_or_else(
            || format!("Deployment \"{}\"", name(&self.deployment)),
            |set| format!("ReplicaSet \"{}\"", name(set)),
        );
        if is_complete(&self.deployment, status) {
            let message = format!("{who} has successfully progressed.");
            set(status, new(PROGRESSING, "True", AVAILABLE, &message, &now));
        } else if is_progress(&self.deployment["status"], status) {
            let message = format!("{who} is progressing.");
            let mut condition = new(PROGRESSING, "True", "ReplicaSetUpdated", &message, &now);
            if let Some(current) = current {
                if current["status"] == "True" {
                    condition["lastTransitionTime"] = current["lastTransitionTime"].clone();
                }
                remove(status, PROGRESSING);
            }
            set(status, condition);
        } else if self.is_late(current) {
            let message = format!("{who} has timed out progressing.");
            set(status, new(PROGRESSING, "False", TIMED_OUT, &message, &now));
        }
    }

    fn is_late(&self, current: Option<&Value>) -> bool {
        let Some(current) = current else { return false };
        match current["reason"].as_str() {
            Some(AVAILABLE) => false,
            Some(TIMED_OUT) => true,
            _ => self.time_left(current) < SignedDuration::ZERO,
        }
    }

    fn time_left(&self, progressing: &Value) -> SignedDuration {
        let seconds = number(&self.deployment, "/spec/progressDeadlineSeconds");
        let since = self
            .access
            .time()
            .duration_since(time(&progressing["lastUpdateTime"]));
        SignedDuration::from_secs(seconds) - since
    }

    /// Returns when the deadline is to be looked at.
    fn deadline(&self, status: &Value) -> Next {
        let current = condition(&self.deployment, PROGRESSING)?;
        if !self.has_deadline()
            || is_complete(&self.deployment, status)
            || current["reason"] == TIMED_OUT
        {
            return None;
        }
        let left = self.time_left(current).max(SignedDuration::ZERO);
        let left = Duration::try_from(left).unwrap_or_default();
        Some(left + Duration::from_secs(1))
    }
}
