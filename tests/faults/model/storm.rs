//! Everything at once, and no user waits for another: what must hold at the end, in whatever order things came.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;
use futures::{StreamExt as _, future::join_all, stream};
use kube::ResourceExt as _;
use reroll_harness::{Arena, OBSERVED, Pods, Recorder, Reroll, eventually};
use tokio::{sync::RwLock, time::sleep};

use super::{
    act::{Outcome, act},
    history::History,
    manifest,
    rounds::{apply, restore, start},
    rules::Usage,
    steps::{Draw, During, Step},
    world::{Opt, Workload, World},
};

/// How many people do things at the same time, each to objects of their own.
const PEOPLE: usize = 12;

/// What watches the cluster.
pub struct Watches {
    pub recorder: Recorder,
    pub history: History,
    pub pods: Pods,
}

impl Watches {
    pub async fn start(arena: &Arena) -> Self {
        Self {
            recorder: arena.record().await,
            history: History::start(arena),
            pods: Pods::watch(arena).await,
        }
    }
}

/// How everything stood before the storm, when reroll had come to rest.
struct Before {
    counts: Vec<usize>,
    opts: Vec<Opt>,
    /// The workloads that were to be restarted as soon as what held them was back.
    pending: Vec<bool>,
    workloads: Vec<Workload>,
    /// A resourceVersion that is later than all that was done.
    at: u64,
}

/// One person's objects, and what was done to them.
struct Person {
    world: World,
    sources: Vec<usize>,
    workloads: Vec<usize>,
    steps: Vec<Step>,
    /// The resourceVersion up to which a workload was adopted anew: nothing earlier restarts it.
    adopted: BTreeMap<String, u64>,
    renewed: BTreeSet<usize>,
    copies: Vec<Workload>,
}

/// The storm: every user does `count` things, and reroll is killed this often meanwhile. At the end the model knows
/// again how everything is.
pub async fn storm(
    arena: &Arena,
    world: &mut World,
    rng: &mut Rng,
    watches: &Watches,
    reroll: Reroll,
    (number, count, kills): (usize, usize, usize),
) -> Reroll {
    let counted = |workload: &Workload| watches.recorder.rollouts(workload.kind, &workload.name);
    let before = Before {
        counts: world.workloads.iter().map(counted).collect(),
        opts: world
            .workloads
            .iter()
            .map(|workload| workload.opt)
            .collect(),
        pending: (0..world.workloads.len())
            .map(|number| world.is_pending(number))
            .collect(),
        workloads: world.workloads.clone(),
        at: watches.recorder.settled_at(arena).await,
    };
    // What needs the webhook, and its absence.
    let gate = RwLock::new(());
    let mut people: Vec<_> = (0..PEOPLE)
        .map(|person| (Person::of(world, person), rng.fork(), person))
        .collect();
    let doing = join_all(people.iter_mut().map(|(person, rng, own)| {
        person.act(arena, &gate, rng, format!("copy-{number}-{own}-"), count)
    }));
    let mut kill_rng = rng.fork();
    let killing = async {
        let mut reroll = reroll;
        for _ in 0..kills {
            sleep(Duration::from_millis(kill_rng.u64(300..2500))).await;
            let _closed = gate.write().await;
            let builder = reroll.builder();
            reroll.kill();
            sleep(Duration::from_millis(kill_rng.u64(0..600))).await;
            reroll = start(arena, builder).await;
        }
        reroll
    };
    let (_, reroll) = tokio::join!(doing, killing);
    let people: Vec<_> = people.into_iter().map(|(person, ..)| person).collect();
    let mut story = Story::of(world, people);
    let last = restore(world);
    stream::iter(&last)
        .for_each_concurrent(16, async |step| drop(act(arena, world, step).await))
        .await;
    story.end(world, last);
    watches.recorder.settle(arena).await;
    watches.history.catch_up(arena).await;
    story.assert_counts(world, &watches.recorder, &before.counts);
    assert_up_to_date(arena, world, watches, &story, &before).await;
    // From here on the model knows everything again.
    for number in 0..world.workloads.len() {
        world.start_pods(number);
        let workload = &mut world.workloads[number];
        workload.rollouts = watches.recorder.rollouts(workload.kind, &workload.name);
        workload.earlier = None;
    }
    reroll
}

impl Person {
    fn of(world: &World, number: usize) -> Self {
        let own = |count: usize| {
            (0..count)
                .filter(|index| index % PEOPLE == number)
                .collect()
        };
        let mut known = world.clone();
        // The model does not know when reroll looks.
        for workload in &mut known.workloads {
            workload.observed = None;
        }
        Self {
            sources: own(world.sources.len()),
            workloads: own(world.workloads.len()),
            world: known,
            steps: Vec::new(),
            adopted: BTreeMap::new(),
            renewed: BTreeSet::new(),
            copies: Vec::new(),
        }
    }

    async fn act(
        &mut self,
        arena: &Arena,
        gate: &RwLock<()>,
        rng: &mut Rng,
        prefix: String,
        count: usize,
    ) {
        let (sources, workloads) = (self.sources.clone(), self.workloads.clone());
        let mut draw = Draw {
            rng,
            during: During::Storm,
            sources: &sources,
            workloads: &workloads,
            count: 1_000_000,
            prefix,
            gates: false,
        };
        for _ in 0..count {
            for step in draw.steps(&self.world) {
                let open = if step.needs_webhook() {
                    Some(gate.read().await)
                } else {
                    None
                };
                let outcome = act(arena, &self.world, &step).await;
                self.note(arena, &step, outcome).await;
                drop(open);
                self.steps.push(step);
            }
        }
    }

    /// Notes what later steps of this user build on. The entries of the model mean nothing meanwhile.
    async fn note(&mut self, arena: &Arena, step: &Step, outcome: Outcome) {
        match (step, outcome) {
            (Step::Renew(workload), Outcome::Made(opt)) => {
                self.world.workloads[*workload].opt = opt;
                self.renewed.insert(*workload);
            }
            (Step::Copy(workload, name), Outcome::Made(opt)) => {
                let mut copy = self.world.workloads[*workload].clone();
                copy.name.clone_from(name);
                copy.opt = opt;
                self.copies.push(copy);
            }
            (Step::Pause(..), outcome) => apply(&mut self.world, step, outcome),
            (step, Outcome::Written(_)) => {
                let Err(number) = step.target() else { return };
                let workload = &mut self.world.workloads[number];
                let (kind, name) = (workload.kind, workload.name.clone());
                // By which ReplicaSet an undo went is only known now: reroll may have made another meanwhile.
                let opt = manifest::opt(&arena.get(kind, &name).await);
                let before = std::mem::replace(&mut workload.opt, opt);
                if !opt.within(before) {
                    let at = adopted(arena, kind, &name).await;
                    self.adopted.insert(name, at);
                }
            }
            (step, outcome) => apply(&mut self.world, step, outcome),
        }
    }
}

/// The resourceVersion at which a workload is adopted at the latest.
async fn adopted(arena: &Arena, kind: &str, name: &str) -> u64 {
    eventually(&format!("{kind} {name} is adopted"), async || {
        let object = arena.get(kind, name).await;
        let observed = object.annotations().get(OBSERVED)?;
        let version = object.resource_version()?.parse().ok()?;
        observed.contains(&object.uid()?).then_some(version)
    })
    .await
}

/// What all people did.
struct Story {
    steps: Vec<Step>,
    adopted: BTreeMap<String, u64>,
    renewed: BTreeSet<usize>,
}

impl Story {
    /// Brings together what each knows of their own objects.
    fn of(world: &mut World, people: Vec<Person>) -> Self {
        let mut story = Self {
            steps: Vec::new(),
            adopted: BTreeMap::new(),
            renewed: BTreeSet::new(),
        };
        let mut copies = Vec::new();
        for person in people {
            for number in person.sources {
                world.sources[number] = person.world.sources[number].clone();
            }
            for number in person.workloads {
                world.workloads[number] = person.world.workloads[number].clone();
            }
            story.steps.extend(person.steps);
            story.adopted.extend(person.adopted);
            story.renewed.extend(person.renewed);
            copies.extend(person.copies);
        }
        for copy in copies {
            world.add(copy);
        }
        story
    }

    /// The last steps, after which nothing is absent.
    fn end(&mut self, world: &mut World, last: Vec<Step>) {
        for step in &last {
            apply(world, step, Outcome::Done);
        }
        self.steps.extend(last);
    }

    fn of_workload(&self, number: usize) -> Vec<&Step> {
        let own = |step: &&Step| step.target() == Err(number);
        self.steps.iter().filter(own).collect()
    }

    fn of_source(&self, number: usize) -> Vec<&Step> {
        let own = |step: &&Step| step.target() == Ok(number);
        self.steps.iter().filter(own).collect()
    }

    /// No more rollouts than changes, and none without a change.
    fn assert_counts(&self, world: &World, recorder: &Recorder, before: &[usize]) {
        let mut wrong = Vec::new();
        for (number, workload) in world.workloads.iter().enumerate() {
            let usages = world.usages(number);
            let changes: usize = self
                .steps
                .iter()
                .map(|step| changes(step, number, workload, &usages))
                .sum();
            // One that is new is counted from its own beginning.
            let from = before
                .get(number)
                .filter(|_| !self.renewed.contains(&number));
            let rollouts = recorder.rollouts(workload.kind, &workload.name) - from.unwrap_or(&0);
            if rollouts > changes {
                wrong.push(format!(
                    "{rollouts} rollouts for {changes} changes: {workload:?}"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// How many rollouts a step may make of a workload.
fn changes(
    step: &Step,
    number: usize,
    workload: &Workload,
    usages: &BTreeMap<usize, Usage>,
) -> usize {
    match step.target() {
        Ok(source) => {
            let Some(usage) = usages.get(&source) else {
                return 0;
            };
            let deleted = usize::from(workload.policy.on_delete);
            match step {
                Step::Set(_, key, _) => usize::from(usage.uses(key)),
                Step::Delete(_) => deleted,
                Step::Create(..) => 1,
                Step::Recreate(..) => 1 + deleted,
                _ => 0,
            }
        }
        Err(target) => {
            let template = matches!(
                step,
                Step::Edit(..) | Step::Apply(_) | Step::Replace(..) | Step::Undo(_)
            );
            usize::from(target == number && template)
        }
    }
}

/// Every opted-in workload's template, and every pod of it, is newer than the last version of all that it uses.
async fn assert_up_to_date(
    arena: &Arena,
    world: &World,
    watches: &Watches,
    story: &Story,
    before: &Before,
) {
    let mut wrong = Vec::new();
    // What was to be restarted for may have been put back since, and needs no restart then.
    let as_observed = World {
        workloads: before.workloads.clone(),
        ..world.clone()
    };
    for (number, workload) in world.workloads.iter().enumerate() {
        if workload.opt == Opt::Out {
            continue;
        }
        let name = workload.name.as_str();
        let newly = story.adopted.get(name).copied();
        let adopted = newly.unwrap_or(before.at);
        let changed = watches.recorder.changed_at(workload.kind, name);
        let pending = before.pending.get(number) == Some(&true) && as_observed.is_pending(number);
        let as_before = newly.is_none() && before.opts.get(number) == Some(&workload.opt);
        if pending && as_before && changed < before.at {
            wrong.push(format!("was never restarted: {workload:?}"));
        }
        let mut made = vec![changed];
        if workload.running {
            made.push(watches.pods.oldest(arena, workload.kind, name).await);
        }
        for (at, usage) in world.selected(number) {
            let source = &world.sources[at];
            let policy = world.policy(number, at, &usage);
            for made in &made {
                // Right is what the pods were made with, and what was there when they were known to be right.
                let said = [*made, adopted.max(*made)].map(|made| {
                    let source = (source.kind, source.name.as_str());
                    watches.history.outdated(source, &usage, policy, made)
                });
                if let [Some(_), Some(said)] = said {
                    let (own, theirs) = (story.of_workload(number), story.of_source(at));
                    wrong.push(format!(
                        "{said}; template of {changed}, pods and template of {made}, adopted at {newly:?}, storm from \
                         {}: {workload:?}; done to it: {own:?}; done to the source: {theirs:?}",
                        before.at
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
