//! Another installation comes to the same workloads. It leaves them to the one that works there, also while that one is
//! killed and starts again, and the counts stay the model's.

use fastrand::Rng;
use reroll_harness::{Arena, Reroll, eventually};

use super::{
    Seed, Size, begin, draw_sources, draw_workloads, one_round, storm::Watches, world::World,
};
use crate::MACHINE;

const SMALL: Size = Size {
    workloads: 100,
    sources: 120,
    running: 12,
    in_a_round: 25,
};

/// What the one that holds says of each workload that opted in.
const ELSEWHERE: &str = "reroll_workloads_pending{reason=\"other_installation\"}";

/// How many rounds there are; in the third the one that works is killed.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_workloads_do_what_the_model_says_beside_another_installation() {
    let seed = Seed::draw();
    let mut rng = Rng::with_seed(seed.0);
    let mut world = World::default();
    draw_sources(&mut world, &mut rng, SMALL);
    let planned = draw_workloads(&world, &mut rng, SMALL);

    let _machine = MACHINE.read().await;
    let arena = Arena::new("model-beside").await;
    let watches = Watches::start(&arena).await;
    let mut reroll = begin(&arena, &mut world, &watches, &planned).await;
    let other = other(&arena).await;
    eventually("the other leaves the workloads alone", async || {
        (other.count(ELSEWHERE).await > 0).then_some(())
    })
    .await;
    for number in 1..=ROUNDS {
        let round = (number, SMALL);
        reroll = one_round(&arena, &mut world, &mut rng, &watches, reroll, round).await;
        assert!(
            other.count(ELSEWHERE).await > 0,
            "the other holds after round {number}"
        );
    }
}

/// An installation with a namespace, a user and a digest key of its own.
async fn other(arena: &Arena) -> Reroll {
    let namespace = format!("{}-other", arena.namespace);
    let kubeconfig = arena.administrator(&namespace).await;
    let builder = arena
        .reroll()
        .kubeconfig(kubeconfig)
        .log_as(&namespace)
        .flag("--own-namespace", &namespace)
        .flag("--instance", &namespace)
        .flag("--webhook-name", &namespace);
    arena.patient(builder).await
}
