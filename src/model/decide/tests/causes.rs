//! Causes as people read them.

use super::*;
use crate::model::change::Change;

fn cause(kind: CauseKind, keys: &[&str]) -> Cause {
    Cause {
        kind,
        source: Some(s()),
        uids: None,
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        change: None,
    }
}

#[test]
fn read_well() {
    let uid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
    let recreated = Cause {
        uids: Some((uid.to_owned(), "short".to_owned())),
        ..cause(CauseKind::Recreated, &[])
    };
    let all = [
        cause(CauseKind::Updated, &[]),
        cause(CauseKind::Updated, &["a"]),
        cause(CauseKind::Updated, &["a", "b"]),
        cause(CauseKind::Updated, &["a", "b", "c"]),
        cause(CauseKind::Updated, &["a", "b", "c", "d"]),
        recreated,
        cause(CauseKind::Created, &[]),
        cause(CauseKind::Deleted, &[]),
        cause(CauseKind::Outdated, &[]),
        Cause::plain(CauseKind::RolledBack, None),
        Cause::plain(CauseKind::Updated, None),
    ];
    let text: Vec<_> = all.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn who_made_the_change_is_told_to_those_who_read_the_workload_alone() {
    let at = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let updated = cause(CauseKind::Updated, &["a"]);
    let named = Cause {
        change: Change::by(at, Some("alice"), Some("kubectl-patch")),
        ..updated.clone()
    };
    let both = [named, updated];
    assert_eq!(
        joined(&both),
        "Secret s was updated (key a); Secret s was updated (key a)"
    );
    assert_eq!(
        joined_with_who(&both),
        "Secret s was updated (key a), changed 2027-01-15T08:00:00Z by alice (kubectl-patch); Secret s was updated (key a)"
    );
}

#[test]
fn words_for_metrics_are_told_apart() {
    use std::collections::BTreeSet;
    let doubts = [
        Doubt::Unsynced,
        Doubt::Behind,
        Doubt::AskPods,
        Doubt::AskAges,
    ];
    let undecided = [
        Undecided::NewerFormat,
        Undecided::UnknownKey,
        Undecided::Unreadable,
    ];
    let observed = World::new().observed([]);
    let decided = [
        Decision::Keep(observed.clone()),
        Decision::Record(observed.clone()),
        Decision::Wait {
            next: observed.clone(),
            causes: Vec::new(),
            missing: Vec::new(),
        },
        Decision::Restart(Restart {
            next: observed,
            causes: Vec::new(),
            missing: Vec::new(),
        }),
    ];
    let words: BTreeSet<_> = doubts
        .map(|doubt| Decision::doubted(doubt, Vec::new()))
        .into_iter()
        .chain(undecided.map(Decision::Undecided))
        .chain(decided)
        .map(|decision| decision.as_str())
        .collect();
    assert_eq!(words.len(), 11);
}

#[test]
fn a_changed_key_is_named_and_the_whole_is_not() {
    let both = Usage {
        whole: true,
        ..keyed(&[("k", Need::Required)])
    };
    let world = World::new().with(&s(), both.clone(), Live::Present(v("A", 2, &[("k", "y")])));
    let before = world.observed([(s(), Entry::of(&v("A", 1, &[("k", "x")]), &both))]);
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(
        decision.causes()[0].to_string(),
        "Secret s was updated (key k)"
    );
}

#[test]
fn what_changed_beside_a_key_that_is_gone_is_told_while_it_waits() {
    let two = keyed(&[("k", Need::Required), ("l", Need::Required)]);
    let before = v("A", 1, &[("k", "x"), ("l", "x")]);
    for (now, told) in [
        (v("A", 2, &[("l", "x")]), None),
        (
            v("A", 2, &[("l", "y")]),
            Some("Secret s was updated (key l)"),
        ),
        (
            v("B", 2, &[("l", "x")]),
            Some("Secret s was recreated (uid A → B)"),
        ),
    ] {
        let world = World::new().with(&s(), two.clone(), Live::Present(now));
        let before = world.observed([(s(), Entry::of(&before, &two))]);
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), Outcome::Wait);
        assert_eq!(decision.next(), Some(&before));
        let causes: Vec<_> = decision.causes().iter().map(ToString::to_string).collect();
        assert_eq!(causes, Vec::from_iter(told));
    }
}

#[test]
fn what_a_revision_tells_is_one_short_line_without_names() {
    let at = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let named = Cause {
        change: Change::by(at, Some("alice"), None),
        ..cause(CauseKind::Updated, &["a\n"])
    };
    let one = change_cause(std::slice::from_ref(&named));
    assert_eq!(one, "reroll: Secret s was updated (key a)");
    let many = change_cause(&vec![named; 20]);
    assert_eq!(many.chars().count(), 256);
    assert!(many.ends_with('…'), "{many}");
}

/// The sample of README.md is what the Event says.
#[test]
fn the_front_page_shows_an_event_as_it_is() {
    let at = "2026-11-28T21:19:25Z".parse().unwrap();
    let [before, after] = [
        "b6a9d173-0000-4000-8000-000000000000",
        "f6dac822-0000-4000-8000-000000000000",
    ];
    let recreated = Cause {
        source: Some(SourceName::secret("db")),
        uids: Some((before.to_owned(), after.to_owned())),
        change: Change::by(at, Some("kubernetes-admin"), Some("kubectl-create")),
        ..cause(CauseKind::Recreated, &[])
    };
    let event = format!(
        "1s   Normal   Restarted   Deployment/web   {}\n",
        joined_with_who(&[recreated])
    );
    let page = include_str!("../../../../README.md");
    assert!(page.contains(&event), "README.md lacks: {event}");
}
