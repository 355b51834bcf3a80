//! Opting in adopts what is there, and opting out forgets it. Neither rolls anything, whatever changed in between.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Namespace};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use reroll_harness::{
    Arena, KINDS, LAST_RESTART, OBSERVED, RESTART_ON, RESTARTED_FOR, Recorder, Reroll, deployment,
    env, eventually, workload,
};
use serde_json::json;

#[tokio::test]
async fn out_and_in_again_with_the_webhook() {
    let arena = Arena::new("opting-webhook").await;
    // What changed just before the opt-in has not been seen by the watch.
    let late = Duration::from_millis(200);
    let (_proxy, _reroll) = arena.late_secrets(late, arena.reroll()).await;
    let recorder = restarted_once(&arena).await;
    // In the same write: there is nothing to wait for.
    assert_forgotten(&opt(&arena, None).await);
    arena.update_secret("db", &[("k", "three")]).await;
    opt(&arena, Some("auto")).await;
    expect_only_what_comes_now(&arena, &recorder).await;
}

#[tokio::test]
async fn out_and_in_again_without_the_webhook() {
    let arena = Arena::new("opting-watch").await;
    let reroll = arena.reroll().without_webhook().start().await;
    let recorder = restarted_once(&arena).await;
    opt(&arena, None).await;
    forgotten(&arena).await;
    seen(&reroll, arena.recreate_secret("db", &[("k", "three")])).await;
    opt(&arena, Some("auto")).await;
    expect_only_what_comes_now(&arena, &recorder).await;
}

#[tokio::test]
async fn out_and_in_again_at_once_without_the_webhook() {
    let arena = Arena::new("opting-quick").await;
    let _reroll = arena.reroll().without_webhook().start().await;
    let recorder = restarted_once(&arena).await;
    for _ in 0..10 {
        opt(&arena, None).await;
        opt(&arena, Some("auto")).await;
    }
    expect_only_what_comes_now(&arena, &recorder).await;
}

#[tokio::test]
async fn out_while_it_is_down_and_in_while_it_is_down_again() {
    let arena = Arena::new("opting-down").await;
    let reroll = arena.reroll().start().await;
    let recorder = restarted_once(&arena).await;
    let builder = reroll.builder();
    reroll.kill();
    opt(&arena, None).await;
    let reroll = builder.clone().start().await;
    forgotten(&arena).await;
    assert!(reroll.stop().await);
    arena.update_secret("db", &[("k", "three")]).await;
    opt(&arena, Some("auto")).await;
    let _reroll = builder.start().await;
    expect_only_what_comes_now(&arena, &recorder).await;
}

#[tokio::test]
async fn out_by_saying_off_and_in_by_saying_less() {
    let arena = Arena::new("opting-off").await;
    let _reroll = arena.reroll().start().await;
    let recorder = restarted_once(&arena).await;
    assert_forgotten(&opt(&arena, Some("off")).await);
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    opt(&arena, Some("secret/db")).await;
    expect_only_what_comes_now(&arena, &recorder).await;
}

#[tokio::test]
async fn the_namespaces_label_off_and_on_with_the_webhook() {
    let arena = Arena::new("opting-label").await;
    let reroll = arena.reroll().start().await;
    label_off_and_on(&arena, &reroll).await;
}

#[tokio::test]
async fn the_namespaces_label_off_and_on_without_the_webhook() {
    let arena = Arena::new("opting-nohook").await;
    let reroll = arena.reroll().without_webhook().start().await;
    label_off_and_on(&arena, &reroll).await;
}

#[tokio::test]
async fn one_that_existed_long_before_is_adopted_as_it_is() {
    let arena = Arena::new("opting-old").await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    changed_after_the_current_revision(&arena).await;
    let recorder = arena.record().await;
    let _reroll = arena.reroll().start().await;
    arena.adopted("Deployment", "web").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    // It is unknown whether its pods read the newest data: reroll says so.
    arena.event("web", "AdoptedOutdated").await;
    arena.update_secret("db", &[("k", "next")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

async fn label_off_and_on(arena: &Arena, reroll: &Reroll) {
    label(arena, Some("auto")).await;
    for kind in KINDS {
        let name = kind.to_lowercase();
        arena.secret(&name, &[("k", "one")]).await;
        arena
            .create(&workload(kind, &name, &[], env(&name, "k")))
            .await;
        arena
            .create(&workload(
                kind,
                "not",
                &[(RESTART_ON, "off")],
                env(&name, "k"),
            ))
            .await;
    }
    let recorder = arena.record().await;
    for kind in KINDS {
        arena.adopted(kind, &kind.to_lowercase()).await;
    }
    for round in 0..2 {
        label(arena, None).await;
        for kind in KINDS {
            eventually(&format!("{kind} is forgotten"), async || {
                let object = arena.get(kind, &kind.to_lowercase()).await;
                (!object.annotations().contains_key(OBSERVED)).then_some(())
            })
            .await;
        }
        for kind in KINDS {
            let value = format!("off-{round}");
            seen(
                reroll,
                arena.update_secret(&kind.to_lowercase(), &[("k", &value)]),
            )
            .await;
        }
        label(arena, Some("auto")).await;
        for kind in KINDS {
            arena.adopted(kind, &kind.to_lowercase()).await;
        }
        recorder.settle(arena).await;
        for kind in KINDS {
            recorder.expect(kind, &kind.to_lowercase(), round);
        }
        for kind in KINDS {
            let value = format!("on-{round}");
            arena
                .update_secret(&kind.to_lowercase(), &[("k", &value)])
                .await;
        }
        recorder.settle(arena).await;
        for kind in KINDS {
            recorder.expect(kind, &kind.to_lowercase(), round + 1);
            recorder.expect(kind, "not", 0);
        }
    }
}

/// A Deployment that was restarted once: it has everything that reroll writes.
async fn restarted_once(arena: &Arena) -> Recorder {
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 1);
    let web = arena.get("Deployment", "web").await;
    assert!(web.annotations().contains_key(LAST_RESTART));
    recorder
}

/// Nothing was rolled for what happened while it was opted out; the next change rolls once.
async fn expect_only_what_comes_now(arena: &Arena, recorder: &Recorder) {
    arena.adopted("Deployment", "web").await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.update_secret("db", &[("k", "four")]).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 2);
}

async fn opt(arena: &Arena, how: Option<&str>) -> DynamicObject {
    let patch = json!({ "metadata": { "annotations": { RESTART_ON: how } } });
    arena.patch("Deployment", "web", patch).await
}

async fn forgotten(arena: &Arena) {
    let web = eventually("reroll's annotations are gone", async || {
        let web = arena.get("Deployment", "web").await;
        (!web.annotations().contains_key(OBSERVED)).then_some(web)
    })
    .await;
    assert_forgotten(&web);
}

/// The metadata's annotations are gone, the template's is there: without it the pods would roll.
#[track_caller]
fn assert_forgotten(web: &DynamicObject) {
    let annotations = web.annotations();
    assert!(!annotations.contains_key(OBSERVED), "{annotations:?}");
    assert!(!annotations.contains_key(LAST_RESTART), "{annotations:?}");
    let template = &web.data["spec"]["template"]["metadata"]["annotations"];
    assert!(template[RESTARTED_FOR].is_string(), "{template}");
}

async fn label(arena: &Arena, value: Option<&str>) {
    let patch = json!({ "metadata": { "labels": { RESTART_ON: value } } });
    Api::<Namespace>::all(arena.client.clone())
        .patch(
            &arena.namespace,
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
}

/// Changes a Secret, and waits until reroll has seen that.
async fn seen(reroll: &Reroll, change: impl Future<Output = ()>) {
    let applied = async || {
        reroll
            .metric("reroll_sources_seen_total{kind=\"Secret\",event=\"apply\"}")
            .await
    };
    let before = applied().await;
    change.await;
    eventually("reroll has seen the Secret", async || {
        (applied().await > before).then_some(())
    })
    .await;
}

/// Changes the Secret until its time, of which the API server tells whole seconds, is later than the Deployment's
/// current `ReplicaSet`.
async fn changed_after_the_current_revision(arena: &Arena) {
    let sets = Api::<ReplicaSet>::namespaced(arena.client.clone(), &arena.namespace);
    let made = eventually("there is a ReplicaSet", async || {
        let list = sets.list(&ListParams::default()).await.unwrap();
        list.items.into_iter().next()?.metadata.creation_timestamp
    })
    .await;
    eventually("the Secret is newer than the ReplicaSet", async || {
        let value = fastrand::u64(..).to_string();
        arena.update_secret("db", &[("k", &value)]).await;
        let secret = arena.get("Secret", "db").await;
        let written = secret
            .managed_fields()
            .iter()
            .filter_map(|entry| entry.time.clone())
            .max();
        (written? > made).then_some(())
    })
    .await;
}
