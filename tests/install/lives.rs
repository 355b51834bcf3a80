//! `helm uninstall`, and another installation later.

use reroll_harness::Arena;
use serde_json::json;

use crate::{
    modes::in_namespace,
    release::{Release, merge},
};

/// What is asked for by a label, of every kind that there is.
async fn labelled(release: &Release) -> Vec<String> {
    let label = format!("app.kubernetes.io/instance={}", release.name);
    release
        .objects(&["--selector", &label, "--all-namespaces"])
        .await
}

async fn life(release: &Release, left: &[&str]) {
    let arena = &release.arena;
    release.install().await;
    let recorder = arena.record().await;
    for name in ["changed", "recreated", "same"] {
        release.app(name).await;
        release.annotate(name).await;
    }
    release.asked("same").await;
    assert_ne!(labelled(release).await, Vec::<String>::new());

    release.uninstall().await;
    assert_eq!(labelled(release).await, Vec::<String>::new());
    assert_eq!(release.own_objects().await, left);
    // No user waits for what is not there, or is warned by it.
    let patch = [
        "patch",
        "secret",
        "changed",
        "--patch",
        r#"{"stringData":{"key":"two"}}"#,
    ];
    let said = arena.kubectl(&patch).await.ok();
    assert!(!said.err.contains("reroll"), "{said:?}");
    arena.kubectl(&["delete", "secret", "recreated"]).await.ok();
    let from = [
        "create",
        "secret",
        "generic",
        "recreated",
        "--from-literal=key=one",
    ];
    arena.kubectl(&from).await.ok();
    arena
        .kubectl(&["annotate", "deployment", "same", "note=written"])
        .await
        .ok();
    for name in ["changed", "recreated", "same"] {
        recorder.expect("Deployment", name, 0);
    }

    release.install().await;
    for name in ["changed", "recreated"] {
        recorder.reaches("Deployment", name, 1).await;
    }
    release.expect(&recorder, "same", 0).await;
    for name in ["changed", "recreated"] {
        recorder.expect("Deployment", name, 1);
    }
    release.asked("same").await;
}

#[tokio::test]
async fn uninstalled_and_installed_again() {
    let arena = Arena::new("life").await;
    let name = format!("reroll-{}", arena.namespace);
    let values = in_namespace(&arena);
    let release = Release::new(arena, None, &values).await;
    // cert-manager keeps what it made.
    let secrets =
        ["ca", "digest-key", "webhook-tls"].map(|suffix| format!("secret/{name}-{suffix}"));
    let lease = format!("lease.coordination.k8s.io/{name}");
    let left = [&lease, &secrets[0], &secrets[1], &secrets[2]].map(String::as_str);
    life(&release, &left).await;
}

#[tokio::test]
async fn uninstalled_and_installed_again_with_certificates_of_its_own() {
    let arena = Arena::new("life-self").await;
    let name = format!("reroll-{}", arena.namespace);
    let mut values = in_namespace(&arena);
    merge(
        &mut values,
        &json!({ "certificates": { "mode": "selfManaged" } }),
    );
    let release = Release::new(arena, None, &values).await;
    let secrets = ["digest-key", "webhook-tls"].map(|suffix| format!("secret/{name}-{suffix}"));
    let lease = format!("lease.coordination.k8s.io/{name}");
    let left = [&lease, &secrets[0], &secrets[1]].map(String::as_str);
    life(&release, &left).await;
}
