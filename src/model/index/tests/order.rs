//! Whatever order events come in, doubled or late: the newest state counts.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Applied(SourceKey, Version),
    Deleted(SourceKey, u64),
    Workload(Shown),
}

impl Event {
    fn feed(self, index: &mut Index) {
        match self {
            Self::Applied(key, version) => drop(index.apply_source(&key, version)),
            Self::Deleted(key, rv) => drop(index.delete_source(&key, rv, 0)),
            Self::Workload(shown) => shown.apply(index),
        }
    }
}

const NAMES: [&str; 3] = ["a", "b", "app-1"];
const OPT_INS: [&str; 5] = [
    "auto",
    "secret/app-*",
    "secret/a,secret/app-*",
    "off",
    "nonsense",
];

/// What the API server would say, one after another: every event with a resourceVersion of its own.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let steps = proptest::collection::vec((0..3usize, 0..6u8, 0..5usize, any::<bool>()), 1..14);
    steps.prop_map(|steps| {
        let mut exists: BTreeMap<&str, String> = BTreeMap::new();
        let mut events = Vec::new();
        for (rv, (which, what, opt_in, flag)) in (10..).zip(steps) {
            let name = NAMES[which];
            match what {
                0..=2 => {
                    let uid = exists
                        .entry(name)
                        .or_insert_with(|| format!("uid-{rv}"))
                        .clone();
                    let value = if flag { "x" } else { "y" };
                    events.push(Event::Applied(at(name), v(name, &uid, rv, value)));
                }
                3 if exists.remove(name).is_some() => {
                    events.push(Event::Deleted(at(name), rv));
                }
                3 => {}
                _ => events.push(Event::Workload(Shown {
                    name: if flag { "one" } else { "two" },
                    restart_on: Some(OPT_INS[opt_in]),
                    secrets: if which == 0 {
                        vec!["a", "b"]
                    } else {
                        vec!["a"]
                    },
                    ..shown(rv)
                })),
            }
        }
        events
    })
}

/// All that can be seen of an index.
fn view(index: &Index) -> String {
    let mut lines = Vec::new();
    for name in NAMES {
        let found = match index.source(NAMESPACE, &SourceName::secret(name)) {
            Lookup::Present { version, .. } => format!("{version:?}"),
            // What it was is only remembered by those who saw it.
            Lookup::Absent { since, .. } => format!("absent since {since}"),
            Lookup::Unsynced | Lookup::Unseen => unreachable!("all lists are in"),
        };
        let mut users: Vec<_> = index
            .users(&at(name))
            .iter()
            .map(ToString::to_string)
            .collect();
        users.sort();
        lines.push(format!("{name} {found} {users:?}"));
    }
    let mut workloads = index.workloads(None, None);
    workloads.sort();
    for key in workloads {
        let tracked = index.workload(&key).unwrap();
        let decision = index
            .assess(&key, &Overlay::new())
            .map(|decision| decision.outcome());
        let rv = tracked.workload.resource_version;
        lines.push(format!("{key} {rv} {:?} {decision:?}", tracked.uses()));
    }
    lines.join("\n")
}

fn index_of(events: &[Event]) -> Index {
    let mut index = synced();
    for event in events {
        event.clone().feed(&mut index);
    }
    index
}

type Edges = BTreeSet<(SourceName, WorkloadKey)>;

/// The edges, from nothing but what is known of sources and workloads.
fn edges_from_scratch(index: &Index) -> Edges {
    let present: Vec<_> = index
        .sources(SourceKind::Secret, None)
        .into_keys()
        .map(|key| key.source)
        .collect();
    let mut edges = Edges::new();
    for key in index.workloads(None, None) {
        let tracked = index.workload(&key).unwrap();
        let Selection::Some(rules) = &tracked.policy.selection else {
            continue;
        };
        let observed: Vec<_> = tracked
            .observed()
            .map(|observed| observed.entries.keys().cloned().collect())
            .unwrap_or_default();
        let uses = rules.select(
            &tracked.workload.references,
            present.iter().chain(&observed),
        );
        assert_eq!(&uses, tracked.uses());
        edges.extend(uses.into_iter().map(|(source, _)| (source, key.clone())));
    }
    edges
}

fn edges(index: &Index) -> Edges {
    let space = index.namespaces.get(NAMESPACE).into_iter();
    let edges = space.flat_map(|space| space.edges.all());
    let key = |(kind, name): &(Kind, String)| WorkloadKey {
        kind,
        namespace: NAMESPACE.to_owned(),
        name: name.clone(),
    };
    edges
        .map(|(source, slot)| (source.clone(), key(slot)))
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (history, shuffled) in history().prop_flat_map(|history| {
            let twice: Vec<_> = history.iter().chain(&history).cloned().collect();
            (Just(history), Just(twice).prop_shuffle())
        }),
    ) {
        let ordered = index_of(&history);
        let muddled = index_of(&shuffled);
        prop_assert_eq!(view(&muddled), view(&ordered));
    }

    #[test]
    fn a_late_replay_changes_nothing(history in history(), late in any::<prop::sample::Index>()) {
        let mut index = index_of(&history);
        let before = view(&index);
        if !history.is_empty() {
            late.get(&history).clone().feed(&mut index);
        }
        prop_assert_eq!(view(&index), before);
    }

    #[test]
    fn edges_are_as_from_scratch(history in history(), judged in proptest::collection::vec(any::<bool>(), 14)) {
        let mut index = synced();
        for (event, judges) in history.into_iter().zip(judged) {
            event.feed(&mut index);
            for key in index.workloads(None, None) {
                index.set_started(&key, true);
                if judges {
                    index.judge(&key, &Overlay::new());
                }
            }
            prop_assert_eq!(edges(&index), edges_from_scratch(&index));
        }
    }
}
