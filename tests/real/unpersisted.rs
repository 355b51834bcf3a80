//! Writes that are admitted but not persisted: a dry run, a refusal that comes after reroll was asked, a conflict.
//! Nothing rolls.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use reroll_harness::{
    Arena, OBSERVED, Pods, Policy, RESTART_ON, Reroll, deployment, env, eventually, running,
    secret, workload,
};
use serde_json::{Value, json};

const EXPIRED: &str = "reroll_provisional_intents_expired_total";

/// A pod that starts without the Secret too.
fn optional(secret: &str) -> Value {
    json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": secret, "optional": true } }] }] })
}

async fn expired(reroll: &Reroll, count: f64) {
    eventually(&format!("{count} intents have expired"), async || {
        let now = reroll.metric(EXPIRED).await;
        assert!(now <= count, "{now} expired");
        (now >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dry_run() {
    let arena = Arena::new("dry-run").await;
    let reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let later = workload(
        "Deployment",
        "later",
        &[(RESTART_ON, "auto")],
        optional("later"),
    );
    arena.create(&later).await;
    arena.adopted("Deployment", "web").await;
    arena.adopted("Deployment", "later").await;
    let recorder = arena.record().await;
    let before = arena.annotation("Deployment", "web", OBSERVED).await;

    let (two, new) = (
        secret("db", &[("k", "two")]),
        secret("later", &[("k", "v")]),
    );
    let mut web = deployment("web", "db", "k");
    web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/app:2");
    let warning = "Warning: reroll: Secret db restarts Deployment web";
    for (verb, manifest, says) in [
        (
            "delete",
            &two,
            "Warning: reroll: Secret db is used by Deployment web",
        ),
        ("apply", &two, warning),
        ("replace", &two, warning),
        (
            "create",
            &new,
            "Warning: reroll: Secret later restarts Deployment later",
        ),
        ("apply", &web, ""),
        ("replace", &web, ""),
        ("delete", &web, ""),
        ("create", &deployment("other", "db", "k"), ""),
    ] {
        let said = arena
            .kubectl_with(
                &[verb, "--dry-run=server", "-f", "-"],
                &manifest.to_string(),
            )
            .await
            .ok();
        assert!(said.err.contains(says), "{verb}: {}", said.err);
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    recorder.expect("Deployment", "later", 0);
    assert_eq!(
        arena.annotation("Deployment", "web", OBSERVED).await,
        before
    );
    expired(&reroll, 0.0).await;

    // No tombstone is left: what comes is an update.
    let said = arena
        .kubectl_with(&["replace", "-f", "-"], &two.to_string())
        .await
        .ok();
    assert!(said.err.contains(warning), "{}", said.err);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    expired(&reroll, 0.0).await;
}

/// Policies come before validating webhooks: reroll is not even asked for a source, but it is for a workload.
#[tokio::test]
async fn refused_by_a_policy() {
    let arena = Arena::new("policy").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let before = arena.annotation("Deployment", "web", OBSERVED).await;
    let refuse = "!has(object.metadata.labels) || !('refuse' in object.metadata.labels)";
    let policy = Policy::enforce(&arena, &["secrets", "deployments"], refuse).await;

    let labels = json!({ "refuse": "true" });
    let mut two = secret("db", &[("k", "two")]);
    two["metadata"]["labels"] = labels.clone();
    refused(&arena, "replace", &two).await;
    let mut web = deployment("web", "db", "k");
    web["metadata"]["labels"] = labels.clone();
    web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/app:2");
    refused(&arena, "replace", &web).await;
    let mut other = deployment("other", "db", "k");
    other["metadata"]["labels"] = labels;
    refused(&arena, "create", &other).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    assert_eq!(
        arena.annotation("Deployment", "web", OBSERVED).await,
        before
    );

    // The webhook recorded the new version in a write that was refused: that must not count.
    arena.update_secret("db", &[("k", "two")]).await;
    refused(&arena, "replace", &web).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    policy.lift(&arena).await;
}

async fn refused(arena: &Arena, verb: &str, manifest: &Value) {
    let said = eventually("nobody else writes at the same time", async || {
        let input = manifest.to_string();
        let said = arena.kubectl_with(&[verb, "-f", "-"], &input).await;
        (!said.err.contains("(Conflict)")).then_some(said)
    })
    .await;
    assert!(!said.ok && said.err.contains("denied"), "{said:?}");
}

/// A policy refuses reroll's own write of one workload. That delays no other workload, reroll says it, and once the
/// policy is gone the restart is made.
#[tokio::test]
async fn a_refused_restart_is_made_later_and_holds_up_nobody() {
    let arena = Arena::new("policy-restart").await;
    let reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.create(&deployment("other", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    arena.adopted("Deployment", "other").await;
    let recorder = arena.record().await;
    let refuse = "!(object.metadata.name == 'web' && request.options.fieldManager == 'reroll' \
                  && object.spec.template != oldObject.spec.template) && object.metadata.name != 'probe'";
    let policy = Policy::enforce(&arena, &["deployments"], refuse).await;
    arena.update_secret("db", &[("k", "two")]).await;
    arena
        .event("web", "RestartFailed: could not restart it, trying again")
        .await;
    // It is never given up, however often it was refused.
    let refused = r#"reroll_restart_failures_total{kind="Deployment",reason="conflict"}"#;
    eventually("it was refused many times", async || {
        (reroll.count(refused).await > 7).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    recorder.expect("Deployment", "other", 1);
    policy.lift(&arena).await;
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    recorder.expect("Deployment", "other", 1);
}

/// reroll was asked and allowed it; another webhook, a policy or the store did not.
#[tokio::test]
async fn refused_after_reroll_was_asked() {
    let arena = Arena::new("refused").await;
    let reroll = arena.reroll().start().await;
    let labelled = |name: &str, value: &str| {
        let mut manifest = secret(name, &[("k", value)]);
        manifest["metadata"]["labels"] = json!({ "refuse": "true" });
        manifest
    };
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&labelled("kept", "one")).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.create(&deployment("keeper", "kept", "k")).await;
    let later = workload(
        "Deployment",
        "later",
        &[(RESTART_ON, "auto")],
        optional("later"),
    );
    arena.create(&later).await;
    for name in ["web", "keeper", "later"] {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;

    // It exists already: admitted with a new uid, as if it were recreated.
    let manifest = secret("db", &[("k", "two")]).to_string();
    let said = arena.kubectl_with(&["create", "-f", "-"], &manifest).await;
    assert!(!said.ok && said.err.contains("already exists"), "{said:?}");
    let warning = "Warning: reroll: recreated Secret db restarts Deployment web";
    assert!(said.err.contains(warning), "{}", said.err);
    expired(&reroll, 1.0).await;

    // Another webhook, which does not answer, refuses: the API server asks all webhooks at once.
    let labelled_so = json!({ "matchLabels": { "refuse": "true" } });
    arena.refuse_secrets("objectSelector", labelled_so).await;
    let probe = labelled("probe", "v").to_string();
    eventually("the other webhook refuses", async || {
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        let said = arena.kubectl_with(&arguments, &probe).await;
        (!said.ok).then_some(())
    })
    .await;
    for (count, verb, manifest) in [
        (2.0, "replace", labelled("kept", "two")),
        (3.0, "delete", labelled("kept", "one")),
        (4.0, "create", labelled("later", "v")),
    ] {
        let said = arena
            .kubectl_with(&[verb, "-f", "-"], &manifest.to_string())
            .await;
        assert!(
            !said.ok && said.err.contains("refuses.example.com"),
            "{said:?}"
        );
        expired(&reroll, count).await;
    }
    recorder.settle(&arena).await;
    for name in ["web", "keeper", "later"] {
        recorder.expect("Deployment", name, 0);
    }
    arena
        .kubectl(&[
            "delete",
            "validatingwebhookconfiguration",
            &format!("{}-refuses", arena.namespace),
        ])
        .await
        .ok();

    // What is persisted counts as ever.
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    recorder.expect("Deployment", "keeper", 0);
}

#[tokio::test]
async fn a_conflict() {
    let arena = Arena::new("conflict").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    for (kind, name, change) in [
        ("Secret", "db", json!({ "data": { "k": "dHdv" } })),
        (
            "Deployment",
            "web",
            json!({ "spec": { "template": { "metadata": { "annotations": { "a": "b" } } } } }),
        ),
    ] {
        let mut stale = serde_json::to_value(arena.get(kind, name).await).unwrap();
        arena
            .patch(
                kind,
                name,
                json!({ "metadata": { "labels": { "touched": "true" } } }),
            )
            .await;
        json_patch::merge(&mut stale, &change);
        let said = arena
            .kubectl_with(&["replace", "-f", "-"], &stale.to_string())
            .await;
        assert!(
            !said.ok && said.err.contains("the object has been modified"),
            "{said:?}"
        );
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// The pods end with the data of the writer that wins last.
#[tokio::test]
async fn ten_writers_fight_over_one_secret() {
    const WRITERS: usize = 10;
    const WRITES: usize = 8;
    let arena = Arena::new("fight").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let manifest = running("Deployment", "web", &[(RESTART_ON, "auto")], env("db", "k"));
    arena.create(&manifest).await;
    pods.oldest(&arena, "Deployment", "web").await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let conflicts = join_all((0..WRITERS).map(|writer| {
        let api = Api::<Secret>::namespaced(arena.client.clone(), &arena.namespace);
        async move {
            let mut conflicts = 0;
            for write in 0..WRITES {
                loop {
                    let mut secret = api.get("db").await.unwrap();
                    let data = json!({ "k": format!("{writer} {write}") });
                    secret.string_data = serde_json::from_value(data).unwrap();
                    match api.replace("db", &PostParams::default(), &secret).await {
                        Ok(_) => break,
                        Err(kube::Error::Api(status)) if status.code == 409 => conflicts += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            conflicts
        }
    }))
    .await;
    assert!(conflicts.iter().sum::<usize>() > 0, "nobody fought");
    recorder.settle(&arena).await;
    let version = arena.version("Secret", "db").await;
    let oldest = pods.oldest(&arena, "Deployment", "web").await;
    assert!(oldest > version, "a pod of {oldest}, Secret of {version}");
    let rollouts = recorder.rollouts("Deployment", "web");
    assert!(
        (1..=WRITERS * WRITES).contains(&rollouts),
        "{rollouts} rollouts"
    );
    let observed = arena
        .annotation("Deployment", "web", OBSERVED)
        .await
        .unwrap();
    let observed: Value = serde_json::from_str(&observed).unwrap();
    assert_eq!(
        observed["s"]["secret/db"]["r"],
        json!(version),
        "{observed}"
    );
    let values = recorder.restarted_for("Deployment", "web");
    assert_eq!(values.len(), rollouts, "{values:?}");
}
