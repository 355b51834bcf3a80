//! What is answered with the rights of an application developer, and of a reader.

use std::path::PathBuf;

use reroll_harness::{Arena, eventually};

use super::{arena, ask_as, ask_until, web_runs, write_password};

const WEB: [&str; 2] = ["explain", "deploy/web"];

/// Makes a person who has a `ClusterRole` in the arena's namespace, and nothing else. An API server learns of a binding a moment
/// after it is made.
pub(super) async fn person(arena: &Arena, name: &str, role: &str) -> PathBuf {
    arena
        .kubectl(&["create", "serviceaccount", name])
        .await
        .ok();
    let account = format!("--serviceaccount={}:{name}", arena.namespace);
    let role = format!("--clusterrole={role}");
    arena
        .kubectl(&["create", "rolebinding", name, &role, &account])
        .await
        .ok();
    let user = format!("--as=system:serviceaccount:{}:{name}", arena.namespace);
    eventually(&format!("{name} has its rights"), async || {
        let asked = ["auth", "can-i", "list", "deployments.apps", &user];
        let answer = arena.kubectl(&asked).await;
        (answer.out.trim() == "yes").then_some(())
    })
    .await;
    let token = arena.kubectl(&["create", "token", name]).await.ok();
    arena.kubeconfig_with(name, token.out.trim())
}

#[tokio::test]
async fn cli_answers_what_may_be_seen_and_names_what_may_not() {
    let arena = arena("cli-rights").await;
    let reroll = web_runs(&arena).await;
    write_password(&arena, "canary-3").await;
    ask_until(&arena, &WEB, "Last ").await;
    ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    for (name, role) in [("developer", "edit"), ("reader", "view")] {
        let config = person(&arena, name, role).await;
        for (question, words) in [
            ("explain", &WEB[..]),
            ("status", &["status"]),
            ("source", &["status", "secret/db"]),
            ("pods", &["pods"]),
            (
                "suspend",
                &["suspend", "deploy/web", "--reason", "by a person"],
            ),
            ("resume", &["resume", "deploy/web"]),
            ("everything", &["suspend", "--all"]),
        ] {
            let answer = ask_as(&arena, &config, words).await;
            assert!(!answer.out.contains("canary"), "{}", answer.out);
            insta::assert_snapshot!(format!("{name}_{question}"), answer.said(&arena));
        }
    }
    drop(reroll);
}

#[tokio::test]
async fn cli_claims_nothing_of_what_may_not_be_read_at_all() {
    let arena = arena("cli-nobody").await;
    let reroll = web_runs(&arena).await;
    arena
        .kubectl(&["create", "serviceaccount", "nobody"])
        .await
        .ok();
    let token = arena.kubectl(&["create", "token", "nobody"]).await.ok();
    let config = arena.kubeconfig_with("nobody", token.out.trim());
    for words in [
        &["status"][..],
        &["status", "secret/db"],
        &["pods"],
        &["history"],
        &["migrate"],
        &["explain", "deploy/web"],
        &["plan", "secret/db"],
        &["wait", "secret/db", "--timeout", "1s"],
        &["release", "--all"],
    ] {
        let answer = ask_as(&arena, &config, words).await;
        let said = format!("{words:?}: {}{}", answer.out, answer.err);
        assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{said}");
        let is_said = ["no right to", "does not allow it"].map(|words| answer.err.contains(words));
        assert!(is_said.contains(&true), "{said}");
    }
    drop(reroll);
}
