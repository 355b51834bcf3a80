//! etcd is restored in the middle of the test: a round is lost, and the model is the one from before that round.

use fastrand::Rng;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use reroll_harness::{Arena, eventually};

use super::{
    Drawn, SMALL, begin, one_round, rounds,
    steps::{KEYS, Step},
    storm::Watches,
    world::World,
};
use crate::{MACHINE, restore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_workloads_do_what_the_model_says_over_a_restored_etcd() {
    let Drawn {
        seed: _seed,
        mut rng,
        mut world,
        planned,
    } = Drawn::new(SMALL);

    let _machine = MACHINE.read().await;
    let arena = Arena::on_own_cluster("model-restored").await;
    let watches = Watches::start(&arena).await;
    let mut reroll = begin(&arena, &mut world, &watches, &planned).await;
    let one = (1, SMALL);
    reroll = one_round(&arena, &mut world, &mut rng, &watches, reroll, one).await;

    let backup = restore::backup(arena.cluster).await;
    let mut saved = world.clone();
    let not_kept = (2, SMALL);
    reroll = one_round(&arena, &mut world, &mut rng, &watches, reroll, not_kept).await;
    drop(watches);
    let bumped = rng.bool();
    eprintln!("etcd is restored, bumped: {bumped}");
    restore::restore(arena.cluster, backup, bumped, &restore::COMPONENTS).await;
    take_nodes_over(&arena).await;
    let watches = Watches::start(&arena).await;
    // It counts from now on.
    for workload in &mut saved.workloads {
        workload.rollouts = 0;
    }
    for (number, steps) in every_source_once(&saved, &world, &mut rng)
        .into_iter()
        .enumerate()
    {
        rounds::act_all(&arena, &mut saved, steps).await;
        eventually("it knows that etcd went back", async || {
            (reroll.count(restore::WENT_BACK).await > 0).then_some(())
        })
        .await;
        let what = format!("sources {number} after etcd was restored, bumped: {bumped}");
        rounds::expect(&arena, &mut saved, &watches, &what).await;
    }
    let after = (4, SMALL);
    one_round(&arena, &mut saved, &mut rng, &watches, reroll, after).await;
}

/// For 200 s the simulated nodes belong to the former kwok, because its Leases are restored too. Until then none of
/// their pods starts or ends.
async fn take_nodes_over(arena: &Arena) {
    let cluster = arena.cluster;
    cluster.kill_component("kwok-controller").unwrap();
    let leases = Api::<Lease>::namespaced(arena.client.clone(), "kube-node-lease");
    let (one, all) = (DeleteParams::default(), ListParams::default());
    leases.delete_collection(&one, &all).await.unwrap();
    let start = || cluster.start_components().unwrap();
    tokio::task::spawn_blocking(start).await.unwrap();
}

/// Returns steps that change every source once: at the same time those that no workload uses together. Some become what
/// they were in the lost state.
fn every_source_once(world: &World, lost: &World, rng: &mut Rng) -> Vec<Vec<Vec<Step>>> {
    let mut left: Vec<_> = (0..world.sources.len()).collect();
    let mut all = Vec::new();
    while !left.is_empty() {
        let mut users = Vec::new();
        let (now, later) = left.into_iter().partition::<Vec<_>, _>(|source| {
            let own = &world.sources[*source].users;
            let free = own.iter().all(|user| !users.contains(user));
            users.extend(own.iter().filter(|_| free).copied());
            free
        });
        let change = |source| vec![change(world, lost, rng, source)];
        all.push(now.into_iter().map(change).collect());
        left = later;
    }
    all
}

fn change(world: &World, lost: &World, rng: &mut Rng, source: usize) -> Step {
    let value = 3_000_000;
    let Some(live) = world.live(source) else {
        return Step::Create(source, [("a", value), ("b", value)].into());
    };
    let before = lost.live(source).map(|live| &live.data);
    let again = KEYS.into_iter().find_map(|key| {
        let before = *before?.get(key)?;
        (live.data.get(key) != Some(&before)).then_some(Step::Set(source, key, Some(before)))
    });
    let key = rng.choice(KEYS).unwrap();
    again.unwrap_or(Step::Set(source, key, Some(value)))
}
