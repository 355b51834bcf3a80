//! What a workload's status shows of its pods.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Counts, Kind, Opened, RestartMeans};

/// How many pods a workload wants and has, by its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Wanted.
    pub wanted: i64,
    /// Of all templates.
    pub all: i64,
    /// Of its own template.
    pub updated: i64,
    /// Available, of all templates.
    pub available: i64,
    /// Ready, of all templates: each is available once it was so for `minReadySeconds`.
    pub ready: i64,
}

/// Why a restart of a workload shows nothing: no new pod comes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Void {
    /// It wants no pods.
    NoReplicas,
    /// It is paused; an Argo Rollout also while it waits to be promoted, or where its spec is invalid.
    Paused,
    /// Its pods are replaced when a user deletes them.
    OnDelete,
    /// All its pods are behind the partition of its rolling update.
    Partitioned,
    /// It is a CronJob or a Job: its runs end.
    Runs,
    /// Its kind does not tell about its pods, and none carries the mark.
    Unmarked,
}

/// What the status of a workload shows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the object"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its pods; `None` where the status of its kind does not count them.
    pub counts: Option<PodCounts>,
    /// Why no new pod comes by itself.
    pub void: Option<Void>,
    /// Whether its rollout was complete once: the status says so, however its pods are now.
    pub was_complete: bool,
    /// When it was, in unix seconds, where its kind tells.
    pub completed_at: Option<i64>,
    /// How many of its pods stay on the template before, because a partition of its rolling update says so.
    pub kept: i64,
    /// Whether its nodes, not a number, say how many pods it has: some may be down.
    pub by_node: bool,
    /// So many unavailable pods keep all others from being replaced; `None`: none do.
    pub stalls_at: Option<i64>,
    /// Whether it replaces its pods in order, and none while one is not ready, the one that is not included.
    pub in_order: bool,
    /// Whether a container of it has a readiness probe.
    pub probed: bool,
    /// Why its controller cannot make pods, in the API server's words.
    pub refused: Option<Box<str>>,
    /// Its own deadline for progress.
    pub deadline: Option<SignedDuration>,
    /// Since when it has been available, in unix seconds, where its kind tells.
    pub available_since: Option<i64>,
}

impl Progress {
    /// Reads it off an object; total.
    pub fn read(kind: Kind, object: &Value) -> Self {
        let counts = kind.counts.map(|counts| PodCounts::read(counts, object));
        let wanted = counts.map_or(0, |counts| counts.wanted);
        let seconds = object.pointer("/spec/progressDeadlineSeconds");
        let seconds = seconds
            .and_then(Value::as_i64)
            .filter(|seconds| *seconds > 0);
        Self {
            void: void(kind, counts, object),
            was_complete: was_complete(kind, object),
            completed_at: completed(kind, object)
                .and_then(|one| one.get("lastUpdateTime")?.as_str())
                .and_then(|time| time.parse::<Timestamp>().ok())
                .map(Timestamp::as_second),
            kept: partition(object).min(wanted),
            by_node: kind.counts == Some(Counts::Scheduled),
            stalls_at: stalls_at(kind, counts, object),
            in_order: kind.ordinals
                && object
                    .pointer("/spec/podManagementPolicy")
                    .and_then(Value::as_str)
                    != Some("Parallel"),
            probed: is_probed(object.pointer(kind.template)),
            refused: condition(object, "ReplicaFailure", "True")
                .and_then(|one| one.get("message")?.as_str())
                .map(Into::into),
            available_since: condition(object, "Available", "True")
                .and_then(|one| one.get("lastTransitionTime")?.as_str())
                .and_then(|time| time.parse::<Timestamp>().ok())
                .map(Timestamp::as_second),
            // "No deadline" is written as the highest number.
            deadline: seconds
                .filter(|seconds| *seconds < 86_400 * 365)
                .map(SignedDuration::from_secs),
            counts,
        }
    }

    /// Whether a restart is complete: all pods are of its template, and available; of a DaemonSet as many as before, for a node
    /// may be down, but one at least: a new pod on that node is as unavailable as the one before. `seen`: the generation that the
    /// status was made for.
    pub fn is_complete(&self, opened: &Opened, seen: Option<i64>) -> bool {
        let Some(counts) = self.counts else {
            return false;
        };
        if opened.is_unseen(seen) {
            return false;
        }
        let missing = if self.by_node { opened.unavailable } else { 0 };
        let wanted = counts.wanted.saturating_sub(missing);
        counts.updated >= wanted
            && counts.available >= wanted
            && if self.by_node {
                counts.wanted == 0 || self.new_and_available() > 0
            } else {
                counts.all <= counts.updated
            }
    }

    /// Whether it is well: pods are available, none is of an older template, and not so many are unavailable that they keep all
    /// others from being replaced.
    pub fn is_well(&self) -> bool {
        let Some(counts) = self.counts else {
            return true;
        };
        let older = if self.by_node {
            counts.updated < counts.wanted.min(counts.available)
        } else {
            counts.updated < counts.all
        };
        let stalls = self
            .stalls_at
            .is_some_and(|most| self.unavailable() >= most);
        counts.serve() && !older && !stalls
    }

    /// Whether it wants pods, and none is available, or about to be.
    pub fn is_down(&self) -> bool {
        self.counts
            .is_some_and(|counts| counts.wanted > 0 && !counts.serve())
    }

    /// Returns how many pods are missing.
    pub fn unavailable(&self) -> i64 {
        self.counts.map_or(0, |counts| {
            counts.wanted.saturating_sub(counts.available).max(0)
        })
    }

    /// Whether a rollout of its template is not through, and never was. What is drained or scaled later is no rollout. A
    /// `DaemonSet` does not tell whether it was complete, and nodes come and go: there it is older pods that count.
    pub fn is_under_way(&self) -> bool {
        self.counts.is_some_and(|counts| {
            let through = self.new_and_available() >= counts.wanted.saturating_sub(self.kept);
            let older = counts.updated < counts.wanted.min(counts.all);
            self.void.is_none() && !self.was_complete && !through && (older || !self.by_node)
        })
    }

    /// Returns how many pods are of its template and available, at least; 0 where that is not counted.
    pub fn new_and_available(&self) -> i64 {
        self.counts.map_or(0, |counts| {
            let older = counts.all.saturating_sub(counts.updated).max(0);
            let available = counts.available.saturating_sub(older).max(0);
            available.min(counts.updated)
        })
    }

    /// Whether pods of older templates are being replaced, by anybody's rollout.
    pub fn rolls(&self) -> bool {
        self.void.is_none()
            && self.counts.is_some_and(|counts| {
                let older = !self.by_node && counts.all > counts.updated;
                older || counts.updated < counts.wanted
            })
    }
}

impl PodCounts {
    /// Whether a pod is ready, and so serves, or available.
    fn serve(self) -> bool {
        self.available.max(self.ready) >= 1
    }

    fn read(counts: Counts, object: &Value) -> Self {
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
        let status = |name: &str| number(&format!("/status/{name}")).unwrap_or(0);
        match counts {
            Counts::Replicas => Self {
                wanted: number("/spec/replicas").unwrap_or(1),
                all: status("replicas"),
                updated: status("updatedReplicas"),
                available: status("availableReplicas"),
                ready: status("readyReplicas"),
            },
            Counts::Scheduled => Self {
                wanted: status("desiredNumberScheduled"),
                all: status("currentNumberScheduled"),
                updated: status("updatedNumberScheduled"),
                available: status("numberAvailable"),
                ready: status("numberReady"),
            },
        }
    }
}

fn void(kind: Kind, counts: Option<PodCounts>, object: &Value) -> Option<Void> {
    if matches!(kind.means, RestartMeans::Run | RestartMeans::Recreate) {
        return Some(Void::Runs);
    }
    let is_true = |pointer: &str| object.pointer(pointer) == Some(&Value::Bool(true));
    let phase = object.pointer("/status/phase").and_then(Value::as_str);
    let argo = kind.means == RestartMeans::RestartAt;
    let argo_waits =
        argo && (phase == Some("Paused") || condition(object, "InvalidSpec", "True").is_some());
    let wanted = match kind.counts {
        Some(Counts::Replicas) => counts.map(|counts| counts.wanted),
        // Before its controller looked at it, it wants none by its status.
        Some(Counts::Scheduled) => object
            .pointer("/status/observedGeneration")
            .and(counts.map(|counts| counts.wanted)),
        None => object.pointer("/spec/replicas").and_then(Value::as_i64),
    };
    let strategy = object.pointer("/spec/updateStrategy/type");
    let partition = partition(object);
    if wanted == Some(0) {
        Some(Void::NoReplicas)
    } else if is_true("/spec/paused") || argo_waits {
        Some(Void::Paused)
    } else if strategy.and_then(Value::as_str) == Some("OnDelete") {
        Some(Void::OnDelete)
    } else if partition > 0 && wanted.is_some_and(|wanted| partition >= wanted) {
        Some(Void::Partitioned)
    } else {
        None
    }
}

fn partition(object: &Value) -> i64 {
    let partition = object.pointer("/spec/updateStrategy/rollingUpdate/partition");
    partition.and_then(Value::as_i64).unwrap_or(0).max(0)
}

/// As of `pkg/controller/daemon/update.go` and `pkg/controller/statefulset/stateful_set_control.go`: a StatefulSet replaces no pod
/// while one is unavailable, a DaemonSet none that is available while `maxUnavailable` are not, unless it surges.
fn stalls_at(kind: Kind, counts: Option<PodCounts>, object: &Value) -> Option<i64> {
    if kind.ordinals {
        return Some(1);
    }
    let counts = counts.filter(|_| kind.counts == Some(Counts::Scheduled))?;
    let rolling =
        |name: &str| object.pointer(&format!("/spec/updateStrategy/rollingUpdate/{name}"));
    let pods = |value: &Value| match value {
        Value::String(percent) => {
            let percent: i64 = percent.strip_suffix('%')?.parse().ok()?;
            let pods = counts.wanted.checked_mul(percent)?.checked_add(99)?;
            Some(pods / 100)
        }
        number => number.as_i64(),
    };
    let surges = rolling("maxSurge")
        .and_then(pods)
        .is_some_and(|most| most > 0);
    let most = rolling("maxUnavailable").and_then(pods).unwrap_or(1);
    (!surges).then_some(most.max(1))
}

/// Whether the status says that the rollout of the template was complete once. It goes on saying so when pods fail later, are
/// drained or are scaled. (A Deployment's condition stays; a StatefulSet's current revision becomes the updated one.)
fn was_complete(kind: Kind, object: &Value) -> bool {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    if kind.ordinals {
        let [current, updated] = ["/status/currentRevision", "/status/updateRevision"].map(text);
        return current.is_some() && current == updated;
    }
    completed(kind, object).is_some()
}

/// Returns the condition that says so. Its time is that of its reason (`SetDeploymentCondition` in
/// `pkg/controller/deployment/util/deployment_util.go`): when the rollout was complete.
fn completed(kind: Kind, object: &Value) -> Option<&Value> {
    let condition = condition(object, "Progressing", "True").filter(|_| !kind.ordinals)?;
    let reason = condition.get("reason")?.as_str()?;
    (reason == "NewReplicaSetAvailable").then_some(condition)
}

fn is_probed(template: Option<&Value>) -> bool {
    let containers = template.and_then(|template| template.pointer("/spec/containers"));
    let mut containers = containers.and_then(Value::as_array).into_iter().flatten();
    containers.any(|one| one.get("readinessProbe").is_some_and(Value::is_object))
}

fn condition<'a>(object: &'a Value, kind: &str, status: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let is_it = |one: &&Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str);
        text("type") == Some(kind) && text("status") == Some(status)
    };
    all.iter().find(is_it)
}

#[cfg(test)]
mod tests;
