//! Another installation comes to the same workloads. It leaves them to the one that works there, also while that one is
//! killed and starts again, and the counts stay the model's.

use reroll_harness::{Arena, eventually};

use super::{Drawn, SMALL, begin, one_round, storm::Watches};
use crate::MACHINE;

/// What the one that holds says of each workload that opted in.
const ELSEWHERE: &str = "reroll_workloads_pending{reason=\"other_installation\"}";

/// How many rounds there are; in the third the one that works is killed.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_workloads_do_what_the_model_says_beside_another_installation() {
    let Drawn {
        seed: _seed,
        mut rng,
        mut world,
        planned,
    } = Drawn::new(SMALL);

    let _machine = MACHINE.read().await;
    let arena = Arena::new("model-beside").await;
    let watches = Watches::start(&arena).await;
    let mut reroll = begin(&arena, &mut world, &watches, &planned).await;
    let other = arena.installation("other").await;
    let other = other.start().await;
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
