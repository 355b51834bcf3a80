use proptest::prelude::*;
use serde_json::Value;

use super::{
    super::{
        patch,
        testing::*,
        version::Version,
        workload::{KINDS, OlderPods, Workload, bare_template},
    },
    *,
};
use Need::{Optional, Required};

mod parts;

const KIND: Kind = &KINDS[0];
const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

fn s() -> SourceName {
    SourceName::secret("s")
}

fn v(uid: &str, rv: u64, data: &[(&str, &str)]) -> Version {
    version(&s(), uid, rv, data)
}

impl World {
    fn stamp(&self, known: Known) -> Option<Stamp> {
        stamp_update(
            &self.subject(),
            known,
            &|source: &SourceName| self.lookup(source),
            &key(),
        )
    }
}

fn one(usage: Usage, live: Live) -> World {
    World::new().with(&s(), usage, live)
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn what_a_template_change_records() {
    let whole_r = whole(Required);
    let seen = |uid: &str, rv, data| Entry::of(&v(uid, rv, data), &whole(Required));
    let a_x = seen("A", 10, X);
    let deleted = Entry::Deleted {
        uid: "A".to_owned(),
        resource_version: 10,
        immutable: false,
    };
    let tombstone = |since| Live::Absent { last: None, since };
    // What was observed, what is there, what is recorded, and whether that is an advance.
    let rows = [
        (
            "as observed",
            Some(a_x.clone()),
            Live::Present(v("A", 11, X)),
            Some(a_x.clone()),
            false,
        ),
        (
            "other data",
            Some(a_x.clone()),
            Live::Present(v("A", 11, Y)),
            Some(seen("A", 11, Y)),
            true,
        ),
        (
            "another uid",
            Some(a_x.clone()),
            Live::Present(v("B", 11, X)),
            Some(seen("B", 11, X)),
            true,
        ),
        (
            "absent",
            Some(a_x.clone()),
            tombstone(11),
            Some(Entry::Waiting),
            true,
        ),
        (
            "absent by an older view",
            Some(a_x.clone()),
            tombstone(9),
            Some(a_x.clone()),
            false,
        ),
        (
            "an older view",
            Some(a_x.clone()),
            Live::Present(v("A", 9, Y)),
            Some(a_x.clone()),
            false,
        ),
        (
            "restored",
            Some(a_x.clone()),
            Live::Fresh(v("A", 9, Y)),
            Some(seen("A", 9, Y)),
            true,
        ),
        (
            "unsynced",
            Some(a_x.clone()),
            Live::Unsynced,
            Some(a_x.clone()),
            false,
        ),
        ("new and unsynced", None, Live::Unsynced, None, false),
        (
            "unseen",
            Some(a_x.clone()),
            Live::Unseen,
            Some(a_x.clone()),
            false,
        ),
        ("new and unseen", None, Live::Unseen, None, false),
        (
            "new",
            None,
            Live::Present(v("A", 11, X)),
            Some(seen("A", 11, X)),
            false,
        ),
        ("new and absent", None, NEVER, Some(Entry::Waiting), false),
        (
            "waited for and there",
            Some(Entry::Waiting),
            Live::Present(v("A", 11, X)),
            Some(seen("A", 11, X)),
            true,
        ),
        (
            "unknown and still absent",
            Some(Entry::Unknown),
            GONE,
            Some(Entry::Waiting),
            true,
        ),
        (
            "deleted and still absent",
            Some(deleted.clone()),
            GONE,
            Some(Entry::Waiting),
            true,
        ),
        (
            "deleted and there",
            Some(deleted),
            Live::Present(v("B", 11, X)),
            Some(seen("B", 11, X)),
            true,
        ),
    ];
    for (name, before, live, after, advances) in rows {
        let world = one(whole_r.clone(), live);
        let before = world.observed(before.map(|entry| (s(), entry)));
        let stamp = world.stamp(Known::Observed(&before)).unwrap();
        assert_eq!(stamp.observed.entries.get(&s()), after.as_ref(), "{name}");
        assert_eq!(stamp.restarted_for, stamp.observed.restarted_for, "{name}");
        assert_eq!(
            stamp.restarted_for != before.restarted_for,
            advances,
            "{name}"
        );
        let waits = stamp.observed.entries.get(&s()) == Some(&Entry::Waiting);
        assert_eq!(
            stamp.waiting,
            if waits { vec![s()] } else { vec![] },
            "{name}"
        );
        if stamp.observed.entries == before.entries {
            assert_eq!(stamp.observed, before, "{name}: nothing is written");
        } else {
            assert_eq!(stamp.observed.sequence, before.sequence + 1, "{name}");
        }
    }
}

#[test]
fn absent_and_optional_is_unknown() {
    let world = one(whole(Optional), GONE);
    let stamp = world.stamp(Known::Nothing).unwrap();
    assert_eq!(stamp.observed.entries[&s()], Entry::Unknown);
    assert_eq!(stamp.waiting, []);
}

/// Else each write of the template after such a restart would get a fresh mark, and an owner who takes the restart back
/// would cause another one.
#[test]
fn a_deletion_that_was_answered_stays_so_while_the_source_is_absent() {
    for uid in ["A", "B"] {
        let last = Some(v(uid, 12, X));
        let world = one(whole(Optional), Live::Absent { last, since: 13 });
        let deleted = Entry::Deleted {
            uid: "A".to_owned(),
            resource_version: 10,
            immutable: false,
        };
        let before = world.observed([(s(), deleted)]);
        let stamp = world.stamp(Known::Observed(&before)).unwrap();
        assert_eq!(stamp.observed, before, "{uid}");
        assert_eq!(stamp.restarted_for, before.restarted_for, "{uid}");
    }
}

#[test]
fn a_missing_required_key_is_waited_for() {
    let world = one(
        keyed(&[("k", Required), ("l", Optional)]),
        Live::Present(v("A", 10, &[])),
    );
    let stamp = world.stamp(Known::Nothing).unwrap();
    let Entry::Seen { states, .. } = &stamp.observed.entries[&s()] else {
        panic!("{stamp:?}");
    };
    assert_eq!(states.get("k"), Some(&KeyState::Waiting));
    assert_eq!(states.get("l"), Some(&KeyState::Unknown));
    assert_eq!(stamp.waiting, [s()]);
}

/// Else going back would be a rollout whose pods cannot start, and not an instant one to pods that run.
#[test]
fn a_required_key_that_is_gained_again_while_it_is_away_stays_as_pods_have_it() {
    let (k, l) = (keyed(&[("k", Required)]), keyed(&[("l", Required)]));
    let both = Live::Present(v("A", 10, &[("k", "x"), ("l", "x")]));
    let mut world = one(k.clone(), both.clone());
    world.older = OlderPods::Left;
    let first = world.stamp(Known::Nothing).unwrap().observed;
    world.restarted_for.clone_from(&first.restarted_for);
    let world = world.with(&s(), l, both);
    let hung = world.stamp(Known::Observed(&first)).unwrap().observed;
    assert_eq!(hung.restarted_for, first.restarted_for);
    for uid in ["A", "B"] {
        let without = Live::Present(v(uid, 11, &[("l", "x")]));
        let world = world.clone().with(&s(), k.clone(), without);
        let stamp = world.stamp(Known::Observed(&hung)).unwrap();
        assert_eq!(stamp.restarted_for, hung.restarted_for, "{uid}");
        assert_eq!(stamp.observed.entries[&s()], first.entries[&s()], "{uid}");
    }
}

#[test]
fn a_key_that_is_used_newly_is_not_compared_with_older_versions() {
    let both = keyed(&[("k", Required), ("l", Required)]);
    let world = one(
        both.clone(),
        Live::Present(v("A", 12, &[("k", "x"), ("l", "1")])),
    );
    let before = world.observed([(s(), Entry::of(&v("A", 10, X), &keyed(&[("k", Required)])))]);
    let stamp = world.stamp(Known::Observed(&before)).unwrap();
    assert_eq!(
        stamp.observed.entries[&s()],
        Entry::of(&v("A", 12, &[("k", "x"), ("l", "1")]), &both)
    );
    assert_eq!(
        stamp.restarted_for, before.restarted_for,
        "a new key is no advance"
    );
}

#[test]
fn a_template_that_was_taken_back_gets_a_fresh_value() {
    let mut world = one(whole(Required), Live::Present(v("A", 10, X)));
    let before = world.observed([(s(), Entry::of(&v("A", 10, X), &whole(Required)))]);
    world.restarted_for = "older".to_owned();
    let stamp = world.stamp(Known::Observed(&before)).unwrap();
    assert!(!["older", &before.restarted_for].contains(&stamp.restarted_for.as_str()));
}

#[test]
fn what_is_not_understood_or_not_ours_is_left_alone() {
    let world = one(whole(Required), Live::Present(v("A", 10, X)));
    let mut before = world.observed([]);
    assert_eq!(world.stamp(Known::Newer), None);
    before.key_id = "other".to_owned();
    assert_eq!(
        world.stamp(Known::OtherKey(&before)),
        None,
        "no stamps under the wrong digest key"
    );
}

#[test]
fn what_belongs_to_another_workload_is_nothing() {
    let world = one(whole(Required), Live::Present(v("A", 9, X)));
    // Newer than what is here: taken for ours, it would stay.
    let mut copied = world.observed([(s(), Entry::of(&v("Z", 99, Y), &whole(Required)))]);
    copied.workload_uid = "another".to_owned();
    let stamp = world.stamp(Known::Observed(&copied)).unwrap();
    assert_eq!(Some(stamp), world.stamp(Known::Nothing));
}

#[test]
fn made_at_create() {
    let world = one(whole(Required), Live::Present(v("A", 10, X)));
    let create = |present: Option<&Reading>, now| {
        let live = |source: &SourceName| world.lookup(source);
        stamp_create(&world.subject(), present, &live, now, &key())
    };
    let first = create(None, CREATED);
    assert_eq!(
        (
            first.observed.workload_uid.as_str(),
            first.observed.created_at
        ),
        ("", Some(CREATED))
    );
    assert_eq!(
        first.restarted_for, world.restarted_for,
        "a new template needs no value"
    );
    // Called again in the same request it answers the same; a stale copy keeps nothing.
    let again = Reading::Genuine(first.observed.clone());
    assert_eq!(create(Some(&again), CREATED + 1), first);
    assert_eq!(
        create(Some(&again), CREATED + 31).observed.created_at,
        Some(CREATED + 31)
    );
    let others = Reading::OtherKey(first.observed.clone());
    assert_eq!(
        create(Some(&others), CREATED + 1).observed.created_at,
        Some(CREATED + 1)
    );
    let existing = Reading::Genuine(world.observed([]));
    assert_eq!(
        create(Some(&existing), CREATED).observed.created_at,
        Some(CREATED)
    );
    // The controller fills in the uid and restarts nothing.
    let decision = world.decide(Known::Observed(&first.observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
}

fn many(rv: u64, change: &str) -> World {
    let mut world = World::new();
    for number in 0..500 {
        let source = SourceName::secret(format!("{number:0>253}"));
        let value = if number == 7 { change } else { "x" };
        let live = Live::Present(version(&source, "A", rv, &[("k", value)]));
        world = world.with(&source, whole(Required), live);
    }
    world
}

#[test]
fn a_fold_that_is_the_same_is_not_written_and_another_is_an_advance() {
    let world = many(10, "x");
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    assert!(before.fold.is_some());
    let same = world.stamp(Known::Observed(&before)).unwrap();
    assert_eq!(
        (&same.observed, &same.restarted_for),
        (&before, &before.restarted_for)
    );
    let relabelled = many(12, "x").stamp(Known::Observed(&before)).unwrap();
    assert_eq!(relabelled.observed, before, "labels are no data");
    let other = many(12, "y").stamp(Known::Observed(&before)).unwrap();
    assert_ne!(other.restarted_for, before.restarted_for);
    assert_eq!(
        many(12, "y").decide(Known::Observed(&before)).outcome(),
        Outcome::Restart
    );
}

#[test]
fn a_fold_does_not_go_back() {
    let before = many(10, "y")
        .decide(Known::Nothing)
        .next()
        .cloned()
        .unwrap();
    let stamp = many(8, "x").stamp(Known::Observed(&before)).unwrap();
    assert_eq!(stamp.observed, before);
}

/// The webhook's mutation of an UPDATE, by the parts that this core gives it.
fn mutate(old: &Value, new: &Value, world: &World, known: Option<&Observed>) -> Value {
    let (before, after) = (objects::read(old), objects::read(new));
    let base = OwnAnnotations::read(KIND, &before);
    let workload = Workload::read(KIND, &after);
    let mut world = world.clone();
    world.restarted_for = base.restarted_for.clone().unwrap_or_default();
    world.uses.clone_from(&workload.references);
    let known = known.map_or(Known::Nothing, Known::Observed);
    let stamped =
        (bare_template(KIND, &before) != bare_template(KIND, &after)).then(|| world.stamp(known));
    let to = match stamped.flatten() {
        Some(stamp) => OwnAnnotations {
            observed: Some(stamp.observed.print(&key())),
            restarted_for: Some(stamp.restarted_for).filter(|text| !text.is_empty()),
            ..base
        },
        None => base,
    };
    let to = OwnAnnotations {
        kubectl: OwnAnnotations::read(KIND, &after).kubectl,
        ..to
    };
    let patch = patch::admit(
        KIND,
        workload.shape,
        &OwnAnnotations::read(KIND, &after),
        &to,
    );
    let mut mutated = new.clone();
    json_patch::patch(&mut mutated, &patch).unwrap();
    mutated
}

fn live() -> impl Strategy<Value = Live> {
    let data = || prop::sample::select(vec![X, Y]);
    let uid = || prop::sample::select(vec!["A", "B"]);
    prop_oneof![
        4 => (uid(), 5..15u64, data()).prop_map(|(uid, rv, data)| Live::Present(v(uid, rv, data))),
        1 => (5..15u64).prop_map(|since| Live::Absent { last: None, since }),
        1 => Just(GONE),
        1 => Just(Live::Unsynced),
        1 => Just(Live::Unseen),
    ]
}

proptest! {
    #[test]
    fn mutating_twice_is_mutating_once(
        old in objects::object(),
        new in objects::object(),
        observed in proptest::option::of((0..20u64, any::<bool>())),
        live in live(),
    ) {
        let world = World::new().with(&s(), whole(Required), live);
        let known = observed.map(|(rv, other)| {
            let data = if other { Y } else { X };
            world.observed([(s(), Entry::of(&v("A", rv, data), &whole(Required)))])
        });
        let once = mutate(&old, &new, &world, known.as_ref());
        prop_assert_eq!(&mutate(&old, &once, &world, known.as_ref()), &once);
        prop_assert_eq!(objects::bare(&once), objects::bare(&new), "nothing but our own is touched");
        let template = |object: &Value| bare_template(KIND, &objects::read(object));
        prop_assert_eq!(template(&once), template(&new), "our own is no change of the template");
        if template(&old) == template(&new) {
            let own = |object: &Value| OwnAnnotations::read(KIND, &objects::read(object));
            prop_assert_eq!(own(&once), own(&old), "only reroll changes its keys");
        }
    }

    #[test]
    fn entries_never_go_back_and_an_advance_is_fresh(
        lives in proptest::collection::vec(live(), 1..10),
        usages in proptest::collection::vec(prop::sample::select(vec![
            whole(Required), whole(Optional), keyed(&[("k", Required)]), keyed(&[("k", Optional), ("l", Optional)]),
        ]), 10),
    ) {
        let mut world = World::new();
        let mut before: Option<Observed> = None;
        let mut used = vec![world.restarted_for.clone()];
        for (live, usage) in lives.into_iter().zip(usages) {
            world = world.with(&s(), usage, live);
            let known = before.as_ref().map_or(Known::Nothing, Known::Observed);
            let stamp = world.stamp(known).unwrap();
            let entry = stamp.observed.entries.get(&s());
            if let Some(old) = &before {
                let old_entry = old.entries.get(&s());
                let rv = |entry: Option<&Entry>| entry.map_or(0, Entry::resource_version);
                if matches!(entry, Some(Entry::Seen { .. })) {
                    prop_assert!(rv(entry) >= rv(old_entry), "{:?} {:?}", old_entry, entry);
                }
                let advanced = match (old_entry, entry) {
                    (Some(old), Some(new)) => !same_versions(old, new),
                    _ => false,
                };
                prop_assert_eq!(advanced, stamp.restarted_for != old.restarted_for);
                prop_assert_eq!(stamp.observed.sequence, old.sequence + u64::from(stamp.observed != *old));
            }
            if used.last() != Some(&stamp.restarted_for) {
                prop_assert!(!used.contains(&stamp.restarted_for), "never used before");
                used.push(stamp.restarted_for.clone());
            }
            world.restarted_for.clone_from(&stamp.restarted_for);
            world.generation += 1;
            // What was stamped needs nothing from the controller, as far as it can see.
            let decision = world.decide(Known::Observed(&stamp.observed));
            prop_assert!(decision.causes().is_empty(), "{decision:?}");
            before = Some(stamp.observed);
        }
    }
}

/// What a machine recreated with the same data needs no mark: pods of the old template have that data, too.
#[test]
fn a_recreation_whose_content_decides_is_left_to_the_controller() {
    for (by_machine, marked) in [(true, false), (false, true)] {
        let mut live = v("B", 12, X);
        live.origin.by_machine = by_machine;
        let world = World::new().with(&s(), whole(Required), Live::Fresh(live));
        let before = world.observed([(s(), Entry::of(&v("A", 10, X), &whole(Required)))]);
        let lookup = |source: &SourceName| world.lookup(source);
        let known = Known::Observed(&before);
        let stamp = stamp_update(&world.subject(), known, &lookup, &key()).unwrap();
        assert_eq!(stamp.restarted_for != before.restarted_for, marked);
        assert_eq!(stamp.observed == before, !marked);
    }
}
