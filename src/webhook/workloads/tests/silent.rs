//! The silent cases: what somebody types that does nothing, and the whole of what he is told. Each has a neighbour that is right,
//! and is told nothing. The next case is added here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Known;
use crate::{
    model::{
        adopted::Adoption,
        annotation::{
            ASKS_CHANGE_CAUSE, IGNORE, ON_CHANGE, RESTART_ON, SETTLE, SUSPEND, reloader::AUTO,
        },
        testing::NAMESPACE,
        workload::{JOB, Kinds},
    },
    webhook::{review::Request, warnings::Told, workloads::Write},
};

/// Annotations of a workload, what is told, and annotations of which nothing is.
type Case<'a> = (
    &'a [(&'a str, &'a str)],
    &'a [&'a str],
    &'a [(&'a str, &'a str)],
);

const CASES: &[Case<'_>] = &[
    (
        &[(RESTART_ON, "true")],
        &[
            r#"reroll: reroll.dev/restart-on: "true" is not an opt-in: did you mean auto? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "auto")],
    ),
    (
        &[(RESTART_ON, " Auto ")],
        &[
            r#"reroll: reroll.dev/restart-on: "Auto" is not an opt-in: did you mean auto? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, " auto ")],
    ),
    (
        &[(RESTART_ON, "atuo")],
        &[
            r#"reroll: reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "auto")],
    ),
    (
        &[(RESTART_ON, "secret")],
        &[
            r#"reroll: reroll.dev/restart-on: "secret" is not an opt-in: did you mean secrets? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "secrets")],
    ),
    (
        &[(RESTART_ON, "secret/DB")],
        &[
            r#"reroll: reroll.dev/restart-on: "secret/DB" is not an opt-in: did you mean secret/db? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "secret/db")],
    ),
    (
        &[(RESTART_ON, "secrets/db")],
        &[
            r#"reroll: reroll.dev/restart-on: "secrets/db" is not an opt-in: did you mean secret/db? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "secret/db")],
    ),
    (
        &[(RESTART_ON, "db")],
        &[
            r#"reroll: reroll.dev/restart-on: "db" is not an opt-in: did you mean secret/db? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "secret/db")],
    ),
    (
        &[(RESTART_ON, "secret/db,cm/cfg")],
        &[
            r#"reroll: reroll.dev/restart-on: "cm/cfg" is not an entry: did you mean configmap/cfg?"#,
        ],
        &[(RESTART_ON, "secret/db")],
    ),
    (
        &[(RESTART_ON, "auto !secret/db#x")],
        &[
            r#"reroll: reroll.dev/restart-on: "auto !secret/db#x" is not an opt-in: did you mean auto,!secret/db#x? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "auto,secret/db")],
    ),
    (
        &[(RESTART_ON, "auto,unknown")],
        &[
            r#"reroll: reroll.dev/restart-on: "unknown" is not an entry: say its kind, as in secret/NAME or configmap/NAME"#,
        ],
        &[(RESTART_ON, "auto")],
    ),
    (
        &[(RESTART_ON, "pod/web")],
        &[
            r#"reroll: reroll.dev/restart-on: "pod/web" is not auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME[#KEY] (or another kind), env, volume or off"#,
        ],
        &[(RESTART_ON, "auto")],
    ),
    (
        &[(RESTART_ON, "auto,!secret/dbb")],
        &[
            "reroll: did you mean !secret/db? !secret/dbb in reroll.dev/restart-on leaves nothing out: the pod template does not name Secret dbb",
        ],
        &[(RESTART_ON, "auto,!secret/x*")],
    ),
    (
        &[("secret.reloader.stakater.com/reload", "secret/db")],
        &[
            r#"reroll: secret.reloader.stakater.com/reload: "secret/db" is not a name that an object can have: did you mean db?"#,
        ],
        &[("secret.reloader.stakater.com/reload", "db")],
    ),
    (
        &[(RESTART_ON, "auto"), (ASKS_CHANGE_CAUSE, "never")],
        &[r#"reroll: reroll.dev/change-cause: "never" is not true or false"#],
        &[(RESTART_ON, "auto"), (ASKS_CHANGE_CAUSE, "False")],
    ),
    (
        &[(AUTO, "never")],
        &[r#"reroll: reloader.stakater.com/auto: "never" is not true or false"#],
        &[(AUTO, "No")],
    ),
    (
        &[(RESTART_ON, "auto"), (ASKS_CHANGE_CAUSE, "1")],
        &[r#"reroll: reroll.dev/change-cause: "1" is not true or false"#],
        &[
            (RESTART_ON, "auto"),
            (ASKS_CHANGE_CAUSE, "0"),
            (SUSPEND, "off"),
        ],
    ),
    (
        &[(RESTART_ON, "auto"), (SUSPEND, "flase")],
        &[
            r#"reroll: reroll.dev/suspend: "flase" is not false: did you mean that? Nothing restarts until then"#,
        ],
        &[(RESTART_ON, "auto"), (SUSPEND, "INC-42")],
    ),
    (
        &[(RESTART_ON, "auto"), ("reroll.dev/setle", "5s")],
        &[
            "reroll: did you mean reroll.dev/settle? reroll.dev/setle is no key of reroll's, and does nothing",
        ],
        &[(RESTART_ON, "auto"), (SETTLE, "5s")],
    ),
    (
        &[("reroll.dev/restarton", "auto")],
        &[
            "reroll: did you mean reroll.dev/restart-on? reroll.dev/restarton is no key of reroll's, and does nothing",
        ],
        &[("example.com/restarton", "auto")],
    ),
    (
        &[(RESTART_ON, "auto"), ("reroll.dev/owner", "me")],
        &["reroll: remove reroll.dev/owner: it is no key of reroll's, and does nothing"],
        &[(RESTART_ON, "auto"), ("example.com/owner", "me")],
    ),
    (
        &[(SETTLE, "5s"), (SUSPEND, "INC-42")],
        &[
            "reroll: opt in by reroll.dev/restart-on: auto: without that reroll.dev/settle, reroll.dev/suspend do nothing",
        ],
        &[(SETTLE, "5s"), (SUSPEND, "INC-42"), (RESTART_ON, "off")],
    ),
    (
        &[(RESTART_ON, "configmaps")],
        &[
            "reroll: say auto, or name what counts: reroll.dev/restart-on takes nothing of what the pod template uses (secret/db)",
        ],
        &[(RESTART_ON, "secrets")],
    ),
    (
        &[(RESTART_ON, "auto"), (IGNORE, "yes")],
        &[r#"reroll: reroll.dev/ignore: "yes" is not true or false"#],
        &[(RESTART_ON, "auto"), (IGNORE, "no")],
    ),
    (
        &[(RESTART_ON, "secret/db,secret/gone")],
        &[
            "reroll: create Secret gone, or name another: reroll.dev/restart-on names it, it is absent, and no pod refers to it",
        ],
        &[(RESTART_ON, "secret/db,secret/gon*")],
    ),
];

/// Returns what is told at the CREATE of a workload.
fn told(known: &Known, annotations: &[(&str, &str)]) -> Vec<String> {
    told_of(known, [&of(annotations), &json!({})], &json!({}))
}

fn of(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!(text)));
    Value::Object(pairs.collect())
}

/// Returns the same of one with these annotations and labels, and this metadata of its template.
fn told_of(known: &Known, [annotations, labels]: [&Value; 2], template: &Value) -> Vec<String> {
    let mut object = known.web.clone();
    object["metadata"] = json!({
        "name": "api", "namespace": NAMESPACE, "annotations": annotations, "labels": labels,
    });
    json_patch::merge(&mut object["spec"]["template"]["metadata"], template);
    let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "r", "operation": "CREATE", "namespace": NAMESPACE, "name": "api",
        "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
        "userInfo": { "username": "someone" }, "object": object,
    } });
    let body = serde_json::to_vec(&review).unwrap();
    let request = Request::parse(&body).ok().unwrap();
    let write = Write::read(&request, &known.index, "system:reroll").unwrap();
    let answer = write.answer(&known.index, &BTreeMap::new(), &Adoption::None, super::NOW);
    Told::All.lines(answer.warnings)
}

#[test]
fn what_does_nothing_is_told_and_what_is_right_is_not() {
    let known = Known::adopted(&json!({}), &json!({}), false);
    for (typed, expected, right) in CASES {
        assert_eq!(told(&known, typed), *expected, "{typed:?}");
        assert_eq!(told(&known, right), Vec::<String>::new(), "{right:?}");
    }
}

#[test]
fn what_stands_elsewhere_is_told_where_it_belongs() {
    let known = Known::adopted(&json!({}), &json!({}), false);
    let (none, opt_in) = (json!({}), of(&[(RESTART_ON, "auto")]));
    let put =
        "reroll: put reroll.dev/restart-on under metadata.annotations of the Deployment itself: ";
    for (annotations, labels, template, expected) in [
        (&none, &opt_in, &none, Some("as a label it means nothing")),
        (
            &none,
            &none,
            &json!({ "annotations": opt_in }),
            Some("as an annotation of the pod template it means nothing"),
        ),
        (
            &none,
            &none,
            &json!({ "labels": opt_in }),
            Some("as a label of the pod template it means nothing"),
        ),
        (
            &none,
            &opt_in,
            &json!({ "annotations": opt_in }),
            Some("as a label, and as an annotation of the pod template it means nothing"),
        ),
        // Who sets one annotation everywhere has it where it counts, too.
        (&opt_in, &none, &json!({ "annotations": opt_in }), None),
        (
            &opt_in,
            &json!({ "app": "web" }),
            &json!({ "labels": { "app": "web" } }),
            None,
        ),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|words| format!("{put}{words}"))
            .collect();
        assert_eq!(
            told_of(&known, [annotations, labels], template),
            expected,
            "{annotations} {labels} {template}"
        );
    }
    let remove = |words: &str| {
        format!(
            "reroll: remove reroll.dev/restart-on {words}: it means nothing there, and what the Deployment itself says counts"
        )
    };
    let other = of(&[(RESTART_ON, "off")]);
    for (labels, template, expected) in [
        (&other, &none, "as a label"),
        (
            &none,
            &json!({ "annotations": other }),
            "as an annotation of the pod template",
        ),
        (
            &other,
            &json!({ "labels": other, "annotations": opt_in }),
            "as a label, and as a label of the pod template",
        ),
    ] {
        let told = told_of(&known, [&opt_in, labels], template);
        assert_eq!(told, [remove(expected)], "{labels} {template}");
    }
    let misspelt = of(&[("reroll.dev/setle", "5s")]);
    let both = told_of(
        &known,
        [&opt_in, &misspelt],
        &json!({ "annotations": misspelt }),
    );
    assert_eq!(
        both,
        [
            "reroll: did you mean reroll.dev/settle? reroll.dev/setle is no key of reroll's, and does nothing, as a label, and as an annotation of the pod template"
        ]
    );
    let near = of(&[(RESTART_ON, "auto"), ("reroll.io/settle", "5s")]);
    assert_eq!(
        told_of(&known, [&near, &none], &none),
        [
            "reroll: did you mean reroll.dev/settle? reroll.io/settle is no key of reroll's, and does nothing"
        ]
    );
    let ignored = told_of(
        &known,
        [&of(&[(RESTART_ON, "auto"), (IGNORE, "true")]), &none],
        &none,
    );
    assert_eq!(ignored, Vec::<String>::new());
    let labelled = told_of(&known, [&opt_in, &of(&[(IGNORE, "true")])], &none);
    assert_eq!(
        labelled,
        [
            "reroll: put reroll.dev/ignore under metadata.annotations of the Deployment itself: as a label it means nothing"
        ]
    );
}

#[test]
fn what_the_namespace_says_is_told_as_its_label() {
    let mut known = Known::adopted(&json!({}), &json!({}), false);
    for (label, expected) in [
        (
            "atuo",
            &[
                r#"reroll: the Namespace's label reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Until then it opts nobody in"#,
            ][..],
        ),
        ("auto", &[]),
    ] {
        drop(
            known
                .index
                .apply_namespace(NAMESPACE, Some(label.to_owned())),
        );
        assert_eq!(told(&known, &[]), *expected, "{label}");
    }
}

#[test]
fn of_a_job_that_is_over_what_no_job_does_is_told_once() {
    let mut known = Known::adopted(&json!({}), &json!({}), false);
    known.index = known.index.with_kinds(Kinds::default().with(&JOB).unwrap());
    let job = |annotations: &Value| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": "once", "namespace": NAMESPACE, "uid": "j", "annotations": annotations },
            "spec": { "template": known.web["spec"]["template"] },
            "status": { "conditions": [{ "type": "Complete", "status": "True" }] },
        })
    };
    let said = |before: &Value, after: &Value| {
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "r", "operation": "UPDATE", "namespace": NAMESPACE, "name": "once",
            "kind": { "group": "batch", "version": "v1", "kind": "Job" },
            "userInfo": { "username": "someone" }, "object": job(after), "oldObject": job(before),
        } });
        let body = serde_json::to_vec(&review).unwrap();
        let request = Request::parse(&body).ok().unwrap();
        let write = Write::read(&request, &known.index, "system:reroll")?;
        let answer = write.answer(&known.index, &BTreeMap::new(), &Adoption::None, super::NOW);
        assert!(answer.patch.is_empty(), "it stays as it is");
        Some(Told::All.lines(answer.warnings))
    };
    let own = "reroll.dev/observed";
    let (none, wrong) = (
        json!({ own: "{}", RESTART_ON: "auto" }),
        json!({ own: "{}", RESTART_ON: "auto", ON_CHANGE: "run-now" }),
    );
    let right = json!({ own: "{}", RESTART_ON: "auto", ON_CHANGE: "recreate" });
    let told =
        r#"reroll: reroll.dev/on-change: "run-now" is not recreate, the only value for Jobs"#;
    assert_eq!(said(&none, &wrong), Some(vec![told.to_owned()]));
    assert_eq!(said(&wrong, &wrong), None, "others write it, too");
    assert_eq!(said(&none, &right), None);
}
