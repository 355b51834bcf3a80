//! A leader runs and renews its Lease, but gets nothing done: another replica takes over.

use reroll_harness::{
    Arena, LEADER, eventually, numbered,
    proxy::{Fault, FaultProxy, Matcher, Rule},
};

use crate::MACHINE;

#[tokio::test]
async fn a_leader_that_is_deadlocked_is_replaced() {
    let _machine = MACHINE.read().await;
    let arena = Arena::new("stuck-deadlock").await;
    let hanging = arena.reroll().flag("--instance", "first").without_webhook();
    let hanging = hanging.surroundings("UNDER_TEST_HANG", "before-patch:3");
    let first = hanging.start().await;
    first.leads().await;
    let second = arena.reroll().flag("--instance", "second").start().await;
    let names = arena.pairs(numbered(20)).await;
    let recorder = arena.record().await;
    for name in &names {
        arena.recreate_secret(name, &[("k", "one")]).await;
    }
    second.leads().await;
    recorder.settle(&arena).await;
    for name in &names {
        recorder.expect("Deployment", name, 1);
    }
    first.kill();
}

#[tokio::test]
async fn a_leader_whose_watches_have_stalled_offers_the_lease() {
    let _machine = MACHINE.read().await;
    let arena = Arena::new("stuck-watch").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let behind = arena.reroll().flag("--instance", "first").without_webhook();
    let first = behind.kubeconfig(proxy.kubeconfig()).start().await;
    first.leads().await;
    let second = arena.reroll().flag("--instance", "second").start().await;
    let names = arena.pairs(numbered(5)).await;
    let recorder = arena.record().await;
    // Its watch of Secrets shows nothing more, and no new one is answered. Everything else is as ever.
    proxy.add(Rule::new(
        Matcher::any()
            .when(|request| request.method == "GET" && request.path.ends_with("/secrets")),
        Fault::Stall,
    ));
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    second.leads().await;
    recorder.settle(&arena).await;
    for name in &names {
        recorder.expect("Deployment", name, 1);
    }
    assert_eq!(first.count(LEADER).await, 0);
}

#[tokio::test]
async fn where_nobody_sees_more_the_rest_goes_on() {
    let _machine = MACHINE.read().await;
    let arena = Arena::new("stuck-alone").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let only = arena.reroll().without_webhook();
    let only = only.kubeconfig(proxy.kubeconfig()).start().await;
    only.leads().await;
    let names = arena.pairs(numbered(3)).await;
    let recorder = arena.record().await;
    proxy.add(Rule::new(
        Matcher::any().path_contains("/configmaps").method("GET"),
        Fault::Stall,
    ));
    eventually("it offers the Lease", async || {
        only.log().contains("offering the Lease").then_some(())
    })
    .await;
    only.leads().await;
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    recorder.settle(&arena).await;
    for name in &names {
        recorder.expect("Deployment", name, 1);
    }
    let offers = only.log().matches("offering the Lease").count();
    assert_eq!(offers, 1, "once, not again and again");
}
