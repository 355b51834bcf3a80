//! The model's state: sources, workloads that use them, and how often each workload's template must have changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    fates::{Fate, Hung},
    rules::{Data, Entry, Live, Part, Policy, Usage, Verdict, judge},
    steps::Step,
};

/// A Secret or ConfigMap, or the place of one.
#[derive(Clone, Debug)]
pub struct Source {
    pub kind: &'static str,
    pub name: String,
    /// Who makes it, each time anew.
    pub maker: Maker,
    /// How many objects have had this name.
    pub lives: u32,
    pub live: Option<Live>,
    /// The workloads that use it, whether they are opted in or not.
    pub users: Vec<usize>,
}

/// Who makes a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    Person,
    /// Something that owns it.
    Owner,
    /// A hook of a chart.
    Hook,
}

/// Who keeps reroll from having its way with a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    Nobody,
    /// A policy refuses what a restart changes.
    Policy,
    /// Its owner takes back what a restart changes.
    Owner,
}

/// What `restart-on` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt {
    Out,
    All,
    Secrets,
    ConfigMaps,
}

/// One place in a pod template that names a source.
#[derive(Clone, Debug)]
pub struct Reference {
    pub source: usize,
    pub part: Part,
    pub optional: bool,
    pub volume: bool,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub kind: &'static str,
    pub name: String,
    pub references: Vec<Reference>,
    pub policy: Policy,
    pub guard: Guard,
    /// The `restart-on` that it was made with.
    pub opted: Option<&'static str>,
    pub opt: Opt,
    /// It has pods.
    pub running: bool,
    pub paused: bool,
    /// A person holds its restarts.
    pub closed: bool,
    /// What pods were last started with, by source; `None` where it is not opted in.
    pub observed: Option<BTreeMap<usize, Entry>>,
    /// How often its template must have changed.
    pub rollouts: usize,
    /// What `kubectl get -o yaml` gave once.
    pub saved: Option<Value>,
    /// Its `observed` when the last round had come to rest.
    pub text: Option<String>,
    /// What that was before it was opted out.
    pub earlier: Option<String>,
    /// What its template was before the one that hangs.
    pub hung: Option<Hung>,
    /// What must be true of its pods when this round has come to rest.
    pub fate: Option<Fate>,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub sources: Vec<Source>,
    pub workloads: Vec<Workload>,
    /// The uid of what owns sources and workloads.
    pub owner: String,
    /// What was done in the last round.
    pub done: Vec<Step>,
}

/// A user's write of a workload, as it was before admission.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// The template is what it was.
    pub same: bool,
    /// It is the same but for `restarted-for`.
    pub same_but_for_restarts: bool,
    pub opt: Opt,
    /// Whether it has a gate that is closed, which holds it.
    pub closed: bool,
}

impl Opt {
    pub fn read(annotation: Option<&str>) -> Self {
        match annotation {
            Some("auto") => Self::All,
            Some("secrets") => Self::Secrets,
            Some("configmaps") => Self::ConfigMaps,
            _ => Self::Out,
        }
    }

    pub fn selects(self, kind: &str) -> bool {
        match self {
            Self::Out => false,
            Self::All => true,
            Self::Secrets => kind == "Secret",
            Self::ConfigMaps => kind == "ConfigMap",
        }
    }

    /// Whether nothing is selected that was not before.
    pub fn within(self, before: Self) -> bool {
        self == Self::Out || self == before || before == Self::All
    }
}

impl Usage {
    /// How each source is used by these references.
    pub fn all(references: &[Reference]) -> BTreeMap<usize, Self> {
        let mut usages: BTreeMap<usize, Self> = BTreeMap::new();
        for reference in references {
            let usage = usages.entry(reference.source).or_default();
            usage.required |= !reference.optional;
            *usage.parts.entry(reference.part).or_default() |= !reference.optional;
        }
        usages
    }
}

impl World {
    /// How a workload uses each of its sources.
    pub fn usages(&self, workload: usize) -> BTreeMap<usize, Usage> {
        Usage::all(&self.workloads[workload].references)
    }

    /// How it uses those that its opt-in selects.
    pub fn selected(&self, workload: usize) -> BTreeMap<usize, Usage> {
        let opt = self.workloads[workload].opt;
        let mut usages = self.usages(workload);
        usages.retain(|source, _| opt.selects(self.sources[*source].kind));
        usages
    }

    pub fn live(&self, source: usize) -> Option<&Live> {
        self.sources[source].live.as_ref()
    }

    /// Whether anything is absent that its pods need to start.
    pub fn is_held(&self, workload: usize) -> bool {
        let usages = self.usages(workload);
        usages
            .iter()
            .any(|(source, usage)| usage.lacks(self.live(*source)))
    }

    /// What pods that start now start with.
    pub fn fresh(&self, workload: usize) -> Option<BTreeMap<usize, Entry>> {
        let selected = self.selected(workload);
        let entry = |(source, usage): (&usize, &Usage)| {
            (*source, usage.started_with(self.live(*source), false))
        };
        (self.workloads[workload].opt != Opt::Out).then(|| selected.iter().map(entry).collect())
    }

    // === what happens ===

    /// Adds a workload that was just created.
    pub fn add(&mut self, mut workload: Workload) {
        let number = self.workloads.len();
        workload.rollouts = 0;
        workload.saved = None;
        workload.text = None;
        workload.earlier = None;
        workload.fate = None;
        self.workloads.push(workload);
        for source in self.usages(number).into_keys() {
            self.sources[source].users.push(number);
        }
        self.start_pods(number);
    }

    /// The workload was deleted and created again.
    pub fn renew(&mut self, workload: usize, opt: Opt) {
        self.workloads[workload].opt = opt;
        self.workloads[workload].rollouts = 0;
        self.workloads[workload].earlier = None;
        self.start_pods(workload);
    }

    /// A source becomes this, or absent.
    pub fn put(&mut self, source: usize, live: Option<Live>) {
        self.sources[source].live = live;
        for user in self.sources[source].users.clone() {
            self.look(user);
        }
    }

    /// A source is made anew.
    pub fn bear(&mut self, source: usize, data: Data) {
        self.sources[source].lives += 1;
        let life = self.sources[source].lives;
        self.put(source, Some(Live { life, data }));
    }

    /// Keys of a source that exists are set (`Some`) or removed.
    pub fn change(&mut self, source: usize, key: &'static str, value: Option<u32>) {
        let mut live = self.live(source).cloned().unwrap();
        match value {
            Some(value) => live.data.insert(key, value),
            None => live.data.remove(key),
        };
        self.put(source, Some(live));
    }

    /// Takes in that another writer than reroll wrote the workload, and the webhook saw it.
    pub fn written(&mut self, workload: usize, write: Write) {
        let before = self.workloads[workload].opt;
        // If it is not opted in, before or after, no webhook keeps `restarted-for` as it was.
        let ours = before != Opt::Out || write.opt != Opt::Out;
        let changed = if ours {
            !write.same_but_for_restarts
        } else {
            !write.same
        };
        self.workloads[workload].opt = write.opt;
        self.workloads[workload].closed = write.closed;
        if before != Opt::Out && write.opt == Opt::Out {
            self.workloads[workload].earlier = self.workloads[workload].text.clone();
        }
        self.workloads[workload].rollouts += usize::from(changed);
        if changed {
            self.start_pods(workload);
        } else {
            self.adopt(workload);
            self.look(workload);
        }
    }

    /// Its template was written, so its pods start anew.
    pub fn start_pods(&mut self, workload: usize) {
        self.workloads[workload].observed = self.fresh(workload);
    }

    /// Takes what is newly selected as it is, and forgets what is no longer selected.
    fn adopt(&mut self, workload: usize) {
        let selected = self.selected(workload);
        let run = self.workloads[workload].running;
        let known = self.workloads[workload].observed.take().unwrap_or_default();
        let entry = |(source, usage): (&usize, &Usage)| {
            let known = known.get(source).cloned();
            let entry = known.unwrap_or_else(|| usage.started_with(self.live(*source), run));
            (*source, entry)
        };
        let entries = selected.iter().map(entry).collect();
        self.workloads[workload].observed =
            (self.workloads[workload].opt != Opt::Out).then_some(entries);
    }

    /// reroll judges a workload: it restarts once for everything that asks for it, unless something holds it.
    fn look(&mut self, workload: usize) {
        let Some(verdicts) = self.verdicts(workload) else {
            return;
        };
        let due = verdicts.values().any(|verdict| verdict.cause)
            && !verdicts.values().any(|verdict| verdict.holds);
        let (restarts, changes) = match self.workloads[workload].guard {
            _ if self.workloads[workload].closed => (false, 0),
            Guard::Nobody => (due, 1),
            Guard::Policy => (false, 0),
            // The restart, and that it is taken back.
            Guard::Owner => (due, 2),
        };
        let entries = verdicts
            .into_iter()
            .map(|(source, verdict)| {
                let entry = if restarts {
                    verdict.rolled
                } else {
                    verdict.kept
                };
                (source, entry)
            })
            .collect();
        self.workloads[workload].observed = Some(entries);
        self.workloads[workload].rollouts += usize::from(restarts) * changes;
    }

    /// A person lets the restart go that is due, whatever holds it.
    pub fn release(&mut self, workload: usize) {
        let closed = std::mem::take(&mut self.workloads[workload].closed);
        self.look(workload);
        self.workloads[workload].closed = closed;
    }

    fn verdicts(&self, workload: usize) -> Option<BTreeMap<usize, Verdict>> {
        let observed = self.workloads[workload].observed.as_ref()?;
        let verdict = |(source, usage)| {
            let policy = self.policy(workload, source, &usage);
            let verdict = judge(policy, &usage, &observed[&source], self.live(source));
            (source, verdict)
        };
        Some(self.selected(workload).into_iter().map(verdict).collect())
    }

    /// What holds for one source of a workload.
    pub fn policy(&self, workload: usize, source: usize, usage: &Usage) -> Policy {
        let policy = self.workloads[workload].policy;
        let by_machine = self.sources[source].maker != Maker::Person;
        Policy {
            content: policy.content || (by_machine && usage.required),
            ..policy
        }
    }

    /// Whether it is to be restarted as soon as what holds it is back.
    pub fn is_pending(&self, workload: usize) -> bool {
        let verdicts = self.verdicts(workload);
        verdicts.is_some_and(|all| all.values().any(|verdict| verdict.cause))
    }

    /// What was done to a workload and its sources in the last round.
    pub fn done_to(&self, workload: usize) -> Vec<&Step> {
        let usages = self.usages(workload);
        let is_its = |target| match target {
            Ok(source) => usages.contains_key(&source),
            Err(number) => number == workload,
        };
        let touches = |step: &&Step| step.targets().into_iter().any(is_its);
        self.done.iter().filter(touches).collect()
    }

    // === what can be told exactly ===

    /// Whether deleting and creating a source at once gives one count, however far apart reroll sees the two.
    pub fn recreates_exactly(&self, source: usize) -> bool {
        self.sources[source].users.iter().all(|user| {
            let workload = &self.workloads[*user];
            let entry = workload.observed.as_ref().and_then(|all| all.get(&source));
            let required = || self.usages(*user)[&source].required;
            entry.is_none() || !workload.policy.on_delete || required()
        })
    }

    /// Whether its pods have what pods that start now would have. Then a user's change of the template has the same
    /// result with and without the webhook.
    pub fn is_up_to_date(&self, workload: usize) -> bool {
        self.workloads[workload].observed == self.fresh(workload)
    }
}
