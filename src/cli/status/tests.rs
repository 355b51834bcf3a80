//! What `status` says of a source, and how it ends.

use serde_json::json;

use super::*;
use crate::{
    cli::{output::plain, sight::Written},
    model::{testing::NAMESPACE, version::key_of, workload::KINDS},
};

/// A pod of Deployment `web`, which reads Secret `db`.
fn pod() -> Shown {
    let pod = json!({
        "metadata": {
            "name": "web-5d9c-abcde", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "pod-template-hash": "5d9c" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "u", "controller": true,
            }],
        },
        "spec": { "containers": [{ "name": "c", "envFrom": [{ "secretRef": { "name": "db" } }] }] },
    });
    Shown::of(&serde_json::from_value(pod).unwrap()).unwrap()
}

/// Returns what is said, and the code, where Deployment `web` is up to date by what is recorded.
fn said(
    exists: Exists,
    complete: bool,
    older: Option<&[Shown]>,
    warnings: &[&str],
) -> (String, Ending) {
    let key = WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: "web".to_owned(),
    };
    let user = User::new(&key, Where::UpToDate, None, None, &[], (None, None));
    let user = user.with_pods(exists != Exists::No, older.unwrap_or_default());
    let warnings = warnings.iter().map(ToString::to_string).collect();
    let status = SourceStatus::new(
        &key_of(NAMESPACE, &SourceName::secret("db")),
        (exists, complete),
        Written::default(),
        vec![user],
        older.map(|older| older.iter().map(Shown::spoken).collect()),
        (warnings, Vec::new()),
    );
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    (plain(source_table(&status, now)), status.ending())
}

#[test]
fn only_what_is_known_of_all_ends_with_0() {
    let rows = [
        ("all is known", said(Exists::Yes, true, Some(&[]), &[])),
        (
            "a pod of a user is older",
            said(Exists::Yes, true, Some(&[pod()]), &[]),
        ),
        (
            "the source is absent",
            said(Exists::No, true, Some(&[pod()]), &[]),
        ),
        (
            "the source may not be read",
            said(Exists::Unread, true, None, &[]),
        ),
        ("pods may not be listed", said(Exists::Yes, true, None, &[])),
        (
            "workloads may not be listed",
            said(Exists::Yes, false, Some(&[]), &[]),
        ),
        (
            "somebody suspended them",
            said(Exists::Yes, true, Some(&[]), &["restarts in n are held"]),
        ),
    ];
    let told: Vec<_> = rows
        .iter()
        .map(|(what, (text, ending))| format!("{what}: {ending:?}\n{text}"))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    let fine = rows
        .iter()
        .filter(|(_, (_, ending))| *ending == Ending::Fine);
    let fine: Vec<_> = fine.map(|(what, _)| *what).collect();
    assert_eq!(fine, ["all is known", "somebody suspended them"]);
}
