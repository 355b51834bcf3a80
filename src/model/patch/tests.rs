use proptest::prelude::*;

use super::{
    super::{
        annotation::{MARK, reloader::ROLLOUT_STRATEGY},
        testing::objects,
        workload::{CRON_JOB, KINDS, ROLLOUT},
    },
    *,
};

const KIND: Kind = &KINDS[0];

/// A restart that says this of itself, and nothing for a verdict.
fn restart(
    kind: Kind,
    workload: &Workload,
    observed: &str,
    mark: &str,
    last_restart: &str,
    then: Timestamp,
) -> Patch {
    let told = Told {
        last_restart: last_restart.to_owned(),
        opened: None,
        change_cause: None,
    };
    super::restart(kind, workload, observed, mark, &told, then)
}

/// As the API server does: a `test` for null passes where the member is missing and its parent is there, which the
/// crate refuses (evanphx/json-patch v4 against RFC 6902).
fn apply(object: &Value, patch: &Patch) -> Result<Value, json_patch::PatchError> {
    let mut object = object.clone();
    for operation in &patch.0 {
        if let PatchOperation::Test(TestOperation {
            path,
            value: Value::Null,
        }) = operation
        {
            let parent = path.parent().unwrap().resolve(&object);
            if parent.is_ok_and(Value::is_object) && path.resolve(&object).is_err() {
                continue;
            }
        }
        json_patch::patch(&mut object, std::slice::from_ref(operation))?;
    }
    Ok(object)
}

fn own() -> impl Strategy<Value = OwnAnnotations> {
    let text = || proptest::option::of("[x-z]{1,3}");
    (text(), text(), text()).prop_map(|(observed, last_restart, restarted_for)| OwnAnnotations {
        observed,
        last_restart,
        restarted_for,
        restarted_at: None,
        ..OwnAnnotations::default()
    })
}

fn read(object: &Value) -> (Workload, OwnAnnotations) {
    let object = objects::read(object);
    (
        Workload::read(KIND, &object),
        OwnAnnotations::read(KIND, &object),
    )
}

proptest! {
    #[test]
    fn an_admission_gives_what_is_wanted_and_touches_nothing_else(object in objects::object(), to in own()) {
        let (workload, from) = read(&object);
        let patch = admit(KIND, workload.shape, &from, &to);
        let mut patched = object.clone();
        // By the crate alone: there is no `test` in it.
        json_patch::patch(&mut patched, &patch).unwrap();
        let (workload, now) = read(&patched);
        prop_assert_eq!(&now, &to);
        prop_assert_eq!(objects::bare(&patched), objects::bare(&object));
        prop_assert!(admit(KIND, workload.shape, &now, &to).0.is_empty());
        if from == to {
            prop_assert!(patch.0.is_empty());
        }
    }

    #[test]
    fn the_controllers_writes_give_what_is_wanted_and_touch_nothing_else(object in objects::object(), to in own()) {
        let (workload, from) = read(&object);
        let recorded = to.observed.unwrap_or_else(|| "new".to_owned());
        let mark = to.restarted_for.unwrap_or_else(|| "fresh".to_owned());
        for (patch, wanted) in [
            (
                restart(KIND, &workload, &recorded, &mark, "then", Timestamp::UNIX_EPOCH),
                OwnAnnotations {
                    observed: Some(recorded.clone()),
                    last_restart: Some("then".to_owned()),
                    restarted_for: Some(mark),
                    restarted_at: None,
                    ..OwnAnnotations::default()
                },
            ),
            (
                record(KIND, &workload, &recorded),
                OwnAnnotations { observed: Some(recorded.clone()), ..from.clone() },
            ),
            (
                forget(KIND, &workload),
                OwnAnnotations { observed: None, last_restart: None, ..from.clone() },
            ),
        ] {
            let patched = apply(&object, &patch).unwrap();
            prop_assert_eq!(read(&patched).1, wanted);
            prop_assert_eq!(objects::bare(&patched), objects::bare(&object));
        }
    }

    /// What somebody else changed since it was read.
    #[test]
    fn the_controllers_writes_fail_where_the_workload_is_not_as_it_was(object in objects::object(), step in 0..4usize) {
        let (workload, _) = read(&object);
        let mut other = object.clone();
        let mut put = |pointer: &str, key: &str, value: Value| {
            let parent = other.pointer_mut(pointer).unwrap();
            if !parent.is_object() {
                *parent = json!({});
            }
            parent[key] = value;
        };
        match step {
            0 => put("/metadata", "uid", json!("another")),
            1 | 2 => {
                if object["metadata"]["annotations"].is_null() {
                    put("/metadata", "annotations", json!({}));
                }
                if step == 1 {
                    put("/metadata/annotations", OBSERVED, json!("somebody else's"));
                } else {
                    // A map that was not there: creating it would wipe what is in it.
                    put("/metadata/annotations", "other", json!("v"));
                }
            }
            _ => {
                if !object["spec"]["template"]["metadata"].is_object() {
                    put("/spec/template", "metadata", json!({}));
                }
                if !object["spec"]["template"]["metadata"]["annotations"].is_object() {
                    put("/spec/template/metadata", "annotations", json!({}));
                }
                put("/spec/template/metadata/annotations", RESTARTED_FOR, json!("somebody else's"));
            }
        }
        let restarted = apply(&other, &restart(KIND, &workload, "new", "fresh", "then", Timestamp::UNIX_EPOCH));
        let recorded = apply(&other, &record(KIND, &workload, "new"));
        let map_was_there = object["metadata"]["annotations"].is_object();
        match step {
            2 if map_was_there => {
                prop_assert!(restarted.is_ok() && recorded.is_ok(), "other annotations are none of our business");
            }
            3 => {
                prop_assert!(restarted.is_err());
                prop_assert!(recorded.is_ok(), "it does not touch the template");
            }
            _ => prop_assert!(restarted.is_err() && recorded.is_err()),
        }
    }
}

fn lines(patch: &Patch) -> String {
    let mut lines = String::new();
    for operation in &patch.0 {
        lines += "  ";
        lines += &serde_json::to_string(operation).unwrap();
        lines += "\n";
    }
    lines
}

#[test]
fn every_shape() {
    let shapes = [
        ("no maps", json!({}), json!({})),
        (
            "null maps",
            json!({"annotations": null}),
            json!({"metadata": null}),
        ),
        (
            "no template annotations",
            json!({"annotations": {}}),
            json!({"metadata": {"labels": {}}}),
        ),
        (
            "no own",
            json!({"annotations": {"a": "b"}}),
            json!({"metadata": {"annotations": {"a": "b"}}}),
        ),
        (
            "all",
            json!({"annotations": {OBSERVED: "old", LAST_RESTART: "before"}}),
            json!({"metadata": {"annotations": {RESTARTED_FOR: "rf"}}}),
        ),
    ];
    let next = OwnAnnotations {
        observed: Some("new".to_owned()),
        last_restart: None,
        restarted_for: Some("fresh".to_owned()),
        restarted_at: None,
        ..OwnAnnotations::default()
    };
    let mut text = String::new();
    for (name, mut metadata, template) in shapes {
        metadata["uid"] = json!("u");
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template},
        });
        let (workload, from) = read(&object);
        let all = [
            (
                "restart",
                restart(
                    KIND,
                    &workload,
                    "new",
                    "fresh",
                    "then",
                    Timestamp::UNIX_EPOCH,
                ),
            ),
            ("record", record(KIND, &workload, "new")),
            ("forget", forget(KIND, &workload)),
            ("admit", admit(KIND, workload.shape, &from, &next)),
            (
                "admit none",
                admit(KIND, workload.shape, &from, &OwnAnnotations::default()),
            ),
        ];
        for (what, patch) in all {
            text += &[name, ": ", what, "\n", &lines(&patch)].concat();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_rollout_that_is_restarted_by_its_time() {
    let asks = |own: Value| {
        let mut annotations = json!({ROLLOUT_STRATEGY: "restart"});
        json_patch::merge(&mut annotations, &own);
        annotations
    };
    let at = "before@2025-12-31T00:00:00Z";
    let rows = [
        (
            "template never marked",
            asks(json!({OBSERVED: "old"})),
            json!({"template": {}}),
        ),
        (
            "template marked",
            asks(json!({OBSERVED: "old"})),
            json!({"template": {"metadata": {"annotations": {RESTARTED_FOR: "rf"}}}}),
        ),
        (
            "restarted before",
            asks(json!({OBSERVED: "old", LAST_RESTART: "l", RESTARTED_AT: at})),
            json!({"restartAt": "2025-12-31T00:00:00Z", "template": {}}),
        ),
        (
            "by the template again",
            json!({OBSERVED: "old", RESTARTED_AT: at}),
            json!({"restartAt": "2025-12-31T00:00:00Z", "template": {}}),
        ),
        (
            "without a template",
            json!({}),
            json!({"workloadRef": {"name": "web"}}),
        ),
    ];
    let mut text = String::new();
    for (name, annotations, spec) in rows {
        let object = json!({"metadata": {"uid": "u", "annotations": annotations}, "spec": spec});
        let read = |object: &Value| Workload::read(&ROLLOUT, &objects::read(object));
        let workload = read(&object);
        let now = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let patch = restart(&ROLLOUT, &workload, "new", "fresh", "then", now);
        let patched = read(&apply(&object, &patch).unwrap());
        assert_eq!(patched.restarted_for, "fresh", "{name}");
        assert_eq!(patched.observed.as_deref(), Some("new"), "{name}");
        let forgets = forget(&ROLLOUT, &patched);
        let forgot = read(&apply(&apply(&object, &patch).unwrap(), &forgets).unwrap());
        assert_eq!((forgot.observed, forgot.marks.at), (None, None), "{name}");
        text += &[name, "\n", &lines(&patch)].concat();
    }
    insta::assert_snapshot!(text);
}

/// What an Argo Rollout's status says when the restart is decided, and when it is written.
#[test]
fn a_restart_fails_where_an_abort_began_or_ended() {
    let statuses = [
        json!(null),
        json!({}),
        json!({"abort": false}),
        json!({"abort": true}),
    ];
    let object = |asks: &Value, status: &Value, generation: i64| {
        json!({
            "metadata": {"uid": "u", "generation": generation, "annotations": asks},
            "spec": {"template": {}}, "status": status,
        })
    };
    let (own, by_time) = (
        json!({OBSERVED: "old"}),
        json!({OBSERVED: "old", ROLLOUT_STRATEGY: "restart"}),
    );
    for (asks, decided, written) in [&own, &by_time]
        .into_iter()
        .flat_map(|asks| statuses.iter().map(move |decided| (asks, decided)))
        .flat_map(|(asks, decided)| statuses.iter().map(move |written| (asks, decided, written)))
    {
        let seen = object(asks, decided, 3);
        let workload = Workload::read(&ROLLOUT, &objects::read(&seen));
        let now = Timestamp::UNIX_EPOCH;
        let patch = restart(&ROLLOUT, &workload, "new", "fresh", "then", now);
        let aborted = |status: &Value| status["abort"] == json!(true);
        // By its time, where it asks for that: that ends no abort.
        let whatever = *asks == by_time && !aborted(decided);
        let told = format!("{asks} {decided} {written}");
        let patched = apply(&object(asks, written, 3), &patch);
        assert!(patched.is_err() || decided == written || whatever, "{told}");
        assert!(patched.is_ok() || decided != written, "{told}");
        if let Ok(patched) = patched {
            let rolled = patched["spec"]["template"] != json!({});
            assert!(!(rolled && aborted(written)), "{told}");
            assert_ne!(rolled, patched["spec"]["restartAt"].is_string(), "{told}");
        }
        // Another template that Argo has yet to see ends the abort, and gives up a restart by time.
        let later = apply(&object(asks, decided, 4), &patch);
        assert_eq!(later.is_err(), aborted(decided), "{told}");
    }
}

#[test]
fn one_that_is_restarted_as_kubectl_does() {
    let asks = |own: Value| {
        let mut annotations = json!({MARK: "restartedAt", OBSERVED: "old"});
        json_patch::merge(&mut annotations, &own);
        annotations
    };
    let stands = |value: &str| json!({"metadata": {"annotations": {KUBECTL_RESTARTED_AT: value}}});
    let at = "~before@2025-12-31T00:00:00Z";
    let rows = [
        ("never marked", asks(json!({})), json!({})),
        (
            "restarted by a user",
            asks(json!({})),
            stands("2026-01-02T00:00:00+01:00"),
        ),
        (
            "restarted before",
            asks(json!({RESTARTED_AT: at, PENDING: "p"})),
            stands("2025-12-31T00:00:00Z"),
        ),
        (
            "the mark before was another",
            asks(json!({})),
            json!({"metadata": {"annotations": {RESTARTED_FOR: "rf"}}}),
        ),
        (
            "by the template again",
            json!({OBSERVED: "old", RESTARTED_AT: at}),
            stands("2025-12-31T00:00:00Z"),
        ),
    ];
    let mut text = String::new();
    for (name, annotations, template) in rows {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"uid": "u", "annotations": annotations}, "spec": {"template": template},
        });
        let (workload, _) = read(&object);
        let then = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let mark = workload.restart_by.mark("fresh");
        let patch = restart(KIND, &workload, "new", &mark, "then", then);
        let patched = apply(&object, &patch).unwrap();
        let (now, own) = read(&patched);
        assert_eq!(now.restarted_for, mark, "{name}");
        assert_eq!((now.pending, own.pending), (None, None), "{name}");
        // What a user wrote in between is not overwritten.
        let mut other = object.clone();
        other["spec"]["template"] = stands("2030-01-01T00:00:00Z");
        if mark.starts_with('~') {
            assert!(apply(&other, &patch).is_err(), "{name}");
        }
        text += &[name, "\n", &lines(&patch)].concat();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_pending_is_written_and_removed_beside_the_rest() {
    let object = json!({
        "metadata": {"uid": "u", "annotations": {OBSERVED: "old", LAST_RESTART: "l", "a": "b"}},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_FOR: "rf"}}}},
    });
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let held = apply(&object, &hold(KIND, &read(&object).0, "why")).unwrap();
    let kept = apply(&held, &record(KIND, &read(&held).0, "new")).unwrap();
    let settled = apply(&kept, &settle(KIND, &read(&kept).0, "newer")).unwrap();
    let forgotten = apply(&held, &forget(KIND, &read(&held).0)).unwrap();
    assert_eq!(
        annotations(&held),
        json!({OBSERVED: "old", LAST_RESTART: "l", "a": "b", PENDING: "why"})
    );
    assert_eq!(
        annotations(&kept),
        json!({OBSERVED: "new", LAST_RESTART: "l", "a": "b", PENDING: "why"})
    );
    assert_eq!(
        annotations(&settled),
        json!({OBSERVED: "newer", LAST_RESTART: "l", "a": "b"})
    );
    assert_eq!(annotations(&forgotten), json!({"a": "b"}));
    for patched in [held, kept, settled, forgotten] {
        assert_eq!(patched["spec"], object["spec"]);
    }
}

#[test]
fn a_run_is_recorded_and_changes_nothing_else() {
    let object = serde_json::json!({
        "metadata": { "uid": "u", "annotations": { OBSERVED: "old" } },
        "spec": { "jobTemplate": { "spec": { "template": { "metadata": { "annotations": { RESTARTED_FOR: "theirs" } } } } } },
    });
    let workload = Workload::read(&CRON_JOB, &serde_json::from_value(object.clone()).unwrap());
    let patch = restart(
        &CRON_JOB,
        &workload,
        "new",
        "mark",
        "why",
        Timestamp::UNIX_EPOCH,
    );
    let patched = apply(&object, &patch).unwrap();
    let mut expected = object;
    expected["metadata"]["annotations"] =
        serde_json::json!({ OBSERVED: "new", LAST_RESTART: "why" });
    assert_eq!(patched, expected);
}

#[test]
fn a_new_daemon_set_begins_with_a_number() {
    let number = "/metadata/annotations/deprecated.daemonset.template.generation";
    for annotations in [
        json!(null),
        json!({}),
        json!({ "deprecated.daemonset.template.generation": "0", "other": "kept" }),
    ] {
        for observed in [None, Some("text".to_owned())] {
            let mut object = json!({ "metadata": { "name": "d", "annotations": annotations }, "spec": { "template": {} } });
            if annotations.is_null() {
                object["metadata"]
                    .as_object_mut()
                    .unwrap()
                    .remove("annotations");
            }
            let (workload, from) = read(&object);
            let to = OwnAnnotations {
                observed: observed.clone(),
                ..from.clone()
            };
            let patch = admit(KIND, workload.shape, &from, &to);
            let patch = begin_at(patch, workload.shape, 3);
            json_patch::patch(&mut object, &patch).unwrap();
            assert_eq!(object.pointer(number), Some(&json!("3")));
            let all = &object["metadata"]["annotations"];
            assert_eq!(all.get(OBSERVED).cloned(), observed.map(Value::from));
            assert_eq!(all.get("other"), annotations.get("other"));
        }
    }
}

#[test]
fn the_change_cause_is_set_in_the_same_patch_unless_somebody_wrote_it_meanwhile() {
    for (before, meanwhile) in [
        (None, None),
        (Some("deploy 1"), None),
        (None, Some("x")),
        (Some("deploy 1"), Some("x")),
    ] {
        let mut object = json!({ "metadata": { "uid": "u", "annotations": { "a": "b" } }, "spec": { "template": {} } });
        if let Some(text) = before {
            object["metadata"]["annotations"][CHANGE_CAUSE] = json!(text);
        }
        let read = Workload::read(KIND, &serde_json::from_value(object.clone()).unwrap());
        let told = Told {
            last_restart: "l".to_owned(),
            opened: None,
            change_cause: Some("reroll: Secret db was updated".to_owned()),
        };
        let patch = super::restart(KIND, &read, "{}", "m", &told, Timestamp::UNIX_EPOCH);
        if let Some(text) = meanwhile {
            object["metadata"]["annotations"][CHANGE_CAUSE] = json!(text);
        }
        let after = apply(&object, &patch);
        assert_eq!(
            after.is_ok(),
            meanwhile.is_none(),
            "{before:?} {meanwhile:?}"
        );
        if let Ok(after) = after {
            let said = &after["metadata"]["annotations"][CHANGE_CAUSE];
            assert_eq!(said, "reroll: Secret db was updated");
        }
    }
}
