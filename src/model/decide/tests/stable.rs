//! What holds after every decision, whatever happened before: it is stable, it never goes back, and it restarts exactly
//! where pods run with something else than what exists.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use Need::{Optional, Required};

/// Something that happens to a source.
#[derive(Clone, Debug)]
enum Event {
    Write(usize, Data),
    Recreate(usize, Data),
    Delete(usize),
    /// A use of the source changes without the webhook seeing it: the pods roll.
    Use(usize, Usage),
    Unuse(usize),
    /// The template is taken back behind the webhook.
    RollBack,
}

type Data = BTreeMap<&'static str, &'static str>;

fn source(number: usize) -> SourceName {
    match number {
        0 => SourceName::secret("a"),
        1 => SourceName::secret("b"),
        _ => SourceName::config_map("a"),
    }
}

fn data() -> impl Strategy<Value = Data> {
    proptest::collection::btree_map(
        prop::sample::select(vec!["k", "l"]),
        prop::sample::select(vec!["1", "2"]),
        0..3,
    )
}

fn usage() -> impl Strategy<Value = Usage> {
    let need = || prop::sample::select(vec![Optional, Required]);
    let needs = prop::sample::select(vec![Optional, Need::AsFile, Required]);
    let keys = proptest::collection::btree_map(prop::sample::select(vec!["k", "l"]), needs, 0..3);
    (need(), any::<bool>(), any::<bool>(), keys).prop_map(|(need, all, in_volume, keys)| {
        let keys: litemap::LiteMap<_, _> =
            keys.into_iter().map(|(k, n)| (k.to_owned(), n)).collect();
        let held = in_volume.then(|| Held {
            whole: true,
            keys: keys.clone(),
        });
        let stronger = |need| if need == Need::AsFile { Required } else { need };
        Usage {
            need: keys
                .values()
                .copied()
                .map(stronger)
                .max()
                .unwrap_or(need)
                .max(if all { need } else { Optional }),
            whole: all || keys.is_empty(),
            keys,
            held: held.filter(|_| !all).map(Box::new),
            left_out: None,
            env: true,
            volume: false,
            mixed: false,
            if_matched: false,
        }
    })
}

fn happening() -> impl Strategy<Value = Event> {
    let at = || 0..3usize;
    prop_oneof![
        4 => (at(), data()).prop_map(|(at, data)| Event::Write(at, data)),
        4 => (at(), data()).prop_map(|(at, data)| Event::Recreate(at, data)),
        4 => at().prop_map(Event::Delete),
        1 => (at(), usage()).prop_map(|(at, usage)| Event::Use(at, usage)),
        1 => at().prop_map(Event::Unuse),
        1 => Just(Event::RollBack),
    ]
}

/// A cluster as far as one workload sees it.
struct Cluster {
    world: World,
    rv: u64,
    /// uid and data of what exists.
    exists: BTreeMap<SourceName, (u64, Data)>,
    /// A machine makes all sources.
    by_machine: bool,
}

impl Cluster {
    fn new(policy: (OnDelete, OnRecreate), started: bool) -> Self {
        let mut world = World::new().on_delete(policy.0).on_recreate(policy.1);
        world.started = Some(started);
        Self {
            world,
            rv: 100,
            exists: BTreeMap::new(),
            by_machine: false,
        }
    }

    fn put(&mut self, source: &SourceName, uid: u64, data: Data) {
        let list: Vec<_> = data.iter().map(|(k, v)| (*k, *v)).collect();
        let mut version = version(source, &uid.to_string(), self.rv, &list);
        version.origin.by_machine = self.by_machine;
        self.world.set(source, Live::Present(version));
        self.exists.insert(source.clone(), (uid, data));
    }

    fn delete(&mut self, source: &SourceName) {
        if self.exists.remove(source).is_some() {
            let Some(Live::Present(last)) = self.world.live.get(source).cloned() else {
                unreachable!("what exists was put")
            };
            let gone = Live::Absent {
                last: Some(last),
                since: self.rv,
            };
            self.world.set(source, gone);
        }
    }

    fn happen(&mut self, event: Event) {
        self.rv += 1;
        match event {
            Event::Write(at, data) => {
                let uid = self
                    .exists
                    .get(&source(at))
                    .map_or(self.rv, |(uid, _)| *uid);
                self.put(&source(at), uid, data);
            }
            Event::Recreate(at, data) => {
                self.delete(&source(at));
                self.rv += 1;
                self.put(&source(at), self.rv, data);
            }
            Event::Delete(at) => self.delete(&source(at)),
            Event::Use(at, usage) => {
                self.world.uses.insert(source(at), usage);
                self.world.generation += 1;
            }
            Event::Unuse(at) => {
                self.world.uses.remove(&source(at));
                self.world.generation += 1;
            }
            Event::RollBack => {
                self.world.restarted_for = "older".to_owned();
                self.world.generation += 1;
            }
        }
    }
}

fn policy() -> impl Strategy<Value = (OnDelete, OnRecreate)> {
    (
        prop::sample::select(vec![OnDelete::Wait, OnDelete::Restart]),
        prop::sample::select(OnRecreate::ALL.to_vec()),
    )
}

/// Versions never go back, and the sequence counts what changed.
fn forward(before: &Observed, next: &Observed) {
    for (source, entry) in &next.entries {
        let Some(old) = before.entries.get(source) else {
            continue;
        };
        if entry.resource_version() > 0 {
            assert!(
                entry.resource_version() >= old.resource_version(),
                "{old:?} {entry:?}"
            );
        }
    }
    assert_eq!(next.sequence, before.sequence + u64::from(next != before));
}

proptest! {
    #[test]
    fn every_decision_is_stable(
        policy in policy(),
        by_machine in any::<bool>(),
        started in any::<bool>(),
        events in proptest::collection::vec(happening(), 1..24),
    ) {
        let mut cluster = Cluster::new(policy, started);
        cluster.by_machine = by_machine;
        let decision = cluster.world.decide(Known::Nothing);
        let mut observed = cluster.world.carry_out(&decision);
        let mut used = BTreeSet::from([observed.restarted_for.clone(), "older".to_owned()]);
        for event in events {
            cluster.happen(event);
            let decision = cluster.world.decide(Known::Observed(&observed));
            prop_assert!(!matches!(decision.outcome(), Outcome::Undecided(_)), "{decision:?}");
            let next = cluster.world.carry_out(&decision);
            forward(&observed, &next);
            let restarted = decision.outcome() == Outcome::Restart;
            prop_assert_eq!(restarted, next.restarted_for != observed.restarted_for);
            prop_assert!(!restarted || used.insert(next.restarted_for.clone()), "never used before");
            prop_assert!(!restarted || !decision.causes().is_empty());
            if restarted {
                let held = cluster.world.meanwhile(observed.clone());
                forward(&observed, &held);
                prop_assert_eq!(&held.restarted_for, &observed.restarted_for);
                prop_assert_eq!(&cluster.world.meanwhile(held.clone()), &held);
            }

            let again = cluster.world.decide(Known::Observed(&next));
            prop_assert_eq!(again.next(), Some(&next), "nothing changes the second time");
            match decision.outcome() {
                Outcome::Keep | Outcome::Record => prop_assert_eq!(again.outcome(), Outcome::Keep),
                Outcome::Wait => {
                    prop_assert_eq!(again.outcome(), Outcome::Wait);
                    prop_assert_eq!(again.causes(), decision.causes());
                }
                _ => {
                    prop_assert!(matches!(again.outcome(), Outcome::Keep | Outcome::Wait), "{again:?}");
                    prop_assert_eq!(again.causes().to_vec(), vec![]);
                }
            }
            observed = next;
        }
    }

    /// Against pods that only know what they were started with.
    #[test]
    fn it_restarts_where_pods_run_with_something_else(
        on_recreate in prop::sample::select(OnRecreate::ALL.to_vec()),
        by_machine in any::<bool>(),
        uses in proptest::collection::vec(usage(), 1..4),
        events in proptest::collection::vec(happening(), 1..24),
        lag in proptest::collection::vec(any::<bool>(), 24),
        held in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let mut cluster = Cluster::new((OnDelete::Wait, on_recreate), true);
        cluster.by_machine = by_machine;
        for (at, usage) in uses.iter().enumerate() {
            cluster.rv += 1;
            cluster.world.uses.insert(source(at), usage.clone());
            cluster.put(&source(at), cluster.rv, Data::from([("k", "1"), ("l", "1")]));
        }
        let decision = cluster.world.decide(Known::Nothing);
        let mut observed = cluster.world.carry_out(&decision);
        let mut running: BTreeMap<_, _> = cluster.exists.clone();
        for (event, (lag, held)) in events.into_iter().zip(lag.into_iter().zip(held)) {
            if matches!(event, Event::Use(..) | Event::Unuse(_) | Event::RollBack) {
                continue;
            }
            cluster.happen(event);
            if lag {
                continue;
            }
            let decision = cluster.world.decide(Known::Observed(&observed));
            let cannot_start = cluster.world.uses.iter().any(|(source, usage)| {
                let exists = cluster.exists.get(source);
                exists.map_or(usage.need == Required, |(_, data)| {
                    usage.keys.iter().any(|(key, need)| *need != Optional && !data.contains_key(key.as_str()))
                })
            });
            let outdated = cluster.world.uses.iter().any(|(source, usage)| {
                match (running.get(source), cluster.exists.get(source)) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some((old_uid, old)), Some((uid, data))) => {
                        let named = usage.keys.keys().any(|key| old.get(key.as_str()) != data.get(key.as_str()));
                        let by_content = match on_recreate {
                            OnRecreate::Restart => false,
                            OnRecreate::Content => true,
                            OnRecreate::Auto => by_machine && usage.need == Required,
                        };
                        let other_uid = old_uid != uid && !by_content;
                        other_uid || named || (usage.whole && old != data)
                    }
                }
            });
            let expected = match (cannot_start, outdated) {
                (true, _) => [Outcome::Wait].as_slice(),
                (false, true) => &[Outcome::Restart],
                (false, false) => &[Outcome::Keep, Outcome::Record, Outcome::Wait],
            };
            prop_assert!(expected.contains(&decision.outcome()), "{:?} {:?}", expected, decision);
            if held && decision.outcome() == Outcome::Restart {
                observed = cluster.world.meanwhile(observed);
                let again = cluster.world.decide(Known::Observed(&observed));
                prop_assert_eq!(again.causes(), decision.causes());
                continue;
            }
            observed = cluster.world.carry_out(&decision);
            if decision.outcome() == Outcome::Restart {
                running.clone_from(&cluster.exists);
            }
        }
    }
}
