//! What is done, drawn from the seed.

use std::collections::{BTreeMap, HashSet};

use fastrand::Rng;

use super::{
    gated::Gate,
    rules::{Data, Live},
    world::{Opt, Reference, World},
};

/// How many things of a round are done to workloads that run, and to their pods.
const WITH_PODS: usize = 6;

pub const KEYS: [&str; 3] = ["a", "b", "c"];

/// The values of `restart-on`, and that of having none.
const OPTS: [Option<&str>; 6] = [
    Some("auto"),
    Some("auto"),
    Some("secrets"),
    Some("configmaps"),
    Some("off"),
    None,
];

/// One thing that a person or an operator does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sets or removes a key.
    Set(usize, &'static str, Option<u32>),
    /// Changes what is no data.
    Label(usize, u32),
    Delete(usize),
    Create(usize, Data),
    /// Deletes and creates at once.
    Recreate(usize, Data),
    Opt(usize, Option<&'static str>),
    /// Changes the template.
    Edit(usize, u32),
    /// `kubectl rollout restart`
    ByHand(usize, u32),
    /// Changes what is not the template.
    Note(usize, u32),
    Pause(usize, bool),
    /// `kubectl get -o yaml`, kept for later.
    Save(usize),
    /// `kubectl apply` of what was kept.
    Apply(usize),
    /// `kubectl replace` by a manifest that knows nothing of reroll's annotations, perhaps with an edit.
    Replace(usize, Option<u32>),
    /// `kubectl replace --force`, by a manifest with all annotations.
    Renew(usize),
    /// Creates another by this name from a manifest with all annotations.
    Copy(usize, String),
    Undo(usize),
    /// Another template, of these references, whose pods cannot start.
    Hang(usize, Vec<Reference>),
    /// Goes back from there.
    Back(usize, Back),
    /// Adds a reference, and waits until pods have it.
    Gain(usize, Reference),
    /// Sets a key in a later second than the pods of this workload were made.
    Later(usize, &'static str, u32, usize),
    /// Deletes it without its pods, changes a source or not, and creates it again over them.
    Orphan(usize, Manifest, Option<Box<Self>>),
    /// Puts back, through the status, what was observed before an opt-out.
    PutBack(usize),
    /// Says of it when it may be restarted.
    Gate(usize, Gate),
    /// Gives it a place in the order.
    Wave(usize, i64),
    /// Lets the restart go that is due.
    Release(usize),
}

/// How a user goes back to the former template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Undo,
    /// The old manifest is applied again.
    Apply,
}

/// What a workload is made of again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// A person's own, which knows nothing of what reroll wrote.
    Own,
    /// As it was in the cluster, with all annotations.
    Export,
}

/// What may be done meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// reroll runs.
    Quiet,
    /// reroll is killed and started again at any moment: only what comes to the same without the webhook.
    Kill,
    /// Everything at once, without exact counts.
    Storm,
}

/// Draws steps.
pub struct Draw<'a> {
    pub rng: &'a mut Rng,
    pub during: During,
    /// The sources and workloads to choose from.
    pub sources: &'a [usize],
    pub workloads: &'a [usize],
    /// For names of copies, and for edits that were never made before.
    pub count: u32,
    pub prefix: String,
    /// Whether people hold restarts and let them go.
    pub gates: bool,
}

impl Step {
    /// What it is done to: a source or a workload.
    pub fn target(&self) -> Result<usize, usize> {
        match self {
            Self::Set(source, ..)
            | Self::Label(source, _)
            | Self::Delete(source)
            | Self::Create(source, _)
            | Self::Recreate(source, _)
            | Self::Later(source, ..) => Ok(*source),
            Self::Opt(workload, _)
            | Self::Edit(workload, _)
            | Self::ByHand(workload, _)
            | Self::Note(workload, _)
            | Self::Pause(workload, _)
            | Self::Save(workload)
            | Self::Apply(workload)
            | Self::Replace(workload, _)
            | Self::Renew(workload)
            | Self::Copy(workload, _)
            | Self::Undo(workload)
            | Self::Hang(workload, _)
            | Self::Back(workload, _)
            | Self::Gain(workload, _)
            | Self::Orphan(workload, ..)
            | Self::PutBack(workload)
            | Self::Gate(workload, _)
            | Self::Wave(workload, _)
            | Self::Release(workload) => Err(*workload),
        }
    }

    /// The same, with what is done to something else in between.
    pub fn targets(&self) -> Vec<Result<usize, usize>> {
        let between = match self {
            Self::Orphan(.., Some(between)) => Some(between.target()),
            _ => None,
        };
        [self.target()].into_iter().chain(between).collect()
    }

    /// Whether what reroll promises about it needs its webhook.
    pub fn needs_webhook(&self) -> bool {
        matches!(
            self,
            Self::Opt(..)
                | Self::Apply(_)
                | Self::Replace(..)
                | Self::Renew(_)
                | Self::Copy(..)
                | Self::Undo(_)
        )
    }
}

/// Draws a round of things that are done at the same time and have nothing to do with each other, so that the order
/// does not matter: each is a list that is done one after another.
pub fn round(world: &World, draw: &mut Draw, count: usize) -> Vec<Vec<Step>> {
    let (mut workloads, mut sources) = (HashSet::new(), HashSet::new());
    let (mut all, mut undone) = (Vec::new(), 0);
    for attempt in 0..count * 3 {
        let with_pods = !draw.gates && all.len() < WITH_PODS && attempt < WITH_PODS * 10;
        let steps = if with_pods {
            draw.with_pods(world)
        } else {
            draw.steps(world)
        };
        let mut users = HashSet::new();
        let mut places = HashSet::new();
        for target in steps.iter().flat_map(Step::targets) {
            match target {
                Ok(source) => {
                    users.extend(world.sources[source].users.iter().copied());
                    places.insert(source);
                }
                Err(workload) => drop(users.insert(workload)),
            }
        }
        let undoes = steps.iter().any(|step| matches!(step, Step::Undo(_)));
        let free = workloads.is_disjoint(&users) && sources.is_disjoint(&places);
        // kubectl takes half a second of a core.
        if steps.is_empty() || !free || (undoes && undone == 8) {
            continue;
        }
        undone += usize::from(undoes);
        workloads.extend(users);
        sources.extend(places);
        all.push(steps);
        if all.len() == count {
            break;
        }
    }
    draw.rng.shuffle(&mut all);
    all
}

/// How often each thing is done in a round, by name.
pub fn told(plan: &[Vec<Step>]) -> String {
    let mut counts = BTreeMap::new();
    for step in plan.iter().flatten() {
        let text = format!("{step:?}");
        let name = text.split('(').next().unwrap_or_default().to_owned();
        *counts.entry(name).or_insert(0) += 1;
    }
    let lines: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    lines.join(", ")
}

impl Draw<'_> {
    /// Things done one after another; none where what was drawn is impossible.
    pub fn steps(&mut self, world: &World) -> Vec<Step> {
        self.count += 1;
        let workload = *self.rng.choice(self.workloads).unwrap();
        if self.gates {
            let step = match self.rng.u8(0..100) {
                0..45 => self.source(world),
                45..70 => self.workload(world, workload),
                _ => Some(self.gate(world, workload)),
            };
            return step.into_iter().collect();
        }
        match (self.during, self.rng.u8(0..100)) {
            (_, 0..50) => self.source(world).into_iter().collect(),
            (During::Quiet, 50..65) => self.chain(world, workload),
            (During::Quiet, 65..72) => self.put_back(world),
            _ => self.workload(world, workload).into_iter().collect(),
        }
    }

    fn source(&mut self, world: &World) -> Option<Step> {
        // Those that are absent come back soon, else everything would end up waiting.
        let mut absent = self
            .sources
            .iter()
            .filter(|source| world.live(**source).is_none());
        let back = absent.next().filter(|_| self.rng.u8(0..5) == 0);
        let source = *back.or_else(|| self.rng.choice(self.sources))?;
        let Some(live) = world.live(source) else {
            return Some(Step::Create(source, self.data(9)));
        };
        Some(match self.rng.u8(0..100) {
            0..45 => self.set(source, live),
            45..52 => Step::Label(source, self.count),
            52..70 => Step::Delete(source),
            _ if self.during != During::Storm && !world.recreates_exactly(source) => return None,
            _ => Step::Recreate(source, self.data(10)),
        })
    }

    pub fn set(&mut self, source: usize, live: &Live) -> Step {
        let key = self.rng.choice(KEYS).unwrap();
        let value = self.rng.u32(0..4);
        let remove = live.data.contains_key(key) && self.rng.u8(0..5) == 0;
        Step::Set(source, key, (!remove).then_some(value))
    }

    /// Data with these chances of ten that a key which may be required is there.
    pub fn data(&mut self, chance: u8) -> Data {
        let mut data = Data::new();
        for (key, chance) in KEYS.into_iter().zip([chance, chance, 5]) {
            if self.rng.u8(0..10) < chance {
                data.insert(key, self.rng.u32(0..4));
            }
        }
        data
    }

    fn workload(&mut self, world: &World, workload: usize) -> Option<Step> {
        let now = &world.workloads[workload];
        let calm = !now.running || !world.is_held(workload);
        let step = match self.rng.u8(0..100) {
            0..25 => Step::Opt(workload, self.rng.choice(OPTS).unwrap()),
            25..40 => Step::Edit(workload, self.count),
            40..45 => Step::Note(workload, self.count),
            45..52 if now.kind == "Deployment" => Step::Pause(workload, !now.paused),
            52..60 => Step::Save(workload),
            60..70 if now.saved.is_some() => Step::Apply(workload),
            70..78 => Step::Replace(workload, self.rng.bool().then_some(self.count)),
            78..83 if !now.running => Step::Renew(workload),
            83..88 if !now.running => {
                Step::Copy(workload, format!("{}{}", self.prefix, self.count))
            }
            88..100 if now.kind == "Deployment" && !now.paused => Step::Undo(workload),
            _ => return None,
        };
        let possible = match (self.during, &step) {
            (_, Step::Note(..) | Step::Save(_) | Step::Pause(..)) => true,
            // Whether pods that are there wait cannot be told while they come and go.
            _ if !calm => false,
            (During::Kill, Step::Edit(..)) => world.is_up_to_date(workload),
            // Without the webhook reroll does not know why a running workload uses what it did not.
            (During::Kill, Step::Opt(_, to)) => {
                let to = Opt::read(*to);
                !now.running || now.opt == Opt::Out || to.within(now.opt)
            }
            (During::Kill, _) => false,
            // Without the webhook reroll does not know that its new pods started without a source, and
            // `on-recreate: content` makes nothing of a new uid.
            (During::Storm, Step::Edit(..)) => !now.policy.content,
            _ => true,
        };
        possible.then_some(step)
    }
}
