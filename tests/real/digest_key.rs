//! The digest key, lost and replaced: nothing restarts for it, and a recreation is still seen by the uid.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use reroll_harness::{
    Arena, OBSERVED, deployment, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, Rule},
};
use serde_json::json;

const NAME: &str = "reroll-digest-key";

fn keys(arena: &Arena) -> Api<Secret> {
    Api::namespaced(arena.client.clone(), &arena.own_namespace)
}

/// Puts a key of such bytes in the place of the one that is there, and keeps that as `old` or not.
async fn replace(arena: &Arena, byte: u8, keep: bool) {
    let before = keys(arena).get(NAME).await.unwrap();
    let mut data = json!({ "key": ByteString(vec![byte; 32]) });
    if keep {
        data["old"] = json!(before.data.unwrap()["key"]);
    }
    keys(arena)
        .patch(
            NAME,
            &PatchParams::default(),
            &Patch::Merge(json!({ "data": data })),
        )
        .await
        .unwrap();
}

/// The id of the key that a workload was observed under.
async fn key_id(arena: &Arena, name: &str) -> String {
    let observed = arena.annotation("Deployment", name, OBSERVED).await;
    let observed: serde_json::Value = serde_json::from_str(&observed.unwrap()).unwrap();
    observed["k"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_that_was_deleted_is_written_again() {
    let arena = Arena::new("key-deleted").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let before = keys(&arena).get(NAME).await.unwrap();
    keys(&arena)
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    let after = eventually("the key is there again", async || {
        keys(&arena).get_opt(NAME).await.unwrap()
    })
    .await;
    assert_eq!(after.data, before.data);
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

#[tokio::test]
async fn another_one_restarts_nothing_and_uids_still_count() {
    let arena = Arena::new("key-replaced").await;
    let mut reroll = arena.reroll().start().await;
    arena.pairs(["kept", "recreated"]).await;
    let recorder = arena.record().await;
    let before = arena.annotation("Deployment", "kept", OBSERVED).await;
    replace(&arena, 7, false).await;
    let again = reroll.builder();
    assert!(
        !reroll.ended().await,
        "it says by its exit code that it did not end by itself"
    );
    assert!(
        reroll.log().contains("the digest key in Secret"),
        "{}",
        reroll.log()
    );

    arena.recreate_secret("recreated", &[("k", "one")]).await;
    let _reroll = again.start().await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "kept", 0);
    recorder.expect("Deployment", "recreated", 1);
    eventually("the digests are of the new key", async || {
        (arena.annotation("Deployment", "kept", OBSERVED).await != before).then_some(())
    })
    .await;
    arena.update_secret("kept", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "kept", 1);
}

#[tokio::test]
async fn a_planned_rotation_loses_no_change_and_restarts_nothing_else() {
    let arena = Arena::new("key-rotated").await;
    let mut reroll = arena.reroll().start().await;
    arena.pairs(["kept", "changed", "recreated", "later"]).await;
    let recorder = arena.record().await;
    let old = key_id(&arena, "kept").await;
    replace(&arena, 7, true).await;
    let again = reroll.builder();
    assert!(reroll.ended().await, "a rotation is no failure");
    let log = reroll.log();
    let told = "the digest key is rotated: this process ends well, and its next start takes the new key (the kubelet starts it again; outside of a cluster, you do)";
    assert!(log.contains(told), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    // While reroll is down, and under the old key's digests.
    arena.update_secret("changed", &[("k", "two")]).await;
    arena.recreate_secret("recreated", &[("k", "one")]).await;

    let reroll = again.clone().start().await;
    recorder.settle(&arena).await;
    for (name, rollouts) in [("kept", 0), ("changed", 1), ("recreated", 1), ("later", 0)] {
        recorder.expect("Deployment", name, rollouts);
    }
    eventually("nothing is under the old key any more", async || {
        let left = reroll.count("reroll_workloads_under_previous_key").await;
        (left == 0).then_some(())
    })
    .await;
    assert_ne!(key_id(&arena, "kept").await, old);

    // The old one can go.
    let patch = json!({ "data": { "old": null } });
    keys(&arena)
        .patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert!(reroll.stop().await);
    arena.update_secret("later", &[("k", "two")]).await;
    let _reroll = again.start().await;
    recorder.settle(&arena).await;
    for (name, rollouts) in [("kept", 0), ("changed", 1), ("recreated", 1), ("later", 1)] {
        recorder.expect("Deployment", name, rollouts);
    }
}

#[tokio::test]
async fn of_two_replicas_the_one_with_the_wrong_key_decides_nothing() {
    let arena = Arena::new("key-differs").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let wrong = arena.reroll().flag("--instance", "wrong").without_webhook();
    let mut wrong = wrong.kubeconfig(proxy.kubeconfig()).start().await;
    wrong.leads().await;
    arena.pairs(["web", "other"]).await;
    // It cannot see that the key was replaced, and goes on to lead.
    let reads = Matcher::any().path_contains("secrets/reroll-digest-key");
    let refusal = Answer::status(500, "InternalError", "not now");
    let unreadable = proxy.add(Rule::new(reads, Fault::Answer(refusal)));
    replace(&arena, 7, true).await;
    let right = arena.reroll().flag("--instance", "right").start().await;
    let recorder = arena.record().await;
    let label = json!({ "spec": { "template": { "metadata": { "labels": { "x": "y" } } } } });
    arena.patch("Deployment", "web", label).await;
    let new = key_id(&arena, "web").await;
    eventually(
        "the leader says that it does not know the key",
        async || {
            let held = wrong
                .count("reroll_workloads_pending{reason=\"unknown_key\"}")
                .await;
            // The sentinel too, which was made under the new key.
            (held == 2).then_some(())
        },
    )
    .await;
    arena.update_secret("web", &[("k", "two")]).await;
    arena.update_secret("other", &[("k", "two")]).await;
    // What is under its own key it still restarts: the right replica then knows what it wrote.
    recorder.reaches("Deployment", "other", 1).await;
    assert_eq!(key_id(&arena, "web").await, new, "it was not rewritten");
    recorder.expect("Deployment", "web", 1);
    assert!(wrong.log().contains("the digest key cannot be checked"));

    proxy.remove(unreadable);
    assert!(
        wrong.ended().await,
        "now it sees the rotation, which is no failure"
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    recorder.expect("Deployment", "other", 1);
    assert_eq!(key_id(&arena, "other").await, new);
    assert!(right.stop().await);
}
