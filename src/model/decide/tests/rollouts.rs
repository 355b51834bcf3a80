//! Rollouts that hang, undos, and a webhook that is away: in the end every pod has what there is.
//!
//! A simulation of one Deployment. A pod has read what there was when it was made, and lives as long as its template or
//! until a rollout completes. Every event takes a second, so that times tell what was before what.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{stamp::stamp_update, workload::OlderPods};
use Need::Required;

#[derive(Clone, Debug)]
enum Event {
    /// A key of a source gets another value.
    Write(usize, &'static str),
    /// A source is deleted and made again.
    Recreate(usize),
    /// Somebody applies a template that uses this.
    Deploy(Vec<(usize, Option<&'static str>)>),
    /// Somebody goes back to a template of before.
    Undo(prop::sample::Index),
    /// The rollout makes its first pod, and hangs.
    Hang,
    /// The rollout completes.
    Complete,
    /// The controller looks.
    Judge,
    /// The webhook comes or goes.
    Webhook(bool),
}

/// What a pod reads of a source: its uid, and the data of a key or of the whole.
type Read = BTreeMap<(usize, Option<&'static str>), (u64, String)>;

#[derive(Clone, Debug, PartialEq)]
struct Template {
    uses: Vec<(usize, Option<&'static str>)>,
    mark: String,
}

#[derive(Clone, Debug)]
struct Pod {
    template: Template,
    made: i64,
    read: Read,
}

struct Source {
    uid: u64,
    rv: u64,
    written: i64,
    data: BTreeMap<&'static str, u32>,
}

struct Cluster {
    now: i64,
    sources: Vec<Source>,
    template: Template,
    history: Vec<Template>,
    pods: Vec<Pod>,
    observed: Option<Observed>,
    generation: i64,
    webhook: bool,
    /// There were older pods when reroll came back, and are still.
    unseen: bool,
    restarts: usize,
    /// A source was written since the controller last looked, or the webhook was away.
    stirred: bool,
}

fn name(number: usize) -> SourceName {
    SourceName::secret(["a", "b"][number])
}

impl Cluster {
    fn new() -> Self {
        let source = |uid| Source {
            uid,
            rv: uid,
            written: 0,
            data: BTreeMap::from([("k", 0), ("l", 0)]),
        };
        let template = Template {
            uses: vec![(0, Some("k"))],
            mark: String::new(),
        };
        let mut cluster = Self {
            now: 10,
            sources: vec![source(1), source(2)],
            history: vec![template.clone()],
            template,
            pods: Vec::new(),
            observed: None,
            generation: 1,
            webhook: true,
            unseen: false,
            restarts: 0,
            stirred: false,
        };
        cluster.complete();
        cluster.judge();
        cluster
    }

    fn read(&self, uses: &[(usize, Option<&'static str>)]) -> Read {
        let one = |(number, key): &(usize, Option<&'static str>)| {
            let source = &self.sources[*number];
            let data = key.map_or_else(
                || format!("{:?}", source.data),
                |key| format!("{:?}", source.data.get(key)),
            );
            ((*number, *key), (source.uid, data))
        };
        uses.iter().map(one).collect()
    }

    fn make_pod(&mut self) {
        let pod = Pod {
            template: self.template.clone(),
            made: self.now,
            read: self.read(&self.template.uses.clone()),
        };
        self.pods.push(pod);
    }

    fn complete(&mut self) {
        self.pods.retain(|pod| pod.template == self.template);
        while self.pods.len() < 2 {
            self.make_pod();
        }
    }

    fn older(&self) -> OlderPods {
        if self.pods.iter().all(|pod| pod.template == self.template) {
            OlderPods::Gone
        } else {
            OlderPods::Left
        }
    }

    fn references(uses: &[(usize, Option<&'static str>)]) -> References {
        let mut references = References::new();
        for number in 0..2 {
            let keys: Vec<_> = uses.iter().filter(|(of, _)| *of == number).collect();
            if keys.is_empty() {
                continue;
            }
            let named: Vec<_> = keys.iter().filter_map(|(_, key)| *key).collect();
            let named: Vec<_> = named.iter().map(|key| (*key, Required)).collect();
            let mut usage = keyed(&named);
            usage.whole = keys.iter().any(|(_, key)| key.is_none());
            usage.need = Required;
            references.insert(name(number), usage);
        }
        references
    }

    fn world(&self) -> World {
        let mut world = World::new();
        world.restarted_for.clone_from(&self.template.mark);
        world.generation = self.generation;
        world.older = self.older();
        for (number, source) in self.sources.iter().enumerate() {
            let data: Vec<_> = source
                .data
                .iter()
                .map(|(key, value)| (*key, value.to_string()))
                .collect();
            let data: Vec<_> = data
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            let mut live = version(&name(number), &source.uid.to_string(), source.rv, &data);
            live.written = source.written;
            world.set(&name(number), Live::Present(live));
        }
        world.uses = Self::references(&self.template.uses);
        world
    }

    /// What the controller looks up of pods: those of the template's mark.
    fn ages(&self) -> Ages {
        let mut ages = Ages::new();
        let pods = self.pods.iter();
        for pod in pods.filter(|pod| pod.template.mark == self.template.mark) {
            for (number, key) in &pod.template.uses {
                let of: &mut litemap::LiteMap<String, i64> = ages.entry(name(*number)).or_default();
                let key = key.unwrap_or("*").to_owned();
                let oldest = of.get(&key).copied().unwrap_or(i64::MAX).min(pod.made);
                of.insert(key, oldest);
            }
        }
        ages
    }

    /// Somebody writes the template.
    fn write(&mut self, uses: Vec<(usize, Option<&'static str>)>, mark: String) {
        let before = self.template.clone();
        let older = self.older();
        self.template = Template { uses, mark };
        self.generation += 1;
        if self.webhook {
            self.template.mark.clone_from(&before.mark);
            let mut world = self.world();
            world.older = older;
            self.unseen &= !older.are_gone();
            world.unseen = self.unseen;
            world.template_before = Some(Self::references(&before.uses));
            if before.uses != self.template.uses {
                let observed = self.observed.clone().unwrap();
                let live = |source: &SourceName| world.lookup(source);
                let known = Known::Observed(&observed);
                let subject = world.subject();
                assert_eq!(
                    subject.templates.now,
                    &Self::references(&self.template.uses)
                );
                let stamp = stamp_update(&subject, known, &live, &key()).unwrap();
                self.template.mark.clone_from(&stamp.restarted_for);
                self.observed = Some(stamp.observed);
            }
        }
        if !self.history.contains(&self.template) {
            self.history.push(self.template.clone());
        }
    }

    /// Gives whether anything was done.
    fn judge(&mut self) -> bool {
        self.unseen &= !self.older().are_gone();
        let mut world = self.world();
        world.ages = Some(self.ages());
        let known = self.observed.clone();
        let decision = world.decide(known.as_ref().map_or(Known::Nothing, Known::Observed));
        let next = decision.next().cloned().unwrap();
        if decision.outcome() == Outcome::Restart {
            assert!(
                self.stirred,
                "restarted for nothing: {:?}",
                decision.causes()
            );
            self.restarts += 1;
            self.generation += 1;
            self.template.mark.clone_from(&next.restarted_for);
            assert!(!self.history.contains(&self.template), "a mark came twice");
            self.history.push(self.template.clone());
        }
        self.stirred = !self.webhook;
        let changed = self.observed.as_ref() != Some(&next);
        self.observed = Some(next);
        changed
    }

    fn happen(&mut self, event: &Event) {
        self.now += 1;
        match event {
            Event::Write(number, key) => {
                let (now, source) = (self.now, &mut self.sources[*number]);
                *source.data.get_mut(key).unwrap() += 1;
                source.written = now;
                source.rv = u64::try_from(100 + now).unwrap();
                self.stirred = true;
            }
            Event::Recreate(number) => {
                let (now, source) = (self.now, &mut self.sources[*number]);
                source.uid += 10;
                source.written = now;
                source.rv = u64::try_from(100 + now).unwrap();
                self.stirred = true;
            }
            Event::Deploy(uses) => {
                // kubectl's apply leaves a mark alone that it did not write.
                let mark = self.template.mark.clone();
                self.write(uses.clone(), mark);
            }
            Event::Undo(at) => {
                let to = self.history[at.index(self.history.len())].clone();
                self.write(to.uses, to.mark);
            }
            Event::Hang => self.make_pod(),
            Event::Complete => self.complete(),
            Event::Judge => drop(self.judge()),
            Event::Webhook(up) => {
                self.unseen |= *up && !self.webhook && !self.older().are_gone();
                self.webhook = *up;
                self.stirred = true;
            }
        }
    }

    /// Lets everything come to rest.
    fn settle(&mut self) {
        for _ in 0..10 {
            self.now += 1;
            let changed = self.judge();
            self.complete();
            if !changed {
                return;
            }
        }
        panic!("it does not come to rest");
    }
}

fn uses() -> impl Strategy<Value = Vec<(usize, Option<&'static str>)>> {
    let one = (
        0..2usize,
        prop::sample::select(vec![None, Some("k"), Some("l")]),
    );
    proptest::collection::btree_set(one, 1..3).prop_map(|uses| uses.into_iter().collect())
}

fn event() -> impl Strategy<Value = Event> {
    let key = || prop::sample::select(vec!["k", "l"]);
    prop_oneof![
        4 => (0..2usize, key()).prop_map(|(number, key)| Event::Write(number, key)),
        2 => (0..2usize).prop_map(Event::Recreate),
        4 => uses().prop_map(Event::Deploy),
        4 => any::<prop::sample::Index>().prop_map(Event::Undo),
        2 => Just(Event::Hang),
        2 => Just(Event::Complete),
        4 => Just(Event::Judge),
    ]
}

fn run(events: &[Event]) -> Cluster {
    let mut cluster = Cluster::new();
    for event in events {
        cluster.happen(event);
    }
    cluster.webhook = true;
    cluster.settle();
    for pod in &cluster.pods {
        let live = cluster.read(&pod.template.uses);
        assert_eq!(pod.read, live, "{pod:?} {:?}", cluster.observed);
        assert_eq!(pod.template, cluster.template);
    }
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn with_the_webhook_every_pod_ends_with_what_there_is(
        events in proptest::collection::vec(event(), 0..24)
    ) {
        run(&events);
    }

    #[test]
    fn and_so_it_does_where_the_webhook_comes_and_goes(
        events in proptest::collection::vec(
            prop_oneof![8 => event(), 1 => any::<bool>().prop_map(Event::Webhook)],
            0..24,
        )
    ) {
        run(&events);
    }
}
