//! Several related operations, done one after another, whose count of rollouts is known at any speed.

use super::{
    rules::Usage,
    steps::{Back, Draw, During, KEYS, Manifest, Step},
    world::{Opt, Reference, World},
};

impl Draw<'_> {
    /// A chain for any workload; none where it is impossible.
    pub fn chain(&mut self, world: &World, workload: usize) -> Vec<Step> {
        let usages = world.selected(workload);
        let source = usages.keys().copied().nth(self.rng.usize(0..3));
        let Some((source, live)) =
            source.and_then(|source| Some((source, world.live(source)?.clone())))
        else {
            return Vec::new();
        };
        let now = &world.workloads[workload];
        if now.running && world.is_held(workload) {
            return Vec::new();
        }
        let users = &world.sources[source].users;
        match self.rng.u8(0..4) {
            // The person's rollout, and then one for the source.
            0 => vec![Step::Edit(workload, self.count), self.set(source, &live)],
            // Its new pods wait for the source, or run without it.
            1 if users
                .iter()
                .all(|user| !world.workloads[*user].policy.on_delete) =>
            {
                vec![
                    Step::Delete(source),
                    Step::Edit(workload, self.count),
                    Step::Create(source, self.data(10)),
                ]
            }
            _ if now.opt != Opt::Out => self.out_and_in(world, workload, source),
            _ => Vec::new(),
        }
    }

    /// A change while the workload is opted out restarts nothing.
    fn out_and_in(&self, world: &World, workload: usize, source: usize) -> Vec<Step> {
        vec![
            Step::Opt(workload, Some("off")),
            self.set_used(world, workload, source),
            Step::Opt(workload, Some("auto")),
        ]
    }

    /// What was observed before an opt-out never counts again, whether the workload is opted in or out by now. The
    /// chain does not restore it right after the opt-out: a restart that was decided before would find the very text
    /// that it expects.
    pub fn put_back(&mut self, world: &World) -> Vec<Step> {
        let known = |number: &&usize| world.workloads[**number].earlier.is_some();
        let known: Vec<_> = self.workloads.iter().filter(known).copied().collect();
        let Some(workload) = self.rng.choice(known) else {
            return Vec::new();
        };
        let now = &world.workloads[workload];
        let sources: Vec<_> = world.usages(workload).into_keys().collect();
        let source = self.rng.choice(sources).unwrap();
        if world.live(source).is_none() || (now.running && world.is_held(workload)) {
            return Vec::new();
        }
        let mut steps = vec![Step::PutBack(workload)];
        let set = self.set_used(world, workload, source);
        if now.opt == Opt::Out {
            steps.insert(self.rng.usize(0..2), set);
            steps.push(Step::Opt(workload, Some("auto")));
        } else if self.rng.bool() {
            steps.push(set);
        }
        steps
    }

    /// Sets a key that it uses to what was never there.
    fn set_used(&self, world: &World, workload: usize, source: usize) -> Step {
        let usage = &world.usages(workload)[&source];
        let used = KEYS.into_iter().find(|key| usage.uses(key));
        Step::Set(source, used.unwrap_or("a"), Some(self.count))
    }

    /// A chain for a workload that runs, in which its pods matter.
    pub fn with_pods(&mut self, world: &World) -> Vec<Step> {
        self.count += 1;
        let run = |number: &&usize| world.workloads[**number].running;
        let running: Vec<usize> = self.workloads.iter().filter(run).copied().collect();
        let workload = self.rng.choice(running).unwrap();
        let now = &world.workloads[workload];
        // Whatever is pending would roll together with the first write.
        let calm = !now.paused && !world.is_held(workload) && world.is_up_to_date(workload);
        let steps = match self.during {
            _ if now.opt == Opt::Out || !calm => None,
            During::Quiet if self.rng.u8(0..3) == 0 => self.orphan_and_make_again(world, workload),
            During::Quiet => self.hang_and_go_back(world, workload),
            During::Kill => self.gain_and_write(world, workload),
            During::Storm => None,
        };
        steps.unwrap_or_default()
    }

    /// A template that drops a reference or a key cannot start. What it dropped changes, or does not. Then the old
    /// template comes back.
    fn hang_and_go_back(&mut self, world: &World, workload: usize) -> Option<Vec<Step>> {
        let now = &world.workloads[workload];
        // All pods of a DaemonSet's node are gone before one of the new template is made.
        if now.kind == "DaemonSet" {
            return None;
        }
        let place = self.rng.usize(0..now.references.len());
        let source = now.references[place].source;
        let live = world.live(source)?;
        let whole = world.selected(workload).remove(&source)?;
        let mut references = now.references.clone();
        let other = self.rng.choice(["a", "b"]).unwrap();
        if self.rng.bool() && live.data.contains_key(other) {
            references[place].part = Some(other);
        } else {
            references.remove(place);
        }
        let rest = Usage::all(&references).remove(&source);
        let still = |key| rest.as_ref().is_some_and(|rest: &Usage| rest.uses(key));
        let dropped: Vec<_> = KEYS
            .into_iter()
            .filter(|key| whole.uses(key) && !still(key))
            .collect();
        let key = self.rng.choice(&dropped)?;
        let change = match self.rng.u8(0..5) {
            0 => None,
            1 | 2 if rest.is_none() && world.recreates_exactly(source) => {
                Some(Step::Recreate(source, self.data(10)))
            }
            _ => Some(Step::Set(source, key, Some(self.count))),
        };
        let back = self.rng.choice([Back::Undo, Back::Apply]).unwrap();
        let mut steps = vec![Step::Hang(workload, references)];
        steps.extend(change);
        steps.push(Step::Back(workload, back));
        Some(steps)
    }

    /// The workload is deleted without its pods, its source changes or does not, and the workload is created again.
    fn orphan_and_make_again(&mut self, world: &World, workload: usize) -> Option<Vec<Step>> {
        // What the pods of a DaemonSet are replaced for goes by how many templates old it is, too.
        if world.workloads[workload].kind == "DaemonSet" {
            return None;
        }
        let usages = world.selected(workload);
        let sources: Vec<_> = usages.keys().copied().collect();
        let source = self.rng.choice(sources)?;
        world.live(source)?;
        let key = KEYS.into_iter().find(|key| usages[&source].uses(key))?;
        let between = match self.rng.u8(0..3) {
            0 => None,
            1 if world.recreates_exactly(source) => Some(Step::Recreate(source, self.data(10))),
            _ => Some(Step::Set(source, key, Some(self.count))),
        };
        let manifest = self.rng.choice([Manifest::Own, Manifest::Export]).unwrap();
        Some(vec![Step::Orphan(
            workload,
            manifest,
            between.map(Box::new),
        )])
    }

    /// A template gains a reference. When its pods are up, the source that it gained is written.
    fn gain_and_write(&mut self, world: &World, workload: usize) -> Option<Vec<Step>> {
        let now = &world.workloads[workload];
        let source = *self.rng.choice(self.sources)?;
        let key = self.rng.choice(["a", "b"])?;
        let live = world.live(source)?;
        let opted = now.opt.selects(world.sources[source].kind);
        if !opted || world.usages(workload).contains_key(&source) || !live.data.contains_key(key) {
            return None;
        }
        let reference = Reference {
            source,
            part: self.rng.bool().then_some(key),
            optional: self.rng.bool(),
            volume: self.rng.bool(),
        };
        Some(vec![
            Step::Gain(workload, reference),
            Step::Later(source, key, self.count, workload),
        ])
    }
}
