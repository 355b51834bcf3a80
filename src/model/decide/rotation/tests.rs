use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{
    decide::{CauseKind, Decision, Known, decide},
    policy::OnRecreate,
    source::{
        Need::{self, Optional, Required},
        Usage,
    },
    testing::{GONE, Live, Outcome, World, key, keyed, other_key, version_under, whole},
};

/// The key after the rotation, with the one before.
fn keys() -> DigestKey {
    other_key().with_previous(Some(key()))
}

fn s() -> SourceName {
    SourceName::secret("s")
}

fn v(source: &SourceName, uid: &str, rv: u64, data: &[(&str, &str)]) -> Version {
    version_under(&keys(), source, uid, rv, data)
}

fn before(source: &SourceName, uid: &str, data: &[(&str, &str)], usage: &Usage) -> Entry {
    Entry::of(&version_under(&key(), source, uid, 10, data), usage)
}

fn decided(world: &World, observed: &Observed) -> Decision {
    decide(
        &world.subject(),
        Known::Previous(observed),
        &|source| world.lookup(source),
        &keys(),
    )
}

fn kinds(decision: &Decision) -> Vec<CauseKind> {
    decision.causes().iter().map(|cause| cause.kind).collect()
}

/// A Secret that was seen with `a` and `b` under the key before, and is like this now.
fn one(live: Live) -> (World, Observed) {
    let usage = keyed(&[("a", Required), ("b", Optional)]);
    let world = World::new().with(&s(), usage.clone(), live);
    let entry = before(&s(), "A", &[("a", "1"), ("b", "2")], &usage);
    let observed = world.observed([(s(), entry)]);
    (world, observed)
}

#[test]
fn the_same_data_is_recorded_under_the_new_key() {
    let (world, observed) = one(Live::Present(v(&s(), "A", 11, &[("a", "1"), ("b", "2")])));
    let decision = decided(&world, &observed);
    assert_eq!(decision.outcome(), Outcome::Record);
    let next = decision.next().cloned().unwrap();
    assert_eq!(next.key_id, other_key().id());
    assert_eq!(next.restarted_for, observed.restarted_for);
    let again = decide(
        &world.subject(),
        Known::Observed(&next),
        &|source| world.lookup(source),
        &other_key(),
    );
    assert_eq!(
        again.outcome(),
        Outcome::Keep,
        "also when the key before is gone"
    );
}

#[test]
fn what_changed_meanwhile_is_restarted_for() {
    for (uid, data, kind) in [
        ("A", [("a", "9"), ("b", "2")], CauseKind::Updated),
        ("A", [("a", "1"), ("b", "9")], CauseKind::Updated),
        ("B", [("a", "1"), ("b", "2")], CauseKind::Recreated),
    ] {
        let (world, observed) = one(Live::Present(v(&s(), uid, 11, &data)));
        let decision = decided(&world, &observed);
        assert_eq!(
            (decision.outcome(), kinds(&decision)),
            (Outcome::Restart, vec![kind])
        );
        assert_eq!(decision.next().cloned().unwrap().key_id, other_key().id());
    }
}

#[test]
fn a_change_that_is_held_survives_the_key_before() {
    let (mut world, observed) = one(Live::Present(v(&s(), "A", 11, &[("a", "9"), ("b", "2")])));
    let t = SourceName::config_map("t");
    world = world.with(&t, whole(Required), GONE);
    let decision = decided(&world, &observed);
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Wait, vec![CauseKind::Updated])
    );
    let next = decision.next().cloned().unwrap();
    world.set(&t, Live::Fresh(v(&t, "T", 12, &[("k", "v")])));
    let decision = decide(
        &world.subject(),
        Known::Observed(&next),
        &|source| world.lookup(source),
        &other_key(),
    );
    assert!(
        decision.outcome() == Outcome::Restart && kinds(&decision).contains(&CauseKind::Updated),
        "{decision:?}"
    );
}

#[test]
fn a_recreation_with_the_same_content_is_known_by_it() {
    let data = [("a", "1"), ("b", "2")];
    let (world, observed) = one(Live::Present(v(&s(), "B", 11, &data)));
    let decision = decided(&world.on_recreate(OnRecreate::Content), &observed);
    assert_eq!(decision.outcome(), Outcome::Record);
}

#[test]
fn a_fold_is_compared_as_a_whole() {
    let names: Vec<_> = (0..300)
        .map(|number| SourceName::secret(format!("a-secret-with-a-long-name-{number:03}")))
        .collect();
    let data = |value| [("k", value)];
    let mut world = World::new();
    let mut entries = Vec::new();
    for name in &names {
        world = world.with(
            name,
            whole(Need::Required),
            Live::Present(v(name, "A", 11, &data("x"))),
        );
        entries.push((
            name.clone(),
            before(name, "A", &data("x"), &whole(Need::Required)),
        ));
    }
    let observed = world.observed(entries).fitted(&key(), &world.uses, &[]);
    assert!(observed.fold.is_some());
    let decision = decided(&world, &observed);
    assert_eq!(decision.outcome(), Outcome::Record);
    assert_eq!(decision.next().cloned().unwrap().key_id, other_key().id());
    world.set(&names[7], Live::Present(v(&names[7], "A", 12, &data("y"))));
    assert_eq!(
        kinds(&decided(&world, &observed)),
        [CauseKind::Updated],
        "one of them changed"
    );
}

fn texts(data: &[(String, String)]) -> Vec<(&str, &str)> {
    data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

proptest! {
    /// A rotation never hides a change and never invents one.
    #[test]
    fn it_decides_as_without_a_rotation(
        old in proptest::collection::btree_map("[ab]", "[xy]", 0..3),
        new in proptest::collection::btree_map("[ab]", "[xy]", 0..3),
        recreated: bool,
        content: bool,
    ) {
        let usage = keyed(&[("a", Optional), ("b", Optional)]);
        let pairs = |data: &BTreeMap<String, String>| -> Vec<(String, String)> {
            data.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let (old, new) = (pairs(&old), pairs(&new));
        let uid = if recreated { "B" } else { "A" };
        let on_recreate = if content { OnRecreate::Content } else { OnRecreate::Restart };
        let world = |version| {
            World::new()
                .with(&s(), usage.clone(), Live::Present(version))
                .on_recreate(on_recreate)
        };
        let entry = before(&s(), "A", &texts(&old), &usage);

        let plain = world(version_under(&key(), &s(), uid, 11, &texts(&new)));
        let observed = plain.observed([(s(), entry)]);
        let without = plain.decide(Known::Observed(&observed));
        let with = decided(&world(v(&s(), uid, 11, &texts(&new))), &observed);
        prop_assert_eq!(without.outcome() == Outcome::Restart, with.outcome() == Outcome::Restart);
        prop_assert_eq!(without.causes(), with.causes());
    }
}
