//! Who changed a source, and when, as a restart tells: the user whose write admission saw, or the field manager.

use std::time::Duration;

use reroll_harness::{
    Arena, LAST_RESTART, RESTART_ON, ROLLOUT, Recorder, Reroll, Said, deployment, env_from,
    eventually, proxy::FaultProxy, secret, workload,
};
use serde_json::{Value, json};

/// Runs kubectl as a user who may do anything.
async fn kubectl_as(arena: &Arena, user: &str, arguments: &[&str], input: &str) -> Said {
    let who = ["--as", user, "--as-group", "system:masters"];
    let arguments: Vec<_> = who.iter().chain(arguments).copied().collect();
    arena.kubectl_with(&arguments, input).await
}

/// Has a user set the value of the Secret `db`.
async fn set(arena: &Arena, user: &str, value: &str) {
    let patch = json!({ "stringData": { "k": value } }).to_string();
    let patch = ["patch", "secret", "db", "--patch", &patch];
    kubectl_as(arena, user, &patch, "").await.ok();
}

/// Deployment `web` with the Secret `db`, adopted.
async fn web(arena: &Arena) -> Recorder {
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    arena.record().await
}

/// Waits for so many restarts of `web`, and returns what the last one says: `last-restart`, and the facts beside it.
async fn said(arena: &Arena, recorder: &Recorder, restarts: usize) -> (String, Value) {
    recorder.reaches("Deployment", "web", restarts).await;
    let text = arena.annotation("Deployment", "web", LAST_RESTART).await;
    let opened = arena.annotation("Deployment", "web", ROLLOUT).await;
    let opened: Value = serde_json::from_str(&opened.unwrap()).unwrap();
    (text.unwrap(), opened["changed"]["secret/db"].clone())
}

/// The next second: `managedFields` tell no more of when.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn the_user_is_named_whose_write_it_was() {
    let arena = Arena::new("who-user").await;
    let _reroll = arena.reroll().start().await;
    let recorder = web(&arena).await;

    set(&arena, "alice", "two").await;
    let (text, facts) = said(&arena, &recorder, 1).await;
    assert!(
        text.contains("Secret db was updated (key k), changed "),
        "{text}"
    );
    assert!(text.ends_with("Z by alice (kubectl-patch)"), "{text}");
    assert_eq!(
        (&facts["user"], &facts["manager"]),
        (&json!("alice"), &json!("kubectl-patch"))
    );
    let at = facts["at"].as_str().unwrap();
    assert!(
        text.contains(&format!("changed {at} by")),
        "{text}: {facts}"
    );
    let event = arena.event("web", "by alice").await;
    let expected =
        format!("Restarted: Secret db was updated (key k), changed {at} by alice (kubectl-patch)");
    assert_eq!(event, expected);

    let robot = "system:serviceaccount:cert-manager:cert-manager";
    set(&arena, robot, "three").await;
    let (text, _) = said(&arena, &recorder, 2).await;
    assert!(
        text.ends_with(&format!("by {robot} (kubectl-patch)")),
        "{text}"
    );

    // What has no effect is no change, whoever writes it; nor is a label.
    set(&arena, "mallory", "three").await;
    let label = ["label", "secret", "db", "a=b"];
    kubectl_as(&arena, "mallory", &label, "").await.ok();

    // A recreated one: who created it.
    kubectl_as(&arena, "dave", &["delete", "secret", "db"], "")
        .await
        .ok();
    let manifest = secret("db", &[("k", "four")]).to_string();
    kubectl_as(&arena, "carol", &["create", "-f", "-"], &manifest)
        .await
        .ok();
    let (text, facts) = said(&arena, &recorder, 3).await;
    assert!(text.contains("was recreated"), "{text}");
    assert!(text.ends_with("by carol (kubectl-create)"), "{text}");
    assert_eq!(facts["user"], "carol");
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
}

#[tokio::test]
async fn of_several_changes_in_one_quiet_period_the_last_is_named() {
    let arena = Arena::new("who-last").await;
    let _reroll = arena.reroll().flag("--settle", "4s").start().await;
    let recorder = web(&arena).await;
    for user in ["alice", "bob", "carol"] {
        set(&arena, user, user).await;
    }
    // By the same field manager, so that its entry has a later time.
    next_second().await;
    let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
    let label = ["patch", "secret", "db", "--patch", label];
    kubectl_as(&arena, "mallory", &label, "").await.ok();
    let (text, _) = said(&arena, &recorder, 1).await;
    assert!(text.ends_with("by carol (kubectl-patch)"), "{text}");
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// Admission saw it and allowed it; another webhook refused it. Then somebody else writes the very same.
#[tokio::test]
async fn who_wrote_what_others_refused_is_not_named() {
    let arena = Arena::new("who-refused").await;
    let reroll = arena.reroll().start().await;
    let recorder = web(&arena).await;
    let mallory =
        json!([{ "name": "mallory", "expression": "request.userInfo.username == 'mallory'" }]);
    arena.refuse_secrets("matchConditions", mallory).await;
    let tries = async |value: &str, more: &[&str]| {
        let patch = json!({ "stringData": { "k": value } }).to_string();
        let arguments = [&["patch", "secret", "db", "--patch", &patch], more].concat();
        kubectl_as(&arena, "mallory", &arguments, "").await
    };
    eventually("the other webhook refuses", async || {
        let said = tries("probe", &["--dry-run=server"]).await;
        (!said.ok).then_some(())
    })
    .await;
    let refused = async |value: &str| {
        let said = tries(value, &[]).await;
        assert!(
            !said.ok && said.err.contains("refuses.example.com"),
            "{said:?}"
        );
    };

    // At once: both may have been in the same second, which is another than that of the write before.
    next_second().await;
    refused("two").await;
    set(&arena, "bob", "two").await;
    let (text, facts) = said(&arena, &recorder, 1).await;
    assert!(
        !text.contains("mallory") && !facts.to_string().contains("mallory"),
        "{text}"
    );
    assert!(
        text.ends_with("(kubectl-patch)") || text.ends_with("by kubectl-patch"),
        "{text}"
    );

    // When it was found that it was refused.
    next_second().await;
    refused("three").await;
    let expired = "reroll_provisional_intents_expired_total";
    eventually("the refused write has expired", async || {
        (reroll.count(expired).await >= 1).then_some(())
    })
    .await;
    set(&arena, "bob", "three").await;
    let (text, _) = said(&arena, &recorder, 2).await;
    assert!(text.ends_with("by bob (kubectl-patch)"), "{text}");

    // After what was persisted: a dry run, and another one that is refused.
    next_second().await;
    set(&arena, "alice", "four").await;
    tries("five", &["--dry-run=server"]).await;
    refused("six").await;
    let (text, _) = said(&arena, &recorder, 3).await;
    assert!(!text.contains("mallory"), "{text}");
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
}

#[tokio::test]
async fn without_a_review_the_field_manager_is_named() {
    let arena = Arena::new("who-manager").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let builder = arena
        .reroll()
        .without_webhook()
        .kubeconfig(proxy.kubeconfig());
    let reroll = builder.start().await;
    let recorder = web(&arena).await;
    arena.create(&deployment("second", "db", "k")).await;
    arena.adopted("Deployment", "second").await;
    let read = || proxy.count(|line| line.method == "GET" && line.path.ends_with("/secrets/db"));

    // A watch shows it.
    let before = read();
    next_second().await;
    set(&arena, "alice", "two").await;
    let (text, facts) = said(&arena, &recorder, 1).await;
    assert!(text.ends_with("Z by kubectl-patch"), "{text}");
    assert_eq!(facts["user"], Value::Null, "{facts}");
    recorder.reaches("Deployment", "second", 1).await;
    assert_eq!(read(), before);

    // Nothing was shown while it was away: it reads, once for both.
    let builder = reroll.builder();
    reroll.kill();
    next_second().await;
    set(&arena, "alice", "three").await;
    let before = read();
    let reroll = builder.start().await;
    let (text, _) = said(&arena, &recorder, 2).await;
    assert!(text.ends_with("Z by kubectl-patch"), "{text}");
    recorder.reaches("Deployment", "second", 2).await;
    assert_eq!(read() - before, 1);

    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    drop(reroll);
}

/// It leaves no time in `managedFields`, so only admission knows who it was.
#[tokio::test]
async fn who_takes_a_key_away_is_named_where_admission_saw_it() {
    let arena = Arena::new("who-removed").await;
    for (builder, who) in [
        (arena.reroll(), ", changed "),
        (arena.reroll().without_webhook(), "Secret db was updated"),
    ] {
        let reroll = builder.start().await;
        arena.secret("db", &[("k", "one"), ("other", "one")]).await;
        let web = workload("Deployment", "web", &[(RESTART_ON, "auto")], env_from("db"));
        arena.create(&web).await;
        arena.adopted("Deployment", "web").await;
        let recorder = arena.record().await;
        next_second().await;
        set(&arena, "alice", "two").await;
        let (text, _) = said(&arena, &recorder, 1).await;
        assert!(text.contains("kubectl-patch"), "{text}");
        next_second().await;
        let remove = r#"[{"op":"remove","path":"/data/other"}]"#;
        let patch = ["patch", "secret", "db", "--type=json", "--patch", remove];
        kubectl_as(&arena, "bob", &patch, "").await.ok();
        let (text, facts) = said(&arena, &recorder, 2).await;
        assert!(text.contains(who), "{text}");
        let named = text.ends_with("by bob (kubectl-patch)");
        assert_eq!(named, who == ", changed ", "{text}");
        assert!(named || text.ends_with(who), "{text}");
        assert_eq!(facts == Value::Null, !named, "{facts}");
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 2);
        assert!(reroll.stop().await);
        for (kind, name) in [("Deployment", "web"), ("Secret", "db")] {
            arena.delete(kind, name).await;
        }
    }
}

#[tokio::test]
async fn nobody_is_named_where_that_is_off() {
    let arena = Arena::new("who-off").await;
    let reroll: Reroll = arena.reroll().flag("--name-writers", "off").start().await;
    let recorder = web(&arena).await;
    set(&arena, "alice", "two").await;
    let (text, facts) = said(&arena, &recorder, 1).await;
    assert!(text.ends_with("Secret db was updated (key k)"), "{text}");
    assert_eq!(facts, Value::Null);
    arena
        .event("web", "Restarted: Secret db was updated (key k)")
        .await;
    let all = arena.events("web").await.join("\n");
    for name in ["alice", "kubectl-patch"] {
        assert!(!all.contains(name), "{all}");
        assert!(!reroll.log().contains(name), "{name}");
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}
