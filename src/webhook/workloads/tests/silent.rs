//! The silent cases: what somebody types that does nothing, and the whole of what he is told. Each has a neighbour that is right,
//! and is told nothing. The next case is added here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Known;
use crate::{
    model::{
        adopted::Adoption,
        annotation::{ASKS_CHANGE_CAUSE, RESTART_ON, SUSPEND, reloader::AUTO},
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
        &[(RESTART_ON, "secret/DB")],
        &[
            r#"reroll: reroll.dev/restart-on: "secret/DB" is not auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME (or another kind), env, volume or off"#,
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
];

/// Returns what is told at the CREATE of a workload.
fn told(known: &Known, annotations: &[(&str, &str)]) -> Vec<String> {
    let annotations = annotations
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!(text)));
    let mut object = known.web.clone();
    object["metadata"] = json!({
        "name": "api", "namespace": NAMESPACE, "annotations": Value::Object(annotations.collect()),
    });
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
