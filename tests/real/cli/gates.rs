//! `reroll suspend`, `resume` and `release`, each with the restarts that it lets come.

use reroll_harness::{Arena, Recorder};

use super::{arena, ask, ask_until, opted_in, sources, web, write_password};

const WEB: [&str; 2] = ["explain", "deploy/web"];

#[tokio::test]
async fn cli_stops_lets_go_and_releases() {
    let arena = arena("cli-gates").await;
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    let recorder = arena.record().await;
    arena.create(&web(&opted_in())).await;
    ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    // Who is stopped by the workload's own word is released.
    let answer = ask(
        &arena,
        &["suspend", "deploy/web", "--reason", "needs approval"],
    )
    .await;
    insta::assert_snapshot!("suspend_a_workload", answer.said(&arena));
    let nothing = ask(&arena, &["release", "deploy/web"]).await;
    insta::assert_snapshot!("release_nothing", nothing.said(&arena));
    write_password(&arena, "canary-3").await;
    ask_until(&arena, &WEB, "needs approval").await;
    let released = ask(&arena, &["release", "deploy/web"]).await;
    insta::assert_snapshot!("release_a_workload", released.said(&arena));
    restarted(&arena, &recorder, 1).await;
    // What still rolls is named.
    ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    // Who is stopped by his namespace is not, and says so.
    let answer = ask(&arena, &["suspend", "--all", "--reason", "INC-42"]).await;
    insta::assert_snapshot!("suspend_a_namespace", answer.said(&arena));
    write_password(&arena, "canary-4").await;
    ask_until(&arena, &WEB, "NEWER").await;
    let answer = ask(&arena, &["release", "deploy/web"]).await;
    insta::assert_snapshot!("release_what_a_namespace_holds", answer.said(&arena));
    let answer = ask(&arena, &["resume", "deploy/web"]).await;
    insta::assert_snapshot!(
        "resume_a_workload_of_a_namespace_that_holds",
        answer.said(&arena)
    );
    let answer = ask(&arena, &["resume", "--all"]).await;
    insta::assert_snapshot!("resume_a_namespace", answer.said(&arena));
    restarted(&arena, &recorder, 2).await;
    drop(reroll);
}

/// Waits until the workload was restarted so often, and no more.
async fn restarted(arena: &Arena, recorder: &Recorder, times: usize) {
    recorder.reaches("Deployment", "web", times).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", times);
}
