//! `reroll history`

use reroll_harness::{RESTART_ON, env, workload};
use serde_json::{Value, json};

use super::{arena, ask, ask_until};

#[tokio::test]
async fn cli_tells_restarts_from_deploys() {
    let arena = arena("cli-history").await;
    let empty = ask(&arena, &["history"]).await;
    insta::assert_snapshot!("history_of_an_empty_namespace", empty.said(&arena));
    arena.secret("db", &[("k", "1")]).await;
    let reroll = arena.reroll().start().await;
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    for kind in kinds {
        let name = kind.to_lowercase();
        let manifest = workload(kind, &name, &[(RESTART_ON, "auto")], env("db", "k"));
        arena.create(&manifest).await;
        arena.adopted(kind, &name).await;
    }
    arena.later_second().await;
    arena.update_secret("db", &[("k", "2")]).await;
    for kind in kinds {
        let words = ["history", kind, &kind.to_lowercase()];
        ask_until(&arena, &words, "reroll").await;
    }
    for kind in kinds {
        let name = kind.to_lowercase();
        let object = format!("{kind}/{name}");
        // Each makes a revision, and a controller must have seen one before the next comes.
        let said = |words: &'static str| {
            let name = name.clone();
            let arena = &arena;
            async move { ask_until(arena, &["history", kind, &name], words).await }
        };
        arena.later_second().await;
        arena.kubectl(&["rollout", "restart", &object]).await.ok();
        said("kubectl rollout restart").await;
        arena.later_second().await;
        let other =
            json!({ "spec": { "template": { "metadata": { "labels": { "deployed": "yes" } } } } });
        arena.patch(kind, &name, other).await;
        said("its template was changed").await;
        arena.later_second().await;
        arena.kubectl(&["rollout", "undo", &object]).await.ok();
        said("went back").await;
        let last = said("complete").await;
        insta::assert_snapshot!(format!("history_of_a_{name}"), last.said(&arena));
    }
    let all = ask(&arena, &["history", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&all.out).unwrap();
    let lines = read["restarts"].as_array().unwrap();
    let of = |what: &str| lines.iter().filter(|line| line["what"] == what).count();
    assert_eq!(
        (of("restart"), of("kubectlRestart"), lines.len()),
        (3, 3, 6),
        "{}",
        all.out
    );
    // Of several at once, deploys and all.
    let two = ask(&arena, &["history", "deploy/deployment", "sts/statefulset"]).await;
    let tells = |words: &str| two.out.lines().filter(|line| line.contains(words)).count();
    assert_eq!(
        (
            two.code,
            tells("went back"),
            tells("Deployment deployment"),
            tells("DaemonSet")
        ),
        (0, 2, 5, 0),
        "{}{}",
        two.out,
        two.err
    );
    // Of all, whose deploys are left out is told, and when the last one was that is not of this time.
    let all = ask(&arena, &["history"]).await;
    let note = format!(
        "Note   deployed, too: DaemonSet daemonset, Deployment deployment, StatefulSet statefulset; of one: kubectl reroll history \
         daemonset/daemonset -n {}",
        arena.namespace
    );
    assert!(all.out.contains(&note), "{}", all.out);
    let moment = ask(&arena, &["history", "--since", "1ms"]).await;
    insta::assert_snapshot!("history_of_a_moment", moment.said(&arena));
    drop(reroll);
}
