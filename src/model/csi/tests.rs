use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{
    Decision, SourceName,
    decide::Known,
    observed::Observed,
    source::Need,
    testing::{Live, NEVER, Outcome, World, key, whole},
};

const CLASS: &str = "vault";

/// A status as the driver writes it.
fn status(pod: &str, rv: u64, generation: i64, objects: &[(&str, &str)]) -> PodStatus {
    let objects: Vec<_> = objects
        .iter()
        .map(|(id, version)| json!({"id": id, "version": version}))
        .collect();
    let object = json!({
        "metadata": {
            "name": format!("{pod}-n-{CLASS}"), "namespace": "n", "uid": format!("{pod}-status-{rv}"),
            "resourceVersion": rv.to_string(), "generation": generation,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": pod}],
        },
        "status": {
            "mounted": true, "podName": pod, "secretProviderClassName": CLASS, "targetPath": "/t", "objects": objects,
        },
    });
    PodStatus::read(&key(), &serde_json::from_value(object).unwrap()).unwrap()
}

/// What the content is, as `VERSION@RESOURCEVERSION`, with a `*` where all pods have started with it.
fn content(class: &Class) -> String {
    let version = class.version();
    if version.shows == Shows::Nothing {
        return String::new();
    }
    let known = ["1", "2", "3"]
        .into_iter()
        .find(|text| status("x", 1, 1, &[("a", text)]).version.whole == version.whole);
    let started = if version.shows == Shows::Started {
        "*"
    } else {
        ""
    };
    format!(
        "{}@{}{started}",
        known.unwrap_or("?"),
        version.resource_version
    )
}

/// What is done to the status of a pod: (pod, resourceVersion, generation, version of its object), or it goes.
type Act = (&'static str, u64, i64, &'static str);
const GONE: &str = "";

fn after(acts: &[Act], settled: usize) -> String {
    let mut class = Class::default();
    for (number, (pod, rv, generation, version)) in acts.iter().enumerate() {
        if *version == GONE {
            class.hide(pod);
        } else {
            class.show(pod, status(pod, *rv, *generation, &[("a", version)]));
        }
        if number >= settled {
            class.settle();
        }
    }
    class.settle();
    content(&class)
}

#[test]
fn the_content_of_a_class() {
    let rows: &[(&str, &[Act], &str)] = &[
        ("nothing", &[], ""),
        ("the first pod", &[("p", 1, 1, "1")], "1@1*"),
        (
            "more of the same",
            &[("p", 1, 1, "1"), ("q", 2, 1, "1")],
            "1@1*",
        ),
        ("a rotation", &[("p", 1, 1, "1"), ("p", 2, 2, "2")], "2@2"),
        (
            "pod by pod",
            &[
                ("p", 1, 1, "1"),
                ("q", 2, 1, "1"),
                ("p", 3, 2, "2"),
                ("q", 4, 2, "2"),
            ],
            "2@4",
        ),
        ("labels only", &[("p", 1, 1, "1"), ("p", 2, 1, "1")], "1@1*"),
        (
            "written again as it was",
            &[("p", 1, 1, "1"), ("p", 2, 2, "1")],
            "1@1*",
        ),
        (
            "an old event",
            &[("p", 5, 1, "2"), ("p", 4, 1, "1")],
            "2@5*",
        ),
        (
            "one pod started with more",
            &[("p", 1, 1, "1"), ("q", 2, 1, "2")],
            "1@1*",
        ),
        (
            "and then the other is rotated",
            &[("p", 1, 1, "1"), ("q", 2, 1, "2"), ("p", 3, 2, "2")],
            "2@3",
        ),
        (
            "and then the other goes",
            &[("p", 1, 1, "1"), ("q", 2, 1, "2"), ("p", 0, 0, GONE)],
            "2@2*",
        ),
        (
            "all go",
            &[("p", 1, 1, "1"), ("p", 2, 2, "2"), ("p", 0, 0, GONE)],
            "2@2",
        ),
        (
            "all go and come back",
            &[("p", 1, 1, "1"), ("p", 0, 0, GONE), ("q", 3, 1, "2")],
            "2@3*",
        ),
        (
            "the newest goes",
            &[
                ("p", 1, 1, "1"),
                ("q", 2, 1, "1"),
                ("q", 3, 2, "2"),
                ("q", 0, 0, GONE),
            ],
            "2@3",
        ),
        (
            "a roll after a rotation",
            &[
                ("p", 1, 1, "1"),
                ("p", 2, 2, "2"),
                ("q", 3, 1, "2"),
                ("p", 0, 0, GONE),
            ],
            "2@2",
        ),
        (
            "something else for each pod",
            &[
                ("p", 1, 1, "1"),
                ("q", 2, 1, "2"),
                ("r", 3, 1, "3"),
                ("p", 0, 0, GONE),
            ],
            "1@1*",
        ),
    ];
    for (what, acts, expected) in rows {
        assert_eq!(after(acts, 0), *expected, "{what}");
    }
}

#[test]
fn the_content_after_a_start() {
    let rows: &[(&str, &[Act], &str)] = &[
        ("nothing", &[], ""),
        ("all agree", &[("p", 1, 1, "1"), ("q", 2, 1, "1")], "1@2*"),
        (
            "some started with more",
            &[("p", 5, 1, "2"), ("q", 4, 1, "1")],
            "",
        ),
        (
            "a rotation in the middle",
            &[("p", 1, 1, "1"), ("q", 3, 2, "2"), ("r", 4, 1, "3")],
            "2@3",
        ),
        (
            "the newest rotation",
            &[("p", 7, 3, "3"), ("q", 6, 2, "2")],
            "3@7",
        ),
    ];
    for (what, acts, expected) in rows {
        assert_eq!(after(acts, usize::MAX), *expected, "{what}");
    }
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut class = Class::default();
    let named = |pod, rv, generation, version| PodStatus {
        class: CLASS.to_owned(),
        ..status(pod, rv, generation, &[("a", version)])
    };
    class.show("db-0", named("first", 1, 1, "1"));
    class.show("db-1", named("other", 2, 1, "1"));
    class.settle();
    // The driver finds the status of the pod before it and writes into it.
    class.show("db-0", named("second", 3, 2, "2"));
    class.settle();
    assert_eq!(content(&class), "1@2*");
    class.show("db-1", named("other", 4, 2, "2"));
    class.settle();
    assert_eq!(content(&class), "2@4");
}

#[test]
fn the_order_of_objects_is_nothing_and_each_pair_counts() {
    let digest = |objects: &[_]| status("p", 1, 1, objects).version.whole;
    let both = digest(&[("a", "1"), ("b", "2")]);
    assert_eq!(both, digest(&[("b", "2"), ("a", "1")]));
    let others: &[&[(&str, &str)]] = &[
        &[],
        &[("a", "1")],
        &[("a", "2"), ("b", "1")],
        &[("a", "1"), ("b", "2"), ("c", "")],
        &[("a", "1\",\"b"), ("", "2")],
    ];
    let all: BTreeSet<_> = others.iter().map(|objects| digest(objects)).collect();
    assert_eq!(all.len(), others.len());
    assert!(!all.contains(&both));
}

#[test]
fn what_is_not_mounted_shows_nothing() {
    for broken in [
        json!({}),
        json!({"mounted": true}),
        json!({"secretProviderClassName": "c"}),
        json!({"secretProviderClassName": "c", "mounted": false, "objects": [{"id": "a", "version": "1"}]}),
    ] {
        let object = json!({"metadata": {"name": "p", "namespace": "n"}, "status": broken});
        let read = PodStatus::read(&key(), &serde_json::from_value(object).unwrap());
        assert_eq!(read, None, "{broken}");
    }
}

#[test]
fn the_class_says_who_looks_at_it() {
    let mut class = Class::default();
    class.show("p", status("p", 1, 1, &[("a", "1")]));
    class.settle();
    let said = |class: &Class| class.version().counts();
    assert_eq!(said(&class), (false, false));
    let meta = |key: &str| ObjectMeta {
        annotations: Some(BTreeMap::from([(key.to_owned(), "true".to_owned())])),
        ..ObjectMeta::default()
    };
    class.set_object(Some(&meta("reroll.dev/ignore")));
    assert_eq!(said(&class), (true, false));
    class.set_object(Some(&meta("reloader.stakater.com/match")));
    assert_eq!(said(&class), (false, true));
    class.set_object(None);
    assert_eq!(said(&class), (false, false));
    class.hide("p");
    assert!(class.is_gone());
}

/// What the driver and people do.
#[derive(Clone, Debug)]
enum Step {
    /// The store has something newer.
    Rotate,
    /// The driver looks after one pod.
    Poll(usize),
    /// A pod starts.
    Start,
    /// A pod goes.
    Stop(usize),
    /// Labels of a status change.
    Touch(usize),
    /// All pods are replaced, as by a rollout, one by one.
    Roll,
    /// The watch breaks, and lists again.
    Relist,
    /// reroll ends, and starts again later.
    Restart(Vec<Self>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Rotate),
        6 => (0..4usize).prop_map(Step::Poll),
        3 => Just(Step::Start),
        3 => (0..4usize).prop_map(Step::Stop),
        1 => (0..4usize).prop_map(Step::Touch),
        2 => Just(Step::Roll),
        1 => Just(Step::Relist),
    ];
    let away = proptest::collection::vec(step.clone(), 0..8).prop_map(Step::Restart);
    proptest::collection::vec(prop_oneof![8 => step, 1 => away], 1..60)
}

struct Driven {
    version: u64,
    generation: i64,
    at: u64,
    /// What its pod started with.
    began: u64,
}

/// A cluster with one workload, whose pods mount one class, and reroll.
struct Cluster {
    /// Each pod gets something of its own.
    each: bool,
    rv: u64,
    store: u64,
    born: u64,
    pods: BTreeMap<String, Driven>,
    class: Class,
    away: bool,
    world: World,
    observed: Option<Observed>,
    restarts: u64,
    /// What was written into statuses of pods that ran already.
    rewritten: BTreeSet<u64>,
}

impl Cluster {
    fn new(each: bool) -> Self {
        let class = SourceName::secret_provider_class(CLASS);
        let world = World::new().with(&class, whole(Need::Required), NEVER);
        Self {
            each,
            rv: 10,
            store: 1,
            born: 0,
            pods: BTreeMap::new(),
            class: Class::default(),
            away: false,
            world,
            observed: None,
            restarts: 0,
            rewritten: BTreeSet::new(),
        }
    }

    fn fetched(&self) -> u64 {
        if self.each {
            1_000_000 + self.rv
        } else {
            self.store
        }
    }

    fn shown(&self, name: &str) -> PodStatus {
        let pod = &self.pods[name];
        status(
            name,
            pod.at,
            pod.generation,
            &[("a", &pod.version.to_string())],
        )
    }

    fn tell(&mut self, name: &str) {
        if !self.away {
            let shown = self.shown(name);
            self.class.show(name, shown);
            self.look();
        }
    }

    fn nth(&self, number: usize) -> Option<String> {
        self.pods.keys().nth(number).cloned()
    }

    fn start(&mut self) {
        self.rv += 1;
        self.born += 1;
        let name = format!("pod-{}", self.born);
        let version = self.fetched();
        let pod = Driven {
            version,
            generation: 1,
            at: self.rv,
            began: version,
        };
        self.pods.insert(name.clone(), pod);
        self.tell(&name);
    }

    fn stop(&mut self, name: &str) {
        self.pods.remove(name);
        if !self.away {
            self.class.hide(name);
            self.look();
        }
    }

    fn roll(&mut self) {
        for name in self.pods.keys().cloned().collect::<Vec<_>>() {
            self.start();
            self.stop(&name);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Rotate => self.store += 1,
            Step::Poll(number) => {
                let Some(name) = self.nth(*number) else {
                    return;
                };
                let fetched = self.store;
                let pod = self.pods.get_mut(&name).unwrap();
                if self.each || pod.version == fetched {
                    return;
                }
                self.rv += 1;
                self.rewritten.insert(fetched);
                (pod.version, pod.at) = (fetched, self.rv);
                pod.generation += 1;
                self.tell(&name);
            }
            Step::Start => self.start(),
            Step::Stop(number) => {
                if let Some(name) = self.nth(*number) {
                    self.stop(&name);
                }
            }
            Step::Touch(number) => {
                let Some(name) = self.nth(*number) else {
                    return;
                };
                self.rv += 1;
                self.pods.get_mut(&name).unwrap().at = self.rv;
                self.tell(&name);
            }
            Step::Roll => self.roll(),
            Step::Relist => {
                for name in self.pods.keys().cloned().collect::<Vec<_>>() {
                    self.tell(&name);
                }
            }
            Step::Restart(meanwhile) => {
                self.away = true;
                for step in meanwhile {
                    self.take(step);
                }
                self.away = false;
                self.class = Class::default();
                for name in self.pods.keys() {
                    let shown = self.shown(name);
                    self.class.show(name, shown);
                }
                self.look();
            }
        }
    }

    fn look(&mut self) {
        let class = SourceName::secret_provider_class(CLASS);
        self.class.settle();
        let live = Live::Present(self.class.version());
        self.world.set(&class, live);
        let known = self
            .observed
            .as_ref()
            .map_or(Known::Nothing, Known::Observed);
        let decision: Decision = self.world.decide(known);
        assert!(
            matches!(
                decision.outcome(),
                Outcome::Keep | Outcome::Record | Outcome::Restart
            ),
            "nothing waits for what nobody provides yet: {decision:?}"
        );
        self.observed = Some(self.world.carry_out(&decision));
        if decision.outcome() == Outcome::Restart {
            self.restarts += 1;
            // Pods start anew, and that must be no news.
            let before = self.restarts;
            self.roll();
            assert_eq!(self.restarts, before, "a roll caused a roll");
        }
    }
}

proptest! {
    #[test]
    fn each_rotation_restarts_once_and_a_roll_never(steps in steps()) {
        let mut cluster = Cluster::new(false);
        cluster.look();
        for step in &steps {
            let before = cluster.restarts;
            cluster.take(step);
            let made = cluster.restarts - before;
            let allowed = u64::from(matches!(step, Step::Poll(_) | Step::Restart(_)));
            prop_assert!(made <= allowed, "{step:?}");
            // Whoever is behind what his own status shows was restarted for it.
            for pod in cluster.pods.values() {
                prop_assert_eq!(pod.began, pod.version, "{:?}", step);
            }
        }
        prop_assert!(cluster.restarts <= cluster.rewritten.len() as u64);
    }

    #[test]
    fn what_is_another_for_each_pod_restarts_nothing(steps in steps()) {
        let mut cluster = Cluster::new(true);
        cluster.look();
        for step in &steps {
            cluster.take(step);
        }
        prop_assert_eq!(cluster.restarts, 0);
    }
}
