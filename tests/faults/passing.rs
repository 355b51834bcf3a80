//! A source comes while the restart for its deletion is under way, and parts of the network are slow.

use std::time::Duration;

use reroll_harness::{
    Arena, RESTART_ON, env_optional, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
    workload,
};

use crate::MACHINE;

/// Longer than a Secret's creation takes, also on a busy machine.
const LATE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn one_that_comes_meanwhile_is_restarted_for() {
    let _machine = MACHINE.read().await;
    let arena = Arena::new("passing").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reroll = arena.reroll().without_webhook();
    let reroll = reroll.flag("--request-timeout", "1m");
    let _reroll = reroll.kubeconfig(proxy.kubeconfig()).start().await;
    arena.secret("db", &[("k", "one")]).await;
    let annotations = [(RESTART_ON, "auto"), ("reroll.dev/on-delete", "restart")];
    arena
        .create(&workload(
            "Deployment",
            "web",
            &annotations,
            env_optional("db", "k"),
        ))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;

    // The restart is decided on while the Secret is absent, and is made when it is back.
    let restart = || {
        Matcher::any()
            .method("PATCH")
            .path_contains("/deployments/web")
    };
    proxy.add(Rule::new(restart(), Fault::DelayRequest(LATE)).times(1));
    // reroll learns of it late.
    let events = Matcher::any().path_contains("/deployments").watch(true);
    let rules =
        [restart(), events].map(|which| proxy.add(Rule::new(which, Fault::DelayBody(LATE))));
    arena.delete("Secret", "db").await;
    eventually("the restart is under way", async || {
        let mut requests = proxy.in_flight().into_iter();
        let restarts = requests
            .any(|request| request.method == "PATCH" && request.path.ends_with("/deployments/web"));
        restarts.then_some(())
    })
    .await;
    arena.secret("db", &[("k", "two")]).await;
    // Pods of that restart may have started without it.
    recorder.reaches("Deployment", "web", 2).await;
    arena.delete("Secret", "db").await;
    recorder.reaches("Deployment", "web", 3).await;
    for rule in rules {
        proxy.remove(rule);
    }
    arena.secret("db", &[("k", "three")]).await;
    // The answer to the third restart is still under way.
    recorder.reaches("Deployment", "web", 4).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 4);
}
