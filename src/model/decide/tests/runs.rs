//! What has no mark that could be taken back: a CronJob, whose runs are named after the marks.

use super::*;

const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

fn world(uid: &str, rv: u64, data: &[(&str, &str)]) -> World {
    World::new().with(&s(), whole(Need::Required), Live::Present(v(uid, rv, data)))
}

fn decided(world: &World, known: Known) -> Decision {
    let subject = Subject {
        restarted_for: None,
        ..world.subject()
    };
    let live = |source: &SourceName| world.lookup(source);
    super::decide(&subject, known, &live, &key())
}

/// The decision about a change, where this was observed.
fn run(world: &World, observed: &Observed) -> Observed {
    let decision = decided(world, Known::Observed(observed));
    assert_eq!(decision.outcome(), Outcome::Restart);
    decision.next().cloned().unwrap()
}

fn adopted(world: &World) -> Observed {
    let decision = decided(world, Known::Nothing);
    assert_eq!(decision.outcome(), Outcome::Record);
    decision.next().cloned().unwrap()
}

#[test]
fn no_run_can_be_taken_back() {
    let mut world = world("A", 1, X);
    let mut observed = adopted(&world);
    for mark in ["", "rf-0", "pinned"] {
        world.restarted_for = mark.to_owned();
        let decision = decided(&world, Known::Observed(&observed));
        assert_eq!(decision.outcome(), Outcome::Keep, "{mark}");
    }
    world.set(&s(), Live::Present(v("A", 2, Y)));
    observed = run(&world, &observed);
    let decision = decided(&world, Known::Observed(&observed));
    assert_eq!(decision.outcome(), Outcome::Keep);
}

#[test]
fn the_same_change_has_the_same_mark_whatever_is_written_meanwhile() {
    let before = adopted(&world("A", 1, X));
    let mark = run(&world("A", 2, Y), &before).restarted_for;
    let edited = World {
        generation: 7,
        ..world("A", 2, Y)
    };
    let relabelled = world("A", 9, Y);
    let recorded = Observed {
        sequence: before.sequence + 3,
        ..before.clone()
    };
    assert_eq!(run(&edited, &before).restarted_for, mark);
    assert_eq!(run(&relabelled, &before).restarted_for, mark);
    assert_eq!(run(&world("A", 2, Y), &recorded).restarted_for, mark);
}

#[test]
fn no_mark_comes_twice() {
    let mut observed = adopted(&world("A", 1, X));
    let mut marks = vec![observed.restarted_for.clone()];
    let changes = [("A", Y), ("A", X), ("A", Y), ("B", Y), ("A", Y), ("A", X)];
    for (rv, (uid, data)) in (2..).zip(changes) {
        observed = run(&world(uid, rv, data), &observed);
        marks.push(observed.restarted_for.clone());
    }
    // After an opt-out and another opt-in, with data that was there before.
    let again = adopted(&world("A", 20, X));
    marks.push(again.restarted_for.clone());
    marks.push(run(&world("A", 21, Y), &again).restarted_for);
    let count = marks.len();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), count);
}

#[test]
fn what_was_made_at_create_begins_a_chain_of_its_own() {
    let world = world("A", 1, X);
    let created = Observed {
        workload_uid: String::new(),
        created_at: Some(CREATED),
        restarted_for: String::new(),
        ..adopted(&world)
    };
    let decision = decided(&world, Known::Observed(&created));
    assert_eq!(decision.outcome(), Outcome::Record);
    assert_eq!(decision.next().cloned().unwrap().restarted_for, "");
}
