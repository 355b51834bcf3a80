//! Who has a version where containers really run: nobody is told so before the last pod that was started with an older one is gone.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use reroll_harness::{PATIENCE, RESTART_ON, eventually, workload};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    reads::{KEY, RUN, by_pod, container, variable},
    stage::arena,
};

const KIND: &str = "Deployment";
/// A container that takes a minute to end.
const ENDS_SLOWLY: &str = "trap 'sleep 60; exit 0' TERM; while :; do sleep 3600 & wait $!; done\n";

/// Returns a Deployment that prints the value that it was started with, and runs this.
fn user(name: &str, script: &str) -> Value {
    let mut main = container(&format!("echo variable=$V\n{script}"));
    main["env"] = variable("Secret", "db");
    let pod = json!({
        "hostNetwork": true,
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 120,
        "containers": [main],
    });
    let mut user = workload(KIND, name, &[(RESTART_ON, "auto")], pod);
    user["spec"]["replicas"] = json!(1);
    user
}

/// Whether all containers of a pod have ended. A kubelet says so a moment before the pod goes, and it reads nothing any more.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[tokio::test]
async fn it_is_not_told_before_a_pod_that_takes_a_minute_to_end_is_gone() {
    let arena = arena("converged").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[(KEY, "one")]).await;
    let users = [("quick", RUN), ("slow", ENDS_SLOWLY)];
    let mut old = BTreeSet::new();
    for (name, script) in users {
        arena.create(&user(name, script)).await;
    }
    for (name, _) in users {
        arena.complete(KIND, name).await;
        arena.adopted(KIND, name).await;
        old.extend(arena.pod_uids(name).await);
    }
    assert_eq!(old.len(), 2);
    arena.later_second().await;
    arena.set("Secret", "db", KEY, "two").await;
    for (name, _) in users {
        eventually(&format!("{name} has a new pod"), async || {
            let pods = arena.pod_uids(name).await;
            (!pods.is_subset(&old)).then_some(())
        })
        .await;
    }
    let began = Instant::now();
    let mut ended_late = false;
    loop {
        let told = arena.event_count("db", "Converged").await;
        let mut there = BTreeSet::new();
        for (name, _) in users {
            let pods = arena.pods(name).await;
            there.extend(
                pods.iter()
                    .filter(|pod| !has_ended(pod))
                    .filter_map(Pod::uid),
            );
        }
        let is_left = !there.is_disjoint(&old);
        ended_late |= is_left;
        assert!(told == 0 || !is_left, "it is told, and {there:?} are there");
        if told > 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it is never told");
        sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(ended_late, "one took long to end");
    for (name, _) in users {
        let read = by_pod(&arena, name).await;
        assert!(
            read.values().all(|read| read["variable"] == "two"),
            "{read:?}"
        );
    }
    assert_eq!(arena.event_count("db", "Converged").await, 1);
}
