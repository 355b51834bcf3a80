//! Rounds: many things are done at the same time, then reroll comes to rest, and every workload's count must be the
//! model's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use kube::{ResourceExt as _, api::ListParams};
use reroll_harness::{
    Arena, KINDS, KUBECTL_RESTARTED_AT, OBSERVED, Reroll, RerollBuilder, SOURCES, eventually,
};
use tokio::{sync::Notify, time::sleep};

use super::{
    act::{Outcome, act},
    pods,
    rules::{Entry, Mark},
    steps::{self, Draw, During, Step},
    storm::Watches,
    world::{Guard, Workload, World, Write},
};

/// How many things are done at the same time.
const AT_ONCE: usize = 16;
/// How long one more workload may take to be recorded.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long all may take.
const AT_MOST: Duration = Duration::from_mins(15);

/// Starts reroll, and waits until the API server calls both of its webhooks.
pub async fn start(arena: &Arena, builder: RerollBuilder) -> Reroll {
    let reroll = builder.start().await;
    let probe = reroll_harness::deployment("probe", "none", "a");
    let object = serde_json::from_value(probe).unwrap();
    let params = kube::api::PostParams {
        dry_run: true,
        ..Default::default()
    };
    eventually("the webhook sees workloads", async || {
        let made = arena.api("Deployment").create(&params, &object).await;
        made.ok()?.annotations().get(OBSERVED).map(drop)
    })
    .await;
    reroll
}

/// One round. `reroll` is there before and after.
pub async fn round(
    arena: &Arena,
    world: &mut World,
    draw: &mut Draw<'_>,
    reroll: Reroll,
    count: usize,
) -> Reroll {
    let plan = steps::round(world, draw, count);
    eprintln!("{}", steps::told(&plan));
    let before = draw.rng.u64(0..1500);
    let down = draw.rng.u64(0..800);
    // Until all is done, or for a moment.
    let away = draw.rng.bool();
    let done = Notify::new();
    let during = draw.during;
    let doing = async {
        let outcomes = do_all(arena, world, plan).await;
        done.notify_one();
        outcomes
    };
    let running = async {
        if during == During::Quiet {
            return reroll;
        }
        sleep(Duration::from_millis(before)).await;
        let builder = reroll.builder();
        reroll.kill();
        if away {
            done.notified().await;
        }
        sleep(Duration::from_millis(down)).await;
        start(arena, builder).await
    };
    let (outcomes, reroll) = tokio::join!(doing, running);
    tell(world, outcomes);
    reroll
}

/// Does all of it and tells the model. Lists run at the same time; the steps of one list run one after another.
pub async fn act_all(arena: &Arena, world: &mut World, plan: Vec<Vec<Step>>) {
    let outcomes = do_all(arena, world, plan).await;
    tell(world, outcomes);
}

fn tell(world: &mut World, outcomes: Vec<(Step, Outcome)>) {
    world.done.clear();
    for (step, outcome) in outcomes {
        apply(world, &step, outcome);
        world.done.push(step);
    }
}

async fn do_all(arena: &Arena, world: &World, plan: Vec<Vec<Step>>) -> Vec<(Step, Outcome)> {
    let outcomes = stream::iter(plan)
        .map(async |steps| {
            let mut outcomes = Vec::new();
            for step in steps {
                let outcome = act(arena, world, &step).await;
                outcomes.push((step, outcome));
            }
            outcomes
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    outcomes.into_iter().flatten().collect()
}

/// Tells the model what was done.
pub fn apply(world: &mut World, step: &Step, outcome: Outcome) {
    match (step, outcome) {
        (Step::Set(source, key, value), _) => world.change(*source, key, *value),
        (Step::Delete(source), _) => world.put(*source, None),
        (Step::Create(source, data) | Step::Recreate(source, data), _) => {
            world.bear(*source, data.clone());
        }
        (Step::Renew(workload), Outcome::Made(opt)) => world.renew(*workload, opt),
        (Step::Copy(workload, name), Outcome::Made(opt)) => {
            let mut copy = world.workloads[*workload].clone();
            copy.name.clone_from(name);
            copy.opt = opt;
            world.add(copy);
        }
        (Step::Save(workload), Outcome::Got(manifest)) => {
            world.workloads[*workload].saved = Some(manifest);
        }
        (Step::Pause(workload, paused), _) => world.workloads[*workload].paused = *paused,
        (Step::Hang(workload, references), Outcome::Hangs(write, pods)) => {
            world.hang(*workload, references.clone(), write, pods);
        }
        (Step::Orphan(workload, _, between), Outcome::Adopts(opt, pods)) => {
            // It does not exist meanwhile.
            let observed = world.workloads[*workload].observed.take();
            if let Some(step) = between {
                apply(world, step, Outcome::Done);
            }
            world.workloads[*workload].observed = observed;
            world.adopts(*workload, opt, pods);
        }
        (Step::Back(workload, _), Outcome::Written(write)) => world.back(*workload, write),
        (Step::Gain(workload, reference), Outcome::Written(write)) => {
            world.gain(*workload, reference.clone(), write);
        }
        (Step::Later(source, key, value, workload), _) => {
            world.later(*source, key, *value, *workload);
        }
        (Step::Release(workload), Outcome::Written(write)) => {
            world.written(*workload, write);
            world.release(*workload);
        }
        (step, Outcome::Written(write)) => written(world, step, write),
        (Step::Label(..) | Step::Undo(_) | Step::PutBack(_), Outcome::Done) => {}
        (step, outcome) => unreachable!("{step:?} cannot end in {outcome:?}"),
    }
}

fn written(world: &mut World, step: &Step, write: Write) {
    if let Err(workload) = step.target() {
        world.written(workload, write);
    }
}

/// Checks that the counts of all workloads are the model's, and that what reroll recorded is complete: a kill loses
/// nothing. Pods that matter are what they must be.
pub async fn expect(arena: &Arena, world: &mut World, watches: &Watches, what: &str) {
    let recorder = &watches.recorder;
    recorder.settle(arena).await;
    if owners_have_their_way(arena, world).await {
        recorder.settle(arena).await;
    }
    let wrong: Vec<_> = world
        .workloads
        .iter()
        .enumerate()
        .filter_map(|(number, workload)| {
            let (kind, name) = (workload.kind, workload.name.as_str());
            let found = recorder.rollouts(kind, name);
            let says = workload.rollouts;
            let line = || {
                let done = world.done_to(number);
                let observed = recorder.observed(kind, name);
                format!(
                    "{found} instead of {says} rollouts of {workload:?}; done to it: {done:?}; observed: {observed:?}"
                )
            };
            (found != says).then(line)
        })
        .collect();
    assert!(wrong.is_empty(), "{what}: {}", wrong.join("\n"));
    let texts = recorded(arena, world, what).await;
    for (workload, text) in world.workloads.iter_mut().zip(texts) {
        workload.text = text;
    }
    pods::expect(arena, world, watches, what).await;
}

/// Waits until owners have taken back what restarts set. Their watches may be late. Returns whether there are owners.
async fn owners_have_their_way(arena: &Arena, world: &World) -> bool {
    let owned = |workload: &&Workload| workload.guard == Guard::Owner;
    for workload in world.workloads.iter().filter(owned) {
        let what = format!("{} has a template as its owner wants it", workload.name);
        eventually(&what, async || {
            let object = arena.get(workload.kind, &workload.name).await;
            let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
            annotations[KUBECTL_RESTARTED_AT].is_null().then_some(())
        })
        .await;
    }
    world.workloads.iter().any(|workload| owned(&workload))
}

/// Waits until every workload's `observed` says what the model does, as far as both have it: whether it is there, which
/// lives of sources, and what is waited for. Returns all of them.
///
/// What nothing hurries is written one by one, as fast as the deployment controller keeps up. Other tests use the same
/// controller, so the total time says little. It fails when no further workload is recorded for [`PATIENCE`], and after
/// [`AT_MOST`].
async fn recorded(arena: &Arena, world: &World, what: &str) -> Vec<Option<String>> {
    let uids = uids(arena).await;
    let began = Instant::now();
    let (mut fewest, mut since) = (usize::MAX, began);
    loop {
        let wrong = match observed(arena, world, &uids).await {
            Ok(texts) => return texts,
            Err(wrong) => wrong,
        };
        if wrong.len() < fewest {
            (fewest, since) = (wrong.len(), Instant::now());
        }
        assert!(
            since.elapsed() < PATIENCE && began.elapsed() < AT_MOST,
            "{what}: not recorded of {}: {}",
            wrong.len(),
            wrong[0]
        );
        // Such a look is not cheap, and what it waits for is written one by one.
        sleep(Duration::from_millis(300)).await;
    }
}

/// Returns what all workloads have, or of each that has not what the model says what it has.
async fn observed(
    arena: &Arena,
    world: &World,
    uids: &BTreeMap<(&str, String), String>,
) -> Result<Vec<Option<String>>, Vec<String>> {
    let mut objects = BTreeMap::new();
    for kind in KINDS {
        let list = arena.api(kind).list(&ListParams::default()).await.unwrap();
        for object in list {
            objects.insert((kind, object.name_any()), object);
        }
    }
    let (mut texts, mut wrong) = (Vec::new(), Vec::new());
    for workload in &world.workloads {
        let object = &objects[&(workload.kind, workload.name.clone())];
        let text = object.annotations().get(OBSERVED);
        let so = match &workload.observed {
            None => text.is_none(),
            Some(entries) => text.is_some_and(|text| {
                text.contains(&object.uid().unwrap()) && says(world, entries, uids, text)
            }),
        };
        if !so {
            wrong.push(format!("{text:?} of {workload:?}"));
        }
        texts.push(text.cloned());
    }
    if wrong.is_empty() {
        Ok(texts)
    } else {
        Err(wrong)
    }
}

fn says(
    world: &World,
    entries: &BTreeMap<usize, Entry>,
    uids: &BTreeMap<(&str, String), String>,
    text: &str,
) -> bool {
    let mut waiting = 0;
    let mut marked = 0;
    let mut seen = true;
    for (source, entry) in entries {
        match entry {
            Entry::Waiting => waiting += 1,
            Entry::Seen { life, marks } => {
                let waits = |mark: &&Mark| **mark == Mark::Waiting;
                marked += marks.values().filter(waits).count();
                let source = &world.sources[*source];
                let now = source.live.as_ref().is_some_and(|live| live.life == *life);
                let uid = uids.get(&(source.kind, source.name.clone()));
                seen &= !now || uid.is_some_and(|uid| text.contains(uid));
            }
            Entry::Unknown | Entry::Deleted => {}
        }
    }
    seen && text.matches(":\"waiting\"").count() == waiting
        && text.matches(":\"w\"").count() == marked
}

async fn uids(arena: &Arena) -> BTreeMap<(&'static str, String), String> {
    let mut uids = BTreeMap::new();
    for kind in SOURCES {
        let list = arena.api(kind).list(&ListParams::default()).await.unwrap();
        for object in list {
            uids.insert((kind, object.name_any()), object.uid().unwrap());
        }
    }
    uids
}

/// Returns the steps that create everything that pods need and resume everything paused, so that no restart has
/// anything left to wait for.
pub fn restore(world: &World) -> Vec<Step> {
    let sources = (0..world.sources.len()).flat_map(|source| {
        let full = || [("a", 0), ("b", 0)].into();
        match world.live(source) {
            None => vec![Step::Create(source, full())],
            Some(live) => ["a", "b"]
                .into_iter()
                .filter(|key| !live.data.contains_key(key))
                .map(|key| Step::Set(source, key, Some(0)))
                .collect(),
        }
    });
    let paused = (0..world.workloads.len()).filter(|number| world.workloads[*number].paused);
    sources
        .chain(paused.map(|number| Step::Pause(number, false)))
        .collect()
}
