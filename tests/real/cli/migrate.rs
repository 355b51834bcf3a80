//! `migrate` of a cluster: what it says, that it writes nothing, and that its commands can be copied and roll nothing.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{Answer, arena, ask, ask_as, ask_until, rights::person, sources, web};
use reroll_harness::{Arena, eventually};

/// What reroll writes meanwhile.
const WRITTEN: [&str; 3] = [
    "reroll.dev/observed",
    "reroll.dev/pending",
    "reroll.dev/rollout",
];

/// A Deployment as Reloader's chart makes it, which never gets pods.
fn reloader(namespace: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "reloader", "namespace": namespace },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "reloader" } },
            "template": {
                "metadata": { "labels": { "app": "reloader" } },
                "spec": { "containers": [{
                    "name": "reloader",
                    "image": "ghcr.io/stakater/reloader:v1.4.21",
                    "args": ["--reload-strategy=annotations", "--namespaces-to-ignore=kube-system"],
                }] },
            },
        },
    })
}

/// What rolls its pods when it changes. (The generation of a Deployment counts annotations, too.)
fn template(object: &DynamicObject) -> Value {
    object.data["spec"]["template"].clone()
}

/// What people, and `migrate`, might have written.
fn asked(object: &DynamicObject) -> (Value, BTreeMap<String, String>) {
    let all = object.metadata.annotations.clone().unwrap_or_default();
    let asks = all
        .into_iter()
        .filter(|(key, _)| !key.starts_with("deployment.") && !WRITTEN.contains(&key.as_str()));
    (template(object), asks.collect())
}

/// Returns what was said, without Reloaders of other tests: it is looked for in all namespaces.
fn without_others(answer: &Answer, arena: &Arena) -> String {
    let said = answer.said(arena);
    let is_others = |line: &&str| {
        line.starts_with("Reloader   Deployment ")
            && !line.starts_with("Reloader   Deployment shop/")
    };
    let lines: Vec<_> = said.lines().filter(|line| !is_others(line)).collect();
    lines.join("\n")
}

#[tokio::test]
async fn cli_moves_over_from_reloader() {
    let arena = arena("cli-migrate").await;
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&reloader(&arena.namespace)).await;
    arena
        .create(&web(&json!({
            "reloader.stakater.com/auto": "true",
            "secrets.exclude.reloader.stakater.com/reload": "tls",
        })))
        .await;
    ask_until(&arena, &["explain", "deploy/web"], "complete, 2 of 2 pods").await;
    let before = arena.get("Deployment", "web").await;
    let answer = ask(&arena, &["migrate"]).await;
    assert!(!answer.out.contains("canary"), "{}", answer.out);
    insta::assert_snapshot!("migrate", without_others(&answer, &arena));
    let after = arena.get("Deployment", "web").await;
    assert_eq!(asked(&before), asked(&after), "it writes nothing");

    let json = ask(&arena, &["migrate", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let command = json["workloads"][0]["advice"]["command"].as_str().unwrap();
    let words: Vec<_> = command
        .split(' ')
        .skip(1)
        .map(|word| word.trim_matches('\''))
        .collect();
    arena.kubectl(&words).await.ok();
    let moved = eventually("the annotations are in reroll's words", async || {
        let web = arena.get("Deployment", "web").await;
        let own = web
            .metadata
            .annotations
            .as_ref()?
            .get("reroll.dev/restart-on")?;
        (own == "auto,!secret/tls").then_some(web)
    })
    .await;
    assert_eq!(template(&moved), template(&after), "nothing rolls");
    let again = ask(&arena, &["migrate"]).await;
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(
        again.out.contains("no annotation of Reloader's was found"),
        "{}",
        again.out
    );

    let reader = person(&arena, "reader", "view").await;
    let answer = ask_as(&arena, &reader, &["migrate"]).await;
    insta::assert_snapshot!("migrate_reader", without_others(&answer, &arena));
    drop(reroll);
}
