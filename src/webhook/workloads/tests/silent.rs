//! The silent cases: what somebody types that does nothing, and the whole of what he is told. Each has a neighbour that is right,
//! and is told nothing. The next case is added here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Known;
use crate::{
    model::{
        adopted::Adoption,
        annotation::{ASKS_CHANGE_CAUSE, IGNORE, RESTART_ON, SETTLE, SUSPEND, reloader::AUTO},
        testing::NAMESPACE,
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
            r#"reroll: reroll.dev/restart-on: "secret/DB" is not auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME[#KEY] (or another kind), env, volume or off"#,
        ],
        &[(RESTART_ON, "secret/db")],
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
                r#"reroll: the Namespace's label reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Nothing restarts until then"#,
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
