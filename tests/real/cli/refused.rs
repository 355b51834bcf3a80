//! What reroll only meets when it makes a restart: nothing on the workload can tell it, and its Event does.

use reroll_harness::{Policy, eventually};

use super::{arena, ask, ask_until, web_runs, write_password};

#[tokio::test]
async fn cli_tells_what_only_an_event_can() {
    let arena = arena("cli-refused").await;
    let reroll = web_runs(&arena).await;
    let nothing_by_reroll = "object.metadata.name != 'probe' && (object.metadata.name != 'web' \
                             || request.options.?fieldManager.orValue('') != 'reroll')";
    let policy = Policy::enforce(&arena, &["deployments"], nothing_by_reroll).await;
    write_password(&arena, "new").await;
    arena.event("web", "RestartRefused").await;
    let answer = ask_until(&arena, &["explain", "deploy/web"], "To do").await;
    assert_eq!(answer.code, 3, "{}", answer.out);
    insta::assert_snapshot!("refused", answer.said(&arena));
    policy.lift(&arena).await;
    eventually(
        "the pods are new, and nothing is told any more",
        async || {
            let answer = ask(&arena, &["explain", "deploy/web"]).await;
            (answer.code == 0 && !answer.out.contains("Pending")).then_some(())
        },
    )
    .await;
    drop(reroll);
}
