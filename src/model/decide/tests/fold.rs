//! Workloads whose `observed` would not fit into an annotation.

use super::*;
use crate::model::observed::LIMIT;
use Need::{Optional, Required};

const MANY: usize = 500;

fn name(number: usize) -> SourceName {
    SourceName::secret(format!("{number:0>253}"))
}

fn data(value: &str) -> [(&str, &str); 1] {
    [("k", value)]
}

fn at(number: usize, uid: &str, rv: u64, value: &str) -> Version {
    version(&name(number), uid, rv, &data(value))
}

/// [`MANY`] Secrets, and what is observed of them.
pub(super) fn many(usage: &Usage) -> (World, Observed) {
    let mut world = World::new();
    for number in 0..MANY {
        let live = Live::Present(at(number, &format!("A{number}"), 100, "x"));
        world = world.with(&name(number), usage.clone(), live);
    }
    let decision = world.decide(Known::Nothing);
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
    let observed = world.carry_out(&decision);
    assert!(observed.fold.is_some());
    settled(&world, &observed);
    (world, observed)
}

fn settled(world: &World, observed: &Observed) {
    assert!(observed.print(&key()).len() <= LIMIT);
    let decision = world.decide(Known::Observed(observed));
    assert_eq!(
        (decision.outcome(), decision.causes()),
        (Outcome::Keep, [].as_slice())
    );
    assert_eq!(decision.next(), Some(observed));
}

fn restarts(world: &mut World, observed: &Observed, kind: CauseKind) -> Observed {
    let decision = world.decide(Known::Observed(observed));
    let kinds: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
    assert_eq!((decision.outcome(), kinds), (Outcome::Restart, vec![kind]));
    let next = world.carry_out(&decision);
    settled(world, &next);
    next
}

fn tombstone(number: usize, since: u64) -> Live {
    Live::Absent {
        last: Some(at(number, &format!("A{number}"), 100, "x")),
        since,
    }
}

#[test]
fn an_update_restarts_once() {
    let (mut world, observed) = many(&Usage::named());
    world.set(&name(7), Live::Present(at(7, "A7", 101, "y")));
    restarts(&mut world, &observed, CauseKind::Updated);
}

#[test]
fn labels_of_one_restart_nothing() {
    let (mut world, observed) = many(&Usage::named());
    world.set(&name(7), Live::Present(at(7, "A7", 101, "x")));
    settled(&world, &observed);
}

#[test]
fn a_deletion_alone_restarts_nothing_and_the_recreation_does() {
    let (mut world, observed) = many(&Usage::named());
    world.set(&name(7), tombstone(7, 101));
    settled(&world, &observed);
    world.set(&name(7), Live::Present(at(7, "B", 102, "x")));
    restarts(&mut world, &observed, CauseKind::Recreated);
}

#[test]
fn a_required_one_is_waited_for() {
    for absent in [tombstone(7, 101), GONE] {
        let (mut world, observed) = many(&whole(Required));
        world.set(&name(7), absent);
        let decision = world.decide(Known::Observed(&observed));
        assert_eq!(
            (decision.outcome(), decision.causes()),
            (Outcome::Wait, &[][..])
        );
        assert_eq!(decision.next(), Some(&observed));
        assert_eq!(decision.missing(), [name(7)]);
        world.set(&name(7), Live::Present(at(7, "B", 102, "x")));
        restarts(&mut world, &observed, CauseKind::Recreated);
    }
}

#[test]
fn a_change_waits_for_what_is_absent_and_is_said() {
    let (mut world, observed) = many(&whole(Required));
    world.set(&name(7), tombstone(7, 101));
    world.set(&name(8), Live::Present(at(8, "A8", 102, "y")));
    let decision = world.decide(Known::Observed(&observed));
    let kinds: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
    assert_eq!(
        (decision.outcome(), kinds),
        (Outcome::Wait, vec![CauseKind::Updated])
    );
    assert_eq!(decision.next(), Some(&observed));
    world.set(&name(7), Live::Present(at(7, "B", 103, "x")));
    restarts(&mut world, &observed, CauseKind::Recreated);
}

#[test]
fn a_recreation_with_the_same_content_is_recorded_where_that_is_asked_for() {
    let (world, observed) = many(&Usage::named());
    let mut world = world.on_recreate(OnRecreate::Content);
    world.set(&name(7), Live::Present(at(7, "B", 102, "x")));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
    let next = world.carry_out(&decision);
    settled(&world, &next);
    world.set(&name(7), Live::Present(at(7, "C", 103, "y")));
    restarts(&mut world, &next, CauseKind::Recreated);
}

#[test]
fn the_content_of_a_fold_decides_only_where_it_does_for_all_of_it() {
    let made = |number: usize, uid: &str, rv: u64, value: &str, by_machine: bool| {
        let mut version = at(number, uid, rv, value);
        version.origin.by_machine = by_machine;
        Live::Present(version)
    };
    let (mut world, observed) = many(&whole(Required));
    let by_machines = |world: &mut World, but: Option<usize>| {
        for number in 0..MANY {
            let Some(Live::Present(version)) = world.live.get_mut(&name(number)) else {
                unreachable!("all exist")
            };
            version.origin.by_machine = Some(number) != but;
        }
    };
    by_machines(&mut world, None);
    let value = "x";
    world.set(&name(7), made(7, "B", 102, value, true));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
    // One that a person makes is enough: which of them is another cannot be told.
    by_machines(&mut world, Some(3));
    restarts(&mut world, &observed, CauseKind::Recreated);

    let (mut world, observed) = many(&Usage::named());
    by_machines(&mut world, None);
    world.set(&name(7), made(7, "B", 102, value, true));
    restarts(&mut world, &observed, CauseKind::Recreated);
}

#[test]
fn a_deletion_that_restarts_waits_for_what_is_required() {
    let (world, observed) = many(&whole(Required));
    let mut world = world.on_delete(OnDelete::Restart);
    world.set(&name(7), tombstone(7, 101));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Wait, 0)
    );
    assert_eq!(decision.next(), Some(&observed));
}

#[test]
fn an_older_view_is_no_decision_and_says_what_to_ask_for() {
    let (mut world, observed) = many(&Usage::named());
    for number in 0..MANY {
        world.set(&name(number), Live::Present(at(number, "0", 50, "w")));
    }
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Undecided(Doubt::Behind));
    assert_eq!(decision.missing().len(), MANY);
    // Asked just now, it is so: etcd was restored.
    for number in 0..MANY {
        world.set(&name(number), Live::Fresh(at(number, "0", 50, "w")));
    }
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Restart);
}

#[test]
fn the_newest_may_be_gone_without_the_rest_being_behind() {
    let (mut world, observed) = many(&Usage::named());
    world.set(&name(0), Live::Present(at(0, "A0", 200, "y")));
    let observed = restarts(&mut world, &observed, CauseKind::Updated);
    world.set(
        &name(0),
        Live::Absent {
            last: Some(at(0, "A0", 200, "y")),
            since: 201,
        },
    );
    settled(&world, &observed);
    world.set(&name(1), Live::Present(at(1, "A1", 202, "y")));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Restart);
}

#[test]
fn another_set_of_sources_is_adopted_and_few_are_no_longer_folded() {
    let (mut world, observed) = many(&whole(Required));
    world.uses.remove(&name(3));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
    let next = world.carry_out(&decision);
    settled(&world, &next);

    world.uses.retain(|source, _| *source == name(9));
    let decision = world.decide(Known::Observed(&next));
    let next = world.carry_out(&decision);
    assert_eq!(next.fold, None);
    world.set(&name(9), Live::Present(at(9, "A9", 101, "y")));
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(decision.causes()[0].source, Some(name(9)));
}

#[test]
fn a_required_one_that_is_absent_holds_also_when_the_set_is_another() {
    let (mut world, observed) = many(&whole(Required));
    world.uses.remove(&name(3));
    world.set(&name(7), tombstone(7, 101));
    world.restarted_for = "older".to_owned();
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Wait);
    assert_eq!(decision.missing(), [name(7)]);
}

#[test]
fn under_another_digest_key_the_uids_still_count() {
    let folded = |absent: Option<usize>| {
        let mut world = World::new();
        for number in 0..MANY {
            let version = version_under(
                &other_key(),
                &name(number),
                &format!("A{number}"),
                100,
                &data("x"),
            );
            world = world.with(&name(number), whole(Required), Live::Present(version));
        }
        let known = decide(
            &world.subject(),
            Known::Nothing,
            &|source: &SourceName| world.lookup(source),
            &other_key(),
        );
        let observed = known.next().cloned().unwrap();
        for number in 0..MANY {
            world.set(
                &name(number),
                Live::Present(at(number, &format!("A{number}"), 101, "y")),
            );
        }
        if let Some(absent) = absent {
            world.set(&name(absent), tombstone(absent, 102));
        }
        (world, observed)
    };
    let (mut world, observed) = folded(None);
    let decision = world.decide(Known::OtherKey(&observed));
    assert_eq!(
        (decision.outcome(), decision.causes().len()),
        (Outcome::Record, 0)
    );
    let next = world.carry_out(&decision);
    settled(&world, &next);

    let (mut world, observed) = folded(None);
    world.set(&name(7), Live::Present(at(7, "B", 103, "x")));
    let decision = world.decide(Known::OtherKey(&observed));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = world.carry_out(&decision);
    settled(&world, &next);

    // One recreated, another absent: it waits, and is not forgotten when the key is taken over.
    let (mut world, observed) = folded(Some(8));
    world.set(&name(7), Live::Present(at(7, "B", 103, "x")));
    let decision = world.decide(Known::OtherKey(&observed));
    assert_eq!(decision.outcome(), Outcome::Wait);
    let next = world.carry_out(&decision);
    world.set(&name(8), Live::Present(at(8, "A8", 104, "y")));
    restarts(&mut world, &next, CauseKind::Recreated);
}

#[test]
fn what_was_waited_for_beside_a_fold_is_taken_in_when_it_grows() {
    for changes in [false, true] {
        let mut world = World::new();
        world.started = Some(false);
        for number in 0..MANY {
            let live = if number % 10 == 0 {
                GONE
            } else {
                Live::Present(at(number, &format!("A{number}"), 100, "x"))
            };
            world = world.with(&name(number), whole(Required), live);
        }
        let decision = world.decide(Known::Nothing);
        let observed = world.carry_out(&decision);
        assert_eq!(observed.entries.len(), MANY / 10, "apart from the fold");
        assert!(observed.print(&key()).len() <= LIMIT);
        for number in (0..MANY).step_by(10) {
            world.set(
                &name(number),
                Live::Present(at(number, "a-uid-of-usual-length-is-this-long-", 101, "x")),
            );
        }
        if changes {
            world.set(&name(1), Live::Present(at(1, "A1", 102, "y")));
        }
        let decision = world.decide(Known::Observed(&observed));
        if changes {
            restarts(&mut world, &observed, CauseKind::Updated);
        } else {
            assert_eq!(
                (decision.outcome(), decision.causes().len()),
                (Outcome::Record, 0)
            );
            let next = world.carry_out(&decision);
            settled(&world, &next);
        }
    }
}

#[test]
fn what_is_pending_stays_so_when_the_fold_grows() {
    let mut world = World::new();
    world.started = Some(false);
    for number in 0..MANY {
        let live = if number % 10 == 0 {
            GONE
        } else {
            Live::Present(at(number, &format!("A{number}"), 100, "x"))
        };
        world = world.with(&name(number), whole(Required), live);
    }
    let decision = world.decide(Known::Nothing);
    let observed = world.carry_out(&decision);
    for number in (10..MANY).step_by(10) {
        world.set(
            &name(number),
            Live::Present(at(number, "a-uid-of-usual-length-is-this-long-", 101, "x")),
        );
    }
    world.set(&name(1), Live::Present(at(1, "A1", 102, "y")));
    let decision = world.decide(Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Wait);
    let next = world.carry_out(&decision);
    assert!(next.print(&key()).len() <= LIMIT);
    world.set(&name(0), Live::Present(at(0, "B", 103, "x")));
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = world.carry_out(&decision);
    settled(&world, &next);
}

#[test]
fn optional_ones_that_are_absent_stay_so() {
    let mut world = World::new();
    for number in 0..MANY {
        let live = if number % 2 == 0 {
            GONE
        } else {
            Live::Present(at(number, &format!("A{number}"), 100, "x"))
        };
        world = world.with(&name(number), whole(Optional), live);
    }
    let decision = world.decide(Known::Nothing);
    let observed = world.carry_out(&decision);
    settled(&world, &observed);
    world.set(&name(0), Live::Present(at(0, "A0", 101, "x")));
    restarts(&mut world, &observed, CauseKind::Recreated);
}
