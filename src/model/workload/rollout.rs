//! Whether a workload's pods are those of its template.

use serde_json::Value;

use super::{Kind, RestartMeans, kinds::Counts};

/// How far a workload's pods are those of its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// All of them, or the status does not tell.
    Complete,
    /// They are being replaced.
    Rolling,
    /// They are not, and will not be by themselves.
    Stays(Stays),
}

/// Why pods are not replaced by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// A Deployment with `paused: true`, or an Argo Rollout that waits to be resumed or promoted.
    Paused,
    /// The update strategy `OnDelete`.
    OnDelete,
    /// A rolling update with a partition.
    Partitioned,
}

/// Whether pods of an older template than a workload's own are left, by its status.
///
/// Such a pod can come back, ready or not: `kubectl rollout undo` scales its `ReplicaSet` up, a StatefulSet makes a pod
/// below its partition again with the old template. So availability is not asked, and neither is kubectl's rule
/// (`rollout_status.go`), which calls a partitioned rollout complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OlderPods {
    /// Some may be.
    #[default]
    Left,
    /// None are.
    Gone,
    /// There are none of any template, and none are wanted.
    NoPods,
    /// The status of this kind does not tell.
    Untold,
}

impl OlderPods {
    /// Whether none of an older template is left.
    pub fn are_gone(self) -> bool {
        matches!(self, Self::Gone | Self::NoPods)
    }

    /// Reads it off an object of this `metadata.generation`.
    pub(super) fn read(kind: Kind, generation: i64, object: &Value) -> Self {
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let Some(counts) = kind.counts else {
            return Self::Untold;
        };
        if observed_generation(kind, object).is_none_or(|seen| seen < generation) {
            return Self::Left;
        }
        let (all, updated, stray) = match counts {
            Counts::Replicas => (
                number("/status/replicas"),
                number("/status/updatedReplicas"),
                0,
            ),
            Counts::Scheduled => (
                number("/status/desiredNumberScheduled"),
                number("/status/updatedNumberScheduled"),
                number("/status/numberMisscheduled"),
            ),
        };
        let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64);
        if counts == Counts::Replicas && all == 0 && wanted == Some(0) {
            return Self::NoPods;
        }
        if all == updated && stray == 0 {
            Self::Gone
        } else {
            Self::Left
        }
    }
}

impl Rollout {
    /// Reads it off an object of this `metadata.generation`.
    pub(super) fn read(kind: Kind, generation: i64, object: &Value) -> Self {
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
        if kind.means == RestartMeans::RestartAt {
            return Self::of_argo(kind, generation, object);
        }
        if kind.optional {
            return Self::Complete;
        }
        let (wanted, updated) = match kind.counts {
            Some(Counts::Scheduled) => (
                number("/status/desiredNumberScheduled"),
                number("/status/updatedNumberScheduled"),
            ),
            Some(Counts::Replicas) => (
                number("/spec/replicas").or(Some(1)),
                number("/status/updatedReplicas"),
            ),
            None => return Self::Complete,
        };
        let old = kind.surges && number("/status/replicas") > number("/status/updatedReplicas");
        // Right after a restart the status still tells of the template before.
        let stale = number("/status/observedGeneration").unwrap_or(0) < generation;
        if updated.unwrap_or(0) >= wanted.unwrap_or(0) && !old && !stale {
            return Self::Complete;
        }
        let strategy = object
            .pointer("/spec/updateStrategy/type")
            .and_then(Value::as_str);
        if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
            Self::Stays(Stays::Paused)
        } else if strategy == Some("OnDelete") {
            Self::Stays(Stays::OnDelete)
        } else if number("/spec/updateStrategy/rollingUpdate/partition")
            .is_some_and(|partition| partition > 0)
        {
            Self::Stays(Stays::Partitioned)
        } else {
            Self::Rolling
        }
    }
}

impl Rollout {
    /// Reads it off an Argo Rollout: whether pods of an older template are left, and wait for a user. That it rolls by itself, or is
    /// aborted, is not told here.
    fn of_argo(kind: Kind, generation: i64, object: &Value) -> Self {
        let paused = object.pointer("/spec/paused") == Some(&Value::Bool(true));
        // What the status says of pauses counts for the template that it has seen.
        let seen = observed_generation(kind, object).is_some_and(|seen| seen >= generation);
        let aborted = object.pointer("/status/abort") == Some(&Value::Bool(true));
        let left = OlderPods::read(kind, generation, object) == OlderPods::Left;
        if left && !aborted && (paused || (seen && awaits_promotion(object))) {
            Self::Stays(Stays::Paused)
        } else {
            Self::Complete
        }
    }
}

/// Whether an Argo Rollout is paused until a user promotes it: in a step without a duration, before the switch of a blue-green
/// update that nothing promotes, or after an analysis that came to nothing. (`PauseReason` in Argo Rollouts 1.9,
/// `pkg/apis/rollouts/v1alpha1/types.go`.)
fn awaits_promotion(object: &Value) -> bool {
    let pauses = object.pointer("/status/pauseConditions");
    let pauses = pauses.and_then(Value::as_array).into_iter().flatten();
    let mut reasons = pauses.filter_map(|pause| pause.get("reason")?.as_str());
    let at = object.pointer("/status/currentStepIndex");
    let step = |at: i64| object.pointer(&format!("/spec/strategy/canary/steps/{at}/pause"));
    let endless = |pause: &Value| pause.get("duration").is_none_or(Value::is_null);
    let by_itself = object.pointer("/spec/strategy/blueGreen/autoPromotionSeconds");
    reasons.any(|reason| match reason {
        "CanaryPauseStep" => at
            .and_then(Value::as_i64)
            .and_then(step)
            .is_some_and(endless),
        "BlueGreenPause" => by_itself.and_then(Value::as_i64).unwrap_or(0) == 0,
        "InconclusiveAnalysisRun" | "InconclusiveExperiment" => true,
        _ => false,
    })
}

/// Returns `status.observedGeneration` of an object, which is a string in an Argo Rollout. The kinds that every cluster has
/// are at 0 until their controller comes to them.
pub(super) fn observed_generation(kind: Kind, object: &Value) -> Option<i64> {
    let told = object.pointer("/status/observedGeneration");
    let told = told.and_then(|told| told.as_i64().or_else(|| told.as_str()?.parse().ok()));
    told.or((!kind.optional && kind.means == RestartMeans::Template).then_some(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::KINDS, *};

    #[test]
    fn how_far_it_is() {
        let [deployment, stateful_set, daemon_set] = [&KINDS[0], &KINDS[1], &KINDS[2]];
        let done = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2});
        let half = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1});
        let surge = json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2});
        let stale = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2});
        let on_delete = json!({"replicas": 2, "updateStrategy": {"type": "OnDelete"}});
        let partition =
            |n: i64| json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": n}}});
        let two = json!({"replicas": 2});
        let paused = json!({"replicas": 2, "paused": true});
        let daemons = |wanted: i64, updated: i64| json!({"observedGeneration": 3, "desiredNumberScheduled": wanted, "updatedNumberScheduled": updated});
        let rows = [
            (deployment, &two, done.clone(), Rollout::Complete),
            (
                deployment,
                &json!({}),
                json!({"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1}),
                Rollout::Complete,
            ),
            (
                deployment,
                &json!({"replicas": 0}),
                json!({"observedGeneration": 3}),
                Rollout::Complete,
            ),
            (deployment, &two, half.clone(), Rollout::Rolling),
            (deployment, &two, surge, Rollout::Rolling),
            (deployment, &two, stale.clone(), Rollout::Rolling),
            (deployment, &two, json!({}), Rollout::Rolling),
            (
                deployment,
                &paused,
                half.clone(),
                Rollout::Stays(Stays::Paused),
            ),
            (
                deployment,
                &paused,
                stale.clone(),
                Rollout::Stays(Stays::Paused),
            ),
            (deployment, &paused, done.clone(), Rollout::Complete),
            (stateful_set, &two, half.clone(), Rollout::Rolling),
            (
                stateful_set,
                &on_delete,
                half.clone(),
                Rollout::Stays(Stays::OnDelete),
            ),
            (stateful_set, &on_delete, done.clone(), Rollout::Complete),
            (
                stateful_set,
                &partition(1),
                half.clone(),
                Rollout::Stays(Stays::Partitioned),
            ),
            (stateful_set, &partition(0), half, Rollout::Rolling),
            (daemon_set, &json!({}), daemons(3, 3), Rollout::Complete),
            (daemon_set, &json!({}), daemons(3, 2), Rollout::Rolling),
            (
                daemon_set,
                &on_delete,
                daemons(3, 2),
                Rollout::Stays(Stays::OnDelete),
            ),
        ];
        for (kind, spec, status, expected) in rows {
            let object = json!({"spec": spec, "status": status});
            assert_eq!(
                Rollout::read(kind, 3, &object),
                expected,
                "{} {object}",
                kind.kind
            );
        }
    }

    #[test]
    fn an_argo_rollout_that_waits_for_a_user() {
        use crate::model::workload::ROLLOUT;
        let canary = |pause: serde_json::Value| json!({ "replicas": 5, "strategy": { "canary": { "steps": [{ "setWeight": 20 }, { "pause": pause }] } } });
        let blue =
            |more: serde_json::Value| json!({ "replicas": 2, "strategy": { "blueGreen": more } });
        let status = |reason: &str| {
            json!({
                "observedGeneration": "3", "replicas": 5, "updatedReplicas": 1, "currentStepIndex": 1,
                "pauseConditions": [{ "reason": reason }],
            })
        };
        let with = |mut status: serde_json::Value, key: &str, value: serde_json::Value| {
            status[key] = value;
            status
        };
        let (step, switch) = ("CanaryPauseStep", "BlueGreenPause");
        let rolls = json!({ "observedGeneration": "3", "replicas": 5, "updatedReplicas": 1 });
        let paused = json!({ "replicas": 5, "paused": true });
        for (spec, status, waits) in [
            (canary(json!({})), status(step), true),
            (canary(json!({ "duration": null })), status(step), true),
            (canary(json!({ "duration": "1h" })), status(step), false),
            (canary(json!({ "duration": 30 })), status(step), false),
            (canary(json!({})), rolls.clone(), false),
            (
                canary(json!({})),
                with(status(step), "observedGeneration", json!("2")),
                false,
            ),
            (
                canary(json!({})),
                with(status(step), "updatedReplicas", json!(5)),
                false,
            ),
            (
                canary(json!({})),
                with(status(step), "abort", json!(true)),
                false,
            ),
            (canary(json!({})), status("InconclusiveAnalysisRun"), true),
            (
                blue(json!({ "autoPromotionEnabled": false })),
                status(switch),
                true,
            ),
            (
                blue(json!({ "autoPromotionSeconds": 30 })),
                status(switch),
                false,
            ),
            (paused.clone(), rolls.clone(), true),
            (
                paused.clone(),
                with(rolls.clone(), "observedGeneration", json!("2")),
                true,
            ),
            (paused, with(rolls, "replicas", json!(1)), false),
        ] {
            let object = json!({ "spec": spec, "status": status });
            let expected = if waits {
                Rollout::Stays(Stays::Paused)
            } else {
                Rollout::Complete
            };
            assert_eq!(Rollout::read(&ROLLOUT, 3, &object), expected, "{object}");
        }
    }

    #[test]
    fn whether_older_pods_are_left() {
        use crate::model::workload::{DEPLOYMENT_CONFIG, JOB, ROLLOUT};
        let replicas = |seen: serde_json::Value, wanted: i64, all: i64, updated: i64| {
            json!({
                "spec": { "replicas": wanted },
                "status": { "observedGeneration": seen, "replicas": all, "updatedReplicas": updated },
            })
        };
        let daemons = |seen: i64, wanted: i64, updated: i64, stray: i64| {
            json!({ "status": {
                "observedGeneration": seen, "desiredNumberScheduled": wanted,
                "updatedNumberScheduled": updated, "numberMisscheduled": stray,
            } })
        };
        let (deployment, stateful_set, daemon_set) = (&KINDS[0], &KINDS[1], &KINDS[2]);
        let rows = [
            (deployment, replicas(json!(3), 2, 2, 2), OlderPods::Gone),
            // One is to come, of this template.
            (deployment, replicas(json!(3), 2, 1, 1), OlderPods::Gone),
            (deployment, replicas(json!(3), 2, 3, 1), OlderPods::Left),
            (deployment, replicas(json!(2), 2, 2, 2), OlderPods::Left),
            (deployment, replicas(json!(3), 0, 0, 0), OlderPods::NoPods),
            (deployment, replicas(json!(2), 0, 0, 0), OlderPods::Left),
            (deployment, json!({}), OlderPods::Left),
            // A partition, or OnDelete.
            (stateful_set, replicas(json!(3), 3, 3, 1), OlderPods::Left),
            (stateful_set, replicas(json!(3), 3, 3, 3), OlderPods::Gone),
            (daemon_set, daemons(3, 2, 2, 0), OlderPods::Gone),
            (daemon_set, daemons(3, 2, 1, 0), OlderPods::Left),
            // On a node where it does not belong any more.
            (daemon_set, daemons(3, 2, 2, 1), OlderPods::Left),
            (daemon_set, daemons(3, 0, 0, 0), OlderPods::Gone),
            (&ROLLOUT, replicas(json!("3"), 2, 2, 2), OlderPods::Gone),
            (&ROLLOUT, replicas(json!("2"), 2, 2, 2), OlderPods::Left),
            (&ROLLOUT, replicas(json!("3"), 2, 4, 2), OlderPods::Left),
            (
                &DEPLOYMENT_CONFIG,
                replicas(json!(3), 2, 2, 2),
                OlderPods::Untold,
            ),
            (&JOB, replicas(json!(3), 2, 2, 2), OlderPods::Untold),
        ];
        for (kind, object, expected) in rows {
            assert_eq!(
                OlderPods::read(kind, 3, &object),
                expected,
                "{} {object}",
                kind.kind
            );
        }
    }
}
