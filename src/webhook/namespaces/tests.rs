//! The silent cases of Namespaces: what somebody types that does nothing, and the whole of what he is told. Each has a neighbour that
//! is right, and is told nothing. The next case is added here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        Conventions, Index, WorkloadKey,
        annotation::{IGNORE, RESTART_ON, SETTLE, SLOW_START, SUSPEND, WINDOW},
        testing::key,
        workload::{KINDS, Workload},
    },
    state::system_clock,
    webhook::testing::{self, Pairs, of},
};

/// Labels and annotations of a Namespace, what is told, and those of which nothing is.
const CASES: &[([Pairs<'_>; 2], &[&str], [Pairs<'_>; 2])] = &[
    (
        [&[], &[(RESTART_ON, "auto")]],
        &[
            "reroll: make reroll.dev/restart-on a label of the Namespace: as an annotation it means nothing",
        ],
        [&[(RESTART_ON, "auto")], &[]],
    ),
    (
        [&[(RESTART_ON, "atuo")], &[]],
        &[
            r#"reroll: the Namespace's label reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Until then it opts nobody in"#,
        ],
        // Who sets one everywhere has it where it counts, too.
        [&[(RESTART_ON, "auto")], &[(RESTART_ON, "auto")]],
    ),
    (
        [&[(RESTART_ON, "nightly")], &[]],
        &[
            r#"reroll: the Namespace's label reroll.dev/restart-on: "nightly" is not auto, secrets, configmaps, secretproviderclasses, env, volume or off"#,
        ],
        [&[(RESTART_ON, "off")], &[]],
    ),
    (
        [
            &[("reroll.dev/restarton", "auto")],
            &[("reroll.dev/windwo", "Mon 02:00-03:00")],
        ],
        &[
            "reroll: did you mean reroll.dev/window? reroll.dev/windwo is no key of reroll's, and does nothing",
            "reroll: did you mean reroll.dev/restart-on? reroll.dev/restarton is no key of reroll's, and does nothing",
        ],
        [
            &[("example.com/restarton", "auto")],
            &[(WINDOW, "Mon 02:00-03:00")],
        ],
    ),
    (
        [&[], &[("reroll.dev/owner", "me")]],
        &["reroll: remove reroll.dev/owner: it is no key of reroll's, and does nothing"],
        [&[], &[("example.com/owner", "me")]],
    ),
    (
        [&[], &[(WINDOW, "at night")]],
        &[
            r#"reroll: reroll.dev/window: "at night" is not days and hours such as "Mon-Fri 22:00-04:00, Sun Europe/Berlin", and holds restarts until it is"#,
        ],
        [&[], &[(WINDOW, "Mon-Fri 22:00-04:00, Sun Europe/Berlin")]],
    ),
    (
        [&[], &[(SLOW_START, "never")]],
        &[r#"reroll: reroll.dev/slow-start: "never" is not on or off"#],
        [&[], &[(SLOW_START, "off")]],
    ),
    (
        [&[], &[(SUSPEND, "Flase")]],
        &[
            r#"reroll: reroll.dev/suspend: "Flase" is not false: did you mean that? Nothing restarts until then"#,
        ],
        [&[], &[(SUSPEND, "INC-42")]],
    ),
    (
        [&[(WINDOW, "Mon")], &[]],
        &[
            "reroll: put reroll.dev/window under metadata.annotations of the Namespace itself: as a label it means nothing",
        ],
        [&[], &[(WINDOW, "Mon")]],
    ),
    (
        [&[], &[(IGNORE, "yes")]],
        &[
            "reroll: reroll.dev/ignore counts as an annotation of a workload itself, or as an annotation of a Secret or ConfigMap, or as an annotation of a SecretProviderClass: as an annotation here it means nothing",
        ],
        [&[(RESTART_ON, "off")], &[]],
    ),
    (
        [&[], &[(SETTLE, "5s")]],
        &[
            "reroll: reroll.dev/settle counts as an annotation of a workload itself: as an annotation here it means nothing",
        ],
        [&[], &[]],
    ),
];

fn state(conventions: Conventions) -> State {
    let index = Index::new(key()).with_conventions(Arc::new(conventions));
    State::new(index, system_clock(), "system:reroll".to_owned())
}

/// Returns what is told at a write, and how it was answered.
fn told(
    state: &State,
    operation: &str,
    kind: &str,
    [labels, annotations]: [Pairs<'_>; 2],
) -> (Value, &'static str) {
    let object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": { "name": "shop", "labels": of(labels), "annotations": of(annotations) },
    });
    let review = json!({
        "operation": operation, "namespace": "shop", "name": "shop",
        "kind": { "group": "", "version": "v1", "kind": kind }, "object": object,
    });
    testing::told(answer, state, review)
}

#[test]
fn what_does_nothing_is_told_and_what_is_right_is_not() {
    let state = state(Conventions::default());
    for (typed, expected, right) in CASES {
        for operation in ["CREATE", "UPDATE"] {
            let said = told(&state, operation, "Namespace", *typed);
            assert_eq!(said, (json!(expected), "allowed"), "{typed:?}");
        }
        let said = told(&state, "UPDATE", "Namespace", *right);
        assert_eq!(said, (json!([]), "allowed"), "{right:?}");
    }
    assert!(
        CASES
            .iter()
            .flat_map(|(_, told, _)| *told)
            .all(|line| line.len() <= 256)
    );
}

#[test]
fn other_kinds_and_namespaces_that_are_left_alone_are_told_nothing() {
    let typed: [Pairs<'_>; 2] = [&[(RESTART_ON, "atuo")], &[]];
    let all = state(Conventions::default());
    for (operation, kind) in [("DELETE", "Namespace"), ("CREATE", "Node")] {
        assert_eq!(told(&all, operation, kind, typed), (json!([]), "ignored"));
    }
    let ignored = Conventions {
        ignored_namespaces: ["shop".to_owned()].into(),
        ..Conventions::default()
    };
    let selected = Conventions {
        namespaces: Some([("team", "a")].into_iter().collect()),
        ..Conventions::default()
    };
    for conventions in [ignored, selected] {
        let said = told(&state(conventions), "CREATE", "Namespace", typed);
        assert_eq!(said, (json!([]), "ignored"));
    }
}

/// A state that knows workloads which say this, or nothing, in Namespace `shop`, whose label is `auto`.
fn with_workloads(says: &[Option<&str>]) -> State {
    let mut index = Index::new(key());
    drop(index.apply_namespace("shop", Some("auto".to_owned())));
    for (number, says) in says.iter().enumerate() {
        let annotations = says.map_or(json!({}), |text| json!({ RESTART_ON: text }));
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "uid": "u", "annotations": annotations },
            "spec": { "template": { "spec": { "containers": [] } } },
        });
        let slot = WorkloadKey {
            kind: &KINDS[0],
            namespace: "shop".to_owned(),
            name: format!("web-{number}"),
        };
        let object = serde_json::from_value(object).unwrap();
        index.apply_workload(&slot, Workload::read(&KINDS[0], &object));
    }
    State::new(index, system_clock(), "system:reroll".to_owned())
}

#[test]
fn a_write_of_the_label_says_how_many_it_opts_in_no_longer() {
    let object = |label: Option<&str>| {
        let labels = label.map_or(json!({}), |text| json!({ RESTART_ON: text }));
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop", "labels": labels } })
    };
    let said = |state: &State, before: Option<&str>, after: Option<&str>| {
        let review = json!({
            "operation": "UPDATE", "namespace": "shop", "name": "shop",
            "kind": { "group": "", "version": "v1", "kind": "Namespace" },
            "object": object(after), "oldObject": object(before),
        });
        testing::told(answer, state, review).0
    };
    let three = with_workloads(&[None, Some("auto"), Some("off"), None, Some("nonsense")]);
    let two = "reroll: 2 workloads are no longer opted in by the label reroll.dev/restart-on of Namespace shop: changes do not restart them";
    let one = "reroll: 1 workload is no longer opted in by the label reroll.dev/restart-on of Namespace shop: changes do not restart it";
    for (before, after, expected) in [
        (Some("auto"), None, json!([two])),
        (Some("auto"), Some("off"), json!([two])),
        (Some("auto"), Some("secrets"), json!([])),
        (Some("auto"), Some("auto"), json!([])),
        (None, None, json!([])),
    ] {
        assert_eq!(
            said(&three, before, after),
            expected,
            "{before:?} {after:?}"
        );
    }
    assert_eq!(
        said(&with_workloads(&[None]), Some("auto"), None),
        json!([one])
    );
    let own = with_workloads(&[Some("auto")]);
    assert_eq!(said(&own, Some("auto"), None), json!([]));
}
