//! Another writer changes reroll's annotations, or removes them. Nothing rolls for that, reroll restores what was
//! observed, and the next change of the Secret rolls once.
//!
//! Without a webhook, a write that changes the template's `restarted-for` is a rollout of its own, and the restart that
//! undoes it is the next. Then pods may be of any age.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reroll::model::{
    DigestKey,
    observed::{Observed, Reading},
};
use reroll_harness::{
    Arena, KINDS, LAST_RESTART, OBSERVED, RESTART_ON, RESTARTED_FOR, ROLLOUT, RerollBuilder,
    deployment, env, eventually, workload,
};
use serde_json::{Value, json};

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

fn named(kind: &str) -> String {
    kind.to_lowercase()
}

fn manifest(kind: &str) -> Value {
    workload(kind, &named(kind), &AUTO, env("db", "k"))
}

/// reroll's annotations on a workload.
#[derive(Clone, Debug, PartialEq)]
struct Own {
    observed: Option<String>,
    last_restart: Option<String>,
    rollout: Option<String>,
    restarted_for: Option<String>,
}

async fn own(arena: &Arena, kind: &str, name: &str) -> Own {
    let object = arena.get(kind, name).await;
    let annotations = object.metadata.annotations.unwrap_or_default();
    let template = &object.data["spec"]["template"]["metadata"]["annotations"];
    Own {
        observed: annotations.get(OBSERVED).cloned(),
        last_restart: annotations.get(LAST_RESTART).cloned(),
        rollout: annotations.get(ROLLOUT).cloned(),
        restarted_for: template[RESTARTED_FOR].as_str().map(ToOwned::to_owned),
    }
}

/// One workload of each kind, adopted.
async fn workloads(arena: &Arena) {
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        arena.create(&manifest(kind)).await;
    }
    for kind in KINDS {
        arena.adopted(kind, &named(kind)).await;
    }
}

/// Waits until `observed` is this again.
async fn restored(arena: &Arena, kind: &str, name: &str, observed: &str, why: &str) {
    eventually(&format!("{kind}: observed is back ({why})"), async || {
        let now = arena.annotation(kind, name, OBSERVED).await?;
        (now == observed).then_some(())
    })
    .await;
}

// === kubectl replace ===

async fn replaced(arena: &Arena, reroll: RerollBuilder, more: usize) {
    let _reroll = reroll.start().await;
    workloads(arena).await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(arena).await;
    arena.create(&deployment("fresh", "db", "k")).await;
    arena.adopted("Deployment", "fresh").await;
    let fresh = own(arena, "Deployment", "fresh").await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 1);
        let before = own(arena, kind, &named(kind)).await;
        let text = manifest(kind).to_string();
        arena
            .kubectl_with(&["replace", "-f", "-"], &text)
            .await
            .ok();
        if more == 0 {
            assert_eq!(own(arena, kind, &named(kind)).await, before);
        }
    }
    let text = deployment("fresh", "db", "k").to_string();
    arena
        .kubectl_with(&["replace", "-f", "-"], &text)
        .await
        .ok();
    restored(
        arena,
        "Deployment",
        "fresh",
        &fresh.observed.unwrap(),
        "replace",
    )
    .await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "fresh", 0);
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 1 + more);
        assert!(own(arena, kind, &named(kind)).await.last_restart.is_some());
    }
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "fresh", 1);
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 2 + more);
    }
}

#[tokio::test]
async fn dropped_by_replace_with_the_webhook() {
    let arena = Arena::new("tamper-replace").await;
    replaced(&arena, arena.reroll(), 0).await;
}

#[tokio::test]
async fn dropped_by_replace_without_webhook() {
    let arena = Arena::new("tamper-replace-bare").await;
    replaced(&arena, arena.reroll().without_webhook(), 2).await;
}

// === a forced server-side apply that repeats ===

async fn apply(arena: &Arena, manifest: &Value) {
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=git",
        "-f",
        "-",
    ];
    arena
        .kubectl_with(&arguments, &manifest.to_string())
        .await
        .ok();
}

/// The manifest with reroll's annotations of some time ago.
fn pinned(kind: &str, own: &Own, template: bool) -> Value {
    let mut manifest = manifest(kind);
    manifest["metadata"]["annotations"][OBSERVED] = json!(own.observed);
    manifest["metadata"]["annotations"][LAST_RESTART] = json!(own.last_restart);
    manifest["metadata"]["annotations"][ROLLOUT] = json!(own.rollout);
    if template {
        let annotations = json!({ RESTARTED_FOR: own.restarted_for });
        manifest["spec"]["template"]["metadata"]["annotations"] = annotations;
    }
    manifest
}

/// `template`: `restarted-for` is pinned too. `more`: rollouts by each apply.
async fn pinned_again_and_again(arena: &Arena, reroll: RerollBuilder, template: bool, more: usize) {
    let _reroll = reroll.start().await;
    workloads(arena).await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(arena).await;
    let mut manifests = Vec::new();
    for kind in KINDS {
        let old = own(arena, kind, &named(kind)).await;
        assert!(old.observed.is_some() && old.restarted_for.is_some() && old.rollout.is_some());
        manifests.push(pinned(kind, &old, template));
    }
    let mut rollouts = 2;
    for value in ["three", "four"] {
        arena.update_secret("db", &[("k", value)]).await;
        recorder.settle(arena).await;
        for (kind, manifest) in KINDS.iter().zip(&manifests) {
            recorder.expect(kind, &named(kind), rollouts);
            let before = own(arena, kind, &named(kind)).await;
            for round in 1..=3 {
                apply(arena, manifest).await;
                recorder
                    .reaches(kind, &named(kind), rollouts + round * more)
                    .await;
                if more == 0 {
                    let observed = before.observed.as_deref().unwrap();
                    restored(arena, kind, &named(kind), observed, "apply").await;
                }
                if template && more == 0 {
                    assert_eq!(own(arena, kind, &named(kind)).await, before);
                }
            }
        }
        recorder.settle(arena).await;
        rollouts += 3 * more;
        for kind in KINDS {
            recorder.expect(kind, &named(kind), rollouts);
        }
        rollouts += 1;
    }
}

#[tokio::test]
async fn pinned_by_server_side_apply_with_the_webhook() {
    let arena = Arena::new("tamper-pin").await;
    pinned_again_and_again(&arena, arena.reroll(), true, 0).await;
}

#[tokio::test]
async fn pinned_metadata_without_webhook() {
    let arena = Arena::new("tamper-pin-bare").await;
    pinned_again_and_again(&arena, arena.reroll().without_webhook(), false, 0).await;
}

#[tokio::test]
async fn a_pinned_template_without_webhook_is_restarted_each_time() {
    let arena = Arena::new("tamper-pin-template").await;
    pinned_again_and_again(&arena, arena.reroll().without_webhook(), true, 2).await;
}

// === the status subresource, which no webhook of reroll sees ===

async fn forge(arena: &Arena, kind: &str, observed: &Value) {
    let patch = json!({ "metadata": { "annotations": { OBSERVED: observed } } });
    arena
        .api(kind)
        .patch_status(&named(kind), &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// What a writer may write there, given what is there.
fn forgeries(now: &str, earlier: &str, of_another: &str) -> Vec<(&'static str, Value)> {
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut observed: Value = serde_json::from_str(now).unwrap();
        edit(&mut observed);
        json!(observed.to_string())
    };
    let uid = "00000000-0000-4000-8000-000000000000";
    vec![
        ("dropped", Value::Null),
        ("emptied", json!("")),
        ("no JSON", json!("{")),
        ("another workload", edited(&|it| it["for"] = json!(uid))),
        ("another key", edited(&|it| it["k"] = json!("AAAAAAAA"))),
        (
            "another source",
            edited(&|it| it["s"]["secret/db"]["u"] = json!(uid)),
        ),
        (
            "another source under another key",
            edited(&|it| {
                it["k"] = json!("AAAAAAAA");
                it["s"]["secret/db"]["u"] = json!(uid);
            }),
        ),
        ("no sources", edited(&|it| it["s"] = json!({}))),
        (
            "a higher sequence",
            edited(&|it| it["n"] = json!(1_000_000)),
        ),
        ("an older format", edited(&|it| it["v"] = json!(0))),
        ("a newer format", json!("{\"v\":99}")),
        (
            "a newer format that says more",
            edited(&|it| it["v"] = json!(99)),
        ),
        ("an earlier one", json!(earlier)),
        ("one of another workload", json!(of_another)),
    ]
}

async fn observed(arena: &Arena, kind: &str) -> String {
    own(arena, kind, &named(kind)).await.observed.unwrap()
}

#[tokio::test]
async fn forged_through_the_status() {
    let arena = Arena::new("tamper-status").await;
    let _reroll = arena.reroll().start().await;
    workloads(&arena).await;
    let mut earlier = Vec::new();
    for kind in KINDS {
        earlier.push(observed(&arena, kind).await);
    }
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    let sentinel = arena
        .annotation("Deployment", "sentinel", OBSERVED)
        .await
        .unwrap();
    for (kind, earlier) in KINDS.iter().zip(&earlier) {
        let before = observed(&arena, kind).await;
        for (what, forged) in forgeries(&before, earlier, &sentinel) {
            forge(&arena, kind, &forged).await;
            restored(&arena, kind, &named(kind), &before, what).await;
        }
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 1);
    }
    // The change comes before what was observed is restored.
    let count = forgeries("{\"s\":{\"secret/db\":{}}}", "", "").len();
    for round in 0..count {
        for (kind, earlier) in KINDS.iter().zip(&earlier) {
            let now = observed(&arena, kind).await;
            let (_, forged) = forgeries(&now, earlier, &sentinel).swap_remove(round);
            forge(&arena, kind, &forged).await;
        }
        arena
            .update_secret("db", &[("k", &format!("round {round}"))])
            .await;
        recorder.settle(&arena).await;
        for kind in KINDS {
            recorder.expect(kind, &named(kind), 2 + round);
        }
    }
}

#[tokio::test]
async fn forged_through_the_status_while_reroll_is_down() {
    let arena = Arena::new("tamper-down").await;
    let mut reroll = arena.reroll().start().await;
    workloads(&arena).await;
    let earlier = observed(&arena, "Deployment").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    let sentinel = arena
        .annotation("Deployment", "sentinel", OBSERVED)
        .await
        .unwrap();
    let mut rollouts = 1;
    let before = observed(&arena, "Deployment").await;
    for (what, _) in forgeries(&before, &earlier, &sentinel) {
        // No memory says otherwise: these cannot be told from an undo, and from a key that was lost.
        if ["an earlier one", "another source under another key"].contains(&what) {
            continue;
        }
        let again = reroll.builder();
        reroll.kill();
        for kind in KINDS {
            let now = observed(&arena, kind).await;
            let mut all = forgeries(&now, &earlier, &sentinel);
            all.retain(|(name, _)| *name == what);
            forge(&arena, kind, &all[0].1).await;
        }
        reroll = again.start().await;
        recorder.settle(&arena).await;
        for kind in KINDS {
            assert_eq!(
                recorder.rollouts(kind, &named(kind)),
                rollouts,
                "{kind}: {what}"
            );
            arena.adopted(kind, &named(kind)).await;
        }
        arena.update_secret("db", &[("k", what)]).await;
        recorder.settle(&arena).await;
        rollouts += 1;
        for kind in KINDS {
            assert_eq!(
                recorder.rollouts(kind, &named(kind)),
                rollouts,
                "{kind}: after {what}"
            );
        }
    }
}

/// The digest key of the arena's reroll.
async fn digest_key(arena: &Arena) -> DigestKey {
    let own = Api::<Secret>::namespaced(arena.client.clone(), &arena.own_namespace);
    let key = own.get("reroll-digest-key").await.unwrap().data.unwrap();
    DigestKey::new(&key["key"].0).unwrap()
}

/// reroll leaves a format alone that only a newer release writes, and says so. When the annotation goes, reroll goes
/// on.
#[tokio::test]
async fn a_newer_format_through_the_status() {
    let arena = Arena::new("tamper-newer").await;
    let _reroll = arena.reroll().start().await;
    workloads(&arena).await;
    let recorder = arena.record().await;
    let key = digest_key(&arena).await;
    let mut newer = Vec::new();
    for kind in KINDS {
        let text = observed(&arena, kind).await;
        let Reading::Genuine(observed) = Observed::read(&text, &key) else {
            panic!("{text}");
        };
        let format = key.newest_format() + 1;
        let text = Observed { format, ..observed }.print(&key);
        forge(&arena, kind, &json!(text)).await;
        arena.event(&named(kind), "NewerFormat").await;
        newer.push(text);
    }
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    for (kind, newer) in KINDS.iter().zip(&newer) {
        recorder.expect(kind, &named(kind), 0);
        assert_eq!(observed(&arena, kind).await, *newer);
        forge(&arena, kind, &Value::Null).await;
        arena.adopted(kind, &named(kind)).await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 0);
    }
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 1);
    }
}

/// While a controller owns the workload, reroll leaves it alone. What another writer writes there meanwhile does not
/// count later.
#[tokio::test]
async fn forged_while_an_owner_comes_and_goes() {
    let arena = Arena::new("tamper-owner").await;
    let _reroll = arena.reroll().start().await;
    workloads(&arena).await;
    let owner = arena.config_map("owner", &[]).await;
    let recorder = arena.record().await;
    for forged in [json!("{\"v\":99}"), json!("{}"), Value::Null] {
        let mut before = Vec::new();
        for kind in KINDS {
            before.push(observed(&arena, kind).await);
            let owner = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid, "controller": true,
            });
            let patch = json!({ "metadata": { "ownerReferences": [owner] } });
            arena.patch(kind, &named(kind), patch).await;
            forge(&arena, kind, &forged).await;
        }
        for (kind, before) in KINDS.iter().zip(&before) {
            let free = json!({ "metadata": { "ownerReferences": null } });
            arena.patch(kind, &named(kind), free).await;
            restored(&arena, kind, &named(kind), before, "the owner went").await;
        }
        recorder.settle(&arena).await;
        for kind in KINDS {
            recorder.expect(kind, &named(kind), 0);
        }
    }
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &named(kind), 1);
    }
}

// === put back from before an opt-out ===

/// An `observed` of an earlier opt-in is restored, at several times: it never counts again.
async fn put_back_over_opt_outs(arena: &Arena, reroll: RerollBuilder) {
    let _reroll = reroll.start().await;
    workloads(arena).await;
    let mut first = Vec::new();
    for kind in KINDS {
        first.push(json!(observed(arena, kind).await));
    }
    let recorder = arena.record().await;
    let mut rollouts = 0;
    for (round, while_out) in [false, true, false].into_iter().enumerate() {
        for (kind, first) in KINDS.iter().zip(&first) {
            arena
                .annotate(kind, &named(kind), RESTART_ON, Some("off"))
                .await;
            eventually("reroll's annotations are gone", async || {
                let now = arena.annotation(kind, &named(kind), OBSERVED).await;
                now.is_none().then_some(())
            })
            .await;
            if while_out {
                forge(arena, kind, first).await;
            }
        }
        let value = format!("out {round}");
        arena.update_secret("db", &[("k", &value)]).await;
        recorder.settle(arena).await;
        for (kind, first) in KINDS.iter().zip(&first) {
            arena
                .annotate(kind, &named(kind), RESTART_ON, Some("auto"))
                .await;
            let ours = eventually("it is adopted afresh", async || {
                let now = arena.annotation(kind, &named(kind), OBSERVED).await?;
                (json!(now) != *first).then_some(now)
            })
            .await;
            forge(arena, kind, first).await;
            restored(arena, kind, &named(kind), &ours, "put back").await;
        }
        recorder.settle(arena).await;
        for kind in KINDS {
            recorder.expect(kind, &named(kind), rollouts);
        }
        // The change comes before what was observed is restored.
        for (kind, first) in KINDS.iter().zip(&first) {
            forge(arena, kind, first).await;
        }
        let value = format!("in {round}");
        arena.update_secret("db", &[("k", &value)]).await;
        recorder.settle(arena).await;
        rollouts += 1;
        for kind in KINDS {
            recorder.expect(kind, &named(kind), rollouts);
        }
    }
}

#[tokio::test]
async fn put_back_over_opt_outs_with_the_webhook() {
    let arena = Arena::new("tamper-out").await;
    put_back_over_opt_outs(&arena, arena.reroll()).await;
}

#[tokio::test]
async fn put_back_over_opt_outs_without_webhook() {
    let arena = Arena::new("tamper-out-bare").await;
    put_back_over_opt_outs(&arena, arena.reroll().without_webhook()).await;
}

// === copied with a manifest ===

/// What `kubectl get -o yaml` gives, as people clean it up to create it elsewhere.
async fn copy(arena: &Arena, kind: &str, name: &str) -> String {
    let said = arena
        .kubectl(&["get", kind, &named(kind), "--output", "json"])
        .await
        .ok();
    let mut object: Value = serde_json::from_str(&said.out).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "annotations", "labels"].contains(&key.as_str()));
    metadata["name"] = json!(name);
    object.as_object_mut().unwrap().remove("status");
    object.to_string()
}

async fn copied(arena: &Arena, other: &Arena, reroll: RerollBuilder) {
    let both = format!("{},{}", arena.namespace, other.namespace);
    let _reroll = reroll.flag("--namespaces", &both).start().await;
    workloads(arena).await;
    other.secret("db", &[("k", "elsewhere")]).await;
    let (here, there) = (arena.record().await, other.record().await);
    arena.update_secret("db", &[("k", "two")]).await;
    here.settle(arena).await;
    for kind in KINDS {
        let twin = copy(arena, kind, "twin").await;
        arena.kubectl_with(&["create", "-f", "-"], &twin).await.ok();
        let far = copy(arena, kind, &named(kind)).await;
        other.kubectl_with(&["create", "-f", "-"], &far).await.ok();
    }
    for kind in KINDS {
        arena.adopted(kind, "twin").await;
        other.adopted(kind, &named(kind)).await;
    }
    here.settle(arena).await;
    there.settle(other).await;
    for kind in KINDS {
        here.expect(kind, &named(kind), 1);
        here.expect(kind, "twin", 0);
        there.expect(kind, &named(kind), 0);
    }
    arena.update_secret("db", &[("k", "three")]).await;
    here.settle(arena).await;
    other.recreate_secret("db", &[("k", "elsewhere")]).await;
    there.settle(other).await;
    for kind in KINDS {
        here.expect(kind, &named(kind), 2);
        here.expect(kind, "twin", 1);
        there.expect(kind, &named(kind), 1);
    }
}

#[tokio::test]
async fn copied_with_the_webhook() {
    let (arena, other) = (
        Arena::new("tamper-copy").await,
        Arena::new("tamper-copy").await,
    );
    copied(&arena, &other, arena.reroll()).await;
}

#[tokio::test]
async fn copied_without_webhook() {
    let (arena, other) = (
        Arena::new("tamper-copy-bare").await,
        Arena::new("tamper-copy-bare").await,
    );
    copied(&arena, &other, arena.reroll().without_webhook()).await;
}
