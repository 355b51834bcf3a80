use serde_json::json;

use super::*;

/// A ReplicaSet of Deployment web: its number, when it was made, the mark of its last restart and of its template, and when
/// kubectl restarted it.
fn set(number: i64, made: u32, rollout: &str, mark: &str, kubectl: &str) -> Revision {
    let rollout = json!({
        "at": format!("2026-01-01T00:00:{made:02}.500Z"), "mark": rollout, "for": {}, "well": true, "generation": 1,
        "template": "AAAAAAAAAAAAAAAC", "changed": { "secret/db": { "at": "2026-01-01T00:00:00Z", "user": "alice" } },
    });
    let object = json!({
        "metadata": {
            "name": format!("web-{number}"),
            "creationTimestamp": format!("2026-01-01T00:00:{made:02}Z"),
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": true }],
            "annotations": {
                NUMBERS[0]: number.to_string(),
                LAST_RESTART: "2026-01-01T00:00:00Z: Secret db was updated",
                ROLLOUT_OPENED: rollout.to_string(),
            },
        },
        "spec": {
            "selector": {},
            "template": { "metadata": { "annotations": { RESTARTED_FOR: mark, KUBECTL_RESTARTED_AT: kubectl } } },
        },
    });
    Revision::of_replica_set(serde_json::from_value(object).unwrap()).unwrap()
}

#[test]
fn each_revision_tells_what_made_it() {
    let made = steps(vec![
        set(3, 30, "b", "b", ""),
        set(2, 20, "a", "a", ""),
        set(1, 10, "a", "a", ""),
        set(4, 40, "b", "b", "now"),
        set(5, 50, "b", "b", "now"),
        set(6, 51, "b", "c", "now"),
        set(7, 15, "a", "a", ""),
    ]);
    let told: Vec<_> = made
        .iter()
        .map(|step| (step.revision, step.what, step.cause.as_str()))
        .collect();
    let took = "its template was changed, and took newer values with it";
    assert_eq!(
        told,
        [
            (1, What::Restart, "Secret db was updated"),
            (7, What::Deploy, "its template was changed"),
            (2, What::Deploy, "its template was changed"),
            (3, What::Restart, "Secret db was updated"),
            (4, What::KubectlRestart, "kubectl rollout restart"),
            (5, What::Deploy, "its template was changed"),
            (6, What::Deploy, took),
            (7, What::Undo, "it went back to an older template"),
        ]
    );
    assert_eq!(made[3].changed["secret/db"].user.as_deref(), Some("alice"));
    assert!(made[4].changed.is_empty());
}

#[test]
fn what_is_nobodys_is_no_revision() {
    let mut object = json!({ "metadata": { "name": "n", "creationTimestamp": "2026-01-01T00:00:00Z" }, "revision": 1 });
    let read = |object: &Value| {
        let object = serde_json::from_value(object.clone()).unwrap();
        Revision::of_controller_revision(object)
    };
    assert!(read(&object).is_none());
    object["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": true }]);
    let read = read(&object).unwrap();
    assert_eq!(read.owner, ("StatefulSet".to_owned(), "db".to_owned()));
}
