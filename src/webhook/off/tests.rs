//! The silent cases of kinds that are off, each with a neighbour that is told nothing.

use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        Index,
        annotation::{ON_CHANGE, SETTLE, SOAK},
        testing::{NAMESPACE, key},
        workload::{CRON_JOB, Kinds},
    },
    state::system_clock,
    webhook::testing::{self, Pairs, of},
};

const CASES: &[(&str, Pairs<'_>, &[&str])] = &[
    (
        "CronJob",
        &[(RESTART_ON, "auto"), (ON_CHANGE, "run-now")],
        &[
            "reroll: add cronjobs to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every CronJob alone, and reroll.dev/restart-on, reroll.dev/on-change do nothing",
        ],
    ),
    (
        "Job",
        &[(ON_CHANGE, "recreate")],
        &[
            "reroll: add jobs to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every Job alone, and reroll.dev/on-change does nothing",
        ],
    ),
    (
        "Job",
        &[
            (ON_CHANGE, "recreate"),
            (RESTART_ON, "auto"),
            (SETTLE, "5s"),
            (SOAK, "5s"),
        ],
        &[
            "reroll: add jobs to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every Job alone, and reroll.dev/restart-on, reroll.dev/settle, reroll.dev/on-change and 1 more do nothing",
        ],
    ),
    (
        "CronJob",
        &[("reroll.dev/onchange", "run-now")],
        &[
            "reroll: did you mean reroll.dev/on-change? reroll.dev/onchange is no key of reroll's, and does nothing",
        ],
    ),
    (
        "CronJob",
        &[(RESTART_ON, "off"), (ON_CHANGE, "run-now")],
        &[],
    ),
    ("CronJob", &[(IGNORE, "true"), (ON_CHANGE, "run-now")], &[]),
    ("CronJob", &[("example.com/on-change", "run-now")], &[]),
    (
        "CronJob",
        &[("reloader.stakater.com/auto", "true")],
        &[
            "reroll: add cronjobs to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every CronJob alone, and reloader.stakater.com/auto does nothing",
        ],
    ),
    ("Job", &[("reloader.stakater.com/auto", "false")], &[]),
    ("Job", &[("reloader.stakater.com/match", "true")], &[]),
];

fn told(kinds: Kinds, kind: &str, annotations: Pairs<'_>, owners: &Value) -> (Value, &'static str) {
    let index = Index::new(key()).with_kinds(kinds);
    let state = State::new(index, system_clock(), "system:reroll".to_owned());
    let object = json!({
        "apiVersion": "batch/v1", "kind": kind,
        "metadata": { "name": "nightly", "annotations": of(annotations), "ownerReferences": owners },
    });
    let review = json!({
        "operation": "CREATE", "namespace": NAMESPACE, "name": "nightly",
        "kind": { "group": "batch", "version": "v1", "kind": kind }, "object": object,
    });
    testing::told(answer, &state, review)
}

#[test]
fn who_opts_in_a_kind_that_is_off_is_told_what_turns_it_on() {
    for (kind, annotations, expected) in CASES {
        let said = told(Kinds::default(), kind, annotations, &json!([]));
        assert_eq!(said, (json!(expected), "allowed"), "{kind} {annotations:?}");
    }
}

#[test]
fn where_it_is_on_of_a_run_and_of_other_kinds_nothing_is_told() {
    let asks: Pairs<'_> = &[(RESTART_ON, "auto"), (ON_CHANGE, "run-now")];
    let on = Kinds::default().with(&CRON_JOB).unwrap();
    let said = told(on, "CronJob", asks, &json!([]));
    assert_eq!(said, (json!([]), "ignored"));
    let said = told(Kinds::default(), "Deployment", asks, &json!([]));
    assert_eq!(said, (json!([]), "ignored"));
    let run = json!([{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "n", "uid": "u", "controller": true }]);
    let said = told(Kinds::default(), "Job", asks, &run);
    assert_eq!(said, (json!([]), "allowed"));
}
