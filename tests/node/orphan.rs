//! What pods read of a workload that was deleted without them and made again.

use std::collections::BTreeSet;

use kube::{ResourceExt, api::ListParams};
use reroll_harness::{KINDS, SOURCES, eventually};

use crate::stage::{PODS, Stage, arena, named};

/// Deletes the workloads and leaves their pods.
async fn orphan(stage: &Stage) {
    for kind in KINDS {
        let workload = format!("{kind}/{}", named(kind));
        let delete = ["delete", "--cascade=orphan", &workload];
        stage.arena.kubectl(&delete).await.ok();
    }
    for kind in KINDS {
        let name = named(kind);
        let what = format!("the pods of {kind} have no owner");
        eventually(&what, async || {
            // A Deployment's pods keep their ReplicaSet, which has no owner then.
            let owned = if kind == "Deployment" {
                "ReplicaSet"
            } else {
                "Pod"
            };
            let list = stage
                .arena
                .api(owned)
                .list(&ListParams::default())
                .await
                .unwrap();
            let own =
                |object: &&kube::api::DynamicObject| object.labels().get("app") == Some(&name);
            let owned = |object: &kube::api::DynamicObject| !object.owner_references().is_empty();
            (!list.iter().filter(own).any(owned)).then_some(())
        })
        .await;
    }
}

/// If nothing changed meanwhile, the pods stay. If the Secret changed, they are replaced once, and read the new value.
#[tokio::test]
async fn a_workload_that_is_made_again_over_its_pods_has_the_new_value() {
    let arena = arena("orphan").await;
    let _reroll = arena.reroll().start().await;
    let stage = Stage::new(arena, SOURCES[0], "one").await;
    stage.play().await;
    let mut first = BTreeSet::new();
    for kind in KINDS {
        first.extend(stage.arena.pod_uids(&named(kind)).await);
    }
    orphan(&stage).await;
    stage.play().await;
    stage.recorder.settle(&stage.arena).await;
    stage.reads("one").await;
    expect(&stage, PODS, &first).await;
    orphan(&stage).await;
    stage
        .arena
        .recreate(SOURCES[0], "db", &[("k", "two")])
        .await;
    stage.play().await;
    stage.reads("two").await;
    stage.recorder.settle(&stage.arena).await;
    stage.reads("two").await;
    expect(&stage, 2 * PODS, &BTreeSet::new()).await;
}

/// Checks how many pods each workload ever had, and that these are among them still.
async fn expect(stage: &Stage, ever: usize, still: &BTreeSet<String>) {
    let mut now = BTreeSet::new();
    for kind in KINDS {
        now.extend(stage.arena.pod_uids(&named(kind)).await);
        let had = stage.pods.ever(&named(kind)).len();
        assert_eq!(had, ever, "pods that {kind} ever had");
    }
    assert!(still.is_subset(&now), "{still:?} in {now:?}");
}
