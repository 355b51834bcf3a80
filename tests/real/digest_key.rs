//! The digest key, lost and replaced: nothing restarts for it, and a recreation is still seen by the uid.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::support::{Arena, OBSERVED, deployment, eventually};

const NAME: &str = "reroll-digest-key";

fn keys(arena: &Arena) -> Api<Secret> {
    Api::namespaced(arena.client.clone(), &arena.own_namespace)
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
    for name in ["kept", "recreated"] {
        arena.secret(name, &[("k", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    let before = arena.annotation("Deployment", "kept", OBSERVED).await;
    let other = json!({ "data": { "key": ByteString(vec![7; 32]) } });
    keys(&arena)
        .patch(NAME, &PatchParams::default(), &Patch::Merge(other))
        .await
        .unwrap();
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
