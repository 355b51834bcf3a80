//! The silent cases of sources: what somebody types that does nothing, and who waits for a key that goes. Each has a neighbour that is
//! told nothing. The next case is added here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        Index,
        annotation::{RESTART_ON, SETTLE},
        testing::{NAMESPACE, key},
        workload::{KINDS, Workload},
    },
    state::system_clock,
    webhook::testing::{self, Pairs, of},
};

/// Labels and annotations of a Secret, what is told, and those of which nothing is.
const CASES: &[([Pairs<'_>; 2], &[&str], [Pairs<'_>; 2])] = &[
    (
        [&[], &[(IGNORE, "yes")]],
        &[r#"reroll: reroll.dev/ignore: "yes" is not true or false"#],
        [&[], &[(IGNORE, " true ")]],
    ),
    (
        [&[], &[(IGNORE, "True")]],
        &[r#"reroll: reroll.dev/ignore: "True" is not true or false"#],
        [&[], &[(IGNORE, "False")]],
    ),
    (
        [&[(IGNORE, "true")], &[]],
        &[
            "reroll: put reroll.dev/ignore under metadata.annotations of the Secret itself: as a label it means nothing",
        ],
        // Who sets one everywhere has it where it counts, too.
        [&[(IGNORE, "true")], &[(IGNORE, "true")]],
    ),
    (
        [&[], &[("reroll.dev/ignor", "true")]],
        &[
            "reroll: did you mean reroll.dev/ignore? reroll.dev/ignor is no key of reroll's, and does nothing",
        ],
        [&[], &[("example.com/ignor", "true")]],
    ),
    (
        [&[], &[(SETTLE, "5s")]],
        &[
            "reroll: reroll.dev/settle counts as an annotation of a workload itself: as an annotation here it means nothing",
        ],
        [&[], &[]],
    ),
];

fn secret([labels, annotations]: [Pairs<'_>; 2], keys: &[&str]) -> Value {
    let data: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| ((*key).to_owned(), json!("aHVudGVyMg==")))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {
            "name": "db", "namespace": NAMESPACE, "uid": "A", "resourceVersion": "10",
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": of(labels), "annotations": of(annotations),
        },
    })
}

/// Knows Secret `db` with two keys, and so many Deployments that need one of them, or could do without it.
fn state(users: usize, optional: bool) -> State {
    let mut index = Index::new(key());
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    let db = SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret("db"),
    };
    let known: Secret = serde_json::from_value(secret([&[], &[]], &["password", "user"])).unwrap();
    index.apply_source(&db, Version::of_secret(&key(), NAMESPACE, &known));
    for number in 0..users {
        let name = format!("web-{number}");
        let web = WorkloadKey {
            kind: &KINDS[0],
            namespace: NAMESPACE.to_owned(),
            name: name.clone(),
        };
        let object = json!({
            "metadata": {
                "name": name, "namespace": NAMESPACE, "uid": name, "resourceVersion": "11", "generation": 1,
                "creationTimestamp": "2026-01-15T08:00:00Z", "annotations": { RESTART_ON: "auto" },
            },
            "spec": { "template": { "spec": { "containers": [{ "name": "c", "env": [{
                "name": "P",
                "valueFrom": { "secretKeyRef": { "name": "db", "key": "password", "optional": optional } },
            }] }] } } },
        });
        let object = serde_json::from_value(object).unwrap();
        index.apply_workload(&web, Workload::read(&KINDS[0], &object));
        index.set_examined(&web);
        drop(index.judge(&web, &BTreeMap::new()));
    }
    State::new(index, system_clock(), "system:reroll".to_owned())
}

fn told(state: &State, object: &Value) -> Vec<String> {
    let review = json!({
        "operation": "UPDATE", "namespace": NAMESPACE, "name": "db", "dryRun": true,
        "kind": { "group": "", "version": "v1", "kind": "Secret" }, "object": object, "oldObject": object,
    });
    let (lines, how) = testing::told(answer, state, review);
    assert_eq!(how, "allowed");
    let lines: Vec<String> = serde_json::from_value(lines).unwrap();
    assert!(
        lines
            .iter()
            .all(|line| line.chars().count() <= 256 && !line.contains("hunter2"))
    );
    lines
}

#[test]
fn what_does_nothing_is_told_whether_it_is_used_or_not_and_what_is_right_is_not() {
    for users in [0, 1] {
        let state = state(users, false);
        let keys = ["password", "user"];
        for (typed, expected, right) in CASES {
            assert_eq!(told(&state, &secret(*typed, &keys)), *expected, "{typed:?}");
            let silent = told(&state, &secret(*right, &keys));
            assert_eq!(silent, Vec::<String>::new(), "{right:?}");
        }
    }
}

#[test]
fn who_waits_for_a_key_that_goes_is_told() {
    let plain = |keys: &[&str]| secret([&[], &[]], keys);
    let lines = |users, optional, keys: &[&str]| told(&state(users, optional), &plain(keys));
    assert_eq!(
        lines(1, false, &["user"]),
        [
            "reroll: put key password into Secret db: Deployment web-0 waits for that, and does not restart until then"
        ]
    );
    assert_eq!(
        lines(6, false, &[]),
        [
            "reroll: put key password into Secret db: Deployment web-0, Deployment web-1, Deployment web-2, Deployment web-3 and 2 more wait for that, and do not restart until then"
        ]
    );
    let many = lines(150, false, &[]);
    assert!(
        many[0].contains(" and 96 more and perhaps others wait"),
        "{many:?}"
    );
    // A key that nobody reads, and one that pods start without: it restarts.
    assert_eq!(lines(1, false, &["password"]), Vec::<String>::new());
    assert_eq!(
        lines(1, true, &["user"]),
        ["reroll: Secret db restarts Deployment web-0"]
    );
}

#[test]
fn what_is_ignored_no_more_is_told_to_whoever_changes_that() {
    let keys = ["password", "user"];
    let again = "reroll: restart Deployment web-0 and 1 more if Secret db changed while it was ignored: their pods are taken to have what is there now";
    let (ignored, plain) = (
        secret([&[], &[(IGNORE, "true")]], &keys),
        secret([&[], &[]], &keys),
    );
    for (users, before, now, expected) in [
        (2, &ignored, &plain, vec![again]),
        (0, &ignored, &plain, vec![]),
        (2, &ignored, &ignored, vec![]),
        (2, &plain, &plain, vec![]),
    ] {
        let state = state(users, false);
        let known: Secret = serde_json::from_value(before.clone()).unwrap();
        let mut version = Version::of_secret(&key(), NAMESPACE, &known);
        version.resource_version = 12;
        let db = SourceKey {
            namespace: NAMESPACE.to_owned(),
            source: SourceName::secret("db"),
        };
        state.index_mut().apply_source(&db, version);
        assert_eq!(told(&state, now), expected, "{users}");
    }
}
