//! Who uses what: globs, names, deleted sources.

use super::*;

fn named(restart_on: &'static str) -> Shown {
    Shown {
        restart_on: Some(restart_on),
        secrets: vec![],
        ..shown(1)
    }
}

fn records_only(decision: &Decision) {
    assert_eq!(
        (decision.outcome(), kinds(decision)),
        (Outcome::Record, vec![])
    );
}

#[test]
fn a_glob_takes_sources_that_come_later_and_adopts_them() {
    let mut index = synced();
    index.apply_source(&at("app-1"), v("app-1", "A", 10, "x"));
    let web = named("secret/app-*");
    web.apply(&mut index);
    judge(&mut index, &web);
    let change = index.apply_source(&at("app-2"), v("app-2", "A", 11, "x"));
    assert_eq!(change.users, [web.key()]);
    assert_eq!(
        index
            .apply_source(&at("other"), v("other", "A", 12, "x"))
            .users,
        []
    );
    records_only(&judge(&mut index, &web));
    index.apply_source(&at("app-2"), v("app-2", "A", 13, "y"));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
}

#[test]
fn what_a_glob_took_still_counts_when_it_is_deleted() {
    let mut index = synced();
    index.apply_source(&at("app-1"), v("app-1", "A", 10, "x"));
    let web = named("secret/app-*");
    web.apply(&mut index);
    judge(&mut index, &web);
    assert_eq!(index.delete_source(&at("app-1"), 11, 0).users, [web.key()]);
    judge(&mut index, &web);
    let web = web.written(&index, 2);
    web.apply(&mut index);
    // Also after a restart of reroll, which has never seen it.
    let mut again = synced();
    web.apply(&mut again);
    for index in [&mut index, &mut again] {
        judge(index, &web);
        assert_eq!(
            index
                .apply_source(&at("app-1"), v("app-1", "B", 12, "x"))
                .users,
            [web.key()]
        );
        assert_eq!(kinds(&judge(index, &web)), [CauseKind::Recreated]);
    }
}

#[test]
fn a_glob_does_not_take_what_was_gone_before_it() {
    let mut index = synced();
    index.apply_source(&at("app-1"), v("app-1", "A", 10, "x"));
    index.delete_source(&at("app-1"), 11, 0);
    let web = named("secret/app-*");
    web.apply(&mut index);
    judge(&mut index, &web);
    // As new as one of a new name: an index that has not seen the deletion could not tell them apart.
    index.apply_source(&at("app-1"), v("app-1", "B", 12, "x"));
    records_only(&judge(&mut index, &web));
}

#[test]
fn what_is_named_need_not_exist() {
    let mut index = synced();
    let web = named("secret/later");
    web.apply(&mut index);
    judge(&mut index, &web);
    assert_eq!(
        index
            .apply_source(&at("later"), v("later", "A", 10, "x"))
            .users,
        [web.key()]
    );
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Created]);
}

#[test]
fn a_recreation_is_known_by_the_uid() {
    let mut index = synced();
    assert!(!index.apply_source(&at("s"), v("s", "A", 10, "x")).recreated);
    let straight = index.apply_source(&at("s"), v("s", "B", 11, "x"));
    assert!(
        straight.changed && straight.recreated,
        "a relist shows no deletion"
    );
    assert!(index.delete_source(&at("s"), 12, 0).changed);
    assert!(index.apply_source(&at("s"), v("s", "C", 13, "x")).recreated);
    assert!(!index.apply_source(&at("s"), v("s", "C", 14, "y")).recreated);
}

#[test]
fn an_absence_knows_since_when_and_what_was() {
    let mut index = Index::new(key());
    let s = SourceName::secret("s");
    assert!(matches!(index.source(NAMESPACE, &s), Lookup::Unsynced));
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    assert!(
        matches!(index.source(NAMESPACE, &s), Lookup::Unsynced),
        "until the list is complete"
    );
    index.set_synced(SourceKind::Secret);
    assert!(matches!(
        index.source(NAMESPACE, &s),
        Lookup::Present { fresh: false, .. }
    ));
    assert!(matches!(
        index.source(NAMESPACE, &SourceName::config_map("s")),
        Lookup::Unsynced
    ));
    index.delete_source(&at("s"), 12, 0);
    let Lookup::Absent {
        last: Some(last),
        since: 12,
    } = index.source(NAMESPACE, &s)
    else {
        panic!("{:?}", index.source(NAMESPACE, &s));
    };
    assert_eq!(last.uid, "A");
}

#[test]
fn tombstones_expire_unless_somebody_uses_the_source() {
    let mut index = synced();
    shown(1).apply(&mut index);
    for name in ["s", "unused"] {
        index.apply_source(&at(name), v(name, "A", 10, "x"));
        index.delete_source(&at(name), 12, 1000);
    }
    let known = |index: &Index, name: &str| match index.source(NAMESPACE, &SourceName::secret(name))
    {
        Lookup::Absent { last, .. } => last.is_some(),
        _ => false,
    };
    index.expire(1000 + TOMBSTONE_SECONDS - 1);
    assert!(known(&index, "s") && known(&index, "unused"));
    index.expire(1000 + TOMBSTONE_SECONDS);
    assert!(known(&index, "s") && !known(&index, "unused"));
    index.delete_workload(&shown(1).key());
    index.expire(1000 + TOMBSTONE_SECONDS);
    assert!(!known(&index, "s"));
    assert!(
        index.names().next().is_none(),
        "nothing is left of the namespace"
    );
}

#[test]
fn sizes_and_lists() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    index.apply_source(&at("t"), v("t", "A", 11, "x"));
    index.delete_source(&at("t"), 12, 0);
    shown(1).apply(&mut index);
    Shown {
        name: "other",
        restart_on: None,
        ..shown(1)
    }
    .apply(&mut index);
    assert_eq!(index.size(), (1, 1));
    assert_eq!(
        index.sources(SourceKind::Secret, None),
        HashMap::from([(at("s"), 10)])
    );
    assert!(index.sources(SourceKind::ConfigMap, None).is_empty());
    assert!(
        index
            .sources(SourceKind::Secret, Some("elsewhere"))
            .is_empty()
    );
    assert_eq!(index.workloads(None, None).len(), 2);
    assert_eq!(index.workloads(Some(&KINDS[0]), Some(NAMESPACE)).len(), 2);
    assert!(index.workloads(Some(&KINDS[1]), None).is_empty());
}

fn selective() -> Index {
    let conventions = Conventions {
        sources: Some([("tier", "web")].into_iter().collect()),
        ..Conventions::default()
    };
    let mut index = Index::new(key()).with_conventions(Arc::new(conventions));
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    index
}

#[test]
fn where_sources_are_selected_absence_is_asked_for() {
    let mut index = selective();
    let web = shown(1);
    web.apply(&mut index);
    let behind = Outcome::Undecided(Doubt::Behind);
    assert_eq!(judge(&mut index, &web).outcome(), behind);
    // It exists, and is not selected.
    let mut other = v("s", "A", 10, "x");
    other.ignored = true;
    index.apply_source(&at("s"), other);
    records_only(&judge(&mut index, &web));
    // It comes to be selected, as it was.
    index.apply_source(&at("s"), v("s", "A", 11, "x"));
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
    index.apply_source(&at("s"), v("s", "A", 12, "y"));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
    // It leaves the watch: deleted, or selected no more.
    assert_eq!(index.delete_source(&at("s"), 13, 0).users, [web.key()]);
    assert_eq!(judge(&mut index, &web).outcome(), behind);
    let now = By::Answer(index.tick());
    index.miss_source(&at("s"), now, 0);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Wait);
}

#[test]
fn what_was_never_there_is_asked_for_once() {
    let mut index = selective();
    let web = shown(1);
    web.apply(&mut index);
    let asked = By::Answer(index.tick());
    index.miss_source(&at("s"), asked, 0);
    assert!(matches!(
        index.source(NAMESPACE, &at("s").source),
        Lookup::Absent { last: None, .. }
    ));
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    index.miss_source(&at("s"), asked, 0);
    assert!(matches!(
        index.source(NAMESPACE, &at("s").source),
        Lookup::Present { .. }
    ));
}

#[test]
fn a_namespace_counts_while_it_is_selected() {
    let conventions = Conventions {
        namespaces: Some([("team", "a")].into_iter().collect()),
        ..Conventions::default()
    };
    let mut index = Index::new(key()).with_conventions(Arc::new(conventions));
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    let web = shown(1);
    let fill = |index: &mut Index| {
        index.apply_source(&at("s"), v("s", "A", 10, "x"));
        web.apply(index);
        index.apply_namespace(NAMESPACE, Some("auto".to_owned()));
        index.size()
    };
    assert_eq!(fill(&mut index), (0, 0));
    assert!(index.known_namespaces().is_empty());
    assert!(index.select_namespace(NAMESPACE, true));
    assert!(!index.select_namespace(NAMESPACE, true), "no news");
    assert_eq!(fill(&mut index), (1, 1));
    let unsynced = Outcome::Undecided(Doubt::Unsynced);
    assert_eq!(judge(&mut index, &web).outcome(), unsynced);
    for kind in SourceKind::ALL {
        assert!(index.set_synced_in(kind, NAMESPACE));
        assert!(!index.set_synced_in(kind, NAMESPACE), "no news");
    }
    records_only(&judge(&mut index, &web));
    assert_eq!(index.leave_namespace(NAMESPACE), Some(vec![web.key()]));
    assert_eq!(index.leave_namespace(NAMESPACE), None);
    assert_eq!(fill(&mut index), (0, 0));
    // Before everything is listed there is nothing that could have passed it by.
    assert!(index.select_namespace(NAMESPACE, false));
    fill(&mut index);
    records_only(&judge(&mut index, &web));
}
