//! Each way to have certificates: install, annotate, delete and recreate a Secret, one rollout.

use reroll_harness::Arena;
use serde_json::{Value, json};

use crate::release::{Release, merge};

/// On a busy machine a review may take longer than the second that API servers wait by default.
pub fn patient() -> Value {
    json!({ "webhook": { "timeoutSeconds": 5, "getBudget": "4s" } })
}

/// reroll works in the arena's namespace only, so that tests run side by side.
pub fn in_namespace(arena: &Arena) -> Value {
    let mut values = patient();
    merge(
        &mut values,
        &json!({ "watch": { "namespaces": [arena.namespace] } }),
    );
    values
}

async fn one_rollout(release: &Release) {
    release.install().await;
    release.app("app").await;
    release.app("other").await;
    let recorder = release.arena.record().await;
    release.annotate("app").await;
    release.annotate("other").await;
    release.asked("app").await;
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
    release.expect(&recorder, "other", 0).await;
    let said = release
        .arena
        .kubectl(&["events", "--for=deployment/app"])
        .await
        .ok();
    assert!(said.out.contains("recreated"), "{said:?}");
    assert!(
        !release.node.log().contains("forbidden"),
        "{}",
        release.node.log()
    );
}

#[tokio::test]
async fn cert_manager() {
    let arena = Arena::new("mode-cert-manager").await;
    let values = in_namespace(&arena);
    one_rollout(&Release::new(arena, None, &values).await).await;
}

#[tokio::test]
async fn existing_secret() {
    let arena = Arena::new("mode-existing").await;
    let service = format!("reroll-{}", arena.namespace);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let issue = concat!(env!("CARGO_MANIFEST_DIR"), "/webhook-certs/issue");
    let issued = std::process::Command::new(issue)
        .args([
            "--dir",
            folder,
            "--service",
            &service,
            "--namespace",
            &arena.own_namespace,
        ])
        .output()
        .unwrap();
    assert!(issued.status.success(), "{issued:?}");
    let (certificate, key) = (
        format!("--cert={folder}/tls.crt"),
        format!("--key={folder}/tls.key"),
    );
    let secret = [
        "create",
        "secret",
        "tls",
        "mine",
        &certificate,
        &key,
        "--namespace",
        &arena.own_namespace,
    ];
    arena.kubectl(&secret).await.ok();
    let mut values = in_namespace(&arena);
    let bundle = std::fs::read_to_string(format!("{folder}/ca.crt")).unwrap();
    let existing = json!({ "mode": "existingSecret", "existingSecret": { "name": "mine", "caBundle": bundle } });
    merge(&mut values, &json!({ "certificates": existing }));
    one_rollout(&Release::new(arena, None, &values).await).await;
}

/// In the whole cluster, of which a label selects a part.
#[tokio::test]
async fn self_managed() {
    let arena = Arena::new("mode-self-managed").await;
    arena.label_namespace("team", &arena.namespace).await;
    let mut values = patient();
    let own = json!({
        "certificates": { "mode": "selfManaged" },
        "watch": { "namespaceSelector": { "matchLabels": { "team": arena.namespace } } },
    });
    merge(&mut values, &own);
    one_rollout(&Release::new(arena, None, &values).await).await;
}
