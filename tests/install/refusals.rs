//! What users see where a right is missing. The tests really take the right away.

use reroll_harness::{Arena, eventually};
use serde_json::{Value, json};

use crate::{
    modes::in_namespace,
    release::{Release, merge},
};

/// What users see where a right is missing.
enum Seen {
    /// The log says what is to be done.
    Said(&'static str),
    /// No replica becomes ready, and the log says why.
    NotReady(&'static str),
    /// Nothing rolls; an Event on the workload, or where there is none the log, says so.
    NotRolled(&'static str),
    /// It rolls, and the log says what could not be done.
    Logged(&'static str),
}

#[tokio::test]
async fn what_is_missing_is_seen() {
    let cases = [
        (
            "secrets",
            "watch",
            Seen::Said("give reroll's ServiceAccount list and watch on them"),
        ),
        (
            "secrets",
            "create",
            Seen::NotReady("reroll needs get and create on Secrets"),
        ),
        (
            "leases",
            "create",
            Seen::NotReady("may not claim the Lease"),
        ),
        ("deployments", "patch", Seen::NotRolled("RestartFailed")),
        ("events", "create", Seen::Logged("Event")),
    ];
    let cases = cases.into_iter().enumerate();
    futures::future::join_all(cases.map(async |(number, (resource, verb, seen))| {
        without(&format!("rights-without-{number}"), resource, verb, &seen).await;
    }))
    .await;
}

/// The rights come from a user, who has left one out.
async fn without(name: &str, resource: &str, verb: &str, seen: &Seen) {
    let arena = Arena::new(name).await;
    let mut values = in_namespace(&arena);
    merge(
        &mut values,
        &json!({ "replicas": 1, "restarts": { "settle": "100ms" } }),
    );
    let release = Release::new(arena, None, &values).await;
    let arena = &release.arena;
    grant_all_but(&release, resource, verb).await;
    release.app("app").await;
    match seen {
        Seen::Said(words) | Seen::NotReady(words) => {
            release
                .helm_install(&json!({ "rbac": { "create": false } }))
                .await;
            eventually(
                &format!("without {verb} {resource} the log says {words}"),
                async || {
                    let log = release.node.log();
                    log.lines()
                        .any(|line| {
                            line.contains(words)
                                && ["\"code\":403", "forbidden", "RBAC"]
                                    .iter()
                                    .any(|cause| line.contains(cause))
                        })
                        .then_some(())
                },
            )
            .await;
            if matches!(seen, Seen::NotReady(_)) {
                assert_eq!(release.node.ready().len(), 0);
            }
        }
        Seen::NotRolled(words) | Seen::Logged(words) => {
            release
                .helm_install(&json!({ "rbac": { "create": false } }))
                .await;
            release.rolled_out().await;
            let recorder = arena.record().await;
            arena
                .kubectl(&[
                    "annotate",
                    "deployment",
                    "app",
                    "reroll.dev/restart-on=auto",
                ])
                .await
                .ok();
            release.asked("app").await;
            arena.update_secret("app", &[("key", "two")]).await;
            if matches!(seen, Seen::NotRolled(_)) {
                arena.event("app", words).await;
                recorder.expect("Deployment", "app", 0);
            } else {
                recorder.reaches("Deployment", "app", 1).await;
                eventually(
                    &format!("without {verb} {resource} the log says {words}"),
                    async || {
                        let log = release.node.log();
                        log.lines()
                            .any(|line| line.contains("WARN") && line.contains(words))
                            .then_some(())
                    },
                )
                .await;
            }
        }
    }
}

/// What the chart would grant, less this.
async fn grant_all_but(release: &Release, resource: &str, verb: &str) {
    let arena = &release.arena;
    let rendered = release.rendered(&json!({})).await;
    let documents = rendered
        .split("\n---\n")
        .filter(|document| document.contains("rbac.authorization.k8s.io/v1"));
    let mut taken = 0;
    for document in documents.filter(|document| !document.contains("helm.sh/hook")) {
        let dry = [
            "create",
            "--dry-run=client",
            "--output=json",
            "--filename=-",
        ];
        let said = arena
            .kubectl_with(&[&["--namespace", ""], &dry[..]].concat(), document)
            .await
            .ok();
        let mut object: Value = serde_json::from_str(&said.out).unwrap();
        for rule in object["rules"].as_array_mut().into_iter().flatten() {
            let of_it = rule["resources"]
                .as_array()
                .unwrap()
                .contains(&json!(resource));
            let verbs = rule["verbs"].as_array_mut().unwrap();
            if of_it && verbs.contains(&json!(verb)) {
                verbs.retain(|known| known != verb);
                taken += 1;
            }
        }
        if let Some(rules) = object["rules"].as_array_mut() {
            rules.retain(|rule| rule["verbs"] != json!([]));
        }
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        let apply = ["apply", "--filename=-", "--namespace", &namespace];
        arena.kubectl_with(&apply, &object.to_string()).await.ok();
    }
    // Events are also written on the Lease, which is in reroll's own namespace.
    let granted = if resource == "events" { 2 } else { 1 };
    assert_eq!(taken, granted, "{verb} {resource}");
}
