//! Annotations in every form: keys with slashes, maps that are empty, null or missing. Each workload restarts once, and
//! no other writer's annotation is lost.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use reroll_harness::{
    Arena, KINDS, LAST_RESTART, OBSERVED, RESTARTED_FOR, ROLLOUT, RerollBuilder, env, eventually,
    workload,
};
use serde_json::{Value, json};

/// Annotations of the workload and of its template; `None` for a missing map.
fn shapes() -> Vec<(&'static str, Option<Value>, Option<Value>)> {
    let odd = json!({
        "example.com/a": "b", "reroll.dev.example.com/observed": "not ours", "a.b": "~1/~0\"\\ü\n", "A_b-C.d": "",
    });
    vec![
        ("missing", None, None),
        ("null", Some(Value::Null), Some(Value::Null)),
        ("empty", Some(json!({})), Some(json!({}))),
        ("odd", Some(odd.clone()), Some(odd.clone())),
        ("odd-outside", Some(odd.clone()), None),
        ("odd-inside", None, Some(odd)),
    ]
}

fn shaped(kind: &str, name: &str, outside: Option<&Value>, inside: Option<&Value>) -> Value {
    let mut manifest = workload(kind, name, &[], env("db", "k"));
    manifest["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    if let Some(annotations) = outside {
        manifest["metadata"]["annotations"] = annotations.clone();
    }
    if let Some(annotations) = inside {
        manifest["spec"]["template"]["metadata"]["annotations"] = annotations.clone();
    }
    manifest
}

/// Opts everything in without an annotation.
async fn label_namespace(arena: &Arena) {
    let label = json!({ "metadata": { "labels": { "reroll.dev/restart-on": "auto" } } });
    Api::<Namespace>::all(arena.client.clone())
        .patch(
            &arena.namespace,
            &PatchParams::default(),
            &Patch::Merge(label),
        )
        .await
        .unwrap();
}

/// The annotations that are not reroll's, or of controllers.
fn others(object: &DynamicObject) -> (Value, Value) {
    let keep = |key: &String| {
        ![LAST_RESTART, OBSERVED, RESTARTED_FOR, ROLLOUT].contains(&key.as_str())
            && !key.starts_with("deployment.kubernetes.io/")
            && !key.starts_with("deprecated.daemonset.")
    };
    let mut outside = object.metadata.annotations.clone().unwrap_or_default();
    outside.retain(|key, _| keep(key));
    let inside = &object.data["spec"]["template"]["metadata"]["annotations"];
    let mut inside: BTreeMap<String, String> = serde_json::from_value(inside.clone())
        .ok()
        .unwrap_or_default();
    inside.retain(|key, _| keep(key));
    (json!(outside), json!(inside))
}

async fn each_restarts_once(arena: &Arena, reroll: RerollBuilder) {
    label_namespace(arena).await;
    let _reroll = reroll.start().await;
    arena.secret("db", &[("k", "one")]).await;
    for (name, outside, inside) in shapes() {
        for kind in KINDS {
            arena
                .create(&shaped(kind, name, outside.as_ref(), inside.as_ref()))
                .await;
        }
    }
    for (name, ..) in shapes() {
        for kind in KINDS {
            arena.adopted(kind, name).await;
        }
    }
    let recorder = arena.record().await;
    for round in 1..=2 {
        arena
            .update_secret("db", &[("k", &format!("round {round}"))])
            .await;
        recorder.settle(arena).await;
        for (name, outside, inside) in shapes() {
            for kind in KINDS {
                recorder.expect(kind, name, round);
                let map =
                    |value: Option<Value>| value.filter(Value::is_object).unwrap_or(json!({}));
                let found = others(&arena.get(kind, name).await);
                assert_eq!(
                    found,
                    (map(outside.clone()), map(inside.clone())),
                    "{kind} {name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_shape_restarts_once_with_the_webhook() {
    let arena = Arena::new("keys").await;
    each_restarts_once(&arena, arena.reroll()).await;
}

#[tokio::test]
async fn each_shape_restarts_once_without_webhook() {
    let arena = Arena::new("keys-bare").await;
    each_restarts_once(&arena, arena.reroll().without_webhook()).await;
}

/// A user removes both maps: the webhook makes them anew for its own annotations.
#[tokio::test]
async fn whole_maps_are_removed() {
    let arena = Arena::new("keys-removed").await;
    label_namespace(&arena).await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        arena.create(&shaped(kind, "web", None, None)).await;
    }
    for kind in KINDS {
        arena.adopted(kind, "web").await;
    }
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    let none = json!({ "annotations": null });
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
        let before = arena.annotation(kind, "web", OBSERVED).await;
        let both = json!({ "metadata": none, "spec": { "template": { "metadata": none } } });
        arena.patch(kind, "web", both).await;
        assert_eq!(arena.annotation(kind, "web", OBSERVED).await, before);
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
    }
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 2);
    }
}

/// What the API server itself refuses comes through reroll's webhook first: its answer must still be the API server's.
#[tokio::test]
async fn what_is_invalid_is_refused_by_the_api_server_and_not_by_a_patch() {
    let arena = Arena::new("keys-invalid").await;
    label_namespace(&arena).await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    for kind in KINDS {
        arena.create(&shaped(kind, "web", None, None)).await;
        arena.adopted(kind, "web").await;
    }
    let recorder = arena.record().await;
    let tilde = json!({ "a~b/c~0d/~1e": "f" });
    for kind in KINDS {
        let mut broken = vec![
            shaped(kind, "new", Some(&tilde), None),
            shaped(kind, "new", None, Some(&tilde)),
        ];
        for metadata in [None, Some(Value::Null), Some(json!({}))] {
            let mut manifest = shaped(kind, "new", None, None);
            let template = manifest["spec"]["template"].as_object_mut().unwrap();
            template.remove("metadata");
            if let Some(metadata) = metadata {
                template.insert("metadata".to_owned(), metadata);
            }
            broken.push(manifest);
        }
        let mut manifest = shaped(kind, "new", None, None);
        manifest["spec"].as_object_mut().unwrap().remove("template");
        broken.push(manifest);
        for manifest in broken {
            refused(&arena, kind, &manifest, "new").await;
            let mut update = manifest;
            update["metadata"]["name"] = json!("web");
            refused(&arena, kind, &update, "web").await;
        }
    }
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
    }
}

async fn refused(arena: &Arena, kind: &str, manifest: &Value, name: &str) {
    let api = arena.api(kind);
    let result = if name == "new" {
        let object = serde_json::from_value(manifest.clone()).unwrap();
        api.create(&PostParams::default(), &object).await
    } else {
        let mut object = manifest.clone();
        // Its controller may write its status in between.
        eventually("no other writer is in the way", async || {
            let version = arena.version(kind, name).await.to_string();
            object["metadata"]["resourceVersion"] = json!(version);
            let object = serde_json::from_value(object.clone()).unwrap();
            let result = api.replace(name, &PostParams::default(), &object).await;
            let conflict = matches!(&result, Err(kube::Error::Api(status)) if status.code == 409);
            (!conflict).then_some(result)
        })
        .await
    };
    match result {
        Err(kube::Error::Api(status)) => {
            assert_eq!(
                (status.code, status.reason.as_str()),
                (422, "Invalid"),
                "{status:?}"
            );
        }
        other => panic!("{manifest}: {other:?}"),
    }
}
