//! `reroll status` and `reroll pods`

use reroll_harness::Arena;
use serde_json::{Value, json};

use super::{ask, ask_until, opted_in, sources, web, write_password};

#[tokio::test]
async fn cli_tells_who_has_the_current_version() {
    let arena = Arena::new("cli-status").await;
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
