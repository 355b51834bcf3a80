use super::*;

#[test]
fn on_workloads() {
    let all = [
        ("Deployment", "reloader.stakater.com/auto: \"true\""),
        ("Deployment", "secret.reloader.stakater.com/auto: \"true\""),
        (
            "Deployment",
            "secretproviderclass.reloader.stakater.com/auto: \"false\"",
        ),
        ("Deployment", "configmap.reloader.stakater.com/reload: cfg"),
        (
            "Deployment",
            "secrets.exclude.reloader.stakater.com/reload: db",
        ),
        ("Deployment", "reloader.stakater.com/search: \"true\""),
        ("Rollout", "reloader.stakater.com/rollout-strategy: restart"),
        (
            "Deployment",
            "reloader.stakater.com/rollout-strategy: restart",
        ),
        ("Deployment", "reloader.stakater.com/ignore: \"true\""),
        (
            "Deployment",
            "deployment.reloader.stakater.com/pause-period: 5m",
        ),
        (
            "StatefulSet",
            "deployment.reloader.stakater.com/pause-period: 5m",
        ),
        (
            "Deployment",
            "deployment.reloader.stakater.com/paused-at: x",
        ),
        ("Deployment", "reloader.stakater.com/atuo: \"true\""),
        ("Deployment", "secrets.reloader.stakater.com/reload: db"),
        ("Deployment", "reloader.stakater.com/match: \"true\""),
        ("Deployment", "secret.reloader.stakater.com/reload: \"a[\""),
        (
            "Deployment",
            "reroll.dev/restart-on: auto\nreloader.stakater.com/auto: \"true\"",
        ),
        ("CronJob", "reloader.stakater.com/auto: \"true\""),
        ("Deployment", "reloader.stakater.com/auto: \"false\""),
        ("Deployment", "reloader.stakater.com/ignore: \"false\""),
        ("Deployment", "reloader.stakater.com/auto: true"),
        ("Deployment", "not-reloader.stakater.com/auto: \"true\""),
    ];
    let rows = all.map(|(kind, annotations)| (annotations, workload(kind, annotations)));
    insta::assert_snapshot!(told(rows));
}

#[test]
fn on_pod_templates() {
    let with = |own: &str, of_template: &str| {
        let metadata = format!("    metadata: {{annotations: {{{of_template}}}}}\n");
        deployment(own).replace(
            "    spec:\n      containers",
            &format!("{metadata}    spec:\n      containers"),
        )
    };
    let auto = "reloader.stakater.com/auto: \"true\"";
    let rows = [
        ("alone", with("a: b", auto)),
        (
            "beside another",
            with("secret.reloader.stakater.com/auto: \"true\"", auto),
        ),
        (
            "beside reroll's own",
            with("reroll.dev/restart-on: auto", auto),
        ),
        (
            "what Reloader left",
            with("a: b", "reloader.stakater.com/last-reloaded-from: x"),
        ),
        (
            "what is excluded",
            with("a: b", "secrets.exclude.reloader.stakater.com/reload: x"),
        ),
        ("ignore", with("a: b", "reloader.stakater.com/ignore: x")),
    ];
    insta::assert_snapshot!(told(rows));
}

#[test]
fn on_sources_and_elsewhere() {
    let all = "  annotations:\n    reloader.stakater.com/match: \"true\"\n    reloader.stakater.com/ignore: \"true\"\n    reloader.stakater.com/auto: \"true\"\n  labels: {reloader.stakater.com/match: \"true\"}\n";
    let of = |kind: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: x\n{all}");
    let rows = ["ConfigMap", "Namespace", "Service"].map(|kind| (kind, of(kind)));
    insta::assert_snapshot!(told(rows));
}
