use serde_json::{Value, json};

use super::*;
use crate::model::{
    annotation::OBSERVED,
    source::Need,
    testing::{CREATED, World, key, keyed, other_key, version, whole},
};

const UID: &str = crate::model::testing::WORKLOAD;

fn db() -> SourceName {
    "secret/db".parse().unwrap()
}

/// Returns an `observed` for `db` with this uid of the workload, time of its CREATE, and mark.
fn observed(uid: &str, at: Option<i64>, mark: &str) -> Observed {
    let seen = version(&db(), "s", 7, &[("k", "one"), ("l", "one")]);
    let entry = Entry::of(&seen, &keyed(&[("k", Need::Required)]));
    Observed {
        workload_uid: uid.to_owned(),
        created_at: at,
        restarted_for: mark.to_owned(),
        ..World::new().observed([(db(), entry)])
    }
}

fn text(uid: &str, at: Option<i64>, mark: &str) -> String {
    observed(uid, at, mark).print(&key())
}

/// Returns a revision of either kind, made so many seconds after the workload.
fn revision(kept: bool, after: i64, mark: &str, observed: Option<&str>) -> Value {
    let made = jiff::Timestamp::from_second(CREATED + after).unwrap();
    let mut object = json!({"metadata": {
        "name": "web-1", "creationTimestamp": made.to_string(),
        "annotations": {"a": "b"}, "ownerReferences": [{"kind": "x", "uid": UID}],
    }});
    if let Some(text) = observed {
        object["metadata"]["annotations"][OBSERVED] = json!(text);
    }
    let mut spec = json!({"replicas": 1, "template": {"spec": {}}});
    if !mark.is_empty() {
        spec["template"]["metadata"] = json!({"annotations": {"c": "d", RESTARTED_FOR: mark}});
    }
    if kept {
        object["data"] = json!({ "spec": spec });
    } else {
        object["spec"] = spec;
    }
    object
}

fn history(revisions: &[Value], mark: &str) -> Past {
    let listed = serde_json::from_value(json!({"items": revisions, "kind": "List"})).unwrap();
    let now = text(UID, None, "now");
    let whose = Whose {
        uid: UID,
        created: CREATED,
        mark,
        observed: Some(&now),
    };
    Past::of(&listed, whose, &key())
}

#[test]
fn what_shows_that_it_was_ours() {
    let foreign = observed(UID, None, "m").print(&other_key());
    let other_key = Observed {
        key_id: other_key().id().to_owned(),
        ..observed(UID, None, "m")
    }
    .print(&other_key());
    let own = text(UID, None, "m");
    let rows = [
        ("nothing", 1, "", None, false),
        ("a mark", 1, "m", None, true),
        ("observed", 1, "", Some(own.clone()), true),
        (
            "made at its CREATE",
            1,
            "",
            Some(text("", Some(CREATED + 9), "")),
            true,
        ),
        (
            "made at another's CREATE",
            1,
            "",
            Some(text("", Some(CREATED - 999), "")),
            false,
        ),
        (
            "another's, which came with its manifest",
            0,
            "",
            Some(text("v", None, "m")),
            false,
        ),
        (
            "a former workload's, which made the revision",
            -9,
            "",
            Some(text("v", None, "m")),
            true,
        ),
        (
            "forged",
            1,
            "",
            Some(own.replace("\"n\":5", "\"n\":6")),
            false,
        ),
        ("forged under another key", 1, "", Some(foreign), false),
        ("of a key that is not ours", 1, "", Some(other_key), true),
        (
            "a copy of what is there",
            1,
            "",
            Some(text(UID, None, "now")),
            false,
        ),
        (
            "of a newer release",
            1,
            "",
            Some("{\"v\":99}".to_owned()),
            false,
        ),
    ];
    for (what, after, mark, text, expected) in rows {
        for kept in [false, true] {
            let mut revision = revision(kept, after, mark, text.as_deref());
            let found = history(std::slice::from_ref(&revision), "");
            assert_eq!(found.was_ours, expected, "{what}, {kept}");
            assert_eq!(found.newest, Some(CREATED + after));
            revision["metadata"]["ownerReferences"][0]["uid"] = json!("another");
            assert_eq!(history(&[revision], ""), Past::default(), "{what}");
        }
    }
    assert_eq!(history(&[], ""), Past::default());
}

#[test]
fn another_kinds_revisions_are_read_over() {
    // ControllerRevisions with the same labels may belong to other controllers, which write into them what they like.
    for data in [json!(null), json!("x"), json!({"spec": 1}), json!([{}])] {
        let other = json!({"metadata": {"name": "x"}, "data": data});
        let own = revision(true, 3, "m", None);
        assert!(history(&[other, own], "").was_ours);
    }
}

#[test]
fn who_has_the_mark_was_let_go() {
    // Opting out removes `observed` and leaves the template.
    let marked = revision(false, 5, "m", Some(&text(UID, None, "m")));
    assert!(!history(std::slice::from_ref(&marked), "m").was_ours);
    assert!(history(&[marked], "").was_ours);
}

#[test]
fn what_pods_are_known_to_have() {
    let (bare, of_m) = (text(UID, None, ""), text(UID, None, "m"));
    let used = keyed(&[("k", Need::Required)]);
    let same = version(&db(), "s", 9, &[("k", "one"), ("l", "two")]);
    let changed = version(&db(), "s", 9, &[("k", "two")]);
    let recreated = version(&db(), "t", 9, &[("k", "one")]);
    let all = whole(Need::Required);
    let rows = [
        ("the same in what is used", &bare, &used, &same, true),
        ("other data", &bare, &used, &changed, false),
        ("another uid", &bare, &used, &recreated, false),
        ("more of it is used", &bare, &all, &same, false),
        ("of a mark that was taken", &of_m, &used, &same, false),
    ];
    for (what, text, usage, version, expected) in rows {
        let revision = revision(false, 5, "", Some(text));
        let found = history(&[revision], "");
        assert_eq!(found.has(&db(), usage, version), expected, "{what}");
    }
    let one = revision(false, 5, "", Some(&bare));
    let rows = [
        (
            "an older one with a mark",
            revision(false, 4, "m", None),
            true,
        ),
        ("a newer one", revision(false, 6, "m", Some(&of_m)), false),
        (
            "one of the same second",
            revision(false, 5, "m", None),
            false,
        ),
    ];
    for (what, other, expected) in rows {
        let mut both = [one.clone(), other];
        for _ in 0..2 {
            let found = history(&both, "");
            assert!(found.was_ours);
            assert_eq!(found.has(&db(), &used, &same), expected, "{what}");
            both.reverse();
        }
    }
}
