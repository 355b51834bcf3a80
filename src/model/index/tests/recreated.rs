//! Sources that machines recreate: who made the one that went is remembered, and `observed` waits for calm.

use super::*;
use crate::model::recreation::CALM_SECONDS;

fn made(uid: &str, rv: u64, value: &str, by_machine: bool) -> Version {
    let mut version = v("s", uid, rv, value);
    version.origin.by_machine = by_machine;
    version.written = i64::try_from(rv).unwrap();
    version
}

/// An index that knows a workload that was adopted with this Secret.
fn adopted(by_machine: bool) -> (Index, Shown) {
    let mut index = synced();
    index.apply_source(&at("s"), made("A", 10, "x", by_machine));
    let web = shown(1);
    web.apply(&mut index);
    judge(&mut index, &web);
    let web = web.written(&index, 2);
    web.apply(&mut index);
    (index, web)
}

#[test]
fn who_made_the_one_that_went_counts() {
    for deleted in [false, true] {
        let (mut index, web) = adopted(true);
        if deleted {
            index.delete_source(&at("s"), 11, 0);
        }
        let change = index.apply_source(&at("s"), made("B", 12, "x", false));
        assert_eq!(change.users, [web.key()]);
        assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
        // A person makes the next one, in place of one that nothing owned.
        index.apply_source(&at("s"), made("C", 14, "x", false));
        assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
    }
}

#[test]
fn an_owner_that_comes_later_is_news() {
    let (mut index, web) = adopted(false);
    index.apply_source(&at("s"), made("B", 12, "x", false));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
    let change = index.apply_source(&at("s"), made("B", 13, "x", true));
    assert_eq!(change.users, [web.key()]);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
}

/// What an opt-in selects newly is adopted then, and what is made later in the place of an ignored one is not.
#[test]
fn what_comes_in_the_place_of_an_ignored_one_is_no_part_of_an_earlier_opt_in() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let mut ignored = v("t", "B", 11, "x");
    ignored.ignored = true;
    index.apply_source(&at("t"), ignored);
    let mut web = Shown {
        secrets: vec!["s", "t"],
        ..shown(1)
    };
    for (rv, words) in [(1, "secret/s"), (3, "auto")] {
        (web.rv, web.restart_on) = (rv, Some(words));
        web.apply(&mut index);
        judge(&mut index, &web);
        web = web.written(&index, rv + 1);
        web.apply(&mut index);
    }
    index.delete_source(&at("t"), 12, 0);
    index.apply_source(&at("t"), v("t", "C", 13, "x"));
    let decision = judge(&mut index, &web);
    let doubt = decision.doubt().map(|(doubt, _)| doubt);
    assert_eq!(doubt, Some(Doubt::AskAges));
}

#[test]
fn a_read_that_comes_before_the_watch_knows_who_made_the_one_that_went() {
    for (by_machine, outcome) in [(true, Outcome::Record), (false, Outcome::Restart)] {
        let (mut index, web) = adopted(by_machine);
        let asked = index.tick();
        let reads = [(at("s").source, Some(made("B", 12, "x", false)))];
        let judged = index.judge_read(&web.key(), asked, &reads);
        assert_eq!(judged.decision.unwrap().outcome(), outcome);
    }
}

#[test]
fn only_what_takes_over_a_uid_waits_for_calm() {
    let (mut index, web) = adopted(true);
    assert_eq!(index.calm_at(&web.key()), None);
    for rv in [20, 30] {
        index.apply_source(&at("s"), made(&format!("B{rv}"), rv, "x", true));
        judge(&mut index, &web);
        let calm = i64::try_from(rv).unwrap() + CALM_SECONDS;
        assert_eq!(index.calm_at(&web.key()), Some(calm));
    }
    // While it is away again, it may be about to come back.
    index.delete_source(&at("s"), 31, 0);
    judge(&mut index, &web);
    assert_eq!(index.calm_at(&web.key()), Some(30 + CALM_SECONDS));
    index.apply_source(&at("s"), made("B30", 32, "x", true));
    // The template gains another source: that is written at once, and takes the uid along.
    index.apply_source(&at("t"), v("t", "T", 31, "x"));
    let web = Shown {
        rv: 3,
        secrets: vec!["s", "t"],
        ..web
    };
    web.apply(&mut index);
    let asked = index.tick();
    index.set_ages(&web.key(), BTreeMap::new(), asked);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
    assert_eq!(index.calm_at(&web.key()), None);
    let web = web.written(&index, 4);
    web.apply(&mut index);
    assert_eq!(index.unwritten(&web.key()), None);
}

#[test]
fn what_is_pending_no_more_does_not_wait_for_calm() {
    let (mut index, web) = adopted(true);
    let mut pending = web.read();
    (pending.resource_version, pending.pending) = (3, Some("refused".to_owned()));
    index.apply_workload(&web.key(), pending);
    index.apply_source(&at("s"), made("B", 20, "x", true));
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
    assert!(index.unwritten(&web.key()).is_some());
    assert_eq!(index.calm_at(&web.key()), None);
}

#[test]
fn a_deletion_tells_whether_the_uid_counts() {
    for by_machine in [true, false] {
        let (index, _) = adopted(by_machine);
        let gone = index.source(NAMESPACE, &at("s").source);
        let Lookup::Present { version, .. } = gone else {
            panic!("it is there");
        };
        let becomes = Lookup::Absent {
            last: Some(version),
            since: u64::MAX,
        };
        let preview = Preview::of_change(&index, &at("s"), becomes);
        assert_eq!(preview.waits.len(), 1, "{by_machine}");
        assert_eq!(preview.by_uid, !by_machine);
    }
}
