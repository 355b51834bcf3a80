//! Secrets of types that are neither listed nor watched.

use std::sync::Arc;

use super::*;
use crate::model::{index::unshown, observed::Entry};

const BEHIND: Outcome = Outcome::Undecided(Doubt::Behind);

/// An index of which all lists are in, where Secrets of one type are skipped.
fn skipping() -> Index {
    let conventions = Conventions {
        skipped_types: ["helm.sh/release.v1".to_owned()].into(),
        ..Conventions::default()
    };
    let mut index = Index::new(key()).with_conventions(Arc::new(conventions));
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    index.workloads_listed();
    index
}

fn records_only(decision: &Decision) {
    assert!(matches!(decision, Decision::Record(_)), "{decision:?}");
}

/// The Secret `s` of the skipped type.
fn release(uid: &str, rv: u64, data: &'static str) -> Version {
    let mut version = v("s", uid, rv, data);
    version.skipped = true;
    version
}

fn answer(index: &mut Index, version: Option<Version>) {
    let by = By::Answer(index.tick());
    match version {
        Some(version) => drop(index.take_source(&at("s"), version, by)),
        None => drop(index.miss_source(&at("s"), by, 0)),
    }
}

/// Another process, for which the workload is as this one wrote it.
fn again(index: &Index, web: &Shown) -> (Index, Shown) {
    let observed = index.workload(&web.key()).unwrap().observed().unwrap();
    let mut next = skipping();
    let web = Shown {
        observed: Some(observed.print(&key())),
        rv: web.rv + 1,
        ..web.clone()
    };
    web.apply(&mut next);
    (next, web)
}

#[test]
fn what_no_watch_shows_is_judged_by_what_a_read_shows() {
    let mut index = skipping();
    let web = shown(1);
    web.apply(&mut index);
    assert_eq!(judge(&mut index, &web).outcome(), BEHIND);
    answer(&mut index, Some(release("A", 10, "x")));
    records_only(&judge(&mut index, &web));
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
    answer(&mut index, Some(release("A", 11, "y")));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
    answer(&mut index, Some(release("B", 12, "x")));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
    answer(&mut index, None);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Wait);
}

#[test]
fn a_list_that_lacks_it_says_nothing() {
    let mut index = skipping();
    let web = shown(1);
    web.apply(&mut index);
    answer(&mut index, Some(release("A", 10, "x")));
    records_only(&judge(&mut index, &web));
    // What a new list is compared with.
    assert!(index.sources(SourceKind::Secret, None).is_empty());
    // A process that starts has nothing but the list.
    let (mut index, web) = again(&index, &web);
    assert_eq!(judge(&mut index, &web).outcome(), BEHIND);
    answer(&mut index, Some(release("A", 10, "x")));
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
}

#[test]
fn what_was_found_absent_once_is_not_asked_for_to_decide() {
    let mut index = skipping();
    let web = shown(1);
    web.apply(&mut index);
    assert_eq!(judge(&mut index, &web).outcome(), BEHIND);
    answer(&mut index, None);
    index.set_started(&web.key(), false);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Wait);
    let observed = index.workload(&web.key()).unwrap().observed().unwrap();
    assert_eq!(observed.entries.get(&at("s").source), Some(&Entry::Waiting));
    let (mut index, web) = again(&index, &web);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Wait);
    // It came while nobody looked: the pods started with it.
    answer(&mut index, Some(release("A", 10, "x")));
    records_only(&judge(&mut index, &web));
}

#[test]
fn a_name_may_change_its_type_with_its_object() {
    let mut index = skipping();
    let web = shown(1);
    web.apply(&mut index);
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    records_only(&judge(&mut index, &web));
    // From one that is watched to one that is not.
    index.delete_source(&at("s"), 11, 0);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Wait);
    assert_eq!(unshown::all(&index), [at("s")]);
    answer(&mut index, Some(release("B", 12, "x")));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
    // And back; what was deleted before that no watch shows.
    index.apply_source(&at("s"), v("s", "C", 14, "x"));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
    assert!(
        index
            .sources(SourceKind::Secret, None)
            .contains_key(&at("s"))
    );
    assert!(unshown::all(&index).is_empty());
    // What comes late of the list that lacked it is older than the answer.
    let asked = index.tick();
    answer(&mut index, Some(release("D", 16, "x")));
    index.miss_source(&at("s"), By::List(asked), 0);
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Recreated]);
}

#[test]
fn reads_are_of_what_is_used_and_not_shown() {
    let mut index = skipping();
    let web = Shown {
        secrets: vec!["absent", "s", "watched"],
        ..shown(1)
    };
    web.apply(&mut index);
    index.apply_source(&at("watched"), v("watched", "W", 2, "x"));
    index.apply_source(&at("unused"), v("unused", "U", 3, "x"));
    answer(&mut index, Some(release("A", 10, "x")));
    assert_eq!(unshown::all(&index), [at("absent"), at("s")]);
    assert_eq!(unshown::of(&index, &web.key()), [at("absent"), at("s")]);
    assert_eq!(unshown::skipped(&index, &web.key()), [at("s").source]);
    let watching = synced();
    assert!(unshown::all(&watching).is_empty());
}

#[test]
fn before_the_list_is_in_nothing_is_read() {
    let conventions = Arc::clone(skipping().conventions());
    let mut index = Index::new(key()).with_conventions(conventions);
    let web = shown(1);
    web.apply(&mut index);
    assert!(unshown::all(&index).is_empty() && unshown::of(&index, &web.key()).is_empty());
}

#[test]
fn a_prompt_that_reads_nothing_calls_nothing_absent() {
    let index = skipping();
    let secret = index.source(NAMESPACE, &at("s").source);
    assert!(matches!(secret, Lookup::Unseen));
    let map = SourceName::config_map("s");
    assert!(matches!(
        index.source(NAMESPACE, &map),
        Lookup::Absent { .. }
    ));
}
