//! Workloads of which somebody does not let reroll have its way: a policy refuses its restarts, or an owner takes them back.
//! A person restarts some of the first by hand, and that is recorded; the second are tried once for each change.

use futures::StreamExt as _;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use reroll_harness::{Arena, KINDS, KUBECTL_RESTARTED_AT, Policy, eventually};
use serde_json::json;
use tokio::task::AbortHandle;

use super::{
    Drawn, SMALL, Size, begin, one_round, rounds,
    steps::Step,
    storm::Watches,
    world::{Guard, Opt, Workload, World},
};
use crate::MACHINE;

const GUARDED: Size = Size {
    sources: 80,
    ..SMALL
};

/// How many rounds there are; in the third reroll is killed.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_workloads_do_what_the_model_says_where_others_have_their_way() {
    let Drawn {
        seed: _seed,
        mut rng,
        mut world,
        mut planned,
    } = Drawn::new(GUARDED);
    guard(&mut planned);

    let _machine = MACHINE.read().await;
    let arena = Arena::new("model-guarded").await;
    let watches = Watches::start(&arena).await;
    let of_policy = "object.metadata.name.startsWith('policy-')";
    let _policy = Policy::only_restarted_at(&arena, of_policy).await;
    let _owner = Owner::start(&arena);
    let mut reroll = begin(&arena, &mut world, &watches, &planned).await;
    for number in 1..=ROUNDS {
        let round = (number, GUARDED);
        reroll = one_round(&arena, &mut world, &mut rng, &watches, reroll, round).await;
        let pending = refused(&arena, &world).await;
        let count = u32::try_from(number).unwrap();
        let by_hand = pending.iter().step_by(2);
        let by_hand = by_hand.map(|workload| vec![Step::ByHand(*workload, count)]);
        rounds::act_all(&arena, &mut world, by_hand.collect()).await;
        let what = format!("round {number}, some of {pending:?} restarted by hand");
        rounds::expect(&arena, &mut world, &watches, &what).await;
    }
}

/// Of five workloads one is refused by a policy, and one has an owner.
fn guard(planned: &mut [Workload]) {
    for (number, workload) in planned.iter_mut().enumerate() {
        let guard = match number % 5 {
            1 => Guard::Policy,
            3 => Guard::Owner,
            _ => continue,
        };
        workload.guard = guard;
        workload.name = format!("{guard:?}-{number}").to_lowercase();
        (workload.opted, workload.opt) = (Some("auto"), Opt::All);
    }
}

/// Waits until each refusal stands on its workload. Returns the workloads.
async fn refused(arena: &Arena, world: &World) -> Vec<usize> {
    let mut refused = Vec::new();
    for (number, workload) in world.workloads.iter().enumerate() {
        let due = world.is_pending(number) && !world.is_held(number);
        if workload.guard != Guard::Policy || !due {
            continue;
        }
        let what = format!("it stands on {} that its restart is refused", workload.name);
        eventually(&what, async || {
            let pending = arena.annotation(workload.kind, &workload.name, "reroll.dev/pending");
            pending.await?.contains("\"refused\"").then_some(())
        })
        .await;
        refused.push(number);
    }
    refused
}

/// Takes back what a restart sets in the templates of `owner-…`.
struct Owner(Vec<AbortHandle>);

impl Owner {
    fn start(arena: &Arena) -> Self {
        let takes_back = |kind: &&'static str| {
            let api = arena.api(kind);
            let task = async move {
                let events = watcher(api.clone(), watcher::Config::default());
                let mut events = events.default_backoff().applied_objects().boxed();
                while let Some(event) = events.next().await {
                    let Ok(object) = event else { continue };
                    if !is_restarted(&object) {
                        continue;
                    }
                    let back = json!({ "spec": { "template": { "metadata": { "annotations": {
                        KUBECTL_RESTARTED_AT: null,
                    } } } } });
                    let (name, params) = (object.name_any(), PatchParams::default());
                    api.patch(&name, &params, &Patch::Merge(back))
                        .await
                        .unwrap();
                }
            };
            tokio::spawn(task).abort_handle()
        };
        Self(KINDS.iter().map(takes_back).collect())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

fn is_restarted(object: &DynamicObject) -> bool {
    let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
    object.name_any().starts_with("owner-") && !annotations[KUBECTL_RESTARTED_AT].is_null()
}
