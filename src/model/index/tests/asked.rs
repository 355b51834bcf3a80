//! What was asked for later counts: after a restore of etcd, and beside answers that come late.

use proptest::prelude::*;

use super::*;
use crate::model::observed::Observed;

fn list(tick: Tick) -> By {
    By::List(tick)
}

fn source(index: &Index) -> Option<u64> {
    match index.source(NAMESPACE, &SourceName::secret("s")) {
        Lookup::Present { version, .. } => Some(version.resource_version),
        Lookup::Absent { .. } => None,
        Lookup::Unsynced | Lookup::Unseen => unreachable!("all lists are in"),
    }
}

fn present(uid: &str, rv: u64, value: &str) -> Version {
    v("s", uid, rv, value)
}

/// Of one Secret, in order.
enum Comes {
    Event(u64),
    Gone(u64),
    /// A read is sent.
    Asks,
    /// The list that was sent first, or the GET, comes now; `None`: it is not there.
    List(Option<u64>),
    Answer(Option<u64>),
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_read_replaces_what_was_known_when_it_was_asked_for() {
    use Comes::*;
    for (what, comes, known, sightings) in [
        (
            "restored: it is older than it was",
            vec![Event(100), Asks, List(Some(50))],
            Some(50),
            1,
        ),
        (
            "and a GET",
            vec![Event(100), Asks, Answer(Some(50))],
            Some(50),
            1,
        ),
        (
            "restored: it was not there yet",
            vec![Event(100), Asks, List(None)],
            None,
            0,
        ),
        (
            "restored: it was not deleted yet",
            vec![Event(90), Gone(100), Asks, List(Some(90))],
            Some(90),
            1,
        ),
        (
            "a list takes 5 s, and a GET brings something newer meanwhile",
            vec![Event(9), Asks, Asks, Answer(Some(12)), List(Some(10))],
            Some(12),
            0,
        ),
        (
            "and an event does",
            vec![Event(9), Asks, Event(12), List(Some(10))],
            Some(12),
            0,
        ),
        (
            "and it is created meanwhile",
            vec![Asks, Event(12), List(None)],
            Some(12),
            0,
        ),
        (
            "and deleted meanwhile",
            vec![Event(9), Asks, Gone(12), List(Some(9))],
            None,
            0,
        ),
        (
            "a list shows what no event after it brings",
            vec![Event(100), Asks, Asks, Answer(Some(50)), List(Some(60))],
            Some(60),
            1,
        ),
        (
            "an event is late",
            vec![Event(9), Asks, Answer(Some(12)), Event(10)],
            Some(12),
            0,
        ),
        (
            "a deletion is late",
            vec![Asks, Answer(Some(12)), Gone(10)],
            Some(12),
            0,
        ),
        (
            "what comes after a restore is newer than what was there then",
            vec![
                Event(100),
                Asks,
                List(Some(50)),
                Event(51),
                Gone(52),
                Event(53),
            ],
            Some(53),
            1,
        ),
        (
            "the same is no news",
            vec![Event(9), Asks, List(Some(9)), Asks, Answer(Some(9))],
            Some(9),
            0,
        ),
    ] {
        let mut index = synced();
        let (mut asked, mut older) = (Vec::new(), 0);
        for comes in comes {
            let mut read = |index: &mut Index, by: fn(Tick) -> By, rv: Option<u64>, last: bool| {
                let tick = if last {
                    asked.pop()
                } else {
                    Some(asked.remove(0))
                };
                let by = by(tick.unwrap());
                match rv {
                    Some(rv) => index.take_source(&at("s"), present("A", rv, "x"), by),
                    None => index.miss_source(&at("s"), by, 0),
                }
            };
            let change = match comes {
                Event(rv) => index.apply_source(&at("s"), present("A", rv, "x")),
                Gone(rv) => index.delete_source(&at("s"), rv, 0),
                Asks => {
                    asked.push(index.tick());
                    continue;
                }
                List(rv) => read(&mut index, By::List, rv, false),
                Answer(rv) => read(&mut index, By::Answer, rv, true),
            };
            older += usize::from(change.older);
        }
        assert_eq!(source(&index), known, "{what}");
        assert_eq!(older, sightings, "{what}");
    }
}

/// A workload that was observed with `value`, in a history that wrote it at this version.
fn observing(index: &mut Index, rv: u64, value: &str) -> Shown {
    index.apply_source(&at("s"), present("A", rv, value));
    let web = shown(rv + 1);
    web.apply(index);
    records_it(&judge(index, &web));
    let web = web.written(index, rv + 2);
    web.apply(index);
    web
}

fn records_it(decision: &Decision) {
    assert_eq!(decision.outcome(), Outcome::Record, "{decision:?}");
}

#[test]
fn an_entry_that_is_newer_than_a_list_is_behind_until_one_is_asked_for() {
    for (value, outcome) in [("x", Outcome::Keep), ("y", Outcome::Restart)] {
        let mut index = synced();
        let web = observing(&mut index, 100, "x");
        // As after a start: who lists knows nothing of the workload yet.
        let mut index = synced();
        let early = list(index.tick());
        web.apply(&mut index);
        index.take_source(&at("s"), present("A", 50, value), early);
        let behind = Outcome::Undecided(Doubt::Behind);
        assert_eq!(judge(&mut index, &web).outcome(), behind);
        let later = list(index.tick());
        index.take_source(&at("s"), present("A", 50, value), later);
        assert_eq!(judge(&mut index, &web).outcome(), outcome);
        // What is built on it is no older.
        index.apply_source(&at("s"), present("A", 51, "y"));
        assert_eq!(judge(&mut index, &web).outcome(), Outcome::Restart);
    }
}

#[test]
fn when_history_went_back_nothing_is_written_that_etcd_did_not_say() {
    let behind = Outcome::Undecided(Doubt::Behind);
    let mut index = synced();
    let before = observing(&mut index, 10, "x");
    // In what is lost the Secret changed, and the workload was restarted for it.
    index.apply_source(&at("s"), present("A", 100, "y"));
    let restart = judge(&mut index, &before);
    assert_eq!(restart.outcome(), Outcome::Restart);
    let next = restart.next().cloned().unwrap();
    lost(&index, &before, &next).apply(&mut index);
    // The workload is listed first. What is known of the Secret must not restart it.
    let asked = list(index.tick());
    let seen = index.take_workload(&before.key(), before.read(), asked);
    assert!(seen.older);
    assert_eq!(
        index.unwritten(&before.key()),
        None,
        "of what is lost nothing is written"
    );
    assert_eq!(judge(&mut index, &before).outcome(), behind);
    // Nor what an API server lists that outlived its etcd.
    let asked = list(index.tick());
    index.take_source(&at("s"), present("A", 100, "y"), asked);
    assert_eq!(judge(&mut index, &before).outcome(), behind);
    // etcd's own word does.
    let asked = index.tick();
    let change = index.take_source(&at("s"), present("A", 9, "x"), By::Answer(asked));
    assert!(change.changed && change.older);
    assert_eq!(judge(&mut index, &before).outcome(), Outcome::Keep);
    let asked = index.tick();
    index.take_source(&at("s"), present("A", 60, "z"), By::Answer(asked));
    assert_eq!(judge(&mut index, &before).outcome(), Outcome::Restart);
}

#[test]
fn what_was_only_remembered_of_a_lost_history_is_forgotten() {
    let went_back: [fn(&mut Index); 2] = [
        |index| index.history_went_back(),
        |index| {
            let asked = list(index.tick());
            index.take_source(&at("s"), present("A", 9, "x"), asked);
        },
    ];
    for go_back in went_back {
        let mut index = synced();
        let web = observing(&mut index, 10, "x");
        // The Secret gains a key that is used: to be recorded, and not written yet.
        let more = version(
            &SourceName::secret("s"),
            "A",
            100,
            &[("k", "x"), ("l", "x")],
        );
        index.apply_source(&at("s"), more);
        let tracked = index.workload(&web.key()).unwrap();
        let observed = tracked.observed().unwrap().clone();
        index.remember(&web.key(), numbered(observed));
        assert!(index.unwritten(&web.key()).is_some());
        go_back(&mut index);
        assert_eq!(index.unwritten(&web.key()), None);
        // What is written counts: the workload is not adopted afresh.
        let asked = index.tick();
        index.take_source(&at("s"), present("A", 110, "z"), By::Answer(asked));
        assert_eq!(judge(&mut index, &web).outcome(), Outcome::Restart);
    }
}

/// A workload that was restarted in a history that is lost, and its status was written since the restore: its number is
/// higher than ever, and its `observed` is that of the backup.
#[test]
fn a_restored_workload_counts_as_it_is_whatever_its_number_is() {
    for listed_before in [true, false] {
        let mut index = synced();
        let before = observing(&mut index, 10, "x");
        index.apply_source(&at("s"), present("A", 100, "y"));
        let next = judge(&mut index, &before).next().cloned().unwrap();
        lost(&index, &before, &next).apply(&mut index);
        let restored = Shown { rv: 1102, ..before };
        let is_listed = |index: &mut Index| {
            let asked = list(index.tick());
            index.take_workload(&restored.key(), restored.read(), asked);
        };
        if listed_before {
            is_listed(&mut index);
        }
        index.history_went_back();
        is_listed(&mut index);
        assert_eq!(index.unwritten(&restored.key()), None, "{listed_before}");
        let asked = index.tick();
        index.take_source(&at("s"), present("A", 1101, "z"), By::Answer(asked));
        let judged = judge(&mut index, &restored);
        assert_eq!(kinds(&judged), [CauseKind::Updated], "{listed_before}");
    }
}

/// Numbers are used again after a restore. So an event counts, whatever its number is, for a source that the lost history
/// had and a list since does not show.
#[test]
fn what_is_absent_since_a_restore_may_be_created_at_any_number() {
    let was_there = |_: &mut Index| {};
    let was_deleted = |index: &mut Index| {
        index.delete_source(&at("s"), 101, 0);
    };
    let was_listed_before_that_was_known = |index: &mut Index| {
        let asked = list(index.tick());
        index.miss_source(&at("s"), asked, 0);
    };
    let gone: [fn(&mut Index); 3] = [was_there, was_deleted, was_listed_before_that_was_known];
    for (case, happens) in gone.into_iter().enumerate() {
        let mut index = synced();
        index.apply_source(&at("s"), present("A", 100, "x"));
        happens(&mut index);
        index.history_went_back();
        let asked = list(index.tick());
        index.miss_source(&at("s"), asked, 0);
        let change = index.apply_source(&at("s"), present("B", 60, "y"));
        assert!(change.changed, "{case}");
        // An event of before that one still does not.
        let late = index.apply_source(&at("s"), present("C", 50, "z"));
        assert!(!late.changed, "{case}");
        index.delete_source(&at("s"), 70, 0);
        let late = index.apply_source(&at("s"), present("B", 65, "y"));
        assert!(!late.changed, "{case}");
    }
}

/// Returns a workload as it was restarted in a history that is lost.
fn lost(index: &Index, before: &Shown, next: &Observed) -> Shown {
    Shown {
        rv: 101,
        observed: Some(next.print(index.key())),
        restarted_for: next.restarted_for.clone(),
        ..before.clone()
    }
}

fn numbered(observed: Observed) -> Observed {
    Observed {
        sequence: observed.sequence + 1,
        ..observed
    }
}

#[test]
fn one_read_is_seen_to_be_older_once_and_nothing_when_that_is_known() {
    let mut index = synced();
    for name in ["a", "b", "c", "d"] {
        index.apply_source(&at(name), v(name, "A", 100, "x"));
    }
    let older = |index: &mut Index, name: &str, tick: Tick| {
        let version = v(name, "A", 50, "x");
        index.take_source(&at(name), version, list(tick)).older
    };
    let asked = index.tick();
    assert!(older(&mut index, "a", asked));
    assert!(!older(&mut index, "b", asked), "one list");
    let asked = index.tick();
    assert!(older(&mut index, "c", asked), "another");
    index.history_went_back();
    let asked = index.tick();
    assert!(!older(&mut index, "d", asked), "that is known");
    index.apply_source(&at("d"), v("d", "A", 51, "x"));
    let asked = index.tick();
    assert!(older(&mut index, "d", asked), "it went back once more");
}

#[test]
fn what_was_read_late_is_not_laid_over_what_came_meanwhile() {
    let name = SourceName::secret("s");
    let read = |rv: Option<u64>| vec![(name.clone(), rv.map(|rv| present("A", rv, "x")))];
    for (meanwhile, read_version, laid) in [
        (None, Some(10), true),
        (None, Some(12), true),
        (Some(12), Some(10), false),
        (Some(10), Some(12), true),
        (Some(12), None, false),
        (None, None, true),
    ] {
        let mut index = synced();
        index.apply_source(&at("s"), present("A", 9, "x"));
        let asked = index.tick();
        if let Some(rv) = meanwhile {
            index.apply_source(&at("s"), present("A", rv, "x"));
        }
        let reads = read(read_version);
        let overlay = index.overlay(NAMESPACE, asked, &reads);
        let case = (meanwhile, read_version);
        assert_eq!(overlay.contains_key(&name), laid, "{case:?}");
    }
}

/// What happens to etcd and to whoever looks at it.
#[derive(Clone, Debug)]
enum Step {
    Write,
    Delete,
    /// As `bool` says with a bumped revision, or without.
    Restore(bool),
    Backup,
    /// So many of the events that are not delivered yet come.
    Events(u8),
    AskList,
    AskGet,
    /// The oldest answer that is under way comes, or the youngest.
    Answer(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Write),
        1 => Just(Step::Delete),
        1 => Just(Step::Backup),
        1 => any::<bool>().prop_map(Step::Restore),
        3 => (1..4u8).prop_map(Step::Events),
        2 => Just(Step::AskList),
        2 => Just(Step::AskGet),
        3 => any::<bool>().prop_map(Step::Answer),
    ];
    proptest::collection::vec(step, 1..60)
}

/// One Secret in etcd: its version and value, where it exists, and the newest revision of all.
#[derive(Clone, Debug, Default)]
struct Etcd {
    secret: Option<(u64, String)>,
    revision: u64,
}

proptest! {
    /// The last read counts, whatever came before it; and without a restore nothing ever goes back.
    #[test]
    fn in_any_order_it_ends_with_what_the_last_read_said(steps in steps()) {
        let mut index = synced();
        let (mut etcd, mut backup) = (Etcd::default(), Etcd::default());
        let mut writes = 0;
        let mut events: Vec<Etcd> = Vec::new();
        // As etcd has it when they are answered, which is when they are sent.
        let mut under_way: Vec<(By, Etcd)> = Vec::new();
        let (mut restored, mut newest) = (false, 0);
        let read = |index: &mut Index, by: By, etcd: &Etcd| match &etcd.secret {
            Some((rv, value)) => index.take_source(&at("s"), present("A", *rv, value), by),
            None => index.miss_source(&at("s"), by, 0),
        };
        for step in steps {
            match step {
                Step::Write => {
                    writes += 1;
                    etcd.revision += 1;
                    etcd.secret = Some((etcd.revision, writes.to_string()));
                    events.push(etcd.clone());
                }
                Step::Delete if etcd.secret.is_some() => {
                    etcd.revision += 1;
                    etcd.secret = None;
                    events.push(etcd.clone());
                }
                Step::Backup => backup = etcd.clone(),
                Step::Restore(bumped) => {
                    etcd = backup.clone();
                    etcd.revision += if bumped { 1_000 } else { 0 };
                    restored = true;
                    // Whoever answered before, or watched, is gone.
                    events.clear();
                    under_way.clear();
                }
                Step::Events(count) => {
                    for event in events.drain(..usize::from(count).min(events.len())) {
                        match &event.secret {
                            Some((rv, value)) => {
                                index.apply_source(&at("s"), present("A", *rv, value));
                            }
                            None => drop(index.delete_source(&at("s"), event.revision, 0)),
                        }
                    }
                }
                Step::AskList => under_way.push((By::List(index.tick()), etcd.clone())),
                Step::AskGet => under_way.push((By::Answer(index.tick()), etcd.clone())),
                Step::Answer(oldest) if !under_way.is_empty() => {
                    let number = if oldest { 0 } else { under_way.len() - 1 };
                    let (by, shown) = under_way.remove(number);
                    let change = read(&mut index, by, &shown);
                    prop_assert!(restored || !change.older);
                }
                Step::Delete | Step::Answer(_) => {}
            }
            let now = source(&index).unwrap_or(newest);
            prop_assert!(restored || now >= newest);
            newest = now;
        }
        let last = By::List(index.tick());
        read(&mut index, last, &etcd);
        prop_assert_eq!(source(&index), etcd.secret.as_ref().map(|(rv, _)| *rv));
        // And the same with what else was under way by then.
        for (by, shown) in under_way {
            read(&mut index, by, &shown);
        }
        for event in events {
            match &event.secret {
                Some((rv, value)) => drop(index.apply_source(&at("s"), present("A", *rv, value))),
                None => drop(index.delete_source(&at("s"), event.revision, 0)),
            }
        }
        prop_assert_eq!(source(&index), etcd.secret.map(|(rv, _)| rv));
    }
}
