//! What holds for a workload as a whole: whose `observed` it is, several rows at once, holds.

use super::*;
use Need::{Optional, Required};

const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

fn t() -> SourceName {
    SourceName::config_map("t")
}

fn one(live: Live) -> World {
    World::new().with(&s(), whole(Required), live)
}

fn seen(uid: &str, rv: u64, data: &[(&str, &str)]) -> (SourceName, Entry) {
    (s(), Entry::of(&v(uid, rv, data), &whole(Required)))
}

fn kinds(decision: &Decision) -> Vec<CauseKind> {
    decision.causes().iter().map(|cause| cause.kind).collect()
}

#[test]
fn nothing_observed_is_adopted() {
    let world = one(Live::Present(v("A", 10, X)));
    let decision = world.decide(Known::Nothing);
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Record, vec![])
    );
    let next = decision.next().cloned().unwrap();
    assert_eq!(next.entries, Entries::from_iter([seen("A", 10, X)]));
    assert_eq!(next.restarted_for, world.restarted_for);
    assert_eq!(
        (next.workload_uid.as_str(), next.created_at),
        (WORKLOAD, None)
    );
}

#[test]
fn what_belongs_to_another_workload_is_nothing() {
    let world = one(Live::Present(v("B", 20, Y)));
    let mut copied = world.observed([seen("A", 10, X)]);
    copied.workload_uid = "another".to_owned();
    copied.restarted_for = "another's".to_owned();
    for known in [Known::Observed(&copied), Known::OtherKey(&copied)] {
        let decision = world.decide(known);
        assert_eq!(
            (decision.outcome(), kinds(&decision)),
            (Outcome::Record, vec![])
        );
        assert_eq!(
            decision.next().cloned().unwrap().restarted_for,
            world.restarted_for
        );
    }
}

#[test]
fn made_at_create_counts_for_thirty_seconds() {
    for (at, live, outcome) in [
        (CREATED, X, Outcome::Record),
        (CREATED + 30, X, Outcome::Record),
        (CREATED - 30, Y, Outcome::Restart),
        (CREATED + 30, Y, Outcome::Restart),
        (CREATED + 31, Y, Outcome::Record),
        (CREATED - 31, Y, Outcome::Record),
        (i64::MIN, Y, Outcome::Record),
        (i64::MAX, Y, Outcome::Record),
    ] {
        let world = one(Live::Present(v("A", 11, live)));
        let mut made = world.observed([seen("A", 10, X)]);
        made.workload_uid = String::new();
        made.created_at = Some(at);
        for known in [Known::Observed(&made), Known::OtherKey(&made)] {
            let decision = world.decide(known);
            let expected = match known {
                Known::OtherKey(_) => Outcome::Record,
                _ => outcome,
            };
            assert_eq!(decision.outcome(), expected, "{at}");
            let next = decision.next().cloned().unwrap();
            assert_eq!(
                (next.workload_uid.as_str(), next.created_at),
                (WORKLOAD, None)
            );
        }
    }
}

#[test]
fn a_time_with_a_uid_counts_by_the_uid() {
    let world = one(Live::Present(v("A", 11, Y)));
    let mut odd = world.observed([seen("A", 10, X)]);
    odd.created_at = Some(0);
    let decision = world.decide(Known::Observed(&odd));
    assert_eq!(decision.outcome(), Outcome::Restart);
    assert_eq!(decision.next().cloned().unwrap().created_at, None);
}

#[test]
fn a_newer_format_is_left_alone() {
    let decision = one(Live::Present(v("A", 10, X))).decide(Known::Newer);
    assert_eq!(decision, Decision::Undecided(Undecided::NewerFormat));
}

#[test]
fn under_another_digest_key_uids_count_and_digests_are_adopted_again() {
    let other = |uid: &str, data: &[(&str, &str)]| {
        let version = version_under(&other_key(), &s(), uid, 10, data);
        (s(), Entry::of(&version, &whole(Required)))
    };
    let world = one(Live::Present(v("A", 12, Y)));
    let mut before = world.observed([other("A", X)]);
    before.key_id = other_key().id().to_owned();
    let decision = world.decide(Known::OtherKey(&before));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Record, vec![])
    );
    let next = decision.next().cloned().unwrap();
    assert_eq!(next.key_id, key().id());
    assert_eq!(next.entries, Entries::from_iter([seen("A", 12, Y)]));

    for on_recreate in [OnRecreate::Restart, OnRecreate::Content] {
        // Whether the data is the same cannot be told, so another uid counts whatever the policy.
        let world = one(Live::Present(v("B", 12, X))).on_recreate(on_recreate);
        let mut before = world.observed([other("A", X)]);
        before.key_id = other_key().id().to_owned();
        let decision = world.decide(Known::OtherKey(&before));
        assert_eq!(
            (decision.outcome(), kinds(&decision)),
            (Outcome::Restart, vec![CauseKind::Recreated])
        );
    }
}

#[test]
fn another_uid_under_another_digest_key_stays_pending_while_something_is_absent() {
    let mut world = one(Live::Present(v("B", 12, X))).with(&t(), whole(Required), GONE);
    let version = version_under(&other_key(), &s(), "A", 10, X);
    let mut before = world.observed([
        (s(), Entry::of(&version, &whole(Required))),
        (t(), Entry::Waiting),
    ]);
    before.key_id = other_key().id().to_owned();
    let decision = world.decide(Known::OtherKey(&before));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Wait, vec![CauseKind::Recreated])
    );
    let next = world.carry_out(&decision);
    world.set(&t(), Live::Present(version_under(&key(), &t(), "T", 20, X)));
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Restart, vec![CauseKind::Recreated])
    );
}

#[test]
fn a_template_that_was_rolled_back_restarts() {
    let mut world = one(Live::Present(v("A", 10, X)));
    let before = world.observed([seen("A", 10, X)]);
    for template in ["", "older"] {
        world.restarted_for = template.to_owned();
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(
            (decision.outcome(), kinds(&decision)),
            (Outcome::Restart, vec![CauseKind::RolledBack])
        );
        let rf = decision.next().cloned().unwrap().restarted_for;
        assert!(![template, &before.restarted_for].contains(&rf.as_str()));
    }
}

#[test]
fn one_restart_carries_all_causes() {
    let mut world = World::new()
        .with(&s(), whole(Required), Live::Present(v("A", 11, Y)))
        .with(
            &t(),
            whole(Optional),
            Live::Present(version(&t(), "T2", 20, X)),
        );
    let before = world.observed([
        seen("A", 10, X),
        (t(), Entry::of(&version(&t(), "T", 9, X), &whole(Optional))),
    ]);
    world.restarted_for = "older".to_owned();
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let mut found = kinds(&decision);
    found.sort();
    assert_eq!(
        found,
        [
            CauseKind::Updated,
            CauseKind::Recreated,
            CauseKind::RolledBack
        ]
    );
    let next = world.carry_out(&decision);
    let again = world.decide(Known::Observed(&next));
    assert_eq!((again.outcome(), again.causes()), (Outcome::Keep, &[][..]));
}

#[test]
fn nothing_restarts_while_something_required_is_absent() {
    for absent in [
        Entry::Waiting,
        Entry::Unknown,
        Entry::of(&version(&t(), "T", 9, X), &whole(Required)),
    ] {
        let mut world = one(Live::Present(v("A", 11, Y))).with(&t(), whole(Required), GONE);
        let before = world.observed([seen("A", 10, X), (t(), absent.clone())]);
        world.restarted_for = "older".to_owned();
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), Outcome::Wait, "{absent:?}");
        assert_eq!(
            kinds(&decision),
            [CauseKind::Updated, CauseKind::RolledBack],
            "what is pending is said"
        );
        assert_eq!(decision.missing(), [t()]);
        assert_eq!(decision.next(), Some(&before), "and stays pending");

        world.set(&t(), Live::Present(version(&t(), "T", 30, X)));
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), Outcome::Restart, "{absent:?}");
    }
}

#[test]
fn something_optional_that_is_absent_holds_nothing_up() {
    let mut world = one(Live::Present(v("A", 11, Y)))
        .on_recreate(OnRecreate::Content)
        .with(&t(), whole(Optional), GONE);
    let before = world.observed([
        seen("A", 10, X),
        (t(), Entry::of(&version(&t(), "T", 9, X), &whole(Optional))),
    ]);
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Restart, vec![CauseKind::Updated])
    );
    // The pods have started without it now: it counts when it comes back, whatever is in it.
    let next = world.carry_out(&decision);
    world.set(&t(), Live::Present(version(&t(), "T2", 30, X)));
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Restart, vec![CauseKind::Created])
    );
}

#[test]
fn before_a_restart_an_older_view_of_an_absence_is_made_sure_of() {
    let world = one(Live::Present(v("A", 11, Y)))
        .with(&t(), whole(Optional), NEVER)
        .on_recreate(OnRecreate::Content);
    let before = world.observed([
        seen("A", 10, X),
        (t(), Entry::of(&version(&t(), "T", 9, X), &whole(Optional))),
    ]);
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision, Decision::doubted(Doubt::Behind, vec![t()]));
}

#[test]
fn one_source_that_is_not_seen_leaves_all_undecided() {
    let behind = one(Live::Present(v("A", 11, Y))).with(
        &t(),
        whole(Optional),
        Live::Present(version(&t(), "T", 8, X)),
    );
    let before = behind.observed([
        seen("A", 10, X),
        (t(), Entry::of(&version(&t(), "T", 9, X), &whole(Optional))),
    ]);
    assert_eq!(
        behind.decide(Known::Observed(&before)),
        Decision::doubted(Doubt::Behind, vec![t()])
    );
}

#[test]
fn a_reference_that_is_gone_takes_its_entry_along() {
    let world = one(Live::Present(v("A", 10, X)));
    let before = world.observed([seen("A", 10, X), (t(), Entry::Unknown)]);
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Record);
    assert_eq!(
        decision.next().cloned().unwrap().entries,
        Entries::from_iter([seen("A", 10, X)])
    );
}

#[test]
fn deletion_restarts_once_and_so_does_what_follows() {
    let mut world = World::new()
        .with(&s(), whole(Optional), GONE)
        .on_delete(OnDelete::Restart);
    let before = world.observed([(s(), Entry::of(&v("A", 10, X), &whole(Optional)))]);
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Restart, vec![CauseKind::Deleted])
    );
    let next = world.carry_out(&decision);
    assert_eq!(
        world.decide(Known::Observed(&next)).outcome(),
        Outcome::Keep
    );
    world.set(&s(), Live::Present(v("B", 12, X)));
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = world.carry_out(&decision);
    assert_eq!(
        world.decide(Known::Observed(&next)).outcome(),
        Outcome::Keep
    );
}

#[test]
fn a_sequence_at_its_end_does_not_panic() {
    let world = one(Live::Present(v("A", 11, Y)));
    let mut before = world.observed([seen("A", 10, X)]);
    before.sequence = u64::MAX;
    assert_eq!(
        world.decide(Known::Observed(&before)).outcome(),
        Outcome::Restart
    );
    let restart = restart_for(&world.subject(), &before, Vec::new(), &key());
    assert_eq!(restart.next.sequence, u64::MAX);
}
