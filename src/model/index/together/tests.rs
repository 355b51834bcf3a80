//! Which of what belongs together has changed, row by row.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    annotation::{ON_DELETE, RESTART_ON, TOGETHER},
    brake::together::would_wait,
    decide::Decision,
    gate::together::{listed, read},
    source::{SourceKey, SourceKind},
    testing::{NAMESPACE, key, version},
    version::key_of,
    workload::{KINDS, Workload, WorkloadKey},
};

/// Keys and values; `None`: it does not exist.
type Data = Option<&'static [(&'static str, &'static str)]>;

/// The Secrets of a workload: `e` it reads by key, `w` as a whole, `o` it starts without.
const NAMES: [&str; 3] = ["e", "w", "o"];

const ONE: Data = Some(&[("a", "1"), ("b", "1")]);
const TWO: Data = Some(&[("a", "2"), ("b", "1")]);

fn web() -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    }
}

fn source(name: &str) -> SourceKey {
    key_of(NAMESPACE, &SourceName::secret(name))
}

fn workload(asks: &Value) -> Workload {
    let mut annotations = json!({ RESTART_ON: "auto" });
    for (name, value) in asks.as_object().unwrap() {
        annotations[name] = value.clone();
    }
    let env = |name: &str, optional: bool| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": name, "key": "a", "optional": optional } } });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": NAMESPACE, "uid": "w", "resourceVersion": "5", "annotations": annotations },
        "spec": { "template": { "spec": { "containers": [{
            "env": [env("e", false), env("o", true)], "envFrom": [{ "secretRef": { "name": "w" } }],
        }] } } },
    });
    Workload::read(web().kind, &serde_json::from_value(object).unwrap())
}

/// Shows Secrets as they are, under uids that begin so.
fn show(index: &mut Index, number: u64, uid: &str, secrets: &[Data; 3]) {
    for (name, data) in NAMES.into_iter().zip(secrets) {
        let source = source(name);
        match data {
            Some(data) => {
                let live = version(&source.source, &format!("{uid}{name}"), number, data);
                index.apply_source(&source, live);
            }
            None => {
                index.delete_source(&source, number, 0);
            }
        }
    }
}

fn index(before: &[Data; 3], asks: &Value) -> Index {
    let mut index = Index::new(key());
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    show(&mut index, 10, "U", before);
    index.apply_workload(&web(), workload(asks));
    index.set_started(&web(), true);
    index.judge(&web(), &Overlay::new());
    index
}

/// Returns how each member stands when a restart is due; in words.
fn standings(index: &Index) -> String {
    let tracked = index.workload(&web()).unwrap();
    let changed = match index.assess(&web(), &Overlay::new()) {
        Some(Decision::Restart(restart)) => changed(tracked, &restart),
        other => panic!("{other:?}"),
    };
    let all = groups(index, NAMESPACE, tracked, &changed, &Overlay::new());
    let words = all.iter().flatten().map(|(member, standing)| {
        let how = match standing {
            Standing::Moved(_) => "moved".to_owned(),
            Standing::Stays => "stays".to_owned(),
            Standing::Idle(why) => format!("{why:?}"),
        };
        format!("{member} {how}")
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What belongs together; what pods started with, and what is there now, of `e`, `w` and `o`; and how each stands then.
type Row = (&'static str, [Data; 3], [Data; 3], &'static str);

fn check(rows: &[Row]) {
    for (together, before, now, expected) in rows {
        let mut index = index(before, &json!({ TOGETHER: together }));
        show(&mut index, 20, "U", now);
        let standings = standings(&index);
        assert_eq!(standings, *expected, "{together}, {before:?}, {now:?}");
    }
}

const OTHER: Data = Some(&[("a", "1"), ("b", "2")]);
const MORE: Data = Some(&[("a", "1"), ("b", "1"), ("c", "1")]);
const LESS: Data = Some(&[("b", "1")]);
const ALL: [Data; 3] = [ONE; 3];
const NO_O: [Data; 3] = [ONE, ONE, None];
/// The whole of `w` has changed.
const W: [Data; 3] = [ONE, TWO, ONE];

#[test]
fn which_sources_have_changed_since_the_pods_started() {
    let (e_w, w_o) = ("secret/e, secret/w", "secret/w, secret/o");
    check(&[
        (e_w, ALL, [TWO, ONE, ONE], "secret/e moved, secret/w stays"),
        (e_w, ALL, [TWO, TWO, ONE], "secret/e moved, secret/w moved"),
        // Of what is read by key no other key counts.
        (
            e_w,
            ALL,
            [OTHER, TWO, ONE],
            "secret/e stays, secret/w moved",
        ),
        (
            "secret/w, secret/x",
            ALL,
            W,
            "secret/w moved, secret/x NotUsed",
        ),
        (
            "secret/w, configmap/e",
            ALL,
            W,
            "secret/w moved, configmap/e NotUsed",
        ),
        // What was never there is not waited for, what went is: it may come back.
        (
            w_o,
            NO_O,
            [ONE, TWO, None],
            "secret/w moved, secret/o Absent",
        ),
        (w_o, ALL, [ONE, TWO, None], "secret/w moved, secret/o stays"),
        (w_o, NO_O, ALL, "secret/w stays, secret/o moved"),
    ]);
}

#[test]
fn which_keys_have_changed_since_the_pods_started() {
    let (e_w, w_o) = ("secret/e#a, secret/w#a", "secret/w, secret/o#a");
    let (a_b, a_c) = ("secret/w#a, secret/w#b", "secret/w#a, secret/w#c");
    let other = [ONE, OTHER, ONE];
    let more = [ONE, MORE, ONE];
    check(&[
        (
            e_w,
            ALL,
            [TWO, TWO, ONE],
            "secret/e#a moved, secret/w#a moved",
        ),
        // Whatever else changes of a whole restarts.
        (e_w, ALL, other, "secret/e#a stays, secret/w#a stays"),
        (a_b, ALL, W, "secret/w#a moved, secret/w#b stays"),
        (a_c, ALL, more, "secret/w#a stays, secret/w#c moved"),
        (a_c, ALL, W, "secret/w#a moved, secret/w#c Absent"),
        (
            "secret/w#a, secret/e#b",
            ALL,
            W,
            "secret/w#a moved, secret/e#b NotRead",
        ),
        (
            w_o,
            NO_O,
            [ONE, TWO, None],
            "secret/w moved, secret/o#a Absent",
        ),
        (
            w_o,
            ALL,
            [ONE, TWO, None],
            "secret/w moved, secret/o#a stays",
        ),
        (
            w_o,
            ALL,
            [ONE, TWO, LESS],
            "secret/w moved, secret/o#a moved",
        ),
        (w_o, NO_O, ALL, "secret/w stays, secret/o#a moved"),
    ]);
}

#[test]
fn a_deletion_that_restarts_is_a_change() {
    for member in ["secret/o", "secret/o#a"] {
        let asks = json!({ TOGETHER: format!("secret/w, {member}"), ON_DELETE: "restart" });
        let mut index = index(&[ONE; 3], &asks);
        show(&mut index, 20, "U", &[ONE, ONE, None]);
        assert_eq!(standings(&index), format!("secret/w stays, {member} moved"));
    }
}

#[test]
fn a_recreation_is_a_change_of_a_source_and_of_no_key_that_is_the_same() {
    let asks = json!({ TOGETHER: "secret/e, secret/w, secret/w#a" });
    let mut index = index(&[ONE; 3], &asks);
    show(&mut index, 20, "V", &[ONE; 3]);
    assert_eq!(
        standings(&index),
        "secret/e moved, secret/w moved, secret/w#a stays"
    );
    show(&mut index, 30, "W", &[ONE, TWO, ONE]);
    assert_eq!(
        standings(&index),
        "secret/e moved, secret/w moved, secret/w#a moved"
    );
}

#[test]
fn a_group_that_is_asked_for_later_restarts_nothing() {
    let mut index = index(&[ONE; 3], &json!({}));
    let asks = json!({ TOGETHER: "secret/w#a, secret/e" });
    index.apply_workload(&web(), workload(&asks));
    let decision = index.assess(&web(), &Overlay::new());
    assert!(
        matches!(decision, Some(Decision::Record(_))),
        "{decision:?}"
    );
    index.judge(&web(), &Overlay::new());
    show(&mut index, 20, "U", &[ONE, TWO, ONE]);
    assert_eq!(standings(&index), "secret/w#a moved, secret/e stays");
}

#[test]
fn what_counts_for_nothing_is_told_once() {
    let text = "secret/e#b, secret/w#z, secret/o; secret/e#b, secret/x, secret/w#a";
    assert_eq!(read(text).1, []);
    let index = index(&[ONE, ONE, None], &json!({ TOGETHER: text }));
    let tracked = index.workload(&web()).unwrap();
    let asked = (&tracked.policy, tracked.uses());
    let idle = idles(&index, NAMESPACE, asked, &Overlay::new());
    let members = idle.iter().map(|(member, _)| *member);
    assert_eq!(
        listed(members),
        "Secret e (key b), Secret o, Secret w (key z), Secret x"
    );
    let why: Vec<_> = idle.iter().map(|(_, why)| *why).collect();
    assert_eq!(
        why,
        [Idle::NotRead, Idle::Absent, Idle::Absent, Idle::NotUsed]
    );
}

#[test]
fn what_went_is_told_from_what_was_never_there() {
    let text = "secret/w#a, secret/w#z, secret/e, secret/o";
    let mut index = index(&[ONE, ONE, None], &json!({ TOGETHER: text }));
    let had = |index: &Index| {
        let names = ["secret/w#a", "secret/w#z", "secret/e", "secret/o"];
        names.map(|name| had(index, &web(), &read(&format!("{name}, secret/x")).0[0][0]))
    };
    assert_eq!(had(&index), [true, false, true, false]);
    show(&mut index, 20, "U", &[None, None, None]);
    assert_eq!(had(&index), [true, false, true, false]);
}

#[test]
fn who_changes_one_hears_that_the_other_is_waited_for() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let index = index(&[ONE; 3], &json!({ TOGETHER: "secret/w, secret/e" }));
    let (w, e, o) = (source("w").source, source("e").source, source("o").source);
    let of = |source: &SourceName| version(source, &format!("U{}", source.name), 20, TWO.unwrap());
    let (w, e, o) = ((of(&w), w), (of(&e), e), (of(&o), o));
    let waits = |changed: &[&(Version, SourceName)]| {
        let fresh = true;
        let overlay = changed
            .iter()
            .map(|(version, source)| (source, Lookup::Present { version, fresh }));
        would_wait(&index, &web(), &overlay.collect(), now)
    };
    assert!(waits(&[&w]) && waits(&[&e, &o]));
    assert!(!waits(&[&w, &e]) && !waits(&[&o]) && !waits(&[]));
}
