//! The API server refuses the new pods of a restart: there is no room in a quota, or a policy denies them. No pod shows anything,
//! so the restart fails by its deadline, and people are told the API server's words.

use reroll_harness::Policy;

use super::Stage;

const USERS: usize = 5;

#[tokio::test]
async fn a_quota_without_room_for_the_new_pod_holds_the_others() {
    let stage = Stage::of("slow-quota", USERS).await;
    let reroll = stage.start().await;
    stage.arena.hold_rollouts().await;
    stage.change("good too").await;
    let (broken, said) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    let words = [
        "no new pod was good by its deadline: ",
        "exceeded quota: hold",
    ];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
    // Its old pod runs as ever.
    stage.arena.pods_are(&broken, 1, "Running").await;
    // There is room: its pod comes, and nothing has to be restarted again.
    stage.arena.release_rollouts().await;
    stage.each_was_restarted(|_| 1).await;
}

#[tokio::test]
async fn a_policy_that_denies_the_new_pod_holds_the_others() {
    let stage = Stage::of("slow-policy", USERS).await;
    let reroll = stage.start().await;
    let denied = "(!has(object.metadata.labels) || !('refuse' in object.metadata.labels)) && \
                  (object.kind != 'Pod' || oldObject != null)";
    let policy = Policy::enforce(&stage.arena, &["deployments", "pods"], denied).await;
    stage.change("good too").await;
    let (broken, said) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    let words = ["no new pod was good by its deadline: ", "not here"];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
    stage.arena.pods_are(&broken, 1, "Running").await;
    policy.lift(&stage.arena).await;
    // It is restarted once more, for the new value.
    stage.change("good again").await;
    let times = |name: &str| 1 + usize::from(name == broken);
    stage.each_was_restarted(times).await;
}
