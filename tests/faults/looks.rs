//! Looks at the pods of restarts, as the API server sees them: few in a second, and each has its turn.

use std::{collections::BTreeMap, time::Duration};

use kube::api::ListParams;
use reroll_harness::{
    Arena, RESTART_ON, RESTARTED_FOR, each, env, eventually,
    proxy::{FaultProxy, RequestLine},
    workload,
};
use serde_json::json;

use crate::{MACHINE, fleet::AT_ONCE};

const KIND: &str = "StatefulSet";
/// The most lists of pods in a second.
const LISTS: usize = 10;
/// How old a restart is when its pods are looked at for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// One namespace has so many workloads that roll.
const CROWD: usize = 1000;
/// So many others have as many as a second has lists.
const OTHERS: usize = 40;

/// So many workloads of one Secret, each with a pod that nobody makes.
async fn users(arena: &Arena, count: usize) {
    arena.secret("db", &[("k", "one")]).await;
    each(count, AT_ONCE, async |number| {
        let name = format!("web-{number:03}");
        let mut user = workload(KIND, &name, &[(RESTART_ON, "auto")], env("db", "k"));
        user["spec"]["replicas"] = json!(1);
        arena.create(&user).await;
    })
    .await;
}

async fn restarted(arena: &Arena) -> usize {
    let all = arena.api(KIND).list(&ListParams::default()).await.unwrap();
    let restarted = all.items.iter().filter(|object| {
        let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
        annotations[RESTARTED_FOR].is_string()
    });
    restarted.count()
}

/// Which pods a request lists, if it lists any: the path and the query.
fn listed(request: &RequestLine) -> Option<String> {
    let lists = request.method == "GET" && request.path.ends_with("/pods") && !request.is_watch();
    lists.then(|| format!("{}?{}", request.path, request.query))
}

/// A cluster of its own, without controllers: no rollout makes any progress, and nobody else uses the machine.
#[tokio::test]
async fn a_thousand_that_roll_take_ten_lists_a_second_and_each_has_its_turn() {
    let _machine = MACHINE.read().await;
    let arena = Arena::on_own_cluster("looks").await;
    arena.cluster.kill_controllers().unwrap();
    let builder = arena.reroll().without("--namespaces");
    let reroll = builder.clone().start().await;
    // By name the crowd comes first, and could have all turns.
    let crowd = Arena::on(arena.cluster, "a-crowd").await;
    users(&crowd, CROWD).await;
    let mut others = Vec::new();
    for number in 0..OTHERS {
        let other = Arena::on(arena.cluster, &format!("other-{number:02}")).await;
        users(&other, LISTS).await;
        others.push(other);
    }
    for arena in others.iter().chain([&crowd]) {
        arena.all_adopted(KIND).await;
    }
    for arena in others.iter().chain([&crowd]) {
        arena.update_secret("db", &[("k", "two")]).await;
    }
    eventually("all are restarted", async || {
        (restarted(&crowd).await == CROWD).then_some(())?;
        for other in &others {
            (restarted(other).await == LISTS).then_some(())?;
        }
        Some(())
    })
    .await;
    assert!(reroll.stop().await);

    // One that has looked at nobody yet, and finds all of them old enough at the same time.
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let clock = arena.cluster.folder().join("clock");
    std::fs::write(&clock, "-3600").unwrap();
    let builder = builder.surroundings("UNDER_TEST_CLOCK", clock.to_str().unwrap());
    let _reroll = builder.kubeconfig(proxy.kubeconfig()).start().await;
    let lists = || proxy.count(|request| listed(request).is_some());
    assert_eq!(lists(), 0, "nobody is old enough");
    std::fs::write(&clock, FIRST_LOOK.as_secs().to_string()).unwrap();
    let needed = OTHERS * LISTS + 1;
    let looks = eventually("as many lists are made as all need", async || {
        let mut all = proxy.requests();
        all.retain(|request| listed(request).is_some());
        (all.len() >= needed).then(|| all.drain(..needed).collect::<Vec<_>>())
    })
    .await;
    for some in looks.windows(LISTS + 1) {
        let took = some[LISTS].at - some[0].at;
        assert!(took >= Duration::from_secs(1), "{} in {took:?}", some.len());
    }
    let mut times = BTreeMap::<_, usize>::new();
    for list in looks.iter().filter_map(listed) {
        *times.entry(list).or_default() += 1;
    }
    let of_crowd = format!("/api/v1/namespaces/{}/pods?", crowd.namespace);
    assert_eq!(times.get(&of_crowd), Some(&1), "one list shows its pods");
    let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "before others had their turn: {again:#?}");
}
