use super::*;

fn object(kind: &str, metadata: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: x\n{metadata}")
}

fn annotated(kind: &str, annotations: &str) -> String {
    object(kind, &format!("  annotations: {{{annotations}}}\n"))
}

const PODS: &str = "spec: {template: {spec: {containers: []}}}\n";

#[test]
fn what_is_no_key() {
    let rows = [
        "reroll.dev/restarton: auto",
        "reroll.dev/restart_on: auto",
        "reroll.dev/on-recreated: content",
        "reroll.dev/quux: auto",
        "reroll.dev/: auto",
        "reroll.io/restart-on: auto",
        "re-roll.dev/settle: 5s",
        "reroll.io/quux: auto",
        "example.com/restart-on: auto",
        "restart-on: auto",
    ];
    let rows = rows.map(|row| (row, deployment(row)));
    let other = "of a Service: reroll.dev/setle: 5s, reroll.dev/settle: 5s";
    let service = annotated("Service", "reroll.dev/setle: 5s, reroll.dev/settle: 5s");
    insta::assert_snapshot!(told(rows.into_iter().chain([(other, service)])));
}

#[test]
fn where_a_key_means_nothing() {
    let template = |annotations: &str| {
        let metadata = format!("    metadata: {{{annotations}}}\n    spec:\n      containers");
        move |text: String| text.replace("    spec:\n      containers", &metadata)
    };
    let on_template = template("annotations: {reroll.dev/restart-on: auto, reroll.dev/settle: 5s}");
    let labels = "  labels:\n    reroll.dev/restart-on: auto\n    reroll.dev/suspend: x\n";
    let of_jobs = workload("CronJob", "a: b").replace(
        "jobTemplate:\n",
        "jobTemplate:\n    metadata: {annotations: {reroll.dev/on-change: run-now}, labels: {reroll.dev/wave: \"1\"}}\n",
    );
    let rows = [
        (
            "labels of a Deployment",
            deployment("a: b").replace("  annotations:\n", &format!("{labels}  annotations:\n")),
        ),
        (
            "annotations of a pod template",
            on_template(deployment("a: b")),
        ),
        (
            "the same beside one of the workload, as commonAnnotations makes them",
            on_template(deployment(
                "reroll.dev/restart-on: auto\nreroll.dev/settle: 5s",
            )),
        ),
        (
            "labels of a pod template",
            template("labels: {reroll.dev/restart-on: auto}")(deployment("a: b")),
        ),
        ("of a Job template", of_jobs),
        (
            "annotations of a Namespace",
            annotated(
                "Namespace",
                "reroll.dev/restart-on: auto, reroll.dev/settle: 5s",
            ),
        ),
        ("labels of a Namespace", object("Namespace", labels)),
        ("on a workload", deployment("reroll.dev/ignore: \"true\"")),
        (
            "on a Secret",
            annotated(
                "Secret",
                "reroll.dev/restart-on: auto, reroll.dev/settle: 5s",
            ),
        ),
        (
            "as a label of a Secret",
            object("Secret", "  labels: {reroll.dev/ignore: \"true\"}\n"),
        ),
    ];
    insta::assert_snapshot!(told(rows));
}

#[test]
fn what_is_no_text_or_only_rerolls_to_write() {
    let own = "reroll.dev/observed: x\nreroll.dev/restarted-at: x\nreroll.dev/pending: x";
    let live = deployment(own).replace("  name: web\n", "  name: web\n  uid: u\n");
    let of_template = deployment("a: b").replace(
        "    spec:\n      containers",
        "    metadata: {annotations: {reroll.dev/restarted-for: x}}\n    spec:\n      containers",
    );
    let rows = [
        (
            "no texts",
            deployment(
                "reroll.dev/restart-on: off\nreroll.dev/wave: 1\nreroll.dev/settle:\nreroll.dev/soak: [30s]",
            ),
        ),
        (
            "a label that is none",
            object("Namespace", "  labels: {reroll.dev/restart-on: off}\n"),
        ),
        ("other people's", deployment("example.com/a: off")),
        ("reroll's own", deployment(own)),
        ("on the pod template", of_template),
        ("of an object of a cluster", live),
        (
            "of another kind",
            annotated("Database", "reroll.dev/observed: x"),
        ),
    ];
    insta::assert_snapshot!(told(rows));
}

#[test]
fn kinds_that_are_not_restarted() {
    let app = annotated("App", "reroll.dev/restart-on: auto").replace("v1\n", "e.com/v1\n");
    let rows = [
        ("Pod", annotated("Pod", "reroll.dev/restart-on: auto")),
        (
            "ReplicaSet",
            annotated("ReplicaSet", "reroll.dev/restart-on: auto").replace(" v1", " apps/v1"),
        ),
        ("with a pod template", format!("{app}{PODS}")),
        ("with none, as what copies its annotations to others", app),
        (
            "Service",
            annotated("Service", "reroll.dev/restart-on: auto"),
        ),
        (
            "without an opt-in",
            annotated("Pod", "reroll.dev/settle: 5s"),
        ),
    ];
    insta::assert_snapshot!(told(rows));
}
