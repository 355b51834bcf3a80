//! Stamps of templates that read parts of a volume.

use serde_json::json;

use super::*;
use crate::model::{source::references, version::WHOLE};

/// File `k` of a volume of `s`, or another part of it.
fn part(path: &str) -> Usage {
    let mount = json!({ "name": "v", "mountPath": "/v", "subPath": path });
    let volume = json!({ "name": "v", "secret": { "secretName": "s" } });
    let spec = json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [volume] });
    references(&json!({ "spec": spec }))[&s()].clone()
}

/// A source of a volume of which nothing is read.
fn unread() -> Usage {
    let sources = json!([
        { "secret": { "name": "s", "items": [{ "key": "k", "path": "p" }] } },
        { "configMap": { "name": "m" } },
    ]);
    let mount = json!({ "name": "v", "mountPath": "/v", "subPath": "of-m" });
    let volume = json!({ "name": "v", "projected": { "sources": sources } });
    let spec = json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [volume] });
    references(&json!({ "spec": spec }))[&s()].clone()
}

const X: &[(&str, &str)] = &[("k", "x"), ("l", "x")];
const OTHER: &[(&str, &str)] = &[("k", "x"), ("l", "y")];
const Y: &[(&str, &str)] = &[("k", "y"), ("l", "x")];
const WITHOUT: &[(&str, &str)] = &[("l", "x")];

fn at(data: &[(&str, &str)]) -> Version {
    v("A", 10, data)
}

fn present(data: &[(&str, &str)]) -> Live {
    Live::Fresh(at(data))
}

/// What is observed of file `k`.
fn seen(data: &[(&str, &str)]) -> Entry {
    Entry::of(&at(data), &part("k")).with_held(None, &at(data), &part("k"))
}

/// What an older release observed.
fn older(data: &[(&str, &str)]) -> Entry {
    Entry::of(&at(data), &part(""))
}

/// What was observed, what is there, what is recorded, whether that is an advance, and whether pods wait.
type Row = (
    &'static str,
    Usage,
    Option<Entry>,
    Live,
    Option<Entry>,
    bool,
    bool,
);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let file = || part("k");
    vec![
        ("same", file(), Some(seen(X)), present(X), Some(seen(X)), false, false),
        ("another key changed", file(), Some(seen(X)), present(OTHER), Some(seen(X)), false, false),
        ("changed", file(), Some(seen(X)), present(Y), Some(seen(Y)), true, false),
        ("gone", file(), Some(seen(X)), present(WITHOUT), Some(seen(WITHOUT)), true, true),
        ("never there", file(), None, present(WITHOUT), Some(seen(WITHOUT)), false, true),
        ("source absent", file(), None, GONE, Some(Entry::Waiting), false, true),
        ("of an older release", file(), Some(older(X)), present(X), Some(seen(X)), false, false),
        ("of an older release, changed", file(), Some(older(X)), present(Y), Some(seen(Y)), true, false),
        ("unread", unread(), None, present(X), None, false, false),
        ("unread, of an older release", unread(), Some(older(X)), present(Y), None, false, false),
        ("unread, absent", unread(), None, GONE, None, false, true),
        ("unread, without its item", unread(), None, present(WITHOUT), None, false, true),
    ]
}

#[test]
fn what_a_template_change_records_of_parts() {
    for (name, usage, before, live, after, advances, waits) in rows() {
        let world = one(usage, live);
        let observed = world.observed(before.map(|entry| (s(), entry)));
        let stamp = world.stamp(Known::Observed(&observed)).unwrap();
        assert_eq!(stamp.observed.entries.get(&s()), after.as_ref(), "{name}");
        let fresh = stamp.restarted_for != world.restarted_for;
        assert_eq!(fresh, advances, "{name}");
        assert_eq!(stamp.waiting == [s()], waits, "{name}");
    }
}

/// The kubelet starts pods without the file, so it is not waited for.
#[test]
fn an_absent_file_is_unknown() {
    let Entry::Seen { states, .. } = seen(WITHOUT) else {
        panic!("it exists");
    };
    let whole = KeyState::Seen(at(WITHOUT).whole);
    let expected = [
        (WHOLE.to_owned(), whole),
        ("k".to_owned(), KeyState::Unknown),
    ];
    assert_eq!(states.into_iter().collect::<Vec<_>>(), expected);
}
