//! Sources of which only the whole is known, because nobody used a key of them.

use super::*;
use crate::model::index::{By, unshown::wants_read};

/// How a Deployment uses the Secret `s`.
#[derive(Clone, Copy, Debug)]
enum How {
    Key,
    Whole,
    Glob,
}

fn deployment(name: &str, how: How) -> (WorkloadKey, Workload) {
    let container = match how {
        How::Key => {
            let from = serde_json::json!({"secretKeyRef": {"name": "s", "key": "k"}});
            serde_json::json!({"env": [{"name": "K", "valueFrom": from}]})
        }
        How::Whole => serde_json::json!({"envFrom": [{"secretRef": {"name": "s"}}]}),
        How::Glob => serde_json::json!({}),
    };
    let opt_in = match how {
        How::Key | How::Whole => "auto",
        How::Glob => "secret/*",
    };
    let object = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": name, "resourceVersion": "500", "generation": 1,
            "creationTimestamp": "2023-11-14T22:13:20Z", "annotations": {RESTART_ON: opt_in},
        },
        "spec": {"template": {"metadata": {}, "spec": {"containers": [container]}}},
    });
    let key = WorkloadKey {
        name: name.to_owned(),
        ..shown(1).key()
    };
    let workload = Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap());
    (key, workload)
}

fn secret(rv: u64, data: &[(&str, &str)]) -> Version {
    version(&SourceName::secret("s"), "A", rv, data)
}

const DATA: [(&str, &str); 2] = [("k", "1"), ("other", "1")];

/// All is listed, and `s` is there; as it is where nobody uses it.
fn listed() -> Index {
    let mut index = synced();
    index.apply_source(&at("s"), secret(10, &DATA));
    index.workloads_listed();
    index
}

fn size(index: &Index) -> usize {
    let known = index.source(NAMESPACE, &SourceName::secret("s"));
    known.last().unwrap().size()
}

fn decide(index: &mut Index, key: &WorkloadKey) -> Decision {
    index.judge(key, &Overlay::new()).decision.unwrap()
}

/// The API server answers with this version.
fn read(index: &mut Index, version: Version) -> Vec<WorkloadKey> {
    let asked = index.tick();
    let change = index.take_source(&at("s"), version, By::Answer(asked));
    assert!(change.changed);
    change.users
}

#[test]
fn keys_are_kept_until_all_workloads_are_known_and_where_one_is_used() {
    for (how, kept) in [(None, 0), (Some(How::Key), 2), (Some(How::Glob), 2)] {
        let mut index = synced();
        index.apply_source(&at("s"), secret(10, &DATA));
        assert_eq!(size(&index), 2, "workloads may still come");
        if let Some(how) = how {
            let (key, workload) = deployment("web", how);
            index.apply_workload(&key, workload);
        }
        index.workloads_listed();
        assert_eq!(size(&index), kept, "{how:?}");
    }
}

#[test]
fn where_workloads_are_known_first_no_key_is_kept_of_what_nobody_uses() {
    for (how, kept) in [(None, 0), (Some(How::Key), 2)] {
        let mut index = Index::new(key());
        if let Some(how) = how {
            let (key, workload) = deployment("web", how);
            index.apply_workload(&key, workload);
        }
        index.workloads_listed();
        index.apply_source(&at("s"), secret(10, &DATA));
        index.set_synced(SourceKind::Secret);
        assert_eq!(size(&index), kept, "{how:?}");
    }
}

#[test]
fn few_keys_are_kept_until_the_next_sweep_and_many_go_at_once() {
    let mut index = listed();
    index.apply_source(&at("s"), secret(11, &DATA));
    assert_eq!(size(&index), 2, "somebody may be about to use it");
    index.expire(0);
    assert_eq!(size(&index), 0);
    let many: Vec<_> = (0..100).map(|number| format!("k{number}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), "1")).collect();
    index.apply_source(&at("s"), secret(12, &many));
    assert_eq!(size(&index), 0);
}

#[test]
fn what_is_used_as_a_whole_needs_no_read() {
    for how in [How::Whole, How::Glob] {
        let mut index = listed();
        let (key, workload) = deployment("web", how);
        index.apply_workload(&key, workload);
        assert!(
            matches!(decide(&mut index, &key), Decision::Record(_)),
            "{how:?}"
        );
    }
}

#[test]
fn who_begins_to_use_a_key_is_judged_when_it_was_read() {
    let mut index = listed();
    let (key, workload) = deployment("web", How::Key);
    assert!(!wants_read(&index, &at("s")), "nobody uses it");
    index.apply_workload(&key, workload);
    assert!(wants_read(&index, &at("s")));
    let doubted = decide(&mut index, &key);
    assert_eq!(doubted.doubt().unwrap().0, Doubt::Behind);
    assert_eq!(doubted.missing(), [SourceName::secret("s")]);

    let users = read(&mut index, secret(10, &DATA));
    assert_eq!(users, std::slice::from_ref(&key));
    assert!(
        !wants_read(&index, &at("s")),
        "asked for twice, it is read once"
    );
    assert!(matches!(decide(&mut index, &key), Decision::Record(_)));
    index.expire(0);
    assert_eq!(size(&index), 2, "it is used");

    index.apply_source(&at("s"), secret(11, &[("k", "1"), ("other", "2")]));
    assert!(matches!(decide(&mut index, &key), Decision::Keep(_)));
    index.apply_source(&at("s"), secret(12, &[("k", "2"), ("other", "2")]));
    assert_eq!(kinds(&decide(&mut index, &key)), [CauseKind::Updated]);
}

#[test]
fn a_source_that_goes_before_it_was_read_is_absent_and_nothing_is_known_of_what_it_was() {
    let mut index = listed();
    let (key, workload) = deployment("web", How::Key);
    index.apply_workload(&key, workload);
    index.delete_source(&at("s"), 20, 0);
    let decision = decide(&mut index, &key);
    assert_eq!(decision.doubt().unwrap().0, Doubt::AskPods, "{decision:?}");
    let known = index.source(NAMESPACE, &SourceName::secret("s"));
    let known = known.telling(|| None);
    assert!(matches!(known, Lookup::Absent { last: None, .. }));
}

#[test]
fn a_source_that_begins_to_count_before_it_was_read_is_adopted_as_it_is() {
    let mut index = synced();
    let mut ignored = secret(10, &DATA);
    ignored.ignored = true;
    index.apply_source(&at("s"), ignored);
    index.workloads_listed();
    let (key, workload) = deployment("web", How::Key);
    index.apply_workload(&key, workload);
    assert_eq!(decide(&mut index, &key).doubt().unwrap().0, Doubt::Behind);
    index.apply_source(&at("s"), secret(11, &[("k", "2")]));
    assert!(matches!(decide(&mut index, &key), Decision::Record(_)));
    index.apply_source(&at("s"), secret(12, &[("k", "3")]));
    assert_eq!(kinds(&decide(&mut index, &key)), [CauseKind::Updated]);
}
