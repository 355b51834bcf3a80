//! What was observed only goes forward, whatever the annotation says.

use super::*;
use crate::model::{Observed, peer::Hands};

/// An index that knows a Secret and a workload that was adopted, and what the workload looks like then.
fn adopted() -> (Index, Shown) {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = shown(1);
    web.apply(&mut index);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
    let web = web.written(&index, 2);
    web.apply(&mut index);
    assert_eq!(index.unwritten(&web.key()), None);
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
    (index, web)
}

/// Restarts as the controller does, and gives what the workload looks like then.
fn restarted(index: &mut Index, web: &Shown) -> Shown {
    let decision = judge(index, web);
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = decision.next().cloned().unwrap();
    let web = Shown {
        rv: web.rv + 1,
        restarted_for: next.restarted_for.clone(),
        observed: Some(next.print(&key())),
        last_restart: true,
        ..web.clone()
    };
    web.apply(index);
    assert_eq!(judge(index, &web).outcome(), Outcome::Keep);
    web
}

fn records_only(decision: &Decision) {
    assert_eq!(
        (decision.outcome(), kinds(decision)),
        (Outcome::Record, vec![])
    );
}

#[test]
fn adoption_counts_at_once() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = shown(1);
    web.apply(&mut index);
    judge(&mut index, &web);
    let change = index.apply_source(&at("s"), v("s", "A", 11, "y"));
    assert_eq!(change.users, [web.key()]);
    assert_eq!(
        kinds(&judge(&mut index, &web)),
        [CauseKind::Updated],
        "though nothing was written yet"
    );
}

#[test]
fn a_second_start_changes_nothing() {
    let (_, web) = adopted();
    let mut again = synced();
    again.apply_source(&at("s"), v("s", "A", 10, "x"));
    web.apply(&mut again);
    assert_eq!(judge(&mut again, &web).outcome(), Outcome::Keep);
    assert_eq!(again.unwritten(&web.key()), None);
}

#[test]
fn what_changed_while_nobody_looked_restarts() {
    let (_, web) = adopted();
    let mut again = synced();
    again.apply_source(&at("s"), v("s", "B", 20, "x"));
    web.apply(&mut again);
    assert_eq!(kinds(&judge(&mut again, &web)), [CauseKind::Recreated]);
    restarted(&mut again, &web);
}

#[test]
fn vanished_forged_or_put_back_it_is_kept_from_memory_and_written_again() {
    let (mut index, first) = adopted();
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let second = restarted(&mut index, &first);
    let ours = second.observed.clone();
    let texts = [
        None,
        Some(String::new()),
        Some("{}".to_owned()),
        ours.as_ref().map(|text| text.replace("\"n\":3", "\"n\":4")),
        ours.as_ref()
            .map(|text| text.replace(key().id(), "other-id")),
        first.observed.clone(),
    ];
    for (text, rv) in texts.into_iter().zip((second.rv + 1..).step_by(2)) {
        assert_ne!(text, ours);
        let tampered = Shown {
            rv,
            observed: text.clone(),
            ..second.clone()
        };
        tampered.apply(&mut index);
        // One under another key is believed neither way until somebody has found out which key is right.
        let doubted = index.unknown_keys();
        if !doubted.is_empty() {
            assert_eq!(index.unwritten(&tampered.key()), None, "{text:?}");
            assert_eq!(judge(&mut index, &tampered).outcome(), Outcome::UnknownKey);
            index.retire_keys(doubted);
        }
        let unwritten = index.unwritten(&tampered.key());
        assert_eq!(unwritten, Some(ours.clone()), "{text:?}");
        let Some(Reading::Genuine(effective)) = index.effective(&tampered.key(), &tampered.read())
        else {
            panic!("{text:?}");
        };
        assert_eq!(Some(effective.print(&key())), ours, "{text:?}");
        assert_eq!(
            judge(&mut index, &tampered).outcome(),
            Outcome::Keep,
            "{text:?}"
        );
        Shown {
            rv: rv + 1,
            ..second.clone()
        }
        .apply(&mut index);
    }
}

#[test]
fn what_another_installation_restarted_is_what_the_pods_have() {
    let by_another = |shown: &Shown| {
        let text = shown.observed.as_ref();
        text.map(|text| text.replace(key().id(), "other-id"))
    };
    let (mut others, first) = adopted();
    others.apply_source(&at("s"), v("s", "A", 11, "y"));
    let second = restarted(&mut others, &first);
    let theirs = Shown {
        observed: by_another(&second),
        ..second.clone()
    };
    let (mut index, _) = adopted();
    index.retire_keys(["other-id".to_owned()].into());
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    theirs.apply(&mut index);
    assert_eq!(judge(&mut index, &theirs).outcome(), Outcome::Record);
    // Under a mark that the template does not have, it says nothing about the pods.
    let (mut index, web) = adopted();
    index.retire_keys(["other-id".to_owned()].into());
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let unmarked = Shown {
        restarted_for: web.restarted_for,
        ..theirs
    };
    unmarked.apply(&mut index);
    assert_eq!(kinds(&judge(&mut index, &unmarked)), [CauseKind::Updated]);
    // One that a rollback brought back says nothing newer.
    let old = Shown {
        rv: second.rv + 1,
        observed: by_another(&first),
        restarted_for: first.restarted_for.clone(),
        ..second
    };
    others.retire_keys(["other-id".to_owned()].into());
    old.apply(&mut others);
    assert_eq!(kinds(&judge(&mut others, &old)), [CauseKind::RolledBack]);
}

/// Else a namespace that another installation holds would count as won, and all of it be taken over.
#[test]
fn what_a_person_puts_in_the_place_of_another_installations_is_not_ours() {
    let (index, web) = adopted();
    let ours = web.observed.clone().unwrap();
    let theirs = ours.replace(index.key().id(), "other-id");
    let of_another_workload = |text: &str| Some(text.replace(WORKLOAD, "another"));
    let rows = [
        (of_another_workload(&theirs), None),
        (of_another_workload(&ours), None),
        (Some("nothing that can be read".to_owned()), None),
        (None, None),
        (
            Some(ours),
            Some(Hands::Ours {
                key_id: "other-id".to_owned(),
            }),
        ),
    ];
    for (put, expected) in rows {
        let mut index = synced();
        index.apply_source(&at("s"), v("s", "A", 10, "x"));
        let held = Shown {
            observed: Some(theirs.clone()),
            ..web.clone()
        };
        index.retire_keys(["other-id".to_owned()].into());
        held.apply(&mut index);
        // It is known what the pods have, and not written while the namespace is left to the other one.
        judge(&mut index, &held);
        let next = Shown {
            rv: web.rv + 1,
            observed: put.clone(),
            ..web.clone()
        };
        let change = index.apply_workload(&next.key(), next.read());
        assert_eq!(change.hands, expected, "{put:?}");
    }
}

/// The annotation of a workload, as a newer release writes it.
fn by_newer_release(web: &Shown) -> String {
    let Reading::Genuine(observed) = Observed::read(web.observed.as_ref().unwrap(), &key()) else {
        panic!("{web:?}");
    };
    let format = key().newest_format() + 1;
    Observed { format, ..observed }.print(&key())
}

#[test]
fn what_only_says_that_it_is_newer_is_not_believed() {
    let (mut index, web) = adopted();
    let ours = web.observed.clone();
    let newer = by_newer_release(&web);
    for forged in ["{\"v\":99}".to_owned(), newer.replace("\"n\":2", "\"n\":3")] {
        let forged = Shown {
            rv: 3,
            observed: Some(forged),
            ..web.clone()
        };
        forged.apply(&mut index);
        assert_eq!(judge(&mut index, &forged).outcome(), Outcome::Keep);
        assert_eq!(index.unwritten(&forged.key()), Some(ours.clone()));
    }
}

#[test]
fn a_newer_release_is_believed() {
    let (mut index, web) = adopted();
    let newer = Shown {
        rv: 3,
        observed: Some(by_newer_release(&web)),
        ..web
    };
    newer.apply(&mut index);
    assert_eq!(judge(&mut index, &newer).outcome(), Outcome::NewerFormat);
    assert_eq!(index.unwritten(&newer.key()), None, "never rewritten");
}

#[test]
fn what_a_newer_release_wrote_is_adopted_afresh_once_it_is_gone() {
    let (mut index, web) = adopted();
    let newer = Shown {
        rv: web.rv + 1,
        observed: Some(by_newer_release(&web)),
        ..web.clone()
    };
    newer.apply(&mut index);
    let gone = Shown {
        rv: web.rv + 2,
        observed: None,
        ..web
    };
    gone.apply(&mut index);
    records_only(&judge(&mut index, &gone));
}

#[test]
fn a_lost_opt_in_is_told_once_and_off_is_not_one() {
    let (mut index, web) = adopted();
    let told = |index: &mut Index, rv: u64, uid, restart_on| {
        let shown = Shown {
            rv: web.rv + rv,
            uid,
            restart_on,
            ..web.clone()
        };
        index.apply_workload(&shown.key(), shown.read()).lost_opt_in
    };
    let steps = [
        (1, Some("secrets"), false),
        (2, Some("nonsense"), false),
        (3, None, true),
        (4, None, false),
        (5, Some("auto"), false),
        (6, Some("off"), false),
        (7, None, false),
        (8, Some("auto"), false),
        // It comes late.
        (7, None, false),
    ];
    for (rv, restart_on, expected) in steps {
        let lost = told(&mut index, rv, WORKLOAD, restart_on);
        assert_eq!(lost, expected, "{rv} {restart_on:?}");
    }
    index.apply_namespace(NAMESPACE, Some("auto".to_owned()));
    assert!(!told(&mut index, 9, WORKLOAD, None), "by the namespace");
    index.apply_namespace(NAMESPACE, None);
    assert!(!told(&mut index, 10, WORKLOAD, Some("auto")));
    assert!(!told(&mut index, 11, "another", None), "another workload");
}

/// An index that knows two Secrets, and a workload that opts in for the second while a restart for the first is due.
fn opted_in_while_one_is_due() -> (Index, Shown) {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    index.apply_source(&at("t"), v("t", "B", 11, "x"));
    let mut web = Shown {
        secrets: vec!["s", "t"],
        restart_on: Some("secret/s"),
        ..shown(1)
    };
    web.apply(&mut index);
    judge(&mut index, &web);
    web = web.written(&index, 2);
    web.apply(&mut index);
    index.apply_source(&at("s"), v("s", "A", 12, "y"));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
    assert_eq!(index.unwritten(&web.key()), None, "only a restart is due");
    (web.rv, web.restart_on) = (3, Some("auto"));
    web.apply(&mut index);
    (index, web)
}

#[test]
fn what_an_opt_in_gains_is_adopted_as_it_was_then_also_while_a_restart_waits() {
    for is_written in [false, true] {
        let (mut index, web) = opted_in_while_one_is_due();
        let due = judge(&mut index, &web);
        assert_eq!(due.outcome(), Outcome::Restart);
        assert_eq!(judge(&mut index, &web), due);
        if is_written {
            let web = web.written(&index, 4);
            web.apply(&mut index);
            assert_eq!(index.unwritten(&web.key()), None);
        }
        index.apply_source(&at("t"), v("t", "B", 13, "y"));
        index.apply_source(&at("s"), v("s", "A", 14, "x"));
        let decision = judge(&mut index, &web);
        assert_eq!(decision.outcome(), Outcome::Restart, "{is_written}");
        let sources = decision.causes().iter().map(|cause| &cause.source);
        let sources: Vec<_> = sources.flatten().cloned().collect();
        assert_eq!(sources, [at("t").source], "{is_written}");
    }
}

#[test]
fn another_workload_of_the_same_name_starts_afresh() {
    let (mut index, web) = adopted();
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let other = Shown {
        uid: "another",
        rv: 5,
        ..web
    };
    other.apply(&mut index);
    records_only(&judge(&mut index, &other));
}

#[test]
fn the_one_before_does_not_come_back() {
    let (mut index, web) = adopted();
    let other = Shown {
        uid: "another",
        rv: 5,
        ..web.clone()
    };
    other.apply(&mut index);
    web.apply(&mut index);
    assert_eq!(
        index.workload(&web.key()).unwrap().workload.uid,
        "another",
        "a late event about a workload that was deleted"
    );
}

#[test]
fn a_write_by_the_webhook_counts_against_what_was_only_remembered() {
    // Several records in memory before the first is written, and then somebody's write with a new template, stamped
    // from what the object carried: nothing.
    let mut index = synced();
    let web = Shown {
        secrets: vec!["s", "t", "u"],
        ..shown(1)
    };
    web.apply(&mut index);
    index.set_started(&web.key(), false);
    for (rv, name) in [(10, "s"), (11, "t"), (12, "u")] {
        judge(&mut index, &web);
        index.apply_source(&at(name), v(name, "A", rv, "x"));
    }
    judge(&mut index, &web);
    let tracked = index.workload(&web.key()).unwrap();
    let live = |source: &SourceName| index.source(NAMESPACE, source);
    let stamp = stamp_update(
        &tracked.subject(&KINDS[0], tracked.uses()),
        Known::Nothing,
        &live,
        &key(),
    )
    .unwrap();
    let stamped = Shown {
        rv: 2,
        restarted_for: stamp.restarted_for.clone(),
        observed: Some(stamp.observed.print(&key())),
        ..web
    };
    stamped.apply(&mut index);
    let decision = judge(&mut index, &stamped);
    assert_eq!(
        (decision.outcome(), kinds(&decision)),
        (Outcome::Keep, vec![])
    );
}

#[test]
fn opting_out_forgets_and_opting_in_adopts_afresh() {
    let (mut index, web) = adopted();
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let web = restarted(&mut index, &web);
    let out = Shown {
        rv: 10,
        restart_on: Some("off"),
        ..web.clone()
    };
    out.apply(&mut index);
    assert_eq!(index.assess(&out.key(), &Overlay::new()), None);
    assert_eq!(
        index.unwritten(&out.key()),
        Some(None),
        "its annotations go"
    );
    assert_eq!(index.users(&at("s")), []);
    assert_eq!(index.apply_source(&at("s"), v("s", "A", 12, "z")).users, []);

    // Back in before they went: what they say is void.
    let back = Shown {
        rv: 11,
        ..web.clone()
    };
    back.apply(&mut index);
    assert_eq!(index.effective(&back.key(), &back.read()), None);
    records_only(&judge(&mut index, &back));
    // An event that comes before the new text was written does not bring the old one back.
    let late = Shown {
        rv: 12,
        ..web.clone()
    };
    late.apply(&mut index);
    assert_eq!(judge(&mut index, &late).outcome(), Outcome::Keep);
    let written = late.written(&index, 13);
    assert_ne!(written.observed, late.observed);
    written.apply(&mut index);
    assert_eq!(judge(&mut index, &written).outcome(), Outcome::Keep);
    index.apply_source(&at("s"), v("s", "B", 14, "z"));
    assert_eq!(kinds(&judge(&mut index, &written)), [CauseKind::Recreated]);
}

#[test]
fn opting_out_and_in_after_its_annotations_went_adopts_afresh() {
    let (mut index, web) = adopted();
    Shown {
        rv: 3,
        restart_on: None,
        ..web.clone()
    }
    .apply(&mut index);
    let gone = Shown {
        rv: 4,
        restart_on: None,
        observed: None,
        ..web
    };
    gone.apply(&mut index);
    assert_eq!(index.unwritten(&gone.key()), None);
    index.apply_source(&at("s"), v("s", "A", 12, "z"));
    let back = Shown {
        rv: 5,
        restart_on: Some("auto"),
        ..gone
    };
    back.apply(&mut index);
    records_only(&judge(&mut index, &back));
}

#[test]
fn a_typo_in_the_opt_in_forgets_nothing() {
    let (mut index, web) = adopted();
    let typo = Shown {
        rv: 3,
        restart_on: Some("atuo"),
        ..web.clone()
    };
    typo.apply(&mut index);
    assert_eq!(judge(&mut index, &typo).outcome(), Outcome::Unreadable);
    assert_eq!(index.unwritten(&typo.key()), None);
    index.apply_source(&at("s"), v("s", "A", 12, "z"));
    let right = Shown { rv: 4, ..web };
    right.apply(&mut index);
    assert_eq!(kinds(&judge(&mut index, &right)), [CauseKind::Updated]);
}

#[test]
fn the_default_of_the_namespace_is_taken_in_and_taken_back() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = Shown {
        restart_on: None,
        ..shown(1)
    };
    web.apply(&mut index);
    assert_eq!(index.apply_namespace("other", None), []);
    assert_eq!(index.assess(&web.key(), &Overlay::new()), None);
    assert_eq!(
        index.apply_namespace(NAMESPACE, Some("auto".to_owned())),
        [web.key()]
    );
    assert_eq!(index.defaults_of(NAMESPACE).namespace, Some("auto"));
    assert!(index.known_namespaces().iter().eq([NAMESPACE]));
    assert_eq!(
        index.apply_namespace(NAMESPACE, Some("auto".to_owned())),
        [],
        "nothing new"
    );
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Record);
    let web = web.written(&index, 2);
    web.apply(&mut index);

    index.apply_namespace(NAMESPACE, None);
    assert_eq!(index.unwritten(&web.key()), Some(None));
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    index.apply_namespace(NAMESPACE, Some("secrets".to_owned()));
    records_only(&judge(&mut index, &web));
}

#[test]
fn whether_pods_started_is_asked_again_when_something_else_is_selected() {
    let mut index = synced();
    let web = Shown {
        restart_on: Some("configmaps"),
        ..shown(1)
    };
    web.apply(&mut index);
    index.set_started(&web.key(), false);
    judge(&mut index, &web);
    let wider = Shown {
        rv: 2,
        restart_on: Some("auto"),
        ..web
    };
    wider.apply(&mut index);
    assert_eq!(
        judge(&mut index, &wider).outcome(),
        Outcome::Undecided(Doubt::AskPods)
    );
    index.set_started(&wider.key(), true);
    // A status update changes nothing about it.
    Shown {
        rv: 3,
        ..wider.clone()
    }
    .apply(&mut index);
    assert_eq!(judge(&mut index, &wider).outcome(), Outcome::Wait);
}

#[test]
fn what_is_not_rerolls_business_is_not_judged() {
    let (mut index, web) = adopted();
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let mut owned = Shown {
        rv: 3,
        ..web.clone()
    }
    .read();
    owned.controller = Some("App boss".to_owned());
    index.apply_workload(&web.key(), owned);
    assert_eq!(index.assess(&web.key(), &Overlay::new()), None);
    let mut deleting = Shown {
        rv: 4,
        ..web.clone()
    }
    .read();
    deleting.deleting = true;
    index.apply_workload(&web.key(), deleting);
    assert_eq!(index.assess(&web.key(), &Overlay::new()), None);
    index.delete_workload(&web.key());
    assert_eq!(index.assess(&web.key(), &Overlay::new()), None);
    assert_eq!(index.users(&at("s")), []);
}

#[test]
fn a_preview_changes_nothing() {
    let (mut index, web) = adopted();
    for (value, restarts) in [("y", vec![web.key()]), ("x", vec![])] {
        let version = v("s", "A", u64::MAX, value);
        let becomes = Lookup::Present {
            version: &version,
            fresh: true,
        };
        let preview = Preview::of_change(&index, &at("s"), becomes);
        assert_eq!((preview.restarts, preview.incomplete), (restarts, false));
    }
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
}

#[test]
fn a_preview_costs_no_more_where_workloads_take_everything_of_a_namespace() {
    const SOURCES: usize = 1500;
    let mut index = synced();
    for number in 0..SOURCES {
        let name = format!("s{number}");
        index.apply_source(&at(&name), v(&name, "A", 10, "x"));
    }
    let names = ["one", "two", "three"];
    for name in names {
        let web = Shown {
            name,
            uid: name,
            restart_on: Some("secret/*"),
            secrets: Vec::new(),
            ..shown(1)
        };
        web.apply(&mut index);
        records_only(&judge(&mut index, &web));
    }
    let version = v("s7", "A", u64::MAX, "y");
    let becomes = Lookup::Present {
        version: &version,
        fresh: true,
    };
    assert_eq!(index.users(&at("s7")).len(), names.len());
    let preview = Preview::of_change(&index, &at("s7"), becomes);
    assert_eq!(preview.restarts.len(), PREVIEWED_SOURCES / SOURCES);
    assert!(preview.incomplete);
}

#[test]
fn an_ignored_source_does_not_count() {
    let (mut index, web) = adopted();
    let mut ignored = v("s", "A", 11, "y");
    ignored.ignored = true;
    assert!(index.apply_source(&at("s"), ignored).changed);
    records_only(&judge(&mut index, &web));
    // It counts again as it is.
    index.apply_source(&at("s"), v("s", "A", 12, "y"));
    assert_eq!(judge(&mut index, &web).outcome(), Outcome::Keep);
    index.apply_source(&at("s"), v("s", "A", 13, "z"));
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
}

#[test]
fn one_write_that_makes_a_source_count_and_changes_it_is_a_change() {
    let (mut index, web) = adopted();
    let mut ignored = v("s", "A", 11, "x");
    ignored.ignored = true;
    index.apply_source(&at("s"), ignored);
    records_only(&judge(&mut index, &web));
    let next = v("s", "A", 12, "z");
    let becomes = Lookup::Present {
        version: &next,
        fresh: true,
    };
    assert_eq!(
        Preview::of_change(&index, &at("s"), becomes).restarts,
        [web.key()]
    );
    index.apply_source(&at("s"), next);
    assert_eq!(kinds(&judge(&mut index, &web)), [CauseKind::Updated]);
}

#[test]
fn the_sequence_counts_on_over_opt_outs() {
    let (mut index, first) = adopted();
    let at = |rv: u64, restart_on, observed| Shown {
        rv,
        restart_on,
        observed,
        ..first.clone()
    };
    at(10, Some("off"), None).apply(&mut index);
    index.apply_source(&super::at("s"), v("s", "A", 11, "y"));
    // What was written before the opt-out is put back with the opt-in.
    let back = at(12, Some("auto"), first.observed.clone());
    back.apply(&mut index);
    assert_eq!(index.effective(&back.key(), &back.read()), None);
    records_only(&judge(&mut index, &back));
    let second = back.written(&index, 13);
    second.apply(&mut index);
    assert_eq!(judge(&mut index, &second).outcome(), Outcome::Keep);
    // And again afterwards.
    at(14, Some("auto"), first.observed.clone()).apply(&mut index);
    assert_eq!(
        index.unwritten(&second.key()),
        Some(second.observed.clone())
    );
    // A start that finds only the old one has nothing better.
    let mut again = synced();
    again.apply_source(&super::at("s"), v("s", "A", 11, "y"));
    at(14, Some("auto"), first.observed.clone()).apply(&mut again);
    assert_eq!(kinds(&judge(&mut again, &first)), [CauseKind::Updated]);
}

/// A workload that opted out when there were two texts of it, and opts in again with the first of them: what follows it
/// since the beginning, what was started after the opt-out, and what the workload looks like.
fn undone_over_an_opt_out() -> (Index, Index, Shown) {
    let (mut index, first) = adopted();
    index.apply_source(&at("s"), v("s", "A", 11, "y"));
    let second = restarted(&mut index, &first);
    let out = Shown {
        rv: 12,
        restart_on: None,
        observed: None,
        ..second
    };
    out.apply(&mut index);
    let mut later = synced();
    later.apply_source(&at("s"), v("s", "A", 11, "y"));
    out.apply(&mut later);
    let back = Shown { rv: 20, ..first };
    for index in [&mut index, &mut later] {
        back.apply(index);
    }
    records_only(&judge(&mut index, &back));
    (index, later, back)
}

#[test]
fn what_is_written_over_an_old_text_is_news_to_all_who_know_that_it_is_old() {
    type Write = fn(&mut Index, &Shown) -> Shown;
    let writes: [(&str, Write); 2] = [
        ("a restart", |later, back| {
            let decision = judge(later, back);
            assert_eq!(kinds(&decision), [CauseKind::Updated]);
            let next = decision.next().unwrap();
            Shown {
                rv: 22,
                restarted_for: next.restarted_for.clone(),
                observed: Some(next.print(&key())),
                ..back.clone()
            }
        }),
        ("a stamp", |later, back| {
            let tracked = later.workload(&back.key()).unwrap();
            let live = |source: &SourceName| later.source(NAMESPACE, source);
            let known = Known::Observed(tracked.observed().unwrap());
            let subject = tracked.subject(&KINDS[0], tracked.uses());
            let stamp = stamp_update(&subject, known, &live, &key()).unwrap();
            Shown {
                rv: 22,
                restarted_for: stamp.restarted_for.clone(),
                observed: Some(stamp.observed.print(&key())),
                ..back.clone()
            }
        }),
    ];
    for (name, write) in writes {
        let (mut index, mut later, back) = undone_over_an_opt_out();
        let written = write(&mut later, &back);
        assert_ne!(written.observed, back.observed, "{name}");
        // A request may show it before the watch does.
        let effective = index.effective(&back.key(), &written.read());
        let Some(Reading::Genuine(observed)) = effective else {
            panic!("{name}");
        };
        assert_eq!(Some(observed.print(&key())), written.observed, "{name}");
        assert_eq!(observed.restarted_for, written.restarted_for, "{name}");
        written.apply(&mut index);
        assert_eq!(
            judge(&mut index, &written).outcome(),
            Outcome::Keep,
            "{name}"
        );
        assert_eq!(index.unwritten(&written.key()), None, "{name}");
        // An undo to the first text is one all the same.
        let undone = Shown { rv: 26, ..back };
        undone.apply(&mut index);
        assert_eq!(
            index.unwritten(&undone.key()),
            Some(written.observed),
            "{name}"
        );
    }
}

#[test]
fn who_does_not_know_that_a_text_is_old_believes_what_is_adopted_in_its_place() {
    let (index, mut later, back) = undone_over_an_opt_out();
    let adopted = back.written(&index, 22);
    assert_ne!(adopted.observed, back.observed);
    adopted.apply(&mut later);
    assert_eq!(judge(&mut later, &adopted).outcome(), Outcome::Keep);
    assert_eq!(later.unwritten(&adopted.key()), None);
}

#[test]
fn a_write_beats_memory_and_the_first_of_two_stays() {
    let (mut index, web) = adopted();
    let Some(Reading::Genuine(observed)) = index.effective(&web.key(), &web.read()) else {
        panic!("{web:?}");
    };
    let other = |sequence: u64, rf: &str| Shown {
        observed: Some(
            Observed {
                sequence,
                restarted_for: rf.to_owned(),
                ..observed.clone()
            }
            .print(&key()),
        ),
        restarted_for: rf.to_owned(),
        ..web.clone()
    };
    // What is only remembered yields to what was written, whatever its number.
    index.remember(
        &web.key(),
        Observed {
            sequence: observed.sequence + 1,
            ..observed.clone()
        },
    );
    let written = Shown {
        rv: 5,
        ..other(observed.sequence + 1, "theirs")
    };
    written.apply(&mut index);
    assert_eq!(index.unwritten(&web.key()), None);
    // Of two that were written with one number the first stays.
    let twin = Shown {
        rv: 6,
        ..other(observed.sequence + 1, "another")
    };
    twin.apply(&mut index);
    assert_eq!(index.unwritten(&web.key()), Some(written.observed));
}

#[test]
fn what_the_opt_in_selects_newly_is_adopted_whatever_its_age() {
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let narrow = Shown {
        restart_on: Some("configmaps"),
        ..shown(1)
    };
    narrow.apply(&mut index);
    records_only(&judge(&mut index, &narrow));
    let wide = Shown {
        rv: 2,
        restart_on: Some("auto"),
        ..narrow.written(&index, 2)
    };
    wide.apply(&mut index);
    records_only(&judge(&mut index, &wide));
    // The template gained it, and nobody saw that but a new process.
    let mut again = synced();
    again.apply_source(&at("s"), v("s", "A", 10, "x"));
    wide.apply(&mut again);
    let asks = Outcome::Undecided(Doubt::AskAges);
    assert_eq!(judge(&mut again, &wide).outcome(), asks);
    let mut ages = crate::model::decide::Ages::new();
    ages.insert(
        SourceName::secret("s"),
        [("*".to_owned(), -1)].into_iter().collect(),
    );
    let asked = again.tick();
    again.set_ages(&wide.key(), ages, asked);
    assert_eq!(kinds(&judge(&mut again, &wide)), [CauseKind::Updated]);
}

/// Pods that came since they were looked up have what the source was before it changed.
#[test]
fn how_old_pods_are_is_looked_up_again_when_a_source_has_changed() {
    let asks = Outcome::Undecided(Doubt::AskAges);
    let mut index = synced();
    index.apply_source(&at("s"), v("s", "A", 10, "x"));
    let web = shown(11);
    web.apply(&mut index);
    records_only(&judge(&mut index, &web));
    let before = web.written(&index, 12);
    before.apply(&mut index);
    // The template gains another source, and the webhook does not see that.
    index.apply_source(&at("t"), v("t", "T", 20, "x"));
    let gained = Shown {
        rv: 21,
        secrets: vec!["s", "t"],
        ..before
    };
    gained.apply(&mut index);
    assert_eq!(judge(&mut index, &gained).outcome(), asks);
    let asked = index.tick();
    index.apply_source(&at("t"), v("t", "T", 22, "y"));
    index.set_ages(&gained.key(), BTreeMap::new(), asked);
    assert_eq!(
        judge(&mut index, &gained).outcome(),
        asks,
        "it came between"
    );
    let asked = index.tick();
    index.set_ages(&gained.key(), BTreeMap::new(), asked);
    assert_eq!(judge(&mut index, &gained).outcome(), Outcome::Record);
    // That cannot be written, and is forgotten. Then pods start, and the source is made again.
    index.history_went_back();
    assert_eq!(
        judge(&mut index, &gained).outcome(),
        asks,
        "after a restore"
    );
    let asked = index.tick();
    index.set_ages(&gained.key(), BTreeMap::new(), asked);
    index.apply_source(&at("t"), v("t", "U", 23, "z"));
    assert_eq!(judge(&mut index, &gained).outcome(), asks, "it changed");
}
