use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::model::{
    digest::Digest,
    workload::{CRON_JOB, DEPLOYMENT_CONFIG, KINDS, ROLLOUT},
};

fn opened(unavailable: i64) -> Opened {
    Opened {
        at: Timestamp::UNIX_EPOCH,
        mark: String::new(),
        versions: BTreeMap::new(),
        distance: SignedDuration::ZERO,
        unavailable,
        well: true,
        alone: false,
        generation: 3,
        template: Digest::CHANGED,
    }
}

fn replicas(wanted: i64, all: i64, updated: i64, available: i64) -> Value {
    json!({
        "spec": { "replicas": wanted },
        "status": { "replicas": all, "updatedReplicas": updated, "availableReplicas": available },
    })
}

fn daemons(wanted: i64, updated: i64, available: i64) -> Value {
    json!({ "status": {
        "desiredNumberScheduled": wanted, "currentNumberScheduled": wanted,
        "updatedNumberScheduled": updated, "numberAvailable": available,
    } })
}

#[test]
fn when_a_restart_is_complete_and_who_is_well() {
    let [deployment, stateful_set, daemon_set] = [&KINDS[0], &KINDS[1], &KINDS[2]];
    let rows = [
        // Kind, object, missing before, the generation of the status; complete, well.
        (deployment, replicas(2, 2, 2, 2), 0, 3, true, true),
        (deployment, replicas(2, 2, 2, 2), 0, 2, false, true),
        (deployment, replicas(2, 3, 2, 2), 0, 3, false, false),
        (deployment, replicas(2, 2, 2, 1), 0, 3, false, true),
        (deployment, replicas(2, 2, 2, 0), 0, 3, false, false),
        (stateful_set, replicas(2, 2, 2, 2), 0, 3, true, true),
        (stateful_set, replicas(2, 2, 2, 1), 0, 3, false, false),
        (stateful_set, replicas(2, 2, 1, 2), 0, 3, false, false),
        (daemon_set, daemons(3, 3, 3), 0, 3, true, true),
        (daemon_set, daemons(3, 2, 2), 0, 3, false, false),
        // A node is down, and was before.
        (daemon_set, daemons(3, 2, 2), 1, 3, true, false),
        (daemon_set, daemons(3, 1, 2), 1, 3, false, false),
        // The new pod may be the one on that node.
        (daemon_set, daemons(2, 1, 1), 1, 3, false, false),
        // All were missing.
        (daemon_set, daemons(1, 1, 0), 1, 3, false, false),
        (daemon_set, daemons(2, 2, 1), 2, 3, true, false),
        (daemon_set, daemons(0, 0, 0), 0, 3, true, false),
        (&DEPLOYMENT_CONFIG, replicas(2, 2, 2, 2), 0, 3, false, true),
    ];
    for (kind, object, missing, seen, complete, well) in rows {
        let progress = Progress::read(kind, &object);
        let is = progress.is_complete(&opened(missing), Some(seen));
        assert_eq!(
            (is, progress.is_well()),
            (complete, well),
            "{} {object} {seen}",
            kind.kind
        );
    }
}

#[test]
fn how_many_unavailable_pods_stall_a_daemon_set() {
    let rows = [
        (json!({}), Some(1)),
        (json!({ "maxUnavailable": 2, "maxSurge": 0 }), Some(2)),
        (json!({ "maxUnavailable": "10%" }), Some(2)),
        (json!({ "maxUnavailable": "0%", "maxSurge": 0 }), Some(1)),
        (json!({ "maxUnavailable": 0, "maxSurge": "1%" }), None),
        (json!({ "maxUnavailable": "many" }), Some(1)),
    ];
    for (rolling, expected) in rows {
        let mut object = daemons(11, 11, 9);
        object["spec"] = json!({ "updateStrategy": { "rollingUpdate": rolling } });
        let progress = Progress::read(&KINDS[2], &object);
        assert_eq!(progress.stalls_at, expected, "{object}");
        let well = expected.is_none_or(|most| most > 2);
        assert_eq!(progress.is_well(), well, "{object}");
    }
}

#[test]
fn where_no_new_pod_comes_by_itself() {
    let [deployment, stateful_set, daemon_set] = [&KINDS[0], &KINDS[1], &KINDS[2]];
    let paused = json!({ "spec": { "replicas": 2, "paused": true } });
    let on_delete = json!({ "spec": { "replicas": 2, "updateStrategy": { "type": "OnDelete" } } });
    let behind = |partition: i64| json!({ "spec": { "replicas": 2, "updateStrategy": { "rollingUpdate": { "partition": partition } } } });
    let no_nodes = json!({ "status": { "observedGeneration": 1, "desiredNumberScheduled": 0 } });
    let waits = json!({ "spec": { "replicas": 2 }, "status": { "phase": "Paused" } });
    let invalid = json!({ "spec": { "replicas": 2 }, "status": { "conditions": [{ "type": "InvalidSpec", "status": "True" }] } });
    let rows = [
        (deployment, replicas(2, 2, 2, 2), None),
        (deployment, json!({}), None),
        (deployment, replicas(0, 0, 0, 0), Some(Void::NoReplicas)),
        (deployment, paused, Some(Void::Paused)),
        (stateful_set, on_delete.clone(), Some(Void::OnDelete)),
        (stateful_set, behind(2), Some(Void::Partitioned)),
        (stateful_set, behind(1), None),
        (daemon_set, on_delete, Some(Void::OnDelete)),
        (daemon_set, daemons(0, 0, 0), None),
        (daemon_set, no_nodes, Some(Void::NoReplicas)),
        (&ROLLOUT, waits.clone(), Some(Void::Paused)),
        (&ROLLOUT, invalid, Some(Void::Paused)),
        (deployment, waits, None),
        (&CRON_JOB, json!({}), Some(Void::Runs)),
        (
            &DEPLOYMENT_CONFIG,
            replicas(0, 0, 0, 0),
            Some(Void::NoReplicas),
        ),
    ];
    for (kind, object, expected) in rows {
        assert_eq!(
            Progress::read(kind, &object).void,
            expected,
            "{} {object}",
            kind.kind
        );
    }
}

#[test]
fn whose_rollout_is_under_way() {
    let [deployment, stateful_set, daemon_set] = [&KINDS[0], &KINDS[1], &KINDS[2]];
    let with = |mut object: Value, pointer: [&str; 2], value: Value| {
        object[pointer[0]][pointer[1]] = value;
        object
    };
    let complete =
        json!([{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }]);
    let behind = |kept: i64| json!({ "rollingUpdate": { "partition": kept } });
    let strategy = ["spec", "updateStrategy"];
    let rows = [
        (deployment, replicas(3, 4, 1, 3), true),
        (deployment, replicas(3, 3, 3, 2), true),
        (deployment, replicas(3, 3, 3, 3), false),
        // Complete once, and drained since.
        (
            deployment,
            with(replicas(3, 3, 3, 2), ["status", "conditions"], complete),
            false,
        ),
        (
            deployment,
            with(replicas(3, 4, 1, 3), ["spec", "paused"], json!(true)),
            false,
        ),
        (
            stateful_set,
            with(replicas(3, 3, 1, 3), strategy, behind(2)),
            false,
        ),
        (
            stateful_set,
            with(replicas(3, 3, 1, 3), strategy, behind(1)),
            true,
        ),
        (daemon_set, daemons(3, 2, 3), true),
        // A node went down after it.
        (daemon_set, daemons(3, 3, 2), false),
        (&DEPLOYMENT_CONFIG, replicas(3, 4, 1, 3), false),
    ];
    for (kind, object, expected) in rows {
        let is = Progress::read(kind, &object).is_under_way();
        assert_eq!(is, expected, "{} {object}", kind.kind);
    }
}

#[test]
fn what_else_the_status_says() {
    let [deployment, stateful_set, daemon_set] = [&KINDS[0], &KINDS[1], &KINDS[2]];
    let condition = |kind: &str, reason: &str| json!([{ "type": kind, "status": "True", "reason": reason, "message": "exceeded quota" }]);
    let done =
        json!({ "status": { "conditions": condition("Progressing", "NewReplicaSetAvailable") } });
    let on = json!({ "status": { "conditions": condition("Progressing", "ReplicaSetUpdated") } });
    assert!(Progress::read(deployment, &done).was_complete);
    assert!(!Progress::read(deployment, &on).was_complete);
    let revisions =
        |current: &str| json!({ "status": { "currentRevision": current, "updateRevision": "b" } });
    assert!(Progress::read(stateful_set, &revisions("b")).was_complete);
    assert!(!Progress::read(stateful_set, &revisions("a")).was_complete);
    assert!(!Progress::read(stateful_set, &json!({})).was_complete);
    let refused =
        json!({ "status": { "conditions": condition("ReplicaFailure", "FailedCreate") } });
    assert_eq!(
        Progress::read(deployment, &refused).refused.as_deref(),
        Some("exceeded quota")
    );
    let deadline = |seconds: i64| {
        let object = json!({ "spec": { "progressDeadlineSeconds": seconds } });
        Progress::read(deployment, &object)
            .deadline
            .map(|deadline| deadline.as_secs())
    };
    assert_eq!(
        [900, 0, 2_147_483_647].map(deadline),
        [Some(900), None, None]
    );
    let in_order = |policy: &str| {
        Progress::read(
            stateful_set,
            &json!({ "spec": { "podManagementPolicy": policy } }),
        )
        .in_order
    };
    assert_eq!(
        [in_order("OrderedReady"), in_order("Parallel")],
        [true, false]
    );
    assert!(Progress::read(stateful_set, &json!({})).in_order);
    assert!(!Progress::read(daemon_set, &json!({})).in_order);
    assert!(Progress::read(deployment, &replicas(2, 2, 2, 0)).is_down());
    assert!(!Progress::read(deployment, &replicas(0, 0, 0, 0)).is_down());
    assert!(Progress::read(deployment, &replicas(2, 3, 1, 2)).rolls());
    assert!(!Progress::read(deployment, &replicas(2, 2, 2, 2)).rolls());
}
