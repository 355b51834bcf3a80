//! Certificates where the values leave open who makes them: cert-manager comes, and goes.

use reroll_harness::Arena;
use serde_json::json;

use crate::{
    cert_manager::{Certifier, bring_kinds, remove_kinds},
    modes::in_namespace,
    release::{Release, merge},
    upgrades::{Traffic, failed_calls},
};

const SELF: &str = "--certificates-secret=";
const MOUNTED: &str = "--tls-cert=";

/// The release makes its own certificate and goes on so, and one that began with cert-manager goes on with it.
///
/// A cluster of its own, for it has those kinds or not; and threads that pass connections on, as
/// [`crate::upgrades`] has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cert_manager_comes_and_goes() {
    let arena = Arena::on_own_cluster("auto").await;
    let mut values = in_namespace(&arena);
    merge(&mut values, &json!({ "certificates": { "mode": "auto" } }));
    let release: &'static Release = Box::leak(Box::new(Release::new(arena, None, &values).await));
    let arena = &release.arena;
    release.install().await;
    let arguments = release.arguments().await;
    assert!(arguments.contains(SELF));
    // It is ready in a cluster that has none of the kinds that it looks for by default.
    let optional = "--optional-kinds=rollouts,deploymentconfigs";
    assert!(arguments.contains(optional), "{arguments}");
    for group in ["argoproj.io", "apps.openshift.io"] {
        let group = format!("--api-group={group}");
        let served = arena
            .kubectl(&["api-resources", "-o", "name", &group])
            .await
            .ok();
        assert_eq!(served.out.trim(), "", "{served:?}");
    }
    release.app("app").await;
    for [kind, name] in [["secret", "nobodys"], ["configmap", "nobodys"]] {
        let create = match kind {
            "secret" => vec!["create", "secret", "generic", name],
            _ => vec!["create", kind, name],
        };
        arena.kubectl(&create).await.ok();
    }
    release.annotate("app").await;
    release.asked("app").await;
    release.helm_test().await;

    // It comes: nothing changes for what is there.
    bring_kinds(arena).await;
    let before = failed_calls(arena).len();
    release
        .upgrade(&json!({ "restarts": { "settle": "2s" } }))
        .await;
    assert!(release.arguments().await.contains(SELF));
    release.only_new_pods(2).await;
    release.asked("app").await;
    assert_eq!(failed_calls(arena)[before..], [""; 0]);

    // A release that begins with it, beside a Secret that reroll has left.
    release.uninstall().await;
    let certifier = Certifier::start(arena).await;
    release.install().await;
    assert!(release.arguments().await.contains(MOUNTED));
    release.asked("app").await;
    release.helm_test().await;

    // It goes: Helm refuses the upgrade, for it cannot see what it has installed. What is there goes on.
    drop(certifier);
    remove_kinds(arena).await;
    let upgrade = [
        "--reuse-values",
        "--set",
        "certificates.mode=selfManaged,restarts.settle=1s",
    ];
    let refused = release.try_upgrade(&upgrade).await;
    let words = "no matches for kind \"Certificate\" in version \"cert-manager.io/v1\"";
    assert!(!refused.ok && refused.err.contains(words), "{refused:?}");
    release.asked("app").await;

    // The kinds alone are enough to hand over to reroll, and no API server is left without.
    bring_kinds(arena).await;
    let before = failed_calls(arena).len();
    let traffic = Traffic::start(arena);
    traffic.goes_on().await;
    release.try_upgrade(&upgrade).await.ok();
    release.rolled_out().await;
    release.only_new_pods(2).await;
    traffic.goes_on().await;
    assert!(release.arguments().await.contains(SELF));
    remove_kinds(arena).await;
    release.upgrade(&json!({})).await;
    assert!(release.arguments().await.contains(SELF));
    release.only_new_pods(2).await;
    traffic.goes_on().await;
    traffic.end().await;
    assert_eq!(failed_calls(arena)[before..], [""; 0]);
    release.helm_test().await;
    let recorder = arena.record().await;
    release.asked("app").await;
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}

/// Somebody asks for it: cert-manager takes the Secret over, and the leader of before lets it.
#[tokio::test]
async fn cert_manager_takes_over() {
    let arena = Arena::new("auto-over").await;
    let mut values = in_namespace(&arena);
    merge(
        &mut values,
        &json!({ "certificates": { "mode": "selfManaged" } }),
    );
    let release = Release::new(arena, None, &values).await;
    release.install().await;
    release.app("app").await;
    release.annotate("app").await;
    release.asked("app").await;
    let _certifier = Certifier::start(&release.arena).await;
    release
        .upgrade(&json!({ "certificates": { "mode": "certManager" } }))
        .await;
    assert!(release.arguments().await.contains(MOUNTED));
    release.only_new_pods(2).await;
    release.asked("app").await;
    let log = release.node.log();
    assert!(!log.contains("cannot be used: making new ones"), "{log}");
    let recorder = release.arena.record().await;
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}
