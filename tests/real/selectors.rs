//! What counts by its labels: sources, and namespaces.

use reroll_harness::{
    Arena, RESTART_ON, Recorder, deployment, env_optional, eventually, proxy::FaultProxy, workload,
};
use serde_json::json;

const ON_DELETE: &str = "reroll.dev/on-delete";

async fn label(arena: &Arena, secret: &str, tier: Option<&str>) {
    let patch = json!({ "metadata": { "labels": { "tier": tier } } });
    arena.patch("Secret", secret, patch).await;
}

/// A Deployment that restarts for a deletion, too.
async fn web(arena: &Arena, secret: &str) {
    let annotations = [(RESTART_ON, "auto"), (ON_DELETE, "restart")];
    let web = workload(
        "Deployment",
        secret,
        &annotations,
        env_optional(secret, "k"),
    );
    arena.create(&web).await;
}

async fn settled(recorder: &Recorder, arena: &Arena, name: &str, rollouts: usize) {
    recorder.settle(arena).await;
    recorder.expect("Deployment", name, rollouts);
}

/// Without `with_webhook`, reroll knows everything by the watches and by reads of single sources.
async fn only_selected_sources_count(arena: &Arena, with_webhook: bool) {
    for (name, tier) in [("seen", None), ("other", Some("other"))] {
        arena.secret(name, &[("k", "one")]).await;
        label(arena, name, tier).await;
        web(arena, name).await;
    }
    let mut builder = arena
        .reroll()
        .flag("--resource-label-selector", "tier notin (other)");
    if !with_webhook {
        builder = builder.without_webhook();
    }
    let reroll = builder.clone().start().await;
    for name in ["seen", "other"] {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.update_secret("other", &[("k", "two")]).await;
    arena.update_secret("seen", &[("k", "two")]).await;
    settled(&recorder, arena, "seen", 1).await;
    recorder.expect("Deployment", "other", 0);

    // One comes to be selected, and one is selected no more, which is no deletion.
    label(arena, "other", None).await;
    label(arena, "seen", Some("other")).await;
    settled(&recorder, arena, "seen", 1).await;
    recorder.expect("Deployment", "other", 0);
    arena.update_secret("other", &[("k", "three")]).await;
    arena.update_secret("seen", &[("k", "three")]).await;
    settled(&recorder, arena, "seen", 1).await;
    recorder.expect("Deployment", "other", 1);

    // A start changes nothing, and finds what changed meanwhile of what counts.
    reroll.stop().await;
    let reroll = builder.clone().start().await;
    settled(&recorder, arena, "other", 1).await;
    reroll.stop().await;
    for name in ["seen", "other"] {
        arena.update_secret(name, &[("k", "four")]).await;
    }
    let _reroll = builder.start().await;
    settled(&recorder, arena, "other", 2).await;
    recorder.expect("Deployment", "seen", 1);

    // Deletions, of which only one counts.
    arena.delete("Secret", "seen").await;
    arena.delete("Secret", "other").await;
    settled(&recorder, arena, "other", 3).await;
    recorder.expect("Deployment", "seen", 1);
}

#[tokio::test]
async fn sources_that_are_not_selected_count_for_nobody() {
    let arena = Arena::new("selector").await;
    only_selected_sources_count(&arena, true).await;
}

#[tokio::test]
async fn sources_that_are_not_selected_count_for_nobody_without_the_webhook() {
    let arena = Arena::new("selector-alone").await;
    only_selected_sources_count(&arena, false).await;
}

#[tokio::test]
async fn what_is_absent_and_is_created_counts_where_it_is_selected() {
    let arena = Arena::new("selector-absent").await;
    let reroll = arena.reroll().flag("--source-selector", "tier!=other");
    let _reroll = reroll.start().await;
    for name in ["late", "other"] {
        let pod = env_optional(name, "k");
        let web = workload("Deployment", name, &[(RESTART_ON, "auto")], pod);
        arena.create(&web).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.secret("late", &[("k", "one")]).await;
    let mut other = reroll_harness::secret("other", &[("k", "one")]);
    other["metadata"]["labels"] = json!({ "tier": "other" });
    arena.create(&other).await;
    settled(&recorder, &arena, "late", 1).await;
    recorder.expect("Deployment", "other", 0);
}

#[tokio::test]
async fn namespaces_count_while_they_are_selected() {
    let arena = Arena::new("selected").await;
    let late = Arena::new("selected-late").await;
    let team = "reroll-test-team";
    for arena in [&arena, &late] {
        arena.secret("creds", &[("k", "one")]).await;
        arena.create(&deployment("web", "creds", "k")).await;
    }
    arena.label_namespace(team, &arena.namespace).await;
    let selector = format!("{team}={}", arena.namespace);
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reroll = arena.reroll().without("--namespaces");
    let reroll = reroll.kubeconfig(proxy.kubeconfig());
    let reroll = reroll.flag("--namespace-selector", &selector).start().await;
    arena.adopted("Deployment", "web").await;
    let (here, there) = (arena.record().await, late.record().await);
    for arena in [&arena, &late] {
        arena.recreate_secret("creds", &[("k", "one")]).await;
    }
    settled(&here, &arena, "web", 1).await;
    there.expect("Deployment", "web", 0);
    let annotation = late.annotation("Deployment", "web", reroll_harness::OBSERVED);
    assert_eq!(annotation.await, None);
    let seen = format!("/{}/", late.namespace);
    assert!(!reroll.log().contains(&seen), "not even read");

    // It comes to be selected.
    late.label_namespace(team, &arena.namespace).await;
    late.adopted("Deployment", "web").await;
    eventually("it is listed by itself", async || {
        let listed = "listed a namespace that is selected now";
        reroll.log().contains(listed).then_some(())
    })
    .await;
    let by_itself = format!("/namespaces/{}/", late.namespace);
    let watches = proxy.count(|line| line.is_watch() && line.path.contains(&by_itself));
    assert_eq!(
        watches, 0,
        "what changes there comes by the watch of everything"
    );
    late.recreate_secret("creds", &[("k", "one")]).await;
    settled(&there, &late, "web", 1).await;

    // Selected no more, it is left alone; selected again, what changed is found.
    late.label_namespace(team, "nobody").await;
    eventually("it is left alone", async || {
        let left = "a namespace is selected no more";
        reroll.log().contains(left).then_some(())
    })
    .await;
    late.update_secret("creds", &[("k", "two")]).await;
    here.settle(&arena).await;
    there.expect("Deployment", "web", 1);
    late.label_namespace(team, &arena.namespace).await;
    settled(&there, &late, "web", 2).await;
    let both = late.reroll().flag("--namespace-selector", "a").end().await;
    assert!(
        !both.ok && both.err.contains("--namespace-selector"),
        "{}",
        both.err
    );
}
