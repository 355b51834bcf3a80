//! A policy refuses what a restart changes: nobody's own request fails because of that, and pods that others roll count.

use reroll_harness::{
    Arena, KUBECTL_RESTARTED_AT as KUBECTL, LAST_RESTART, OBSERVED, Pods, Policy, RESTART_ON,
    RESTARTED_FOR, Recorder, eventually, running,
};
use serde_json::{Value, json};

const PENDING: &str = "reroll.dev/pending";
const MARK: &str = "reroll.dev/mark";

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];
const MARKED: [(&str, &str); 2] = [(RESTART_ON, "auto"), (MARK, "restartedAt")];

/// Lets nobody change anything of the template of `web` but `kubectl.kubernetes.io/restartedAt`.
async fn only_restarted_at(arena: &Arena) -> Policy {
    Policy::only_restarted_at(arena, "object.metadata.name == 'web'").await
}

/// A running workload `web` that was adopted.
async fn web(arena: &Arena, kind: &str, annotations: &[(&str, &str)]) {
    arena.secret("db", &[("k", "one")]).await;
    let pod = reroll_harness::env("db", "k");
    arena.create(&running(kind, "web", annotations, pod)).await;
    arena.adopted(kind, "web").await;
    arena.complete(kind, "web").await;
}

async fn pending(arena: &Arena, kind: &str) -> Option<Value> {
    let text = arena.annotation(kind, "web", PENDING).await?;
    Some(serde_json::from_str(&text).unwrap())
}

async fn is_refused(arena: &Arena, kind: &str) -> Value {
    eventually("the refusal stands on the workload", async || {
        pending(arena, kind).await
    })
    .await
}

async fn nothing_is_pending(arena: &Arena, kind: &str) {
    eventually("nothing is pending", async || {
        pending(arena, kind).await.is_none().then_some(())
    })
    .await;
}

async fn of_template(arena: &Arena, kind: &str, key: &str) -> Option<String> {
    let object = arena.get(kind, "web").await;
    let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
    annotations[key].as_str().map(ToOwned::to_owned)
}

async fn restart_by_hand(arena: &Arena, kind: &str) {
    let workload = format!("{kind}/web");
    arena.kubectl(&["rollout", "restart", &workload]).await.ok();
}

/// All pods are younger than the Secret.
async fn all_pods_are_new(arena: &Arena, pods: &Pods, kind: &str) {
    let version = arena.version("Secret", "db").await;
    let oldest = pods.oldest(arena, kind, "web").await;
    assert!(oldest > version, "a pod of {oldest}, Secret of {version}");
}

/// Two replicas, both asked about every write: who does not lead knows of the refusal, too.
async fn made_up_for(kind: &str) {
    let arena = Arena::new(&format!("refused-{}", kind.to_lowercase())).await;
    let pods = Pods::watch(&arena).await;
    let first = arena.replica(arena.reroll(), "first").await;
    first.leads().await;
    let other = format!("{}-2", arena.namespace);
    let second = arena.reroll().flag("--webhook-name", &other);
    let second = arena.replica(second, "second").await;
    web(&arena, kind, &AUTO).await;
    let before = arena.annotation(kind, "web", OBSERVED).await;
    let recorder = arena.record().await;
    let policy = only_restarted_at(&arena).await;

    arena.update_secret("db", &[("k", "two")]).await;
    arena
        .event("web", "RestartRefused: Secret db was updated")
        .await;
    let refused = is_refused(&arena, kind).await;
    assert_eq!(refused["reason"], "refused");
    assert!(
        refused["causes"]
            .as_str()
            .unwrap()
            .contains("Secret db was updated")
    );
    recorder.expect(kind, "web", 0);

    restart_by_hand(&arena, kind).await;
    nothing_is_pending(&arena, kind).await;
    all_pods_are_new(&arena, &pods, kind).await;
    recorder.settle(&arena).await;
    recorder.expect(kind, "web", 1);
    assert_eq!(of_template(&arena, kind, RESTARTED_FOR).await, None);
    assert_eq!(arena.annotation(kind, "web", LAST_RESTART).await, None);
    assert_ne!(arena.annotation(kind, "web", OBSERVED).await, before);
    assert_eq!(arena.event_count("web", "RestartRefused").await, 1);

    // The policy goes, and a new start has nothing to do either.
    policy.lift(&arena).await;
    assert!(second.stop().await && first.stop().await);
    let _again = arena.reroll().start().await;
    recorder.settle(&arena).await;
    recorder.expect(kind, "web", 1);
}

#[tokio::test]
async fn a_deployment_that_a_person_restarts_is_recorded() {
    made_up_for("Deployment").await;
}

#[tokio::test]
async fn a_stateful_set_that_a_person_restarts_is_recorded() {
    made_up_for("StatefulSet").await;
}

#[tokio::test]
async fn a_daemon_set_that_a_person_restarts_is_recorded() {
    made_up_for("DaemonSet").await;
}

#[tokio::test]
async fn when_the_policy_is_lifted_the_restart_is_made_once() {
    let arena = Arena::new("refused-lifted").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = arena.reroll().start().await;
    web(&arena, "Deployment", &AUTO).await;
    let recorder = arena.record().await;
    let policy = only_restarted_at(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    let first = is_refused(&arena, "Deployment").await;
    // Another change keeps the time, and is another restart.
    arena.recreate_secret("db", &[("k", "three")]).await;
    eventually("the recreation is pending", async || {
        let now = pending(&arena, "Deployment").await?;
        (now["id"] != first["id"] && now["since"] == first["since"]).then_some(())
    })
    .await;
    policy.lift(&arena).await;
    recorder.reaches("Deployment", "web", 1).await;
    nothing_is_pending(&arena, "Deployment").await;
    all_pods_are_new(&arena, &pods, "Deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// Data that is put back needs no restart, and nothing says so any more.
#[tokio::test]
async fn what_is_put_back_is_pending_no_more() {
    let arena = Arena::new("refused-back").await;
    let _reroll = arena.reroll().start().await;
    web(&arena, "Deployment", &AUTO).await;
    let recorder = arena.record().await;
    let policy = only_restarted_at(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    is_refused(&arena, "Deployment").await;
    arena.update_secret("db", &[("k", "one")]).await;
    nothing_is_pending(&arena, "Deployment").await;
    policy.lift(&arena).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
}

/// An undo in the middle brings old pods back, so nothing was made up for.
#[tokio::test]
async fn an_undo_in_the_middle_leaves_it_pending() {
    let arena = Arena::new("refused-undo").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = arena.reroll().start().await;
    web(&arena, "Deployment", &AUTO).await;
    let recorder = arena.record().await;
    let policy = only_restarted_at(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    let refused = is_refused(&arena, "Deployment").await;
    arena.hold_rollouts().await;
    restart_by_hand(&arena, "Deployment").await;
    arena.in_the_middle("Deployment", "web", 2).await;
    arena
        .kubectl(&["rollout", "undo", "deployment/web"])
        .await
        .ok();
    arena.release_rollouts().await;
    arena.complete("Deployment", "web").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    assert_eq!(pending(&arena, "Deployment").await, Some(refused));
    policy.lift(&arena).await;
    recorder.reaches("Deployment", "web", 3).await;
    all_pods_are_new(&arena, &pods, "Deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
}

/// Metadata is refused as well: then only an Event says it, and nothing loops.
#[tokio::test]
async fn where_nothing_may_be_written_an_event_says_it() {
    let arena = Arena::new("refused-all").await;
    let reroll = arena.reroll().start().await;
    web(&arena, "Deployment", &AUTO).await;
    let recorder = arena.record().await;
    let expression = "object.metadata.name != 'probe' && (object.metadata.name != 'web' \
                      || request.options.?fieldManager.orValue('') != 'reroll')";
    let policy = Policy::enforce(&arena, &["deployments"], expression).await;
    arena.update_secret("db", &[("k", "two")]).await;
    arena.event("web", "RestartRefused").await;
    let refused = r#"reroll_restart_failures_total{kind="Deployment",reason="conflict"}"#;
    eventually("it was refused many times", async || {
        (reroll.count(refused).await > 7).then_some(())
    })
    .await;
    assert_eq!(arena.event_count("web", "RestartRefused").await, 1);
    assert_eq!(pending(&arena, "Deployment").await, None);
    policy.lift(&arena).await;
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// By the one annotation that the policy allows.
async fn marked(kind: &str) {
    let arena = Arena::new(&format!("marked-{}", kind.to_lowercase())).await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll().start().await;
    web(&arena, kind, &MARKED).await;
    let recorder = arena.record().await;
    let policy = only_restarted_at(&arena).await;
    let mut values = Vec::new();
    for (rollouts, value) in ["two", "three"].into_iter().enumerate() {
        arena.update_secret("db", &[("k", value)]).await;
        recorder.reaches(kind, "web", rollouts + 1).await;
        values.extend(of_template(&arena, kind, KUBECTL).await);
    }
    assert_eq!(values.len(), 2);
    assert_ne!(values[0], values[1], "also within one second");
    assert_eq!(of_template(&arena, kind, RESTARTED_FOR).await, None);
    all_pods_are_new(&arena, &pods, kind).await;

    // What a person does passes as well, and restarts nothing again. Nor does a new start.
    // The second value may be a second ahead, and kubectl refuses one that stands.
    arena.later_second().await;
    arena.later_second().await;
    restart_by_hand(&arena, kind).await;
    recorder.reaches(kind, "web", 3).await;
    assert!(reroll.stop().await);
    let _again = arena.reroll().start().await;
    recorder.settle(&arena).await;
    recorder.expect(kind, "web", 3);
    policy.lift(&arena).await;
    assert_eq!(pending(&arena, kind).await, None);
}

#[tokio::test]
async fn a_marked_deployment_is_restarted_through_the_policy() {
    marked("Deployment").await;
}

#[tokio::test]
async fn a_marked_stateful_set_is_restarted_through_the_policy() {
    marked("StatefulSet").await;
}

/// Made again over pods that are behind, under a policy that forbids reroll's own mark in any template.
#[tokio::test]
async fn a_marked_one_that_is_made_again_passes_the_policy() {
    let arena = Arena::new("marked-again").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = arena.reroll().start().await;
    let manifest = running("Deployment", "web", &MARKED, reroll_harness::env("db", "k"));
    web(&arena, "Deployment", &MARKED).await;
    let expression = format!(
        "object.metadata.name != 'probe' && (object.metadata.name != 'web' || \
         !('{RESTARTED_FOR}' in object.spec.template.metadata.?annotations.orValue({{}})))"
    );
    let policy = Policy::enforce(&arena, &["deployments"], &expression).await;
    for value in ["two", "three"] {
        arena.later_second().await;
        let deployment = ["delete", "deployment", "web", "--cascade=orphan"];
        arena.kubectl(&deployment).await.ok();
        arena.update_secret("db", &[("k", value)]).await;
        let said = arena
            .kubectl_with(&["create", "-f", "-"], &manifest.to_string())
            .await
            .ok();
        assert!(said.err.contains("they are replaced"), "{}", said.err);
        let recorder = arena.record().await;
        arena.adopted("Deployment", "web").await;
        all_pods_are_new(&arena, &pods, "Deployment").await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 0);
        assert!(of_template(&arena, "Deployment", KUBECTL).await.is_some());
    }
    policy.lift(&arena).await;
}

/// An undo takes the mark along, and is noticed; with the webhook in the very write.
async fn undone(name: &str, webhook: bool, rollouts: usize) {
    let arena = Arena::new(name).await;
    let pods = Pods::watch(&arena).await;
    let reroll = arena.reroll();
    let reroll = if webhook {
        reroll
    } else {
        reroll.without_webhook()
    };
    let _reroll = reroll.start().await;
    web(&arena, "Deployment", &MARKED).await;
    let recorder = arena.record().await;
    arena.hold_rollouts().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    arena.in_the_middle("Deployment", "web", 2).await;
    // Something that is to be undone.
    let label = json!({ "spec": { "template": { "metadata": { "labels": { "x": "y" } } } } });
    arena.patch("Deployment", "web", label).await;
    arena.revision("web", 3).await;
    arena
        .kubectl(&["rollout", "undo", "deployment/web", "--to-revision=1"])
        .await
        .ok();
    recorder.reaches("Deployment", "web", rollouts).await;
    arena.release_rollouts().await;
    all_pods_are_new(&arena, &pods, "Deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", rollouts);
}

#[tokio::test]
async fn an_undo_keeps_the_mark_with_the_webhook() {
    undone("marked-undo", true, 3).await;
}

#[tokio::test]
async fn an_undo_is_noticed_without_the_webhook() {
    undone("marked-undo-bare", false, 4).await;
}

/// The workload has a controller as owner.
async fn owned(arena: &Arena) -> Recorder {
    let boss = arena.config_map("boss", &[]).await;
    arena.secret("db", &[("k", "one")]).await;
    let mut manifest = running("Deployment", "web", &MARKED, reroll_harness::env("db", "k"));
    manifest["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": boss.metadata.uid, "controller": true,
    }]);
    arena.create(&manifest).await;
    arena.adopted("Deployment", "web").await;
    arena.complete("Deployment", "web").await;
    arena.record().await
}

#[tokio::test]
async fn one_whose_owner_keeps_the_mark_is_restarted() {
    let arena = Arena::new("marked-owned").await;
    let pods = Pods::watch(&arena).await;
    let _reroll = arena.reroll().start().await;
    let recorder = owned(&arena).await;
    for (rollouts, value) in ["two", "three"].into_iter().enumerate() {
        arena.update_secret("db", &[("k", value)]).await;
        recorder.reaches("Deployment", "web", rollouts + 1).await;
    }
    all_pods_are_new(&arena, &pods, "Deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    assert_eq!(arena.event_count("web", "NotRestarted").await, 0);
}

/// The owner takes back what it does not know, as an operator does that writes its own template.
async fn take_back(arena: &Arena) {
    let nothing = json!({ KUBECTL: null });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": nothing } } } });
    arena.patch("Deployment", "web", patch).await;
}

async fn taken_back(name: &str, webhook: bool) {
    let arena = Arena::new(name).await;
    let start = async || {
        let reroll = arena.reroll();
        let reroll = if webhook {
            reroll
        } else {
            reroll.without_webhook()
        };
        reroll.start().await
    };
    let reroll = start().await;
    let recorder = owned(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    take_back(&arena).await;
    let said = arena
        .event("web", "NotRestarted: ConfigMap boss removed")
        .await;
    assert!(
        said.contains("reroll waits until a source changes again"),
        "{said}"
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    // What the owner writes besides gets no mark of reroll's, and a new start restarts nothing.
    let label = json!({ "spec": { "template": { "metadata": { "labels": { "x": "y" } } } } });
    arena.patch("Deployment", "web", label).await;
    recorder.settle(&arena).await;
    assert_eq!(of_template(&arena, "Deployment", KUBECTL).await, None);
    assert_eq!(arena.event_count("web", "NotRestarted").await, 1);
    assert!(reroll.stop().await);
    let _again = start().await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
    // The next change is tried again, once.
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.reaches("Deployment", "web", 4).await;
    take_back(&arena).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 5);
}

#[tokio::test]
async fn one_whose_owner_takes_the_mark_back_is_held() {
    taken_back("marked-taken", true).await;
}

#[tokio::test]
async fn one_whose_owner_takes_the_mark_back_is_held_without_webhook() {
    taken_back("marked-taken-bare", false).await;
}

#[tokio::test]
async fn another_word_is_told_at_the_prompt() {
    let arena = Arena::new("marked-word").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let annotations = [(RESTART_ON, "auto"), (MARK, "restartAt")];
    let manifest = running(
        "Deployment",
        "web",
        &annotations,
        reroll_harness::env("db", "k"),
    );
    let said = arena
        .kubectl_with(&["create", "-f", "-"], &manifest.to_string())
        .await
        .ok();
    let complaint = "reroll.dev/mark: \"restartAt\" is not restartedAt, the only value";
    assert!(said.err.contains(complaint), "{}", said.err);
    arena.event("web", complaint).await;
}
