//! Beside a reroll that does not tell who changed what, nor its version, and beside none.

use serde_json::{Value, json};

use super::{arena, ask, ask_until, opted_in, sources, web, web_runs, write_password};

#[tokio::test]
async fn cli_reads_what_an_older_release_wrote() {
    let arena = arena("cli-former").await;
    let reroll = web_runs(&arena).await;
    write_password(&arena, "canary-3").await;
    ask_until(&arena, &["explain", "deploy/web"], "Last ").await;
    ask_until(&arena, &["status", "secret/db"], "1 up to date").await;
    reroll.kill();
    // As the release before wrote it.
    let object = arena.get("Deployment", "web").await;
    let annotations = object.metadata.annotations.unwrap();
    let mut rollout: Value = serde_json::from_str(&annotations["reroll.dev/rollout"]).unwrap();
    rollout.as_object_mut().unwrap().remove("changed").unwrap();
    let last = annotations["reroll.dev/last-restart"]
        .split(", changed ")
        .next()
        .unwrap();
    let former = json!({ "metadata": { "annotations": {
        "reroll.dev/rollout": rollout.to_string(), "reroll.dev/last-restart": last,
    } } });
    arena.patch("Deployment", "web", former).await;
    let lease = [
        "annotate",
        "lease",
        "reroll",
        "reroll.dev/version-",
        "-n",
        &arena.own_namespace,
    ];
    arena.kubectl(&lease).await.ok();
    for (question, words) in [
        ("explain", &["explain", "deploy/web"][..]),
        ("source", &["status", "secret/db"]),
        ("history", &["history"]),
        ("pods", &["pods"]),
    ] {
        let mut answer = ask(&arena, words).await;
        // Whether the Lease is over by now depends on how fast this machine is.
        let is_told = |line: &&str| !line.contains("nobody leads since");
        answer.out = answer.out.split_inclusive('\n').filter(is_told).collect();
        insta::assert_snapshot!(format!("former_{question}"), answer.said(&arena));
    }
    let version = ask(&arena, &["version", "-o", "json"]).await;
    let version: Value = serde_json::from_str(&version.out).unwrap();
    assert_eq!(version["server"]["version"], Value::Null);
}

#[tokio::test]
async fn cli_answers_where_there_is_no_reroll() {
    let arena = arena("cli-without").await;
    sources(&arena).await;
    arena.create(&web(&opted_in())).await;
    arena.pods_are("web", 2, "Running").await;
    for (question, words) in [
        ("explain", &["explain", "deploy/web"][..]),
        ("status", &["status"]),
        ("source", &["status", "secret/db"]),
        ("history", &["history"]),
        ("pods", &["pods"]),
        ("version", &["version"]),
        ("suspend_all", &["suspend", "--all"]),
    ] {
        let mut answer = ask(&arena, words).await;
        answer.out = answer.out.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(format!("without_{question}"), answer.said(&arena));
    }
}
