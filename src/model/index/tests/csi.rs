//! What the Secrets Store CSI driver provides, in the index.

use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::model::csi::PodStatus;

fn web() -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    }
}

/// A Deployment that mounts class `vault` and opts in so.
fn apply(index: &mut Index, opt_in: &str) {
    let mount = json!({"name": "store", "mountPath": "/store"});
    let volume = json!({"name": "store", "csi": {"driver": "secrets-store.csi.k8s.io",
        "volumeAttributes": {"secretProviderClass": "vault"}}});
    let object = json!({
        "metadata": {"uid": "u", "annotations": {"reroll.dev/restart-on": opt_in}},
        "spec": {"template": {"spec": {"containers": [{"volumeMounts": [mount]}], "volumes": [volume]}}},
    });
    let workload = Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap());
    index.apply_workload(&web(), workload);
}

fn status(pod: &str, rv: u64, version: &str) -> PodStatus {
    let object: Value = json!({
        "metadata": {
            "name": pod, "namespace": NAMESPACE, "resourceVersion": rv.to_string(), "generation": 1,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": pod}],
        },
        "status": {"mounted": true, "secretProviderClassName": "vault", "objects": [{"id": "a", "version": version}]},
    });
    PodStatus::read(&key(), &serde_json::from_value(object).unwrap()).unwrap()
}

fn show(index: &mut Index, pod: &str, rv: u64, version: &str) -> usize {
    let changes = index.apply_pod_status(NAMESPACE, pod, Some(status(pod, rv, version)));
    changes.iter().map(|(_, change)| change.users.len()).sum()
}

fn outcome(index: &mut Index) -> Outcome {
    let judged = index.judge(&web(), &Overlay::new());
    judged.decision.unwrap().outcome()
}

fn meta(annotation: &str) -> ObjectMeta {
    serde_json::from_value(json!({"annotations": {annotation: "true"}})).unwrap()
}

#[test]
fn nothing_is_decided_before_both_are_answered() {
    let mut index = Index::new(key());
    apply(&mut index, "auto");
    for part in Part::ALL {
        assert!(matches!(outcome(&mut index), Outcome::Undecided(_)));
        let news = index.set_answered(part, None);
        assert_eq!(news, part == Part::Statuses);
    }
    // Not served: nothing is recorded of it, so that what is there when it comes is adopted.
    assert_eq!(outcome(&mut index), Outcome::Record);
    assert!(
        index
            .workload(&web())
            .unwrap()
            .observed()
            .unwrap()
            .entries
            .is_empty()
    );
    show(&mut index, "p", 1, "1");
    show(&mut index, "p", 2, "2");
    assert!(index.set_listed(Part::Statuses, None).1.len() == 1);
    assert_eq!(outcome(&mut index), Outcome::Record);
    assert_eq!(outcome(&mut index), Outcome::Keep);
}

#[test]
fn a_list_counts_when_it_is_complete_and_per_namespace() {
    let mut index = Index::new(key());
    apply(&mut index, "auto");
    index.set_listed(Part::Classes, Some(NAMESPACE));
    assert_eq!(show(&mut index, "p", 5, "1"), 0);
    assert_eq!(show(&mut index, "q", 6, "2"), 0);
    index.set_listed(Part::Statuses, Some("elsewhere"));
    assert!(matches!(outcome(&mut index), Outcome::Undecided(_)));
    let (news, changes) = index.set_listed(Part::Statuses, Some(NAMESPACE));
    assert!(news && changes.len() == 1);
    let source = SourceName::secret_provider_class("vault");
    let differ = index.source(NAMESPACE, &source);
    assert!(matches!(differ.of_data(), Lookup::Absent { .. }));
    index.apply_pod_status(NAMESPACE, "q", None);
    let Lookup::Present { version, .. } = index.source(NAMESPACE, &source) else {
        unreachable!()
    };
    assert_eq!(version.resource_version, 5);
    assert_eq!(index.known_parts(Part::Statuses, None).len(), 1);
}

#[test]
fn a_rotation_restarts_and_what_goes_does_not() {
    let mut index = Index::new(key());
    for part in Part::ALL {
        index.set_listed(part, None);
    }
    apply(&mut index, "auto");
    assert_eq!(outcome(&mut index), Outcome::Record, "waiting");
    show(&mut index, "p", 1, "1");
    assert_eq!(outcome(&mut index), Outcome::Record);
    assert_eq!(show(&mut index, "p", 2, "2"), 1);
    assert_eq!(outcome(&mut index), Outcome::Restart);
    show(&mut index, "p", 3, "1");
    assert_eq!(outcome(&mut index), Outcome::Keep, "put back in time");
    index.apply_pod_status(NAMESPACE, "p", None);
    assert_eq!(outcome(&mut index), Outcome::Keep);
    // Not served any more.
    assert_eq!(index.forget_part(Part::Statuses, None), 0);
    assert_eq!(outcome(&mut index), Outcome::Keep);
    assert!(index.namespaces.get(NAMESPACE).unwrap().classes.is_empty());
}

#[test]
fn globs_and_annotations_of_the_class() {
    for (opt_in, annotation, counts) in [
        ("secretproviderclass/v*", "x", true),
        ("secretproviderclasses", "x", true),
        ("secrets", "x", false),
        ("auto,!secretproviderclass/vault", "x", false),
        ("auto", "reroll.dev/ignore", false),
        ("auto", "reloader.stakater.com/ignore", false),
    ] {
        let mut index = Index::new(key());
        for part in Part::ALL {
            index.set_listed(part, None);
        }
        index.apply_class(NAMESPACE, "vault", Some(&meta(annotation)));
        apply(&mut index, opt_in);
        outcome(&mut index);
        show(&mut index, "p", 1, "1");
        outcome(&mut index);
        show(&mut index, "p", 2, "2");
        let restarts = outcome(&mut index) == Outcome::Restart;
        assert_eq!(restarts, counts, "{opt_in} {annotation}");
    }
}

#[test]
fn when_history_went_back_the_content_does() {
    let mut index = Index::new(key());
    for part in Part::ALL {
        index.set_listed(part, None);
    }
    let source = SourceName::secret_provider_class("vault");
    let content = |index: &Index| match index.source(NAMESPACE, &source) {
        Lookup::Present { version, .. } => version.resource_version,
        _ => 0,
    };
    let list = |index: &mut Index, rv: u64, version: &str| {
        let by = By::List(index.tick());
        index.take_pod_status(NAMESPACE, "p", Some(status("p", rv, version)), by);
    };
    show(&mut index, "p", 5, "1");
    show(&mut index, "p", 100, "2");
    assert_eq!(content(&index), 100);
    // A late event takes nothing back, and a list of the same nothing either.
    show(&mut index, "p", 50, "1");
    list(&mut index, 100, "2");
    assert_eq!(content(&index), 100);
    list(&mut index, 5, "1");
    assert_eq!(content(&index), 5);
    show(&mut index, "p", 60, "3");
    assert_eq!(content(&index), 60, "rotated since");
}
