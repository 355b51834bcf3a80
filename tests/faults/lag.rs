//! One of two replicas sees Secrets late or not at all, but workloads as they are. No version goes backwards.

use std::time::Duration;

use reroll_harness::{
    Arena, LEADER, Reroll, RerollBuilder,
    proxy::{Fault, FaultProxy, Matcher, Rule},
};

use crate::{MACHINE, fleet::Fleet};

const WORKLOADS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Laggard {
    Leads,
    HasTheWebhook,
}

/// The user changes Secrets and, with them, what uses them, three times; then the Secrets alone.
async fn one_lags(name: &str, laggard: Laggard, fault: Fault) {
    let _machine = MACHINE.read().await;
    let arena = Arena::new(name).await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    // Long enough for a person to change a Secret and then what uses it.
    let direct = arena.reroll().flag("--settle", "8s");
    let slow = direct.clone().kubeconfig(proxy.kubeconfig());
    let with_webhook =
        async |builder: RerollBuilder, name: &str| builder.flag("--instance", name).start().await;
    // The first to start leads.
    let (leader, _other): (Reroll, Reroll) = match laggard {
        Laggard::Leads => {
            let leader = arena.replica(slow.without_webhook(), "slow").await;
            leader.leads().await;
            (leader, with_webhook(direct, "direct").await)
        }
        Laggard::HasTheWebhook => {
            let leader = arena.replica(direct.without_webhook(), "direct").await;
            leader.leads().await;
            (leader, with_webhook(slow, "slow").await)
        }
    };
    let fleet = Fleet::with_own_secrets(&arena, "w", WORKLOADS).await;
    let recorder = arena.record().await;
    let watches = Matcher::any().path_contains("/secrets").watch(true);
    let stalls = matches!(fault, Fault::Stall);
    let rule = proxy.add(Rule::new(watches, fault));
    // The user's own rollouts, which the webhook stamps with what it reads: one for both, always.
    for value in ["two", "one", "two"] {
        for number in 0..WORKLOADS {
            let secret = fleet.secret(number);
            if number % 3 == 0 {
                arena.recreate_secret(&secret, &[("k", value)]).await;
            } else {
                arena.update_secret(&secret, &[("k", value)]).await;
            }
            let (kind, name) = fleet.workload(number);
            arena
                .edit_container(kind, &name, "image", format!("app:{value}").into())
                .await;
        }
    }
    fleet.reaches(&recorder, 3).await;
    if stalls {
        proxy.remove(rule);
    }
    recorder.settle_slowly(&arena, &leader).await;
    fleet.expect(&arena, &recorder, 3).await;
    // The Secret alone.
    fleet.update(&arena, "four").await;
    fleet.reaches(&recorder, 4).await;
    recorder.settle_slowly(&arena, &leader).await;
    fleet.expect(&arena, &recorder, 4).await;
    assert_eq!(leader.count(LEADER).await, 1);
}

fn lag() -> Fault {
    Fault::DelayBody(Duration::from_millis(1500))
}

#[tokio::test]
async fn a_leader_that_lags_goes_not_back() {
    one_lags("lag-leader", Laggard::Leads, lag()).await;
}

#[tokio::test]
async fn a_leader_whose_watch_is_silent_goes_not_back() {
    one_lags("stall-leader", Laggard::Leads, Fault::Stall).await;
}

#[tokio::test]
async fn a_webhook_that_lags_goes_not_back() {
    one_lags("lag-webhook", Laggard::HasTheWebhook, lag()).await;
}

#[tokio::test]
async fn a_webhook_whose_watch_is_silent_goes_not_back() {
    one_lags("stall-webhook", Laggard::HasTheWebhook, Fault::Stall).await;
}
