use serde_json::json;

use super::*;
use crate::model::{
    Decision, SourceName,
    annotation::{RESTART_ON, SLOW_START, WAVE},
    index::Overlay,
    source::SourceKind,
    testing::{CREATED, NAMESPACE, key, version},
    version::key_of,
    workload::{KINDS, Workload},
};

/// A user of Secret `db`: its name, what it says beside its opt-in, and how many pods it has.
type User<'a> = (&'a str, Option<(&'a str, &'a str)>, i64);

/// Returns what is known, and the restart of each user, when all of them are due for another value of Secret `db`.
fn due(users: &[User<'_>]) -> (Index, Vec<(WorkloadKey, Restart)>) {
    let db = SourceName::secret("db");
    let mut index = Index::new(key());
    index.set_synced(SourceKind::Secret);
    index.apply_source(&key_of(NAMESPACE, &db), version(&db, "A", 1, &[("k", "1")]));
    let keys: Vec<_> = users.iter().map(|user| created(&mut index, user)).collect();
    index.apply_source(&key_of(NAMESPACE, &db), version(&db, "A", 9, &[("k", "2")]));
    let mut restarts = Vec::new();
    for key in &keys {
        let Some(Decision::Restart(restart)) = index.judge(key, &Overlay::new()).decision else {
            panic!("{key} is not due");
        };
        restarts.push((key.clone(), restart));
    }
    (index, restarts)
}

/// Returns the round of each of them, and whether it goes alone.
fn rounds(users: &[User<'_>], slow_start: bool) -> Vec<(usize, bool)> {
    let (index, restarts) = due(users);
    let turns = turns(&index, &restarts, slow_start, Timestamp::UNIX_EPOCH);
    let of = |(key, _): &(WorkloadKey, Restart)| (turns[key].round, turns[key].alone);
    restarts.iter().map(of).collect()
}

fn created(index: &mut Index, (name, says, pods): &User<'_>) -> WorkloadKey {
    let key = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: (*name).to_owned(),
    };
    let mut asks = json!({ RESTART_ON: "auto" });
    if let Some((annotation, text)) = says {
        asks[*annotation] = json!(text);
    }
    let created = Timestamp::from_second(CREATED).unwrap().to_string();
    let env =
        json!([{ "name": "V", "valueFrom": { "secretKeyRef": { "name": "db", "key": "k" } } }]);
    let object = json!({
        "metadata": {
            "name": name, "uid": name, "resourceVersion": "5", "creationTimestamp": created, "annotations": asks,
        },
        "spec": { "replicas": pods, "template": { "spec": { "containers": [{ "name": "c", "env": env }] } } },
        "status": { "replicas": pods, "updatedReplicas": pods, "availableReplicas": pods, "readyReplicas": pods },
    });
    let mut workload = Workload::read(key.kind, &serde_json::from_value(object).unwrap());
    workload.observed = index.observed_of_new(&key, &workload, CREATED);
    index.apply_workload(&key, workload);
    key
}

#[test]
fn one_goes_alone_and_then_twice_as_many_each_round() {
    let names: Vec<_> = (0..9).map(|number| format!("web-{number}")).collect();
    let users: Vec<_> = names.iter().map(|name| (name.as_str(), None, 1)).collect();
    let mut found = rounds(&users, true);
    found.sort_unstable();
    let expected = [
        (1, true),
        (2, false),
        (2, false),
        (3, false),
        (3, false),
        (3, false),
        (3, false),
        (4, false),
        (4, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn who_has_nothing_to_wait_for_goes_at_once() {
    assert_eq!(
        rounds(&[("web", None, 2)], true),
        [(1, false)],
        "nobody else uses it"
    );
    let off = Some((SLOW_START, "off"));
    let users = [
        ("a", None, 1),
        ("b", None, 1),
        ("down", None, 0),
        ("hurries", off, 1),
    ];
    let found = rounds(&users, true);
    assert_eq!((found[2], found[3]), ((1, false), (1, false)));
    assert_eq!(found[0].0 + found[1].0, 3, "{found:?}");
    let found = rounds(&users, false);
    assert!(found.iter().all(|turn| *turn == (1, false)), "{found:?}");
}

#[test]
fn lower_waves_go_first_but_for_those_that_show_nothing() {
    let wave = |wave| Some((WAVE, wave));
    let users = [
        ("last", wave("5"), 1),
        ("first", wave("-1"), 1),
        ("plain", None, 1),
    ];
    let found: Vec<_> = rounds(&users, true)
        .into_iter()
        .map(|(round, _)| round)
        .collect();
    assert_eq!(found, [3, 1, 2]);
    let users = [("last", wave("5"), 1), ("down", wave("-1"), 0)];
    let found: Vec<_> = rounds(&users, true)
        .into_iter()
        .map(|(round, _)| round)
        .collect();
    assert_eq!(found, [1, 1]);
}

#[test]
fn who_is_above_one_that_a_gate_holds_waits_and_those_above_wait_for_him() {
    let wave = |wave| Some((WAVE, wave));
    let users = [
        ("gated", wave("-1"), 1),
        ("last", wave("5"), 1),
        ("same", wave("-1"), 1),
        ("plain", None, 1),
    ];
    let (index, restarts) = due(&users);
    let (gated, others) = restarts.split_at(1);
    let behind = behind(&index, gated, others, true, Timestamp::UNIX_EPOCH);
    let behind: Vec<_> = behind
        .iter()
        .map(|(who, first)| (who.name.as_str(), first.name.as_str()))
        .collect();
    assert_eq!(behind, [("last", "gated"), ("plain", "gated")]);
    // One that wants no pods is waited for by nobody.
    let (index, restarts) = due(&[("gated", wave("-1"), 0), ("last", wave("5"), 1)]);
    let (gated, others) = restarts.split_at(1);
    assert!(super::behind(&index, gated, others, true, Timestamp::UNIX_EPOCH).is_empty());
}
