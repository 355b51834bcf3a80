//! What an opt-in selects is worked out before, or known: it is what matching everything anew would give.

use proptest::prelude::*;

use super::*;

const ASKS: [Option<&str>; 7] = [
    None,
    Some("auto"),
    Some("secret/a*"),
    Some("secret/*,!secret/ab"),
    Some("auto,!secret/?b,secret/c"),
    Some("secret/a*,secret/c,!secret/c"),
    Some("off"),
];
const NAMES: [&str; 4] = ["a", "ab", "c", "cb"];

#[derive(Clone, Debug)]
enum Event {
    Workload(Option<&'static str>, Vec<&'static str>),
    Source(&'static str, bool),
    Label(Option<&'static str>),
}

fn event() -> impl Strategy<Value = Event> {
    use prop::sample::{select, subsequence};
    let name = select(&NAMES[..]);
    prop_oneof![
        (select(&ASKS[..]), subsequence(&NAMES[..], 0..3))
            .prop_map(|(asks, secrets)| Event::Workload(asks, secrets)),
        (name, any::<bool>()).prop_map(|(name, exists)| Event::Source(name, exists)),
        select(&[None, Some("auto"), Some("off")][..]).prop_map(Event::Label),
    ]
}

fn workload(rv: u64, asks: Option<&'static str>, secrets: &[&'static str]) -> Shown {
    Shown {
        restart_on: asks,
        secrets: secrets.to_vec(),
        ..shown(rv)
    }
}

/// Returns what counts, each source matched now.
fn anew(index: &Index, key: &WorkloadKey) -> References {
    let tracked = index.workload(key).unwrap();
    match &tracked.policy.selection {
        Selection::Some(rules) => index.select(key, rules, &tracked.workload.references, None),
        _ => References::new(),
    }
}

proptest! {
    #[test]
    fn it_is_what_matching_anew_gives(events in prop::collection::vec((event(), any::<bool>()), 1..14)) {
        let mut index = synced();
        let key = shown(1).key();
        // What was worked out for the event before: things have changed since.
        let mut late = None;
        for (at, (event, worked_out)) in events.iter().enumerate() {
            let rv = at as u64 + 2;
            match event {
                Event::Workload(asks, secrets) => {
                    let read = workload(rv, *asks, secrets).read();
                    let now = index.ahead(&key, &read).map(|ahead| ahead.work_out(&read));
                    let fits = |(of, _): &(Workload, _)| of.asks == read.asks && of.references == read.references;
                    let before = late.take().filter(fits).and_then(|(_, foreseen)| foreseen);
                    let foreseen = if *worked_out { now } else { before };
                    index.take_workload_with(&key, read, By::Event, foreseen);
                }
                Event::Source(name, true) => {
                    let mut takers = index.takers(&self::at(name));
                    if *worked_out {
                        takers.work_out(&self::at(name).source);
                        index.take_source_with(&self::at(name), v(name, "A", rv, "x"), By::Event, &takers);
                    } else {
                        index.apply_source(&self::at(name), v(name, "A", rv, "x"));
                    }
                }
                Event::Source(name, false) => drop(index.delete_source(&self::at(name), rv, 0)),
                Event::Label(label) => drop(index.apply_namespace(NAMESPACE, label.map(ToOwned::to_owned))),
            }
            if let Some((Event::Workload(asks, secrets), _)) = events.get(at + 1) {
                let read = workload(rv + 1, *asks, secrets).read();
                let ahead = index.ahead(&key, &read).map(|ahead| ahead.work_out(&read));
                late = Some((read, ahead));
            }
            if index.workload(&key).is_some() {
                let expected = anew(&index, &key);
                prop_assert_eq!(index.workload(&key).unwrap().uses(), &expected, "{:?}", event);
                for name in NAMES {
                    let counts = expected.contains_key(&self::at(name).source);
                    prop_assert_eq!(index.is_used(&self::at(name)), counts, "{} after {:?}", name, event);
                }
            }
        }
    }
}

/// To read a list, or to match it, takes long. Neither is done for an event that changes nothing of it.
#[test]
fn an_opt_in_that_stands_is_not_read_again() {
    let mut index = synced();
    let asks = Some("secret/a*,!secret/ab");
    let key = shown(1).key();
    let first = workload(2, asks, &["a"]).read();
    assert!(index.ahead(&key, &first).is_some());
    index.apply_workload(&key, first);
    let rules = |index: &Index| match &index.workload(&key).unwrap().policy.selection {
        Selection::Some(rules) => Arc::clone(rules),
        _ => unreachable!(),
    };
    let before = rules(&index);
    let next = workload(3, asks, &["a", "c"]).read();
    assert!(index.ahead(&key, &next).is_none());
    index.apply_workload(&key, next.clone());
    assert!(Arc::ptr_eq(&before, &rules(&index)));
    // The webhook reads it no more either.
    let (policy, _, _) = index.selected(&key, &next, None);
    assert!(matches!(policy.selection, Selection::Some(read) if Arc::ptr_eq(&before, &read)));
    // What is plain is read in no time.
    assert!(
        index
            .ahead(&key, &workload(4, Some("auto, !secret/x"), &[]).read())
            .is_none()
    );
    assert!(
        index
            .ahead(&key, &workload(4, Some("secret/b*"), &[]).read())
            .is_some()
    );
}

/// An automaton is a hundred times as large as its text: whoever writes many has few of them kept.
#[test]
fn few_automata_are_kept_in_a_namespace() {
    let mut index = synced();
    for number in 0..40 {
        let object = serde_json::json!({
            "metadata": {"name": format!("w-{number}"), "namespace": NAMESPACE, "uid": format!("{number}"),
                "resourceVersion": "5",
                "annotations": {"secret.reloader.stakater.com/reload": format!("app-{number}-.*")}},
            "spec": {"template": {"spec": {"containers": []}}},
        });
        let read = Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap());
        let name = format!("w-{number}");
        index.apply_workload(
            &WorkloadKey {
                name,
                ..shown(1).key()
            },
            read,
        );
    }
    let ready = |key: &WorkloadKey| match &index.workload(key).unwrap().policy.selection {
        Selection::Some(rules) => rules.is_ready(),
        _ => false,
    };
    let all = index.workloads(None, None);
    assert_eq!(
        (all.len(), all.iter().filter(|key| ready(key)).count()),
        (40, 16)
    );
    let change = index.apply_source(&at("app-39-x"), v("app-39-x", "A", 6, "x"));
    assert_eq!(change.users.len(), 1);
}
