//! The queue, with time as an argument.

use super::*;
use crate::{judge::bucket::Pacing, model::workload::KINDS};

const SETTLE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3);
const MS: Duration = Duration::from_millis(1);

fn workload(name: &str) -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: "n".to_owned(),
        name: name.to_owned(),
    }
}

fn unpaced(now: Instant) -> Intents {
    Intents::new(
        Bounds::paced(Pacing {
            rate: None,
            burst: 1,
        }),
        now,
    )
}

/// Files a change of the source that workload `a` uses.
fn changed(intents: &mut Intents, at: Instant, settle: Duration) {
    let source = SourceName::secret("s");
    intents.changed(&workload("a"), &source, at, settle, LONGEST);
}

#[test]
fn changes_within_settle_are_one_intent_and_the_wait_is_bounded() {
    let start = Instant::now();
    let mut intents = unpaced(start);
    for step in 0..5 {
        changed(&mut intents, start + SETTLE / 2 * step, SETTLE);
    }
    assert_eq!(intents.next(start), Some(start + LONGEST));
    assert_eq!(intents.take(start + LONGEST - MS), None);
    let taken = intents.take(start + LONGEST).unwrap();
    assert_eq!(taken.since, start);
    assert_eq!(intents.take(start + LONGEST), None);
}

#[test]
fn a_change_while_it_is_carried_out_waits_for_its_end() {
    let start = Instant::now();
    let mut intents = unpaced(start);
    changed(&mut intents, start, Duration::ZERO);
    let taken = intents.take(start).unwrap();
    changed(&mut intents, start, Duration::ZERO);
    assert_eq!(intents.next(start), None);
    assert_eq!(intents.take(start), None);
    intents.finish(taken, Finish::Retry(SETTLE), start);
    let again = intents.take(start).unwrap();
    assert_eq!(again.attempts, 0, "the new change stands for itself");
    intents.finish(again, Finish::Retry(SETTLE), start);
    assert_eq!(intents.next(start), Some(start + SETTLE));
    assert_eq!(intents.take(start + SETTLE).unwrap().attempts, 1);
}

#[test]
fn what_is_noticed_does_not_put_off_what_waits() {
    let start = Instant::now();
    let mut intents = unpaced(start);
    changed(&mut intents, start, SETTLE);
    intents.noticed(&workload("a"), start + SETTLE / 2, SETTLE);
    assert!(intents.take(start + SETTLE).is_some());
}

#[test]
fn pacing_holds_and_an_unused_token_comes_back() {
    let start = Instant::now();
    let mut intents = Intents::new(
        Bounds::paced(Pacing {
            rate: Some(10.0),
            burst: 2,
        }),
        start,
    );
    for name in ["a", "b", "c", "d"] {
        intents.changed(
            &workload(name),
            &SourceName::secret("s"),
            start,
            Duration::ZERO,
            LONGEST,
        );
    }
    assert!(intents.take(start).is_some() && intents.take(start).is_some());
    assert_eq!(intents.take(start), None);
    let next = intents.next(start).unwrap();
    assert!((next - start).as_millis().abs_diff(100) <= 1);
    assert!(intents.take(next).is_some());
    assert_eq!(intents.take(next), None);
    intents.unused();
    assert!(intents.take(next).is_some());
}

#[test]
fn one_sources_many_do_not_hold_up_anothers_one() {
    let start = Instant::now();
    let mut intents = unpaced(start);
    let many = SourceName::secret("many");
    for number in 0..500 {
        intents.changed(
            &workload(&format!("a{number:03}")),
            &many,
            start,
            Duration::ZERO,
            LONGEST,
        );
    }
    intents.changed(
        &workload("z"),
        &SourceName::secret("one"),
        start + MS,
        Duration::ZERO,
        LONGEST,
    );
    let elsewhere = WorkloadKey {
        namespace: "other".to_owned(),
        ..workload("far")
    };
    intents.changed(&elsewhere, &many, start + MS, Duration::ZERO, LONGEST);
    let first: Vec<_> = (0..4)
        .map(|_| intents.take(start + MS).unwrap().workload.name)
        .collect();
    assert!(
        first.contains(&"z".to_owned()) && first.contains(&"far".to_owned()),
        "{first:?}"
    );
}

#[test]
fn what_a_brake_holds_is_parked_until_it_is_resumed_or_changes_again() {
    let start = Instant::now();
    let mut intents = rolling_at_most(9, start);
    let a = workload("a");
    let source = SourceName::secret("s");
    let park = |intents: &mut Intents| {
        let intent = intents.take(start).unwrap();
        intents.finish(intent, Finish::Parked, start);
    };
    intents.noticed(&a, start, Duration::ZERO);
    park(&mut intents);
    assert_eq!((intents.take(start), intents.len()), (None, 1));
    assert_eq!(intents.oldest(), None);
    // What is no change leaves it parked.
    intents.noticed(&a, start, Duration::ZERO);
    assert_eq!(intents.take(start), None);
    intents.resume(&a, start);
    park(&mut intents);
    let later = start + Duration::from_secs(5);
    intents.changed(&a, &source, later, Duration::ZERO, Duration::ZERO);
    let intent = intents.take(later).unwrap();
    assert_eq!(intent.since, start, "it waits since the first change");
    intents.finish(intent, Finish::Parked, later);
    assert!(intents.settled(&a));
    assert!(intents.is_empty());
}

fn rolling_at_most(most: usize, now: Instant) -> Intents {
    let bounds = Bounds {
        rolling: Some(most),
        ..Bounds::paced(Pacing {
            rate: None,
            burst: 1,
        })
    };
    Intents::new(bounds, now)
}

#[test]
fn the_last_place_is_for_a_namespace_that_has_none() {
    let start = Instant::now();
    let mut intents = rolling_at_most(3, start);
    let of = |namespace: &str, name: &str| WorkloadKey {
        namespace: namespace.to_owned(),
        ..workload(name)
    };
    let roll = |intents: &mut Intents| {
        let intent = intents.take(start)?;
        let workload = intent.workload.clone();
        intents.restarted(&workload, start);
        intents.finish(intent, Finish::Over, start);
        Some(workload)
    };
    for name in ["a", "b", "c"] {
        intents.noticed(&of("hangs", name), start, Duration::ZERO);
    }
    assert_eq!(roll(&mut intents), Some(of("hangs", "a")));
    assert_eq!(roll(&mut intents), Some(of("hangs", "b")));
    assert_eq!((roll(&mut intents), intents.next(start)), (None, None));
    intents.noticed(&of("other", "d"), start, Duration::ZERO);
    assert_eq!(intents.next(start), Some(start));
    assert_eq!(roll(&mut intents), Some(of("other", "d")));
    assert_eq!(roll(&mut intents), None);
    assert!(intents.rolls(&of("other", "d"), false, start));
    assert_eq!(roll(&mut intents), None, "the last place");
    assert!(intents.rolls(&of("hangs", "a"), false, start));
    assert_eq!(roll(&mut intents), Some(of("hangs", "c")));
    // Where there is one place only, each namespace may take it.
    let mut intents = rolling_at_most(1, start);
    intents.noticed(&of("n", "a"), start, Duration::ZERO);
    intents.noticed(&of("n", "b"), start, Duration::ZERO);
    assert_eq!(roll(&mut intents), Some(of("n", "a")));
    assert_eq!(roll(&mut intents), None);
    assert!(intents.rolls(&of("n", "a"), false, start));
    assert_eq!(roll(&mut intents), Some(of("n", "b")));
}

#[test]
fn the_budget_counts_what_rolls_but_not_for_ever() {
    let start = Instant::now();
    let mut intents = rolling_at_most(3, start);
    for name in ["a", "b", "c", "d"] {
        intents.noticed(&workload(name), start, Duration::ZERO);
    }
    for _ in 0..2 {
        let intent = intents.take(start).unwrap();
        intents.restarted(&intent.workload.clone(), start);
        intents.finish(intent, Finish::Over, start);
    }
    assert_eq!(intents.take(start), None);
    assert_eq!(intents.next(start), None);
    assert!(intents.rolls(&workload("a"), false, start));
    assert!(intents.take(start).is_some());
    assert_eq!(intents.take(start), None);
    assert!(intents.take(start + ROLLING_AT_MOST).is_some());
}

#[test]
fn what_has_no_intent_is_taken_within_pace_and_budget_and_by_one_task() {
    let start = Instant::now();
    let all = Pacing {
        rate: Some(1.0),
        burst: 3,
    };
    let rolling = Some(3);
    let mut intents = Intents::new(Bounds { all, rolling }, start);
    let a = intents.take_now(&workload("a"), start).unwrap();
    assert_eq!(intents.take_now(&workload("a"), start), Err(None), "taken");
    changed(&mut intents, start, Duration::ZERO);
    assert_eq!(intents.take(start), None);
    intents.restarted(&workload("b"), start);
    // The last place is for a namespace that has none.
    assert_eq!(intents.take_now(&workload("c"), start), Err(None));
    let other = WorkloadKey {
        namespace: "m".to_owned(),
        ..workload("c")
    };
    let c = intents.take_now(&other, start).unwrap();
    for intent in [a, c] {
        intents.finish(intent, Finish::Over, start);
    }
    // What was filed meanwhile takes the last token.
    assert!(intents.take(start).is_some());
    let second = Duration::from_secs(1);
    let later = intents.take_now(&other, start);
    assert_eq!(later, Err(Some(start + second)));
    assert!(intents.take_now(&other, start + second).is_ok());
}
