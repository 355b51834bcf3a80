//! Slow start where containers really run: a Secret loses a key that 40 Deployments need, and gets it again.

use reroll_harness::{RESTART_ON, Recorder, eventually, held, workload};
use serde_json::{Value, json};

use crate::{
    reads::{RUN, by_pod, container},
    stage::arena,
};

const KIND: &str = "Deployment";
/// So many workloads use the Secret.
const USERS: usize = 40;

/// Returns a Deployment that takes all keys of the Secret, and needs one of them: it names where a volume is. Nothing tells
/// that it does before the kubelet makes the container.
fn user(name: &str) -> Value {
    let mut main = container(&format!("echo variable=$PLACE\n{RUN}"));
    main["envFrom"] = json!([{ "secretRef": { "name": "db" } }]);
    main["volumeMounts"] =
        json!([{ "name": "place", "mountPath": "/place", "subPathExpr": "$(PLACE)" }]);
    let pod = json!({
        // A network for each pod takes as long as all the rest.
        "hostNetwork": true,
        "automountServiceAccountToken": false,
        "containers": [main],
        "volumes": [{ "name": "place", "emptyDir": {} }],
    });
    let mut user = workload(KIND, name, &[(RESTART_ON, "auto")], pod);
    user["spec"]["replicas"] = json!(1);
    user["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    user
}

#[tokio::test]
async fn a_key_that_goes_missing_breaks_one_of_40() {
    let arena = arena("slow-start").await;
    let slowly = arena.reroll().flag("--slow-start", "on");
    let slowly = slowly.flag("--soak", "1s").flag("--bake", "4s");
    let reroll = slowly.flag("--rollout-deadline", "60s").start().await;
    arena
        .secret("db", &[("PLACE", "one"), ("OTHER", "stays")])
        .await;
    let names: Vec<_> = (0..USERS)
        .map(|number| format!("web-{number:02}"))
        .collect();
    for name in &names {
        arena.create(&user(name)).await;
    }
    for name in &names {
        arena.complete(KIND, name).await;
        arena.adopted(KIND, name).await;
    }
    let mut before = Vec::new();
    for name in &names {
        before.push(arena.pod_uids(name).await);
    }
    let recorder = arena.record().await;
    let restarted = |recorder: &Recorder| -> Vec<String> {
        let all = names.iter().cloned();
        all.filter(|name| recorder.rollouts(KIND, name) > 0)
            .collect()
    };

    arena.unset("Secret", "db", "PLACE").await;
    let broken = eventually("one is restarted", async || {
        restarted(&recorder).first().cloned()
    })
    .await;
    let said = arena.event(&broken, "RestartStuck: ").await;
    let words = "container main waits: CreateContainerConfigError: missing value for PLACE";
    assert!(said.contains(words), "{said}");
    held(&reroll, USERS - 1).await;
    recorder.settle(&arena).await;
    assert_eq!(restarted(&recorder), std::slice::from_ref(&broken));
    recorder.expect(KIND, &broken, 1);
    for (name, before) in names.iter().zip(&before) {
        let pods = arena.pod_uids(name).await;
        if *name == broken {
            // The old pod serves as long as the new one does not.
            assert!(pods.is_superset(before) && pods.len() == 2, "{pods:?}");
        } else {
            assert_eq!(pods, *before, "{name} is untouched");
        }
    }

    arena.set("Secret", "db", "PLACE", "two").await;
    eventually("all are restarted", async || {
        (restarted(&recorder).len() == USERS).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    let times = |name: &String| 1 + usize::from(*name == broken);
    recorder.expect_each(KIND, names.iter().map(|name| (name, times(name))));
    let others = names.iter().filter(|name| **name != broken);
    let at = |name: &str| recorder.changed_at(KIND, name);
    for name in others {
        assert!(at(name) > at(&broken), "the broken one is mended first");
    }
    for name in &names {
        arena.complete(KIND, name).await;
        let read = by_pod(&arena, name).await;
        assert_eq!(read.len(), 1, "{read:?}");
        assert!(read.values().all(|read| read["variable"] == "two"));
    }
}
