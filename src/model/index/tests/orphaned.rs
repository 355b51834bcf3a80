//! Workloads that are made again over their old pods: what is remembered of them, and who has looked.

use super::*;
use crate::model::{index::TOMBSTONE_SECONDS, observed::Observed};

/// Adopted under one uid, and deleted without its pods.
fn left(orphans: bool) -> (Index, Shown) {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = shown(1);
    web.apply(&mut index);
    judge(&mut index, &web);
    let mut going = web.read();
    (going.deleting, going.orphans, going.resource_version) = (true, orphans, 2);
    index.apply_workload(&web.key(), going);
    (index, web)
}

#[test]
fn only_what_leaves_its_pods_is_remembered_and_not_for_ever() {
    for orphans in [true, false] {
        let (mut index, web) = left(orphans);
        // The new one is created before a watch shows that the old one is gone.
        assert!(index.left_behind(&web.key(), "").is_some());
        assert!(index.left_behind(&web.key(), WORKLOAD).is_none());
        index.delete_workload(&web.key());
        for uid in ["", "another"] {
            assert_eq!(index.left_behind(&web.key(), uid).is_some(), orphans);
        }
        index.expire(1000);
        index.expire(1000 + TOMBSTONE_SECONDS - 1);
        assert_eq!(index.left_behind(&web.key(), "").is_some(), orphans);
        index.expire(1000 + TOMBSTONE_SECONDS);
        assert!(index.left_behind(&web.key(), "").is_none());
    }
}

#[test]
fn it_is_bounded() {
    let (one, web) = left(true);
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    for number in 0..5000 {
        let key = WorkloadKey {
            name: format!("w{number}"),
            ..web.key()
        };
        let mut going = one.workload(&web.key()).unwrap().workload.clone();
        (going.deleting, going.orphans) = (false, false);
        index.apply_workload(&key, going.clone());
        index.judge(&key, &Overlay::new());
        (going.deleting, going.orphans) = (true, true);
        index.apply_workload(&key, going);
        index.delete_workload(&key);
    }
    let kept = (0..5000).filter(|number| {
        let key = WorkloadKey {
            name: format!("w{number}"),
            ..shown(1).key()
        };
        index.left_behind(&key, "").is_some()
    });
    assert_eq!(kept.count(), 4096);
}

#[test]
fn an_adoption_counts_at_once_and_is_examined_before_it_is_written() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = shown(1);
    web.apply(&mut index);
    judge(&mut index, &web);
    assert!(index.is_unexamined(&web.key()));
    index.set_examined(&web.key());
    assert!(!index.is_unexamined(&web.key()));
    // Its text says so to the next process.
    let written = web.written(&index, 2);
    let mut next = synced();
    written.apply(&mut next);
    assert!(!next.is_unexamined(&web.key()));
    // A copy of another's does not.
    let copy = Shown {
        uid: "another",
        ..written
    };
    let mut next = synced();
    copy.apply(&mut next);
    assert!(next.is_unexamined(&web.key()));
}

#[test]
fn what_nobody_examined_stays_so_until_somebody_does_or_it_restarts() {
    let (mut index, web) = (synced(), shown(1));
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    web.apply(&mut index);
    judge(&mut index, &web);
    let known = index.workload(&web.key()).unwrap().observed().unwrap();
    let text = known.clone().unexamined(CREATED).print(&key());
    let made = Shown {
        rv: 2,
        observed: Some(text.clone()),
        ..web.clone()
    };
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    made.apply(&mut index);
    assert_eq!(judge(&mut index, &made).outcome(), Outcome::Keep);
    assert!(index.is_unexamined(&web.key()));
    // There is something to do, although nothing else is to be written.
    assert!(index.unwritten(&web.key()).is_some());
    // A change restarts all pods, whichever were adopted.
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let restart = judge(&mut index, &made);
    assert_eq!(restart.outcome(), Outcome::Restart);
    assert_eq!(restart.next().cloned().unwrap().workload_uid, WORKLOAD);
    index.apply_source(&at("s"), v("s", "A", 12, "x"));
    index.set_examined(&web.key());
    judge(&mut index, &made);
    let written = made.written(&index, 3);
    let read = Observed::read(written.observed.as_ref().unwrap(), &key());
    assert!(matches!(read, Reading::Genuine(read) if read.workload_uid == WORKLOAD));
}

#[test]
fn what_opts_in_later_is_adopted_afresh() {
    let mut index = synced();
    let web = shown(1);
    let out = Shown {
        restart_on: None,
        ..web.clone()
    };
    out.apply(&mut index);
    Shown {
        rv: 2,
        ..web.clone()
    }
    .apply(&mut index);
    assert!(!index.is_unexamined(&web.key()));
    // But not where only the label of its namespace came later than it did.
    let mut index = synced();
    out.apply(&mut index);
    index.apply_namespace(NAMESPACE, Some("auto".to_owned()));
    assert!(index.is_unexamined(&web.key()));
}
