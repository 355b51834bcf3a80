//! Settings that hold for all workloads: opted in by default, other names of annotations, what is left alone.

use k8s_openapi::{
    ByteString,
    api::{coordination::v1::Lease, core::v1::Secret},
};
use kube::{Api, api::PostParams};
use reroll_harness::{Arena, deployment, env, env_optional, eventually, workload};
use serde_json::json;

fn spec(secret: &str) -> serde_json::Value {
    json!({ "containers": [{
        "name": "main", "image": "example.com/none",
        "envFrom": [{ "secretRef": { "name": secret } }],
    }] })
}

#[tokio::test]
async fn everybody_is_opted_in_who_does_not_say_no() {
    let arena = Arena::new("all").await;
    let _reroll = arena.reroll().switch("--auto-reload-all").start().await;
    arena.secret("creds", &[("k", "one")]).await;
    let no = ("reloader.stakater.com/auto", "false");
    for (name, annotations) in [("silent", vec![]), ("no", vec![no])] {
        arena
            .create(&workload("Deployment", name, &annotations, spec("creds")))
            .await;
    }
    arena.adopted("Deployment", "silent").await;
    let recorder = arena.record().await;
    arena.recreate_secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "silent", 1);
    recorder.expect("Deployment", "no", 0);
}

#[tokio::test]
async fn annotations_have_the_names_that_were_given() {
    let arena = Arena::new("names").await;
    let reroll = arena.reroll().flag("--auto-annotation", "acme.dev/roll");
    let reroll = reroll.flag("--ignore-annotation", "acme.dev/leave");
    let _reroll = reroll.start().await;
    for name in ["creds", "left"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    let left = json!({ "metadata": { "annotations": { "acme.dev/leave": "true" } } });
    arena.patch("Secret", "left", left).await;
    for (name, key, secret) in [
        ("own", "acme.dev/roll", "creds"),
        ("usual", "reloader.stakater.com/auto", "creds"),
        ("ignoring", "acme.dev/roll", "left"),
    ] {
        arena
            .create(&workload(
                "Deployment",
                name,
                &[(key, "true")],
                spec(secret),
            ))
            .await;
    }
    arena.adopted("Deployment", "own").await;
    arena.adopted("Deployment", "ignoring").await;
    let recorder = arena.record().await;
    for name in ["creds", "left"] {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "own", 1);
    recorder.expect("Deployment", "usual", 0);
    recorder.expect("Deployment", "ignoring", 0);
}

#[tokio::test]
async fn a_kind_of_source_can_be_left_alone() {
    let arena = Arena::new("no-config-maps").await;
    let reroll = arena.reroll().flag("--ignore-resources", "configMaps");
    let reroll = reroll.start().await;
    arena.creds_and_app().await;
    let spec = json!({ "containers": [{
        "name": "main", "image": "example.com/none",
        "envFrom": [{ "secretRef": { "name": "creds" } }, { "configMapRef": { "name": "app" } }],
    }] });
    let auto = [("reloader.stakater.com/auto", "true")];
    arena
        .create(&workload("Deployment", "web", &auto, spec))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena
        .patch("ConfigMap", "app", json!({ "data": { "k": "two" } }))
        .await;
    arena.delete("ConfigMap", "app").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    arena.update_secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    let watched = reroll.log().contains("configmap/");
    assert!(!watched, "not even read");
}

/// Another holder has the Lease for an hour: a reroll that sees all namespaces must not touch what other tests have
/// there.
async fn never_leads(arena: &Arena) {
    let key = json!({
        "metadata": { "name": "reroll-digest-key" }, "data": { "key": ByteString(vec![7; 32]) },
    });
    let secrets = Api::<Secret>::namespaced(arena.client.clone(), &arena.own_namespace);
    let key = serde_json::from_value(key).unwrap();
    secrets.create(&PostParams::default(), &key).await.unwrap();
    let lease = json!({
        "metadata": { "name": "reroll" },
        "spec": { "holderIdentity": "somebody", "leaseDurationSeconds": 3600 },
    });
    let leases = Api::<Lease>::namespaced(arena.client.clone(), &arena.own_namespace);
    let lease = serde_json::from_value(lease).unwrap();
    leases.create(&PostParams::default(), &lease).await.unwrap();
}

#[tokio::test]
async fn namespaces_can_be_left_alone() {
    let arena = Arena::new("ignored-namespace").await;
    let neighbour = Arena::new("not-ignored").await;
    never_leads(&arena).await;
    for arena in [&arena, &neighbour] {
        arena.secret("creds", &[("k", "one")]).await;
    }
    let reroll = arena.reroll().without("--namespaces").without_webhook();
    let reroll = reroll.flag("--namespaces-to-ignore", &arena.namespace);
    let reroll = reroll.flag("--lease-duration", "1h").start().await;
    for arena in [&arena, &neighbour] {
        arena.update_secret("creds", &[("k", "two")]).await;
    }
    let seen = format!("secret/{}/creds", neighbour.namespace);
    eventually("it has seen the neighbour", async || {
        reroll.log().contains(&seen).then_some(())
    })
    .await;
    let own = format!("secret/{}/creds", arena.namespace);
    assert!(!reroll.log().contains(&own), "not even read");
    let both = arena.reroll().flag("--ignore-namespaces", "x").end().await;
    assert!(
        !both.ok && both.err.contains("--ignore-namespaces"),
        "{}",
        both.err
    );
}

#[tokio::test]
async fn what_holds_for_recreated_and_deleted_sources_can_be_said_once() {
    let arena = Arena::new("defaults").await;
    let reroll = arena.reroll().flag("--on-recreate", "content");
    let _reroll = reroll.flag("--on-delete", "restart").start().await;
    arena.secret("creds", &[("k", "one")]).await;
    let own = [
        ("reroll.dev/restart-on", "auto"),
        ("reroll.dev/on-recreate", "restart"),
        ("reroll.dev/on-delete", "wait"),
    ];
    // Pods of the first two start without it.
    let optional = || env_optional("creds", "k");
    let auto = [("reroll.dev/restart-on", "auto")];
    for manifest in [
        workload("Deployment", "web", &auto, optional()),
        workload("Deployment", "own", &own, optional()),
        deployment("needs", "creds", "k"),
        workload("Deployment", "needs-own", &own, env("creds", "k")),
    ] {
        arena.create(&manifest).await;
    }
    let names = ["web", "own", "needs", "needs-own"];
    for name in names {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.delete("Secret", "creds").await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().zip([1, 0, 0, 0]));
    arena.secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().zip([2, 1, 0, 1]));
}
