//! What is remembered of sources that went.

use super::*;

fn gone(index: &Index) -> Vec<(String, bool)> {
    let space = index.namespaces.get(NAMESPACE).unwrap();
    let mut gone: Vec<_> = space
        .sources
        .candidates(true)
        .filter_map(|name| match &space.sources.get(name)?.source {
            sources::Source::Tombstone { last, .. } => Some((name.name.clone(), last.is_some())),
            sources::Source::Present(_) => None,
        })
        .collect();
    gone.sort();
    gone
}

/// Anybody who may create and delete Secrets can make any number of them, of any size.
#[test]
fn of_what_nobody_used_little_is_remembered_and_not_for_all() {
    let mut index = synced();
    index.workloads_listed();
    shown(1).apply(&mut index);
    index.apply_source(&at("s"), v("s", "S", 2, "x"));
    index.delete_source(&at("s"), 3, 0);
    for number in 0..1000 {
        let name = format!("n{number:04}");
        let key = SourceKey {
            namespace: NAMESPACE.to_owned(),
            source: SourceName::secret(&name),
        };
        let rv = 10 + 2 * number;
        index.apply_source(&key, version(&key.source, "A", rv, &[("k", "x")]));
        index.delete_source(&key, rv + 1, 0);
    }
    let gone_now = gone(&index);
    let unused = gone_now.iter().filter(|(name, _)| name != "s");
    assert_eq!(unused.clone().count(), sources::GONE_UNUSED);
    assert!(
        unused
            .clone()
            .all(|(name, last)| !last && **name >= *"n0744")
    );
    assert!(
        gone_now.contains(&("s".to_owned(), true)),
        "somebody uses it"
    );
    index.expire(TOMBSTONE_SECONDS);
    assert_eq!(gone(&index), [("s".to_owned(), true)]);
}

/// One that is back, or is used meanwhile, is not forgotten in its turn.
#[test]
fn what_is_back_or_used_stays() {
    let mut index = synced();
    index.workloads_listed();
    for (at_, rv) in [("s", 2), ("back", 4)] {
        index.apply_source(&at(at_), v(at_, "A", rv, "x"));
        index.delete_source(&at(at_), rv + 1, 0);
    }
    index.apply_source(&at("back"), v("back", "B", 6, "x"));
    shown(7).apply(&mut index);
    for number in 0..300 {
        let name: &'static str = format!("n{number}").leak();
        index.apply_source(&at(name), v(name, "A", 10 + 2 * number, "x"));
        index.delete_source(&at(name), 11 + 2 * number, 0);
    }
    assert!(gone(&index).iter().any(|(name, _)| name == "s"));
    let back = index.source(NAMESPACE, &at("back").source);
    assert!(matches!(back, Lookup::Present { .. }));
}

/// Before all workloads are known, nobody knows what is used.
#[test]
fn before_all_are_listed_everything_is_remembered() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "S", 2, "x"));
    index.delete_source(&at("s"), 3, 0);
    assert_eq!(gone(&index), [("s".to_owned(), true)]);
}
