//! `reroll status` and `reroll pods`

use std::collections::BTreeSet;

use reroll_harness::Arena;
use serde_json::{Value, json};

use super::{arena, ask, ask_until, opted_in, sources, web, write_password};

#[tokio::test]
async fn cli_tells_who_has_the_current_version() {
    let arena = arena("cli-status").await;
    let empty = ask(&arena, &["status"]).await;
    insta::assert_snapshot!("status_empty", empty.said(&arena));
    let none = ask(&arena, &["pods"]).await;
    insta::assert_snapshot!("pods_none", none.said(&arena));
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&opted_in())).await;
    // One that did not opt in, and one that somebody holds.
    let mut plain = web(&json!({}));
    plain["metadata"]["name"] = json!("plain");
    plain["spec"]["replicas"] = json!(1);
    plain["spec"]["selector"]["matchLabels"] = json!({ "app": "plain" });
    plain["spec"]["template"]["metadata"]["labels"] = json!({ "app": "plain" });
    arena.create(&plain).await;
    let mut held = plain.clone();
    held["metadata"]["name"] = json!("held");
    held["metadata"]["annotations"] =
        json!({ "reroll.dev/restart-on": "auto", "reroll.dev/suspend": "needs approval" });
    held["spec"]["selector"]["matchLabels"] = json!({ "app": "held" });
    held["spec"]["template"]["metadata"]["labels"] = json!({ "app": "held" });
    arena.create(&held).await;
    ask_until(&arena, &["status"], "2 workloads in namespace").await;
    let fine = ask_until(&arena, &["status"], ": 2 up to date.").await;
    insta::assert_snapshot!("status_fine", fine.said(&arena));
    write_password(&arena, "canary-3").await;
    ask_until(&arena, &["status", "secret/db"], "1 up to date, 1 held").await;
    let source = ask_until(&arena, &["status", "secret/db"], "2 older pods").await;
    insta::assert_snapshot!("status_of_a_source", source.said(&arena));
    let all = ask(&arena, &["status"]).await;
    insta::assert_snapshot!("status_of_a_namespace", all.said(&arena));
    let pods = ask(&arena, &["pods", "--outdated"]).await;
    insta::assert_snapshot!("pods_outdated", pods.said(&arena));
    let json = ask(&arena, &["status", "secret/db", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (
            &read["sums"]["upToDate"],
            &read["sums"]["held"],
            &read["outdatedPods"]
        ),
        (&json!(1), &json!(1), &json!(2)),
        "{}",
        json.out
    );
    assert!(!json.out.contains("canary"));
    drop(reroll);
}

#[tokio::test]
async fn cli_waits_until_the_last_older_pod_is_gone() {
    let arena = arena("cli-wait").await;
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&opted_in())).await;
    ask_until(&arena, &["status"], ": 1 up to date.").await;
    let nothing = ask(&arena, &["wait", "secret/no-such"]).await;
    insta::assert_snapshot!("wait_for_nothing", nothing.said(&arena));
    // A pod that ends only when a person lets it: nobody may say before that everybody has the new value.
    let kept = names(&arena).await.pop_first().unwrap();
    let finalizer = json!({ "metadata": { "finalizers": ["example.com/kept"] } });
    arena.patch("Pod", &kept, finalizer).await;
    write_password(&arena, "canary-3").await;
    let over = ask(&arena, &["wait", "secret/db", "--timeout", "5s"]).await;
    assert_eq!(over.code, 2, "{}{}", over.out, over.err);
    assert!(over.out.contains(&kept), "{}", over.out);
    let waits = ask(&arena, &["wait", "secret/db", "--timeout", "5m"]);
    let lets_go = async {
        // It has looked by then, and more than once.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let before = names(&arena).await;
        arena
            .patch("Pod", &kept, json!({ "metadata": { "finalizers": null } }))
            .await;
        before
    };
    let (waited, before) = tokio::join!(waits, lets_go);
    assert!(before.contains(&kept), "{before:?}");
    insta::assert_snapshot!("wait_until_all_have_it", waited.said(&arena));
    let left = names(&arena).await;
    assert!(!left.contains(&kept) && left.len() == 2, "{left:?}");
    // Who is stopped is not waited for.
    ask(&arena, &["suspend", "deploy/web", "--reason", "INC-42"]).await;
    arena
        .patch("ConfigMap", "cfg", json!({ "data": { "a": "c" } }))
        .await;
    ask_until(&arena, &["explain", "deploy/web"], "INC-42").await;
    // What is held for another source is none of this one's.
    let waited = ask(&arena, &["wait", "secret/db", "--timeout", "5m"]).await;
    assert_eq!(waited.code, 0, "{}{}", waited.out, waited.err);
    write_password(&arena, "canary-4").await;
    ask_until(&arena, &["status", "secret/db"], "1 held").await;
    let stopped = ask(&arena, &["wait", "secret/db", "--timeout", "5m"]).await;
    assert_eq!(stopped.code, 3, "{}{}", stopped.out, stopped.err);
    drop(reroll);
}

#[tokio::test]
async fn cli_counts_pods_that_are_older_than_the_opt_in() {
    let arena = arena("cli-late").await;
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&json!({}))).await;
    reroll_harness::eventually("it runs", async || {
        (names(&arena).await.len() == 2).then_some(())
    })
    .await;
    // Times have whole seconds: nobody may take the pods for younger.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    write_password(&arena, "canary-3").await;
    arena
        .patch(
            "Deployment",
            "web",
            json!({ "metadata": { "annotations": opted_in() } }),
        )
        .await;
    ask_until(&arena, &["explain", "deploy/web"], "opted in by").await;
    for words in [
        &["status", "secret/db"][..],
        &["wait", "secret/db", "--timeout", "3s"],
        &["pods"],
        &["explain", "deploy/web"],
    ] {
        let answer = ask(&arena, words).await;
        assert_eq!(answer.code, 2, "{words:?}: {}{}", answer.out, answer.err);
    }
    arena
        .kubectl(&["rollout", "restart", "deploy/web"])
        .await
        .ok();
    let waited = ask(&arena, &["wait", "secret/db", "--timeout", "2m"]).await;
    assert_eq!(waited.code, 0, "{}{}", waited.out, waited.err);
    drop(reroll);
}

/// Returns the names of the pods that are there, also of those that are being deleted.
async fn names(arena: &Arena) -> BTreeSet<String> {
    let pods = arena.pods("web").await;
    pods.iter().map(kube::ResourceExt::name_any).collect()
}
