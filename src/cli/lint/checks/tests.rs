mod keys;
mod opt_ins;
mod reloader;
mod streams;
mod values;

use proptest::prelude::*;

use super::*;
use crate::{
    cli::lint::manifests::{self, Manifest},
    model::workload::NAMED,
};

fn objects(text: &str) -> Vec<Manifest> {
    manifests::read("f.yaml", text, None).unwrap()
}

fn kinds() -> Kinds {
    let named = NAMED.iter().map(|(kind, _)| *kind);
    named.fold(Kinds::default(), |kinds, kind| kinds.with(kind).unwrap())
}

/// What is found, as `CODE LINE wrong → instead`.
fn found(text: &str) -> Vec<String> {
    let told = |one: Found| {
        let instead = one
            .instead
            .map_or_else(String::new, |text| format!(" → {text}"));
        format!("{} {} {}{instead}", one.finding.code(), one.line, one.wrong)
    };
    let found = check(&objects(text), &kinds());
    found.into_iter().map(told).collect()
}

/// An object with these annotations from line 6 on, whose pods use Secret `db` and ConfigMap `cfg`.
fn workload(kind: &str, annotations: &str) -> String {
    let (group, above) = match kind {
        "CronJob" => ("batch/v1", "jobTemplate:\n    spec:\n     "),
        "Job" => ("batch/v1", ""),
        "Rollout" => ("argoproj.io/v1alpha1", ""),
        _ => ("apps/v1", ""),
    };
    let deeper = if above.is_empty() { "" } else { "    " };
    let lines = annotations.lines().map(|line| format!("    {line}\n"));
    let annotations: String = lines.collect();
    format!(
        "apiVersion: {group}\nkind: {kind}\nmetadata:\n  name: web\n  annotations:\n{annotations}\nspec:\n  {above} template:\n{deeper}    spec:\n{deeper}      containers:\n{deeper}      - name: c\n{deeper}        envFrom:\n{deeper}        - secretRef: {{name: db}}\n{deeper}        - configMapRef: {{name: cfg}}\n"
    )
}

/// Each row, and what is found in it.
fn told<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let row = |(label, text): (&str, String)| {
        let found = found(&text).into_iter().map(|one| format!("  {one}\n"));
        format!("{label}\n{}", found.collect::<String>())
    };
    rows.into_iter().map(row).collect()
}

fn deployment(annotations: &str) -> String {
    workload("Deployment", annotations)
}

#[test]
fn a_sound_manifest_has_no_finding() {
    let sources = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db, annotations: {reroll.dev/on-recreate: content, reroll.dev/slow-start: \"off\"}}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: cfg}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: other, annotations: {reroll.dev/ignore: \"true\"}}}\n";
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n  labels: {reroll.dev/restart-on: auto}\n  annotations:\n    reroll.dev/window: Mon-Fri 22:00-04:00\n    reroll.dev/suspend: INC-42\n    reroll.dev/slow-start: \"off\"\n";
    let all = "reroll.dev/restart-on: auto,!secret/db#other\nreroll.dev/on-recreate: content\nreroll.dev/on-delete: restart\nreroll.dev/on-adopt: report\nreroll.dev/settle: 30s\nreroll.dev/slow-start: \"off\"\nreroll.dev/window: Mon-Fri 22:00-04:00\nreroll.dev/window-latest: 72h\nreroll.dev/wave: \"-1\"\nreroll.dev/together: secret/db, configmap/cfg#k\nreroll.dev/together-latest: 10m\nreroll.dev/soak: 30s\nreroll.dev/rollout-deadline: 20m\nreroll.dev/suspend: \"true\"\nreroll.dev/mark: restartedAt\nexample.com/other: x";
    let lease = "---\n{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: reroll, annotations: {reroll.dev/suspend: x}}}\n";
    for text in [
        format!("{}{sources}{namespace}{lease}", deployment(all)),
        workload("StatefulSet", "reroll.dev/restart-on: secret/db"),
        workload("DaemonSet", "reroll.dev/restart-on: \"off\""),
        workload(
            "CronJob",
            "reroll.dev/restart-on: auto\nreroll.dev/on-change: run-now",
        ),
        workload(
            "Job",
            "reroll.dev/restart-on: auto\nreroll.dev/on-change: recreate",
        ),
        workload("Rollout", "reroll.dev/restart-on: env"),
        workload("CronJob", "example.com/a: b"),
    ] {
        assert_eq!(found(&text), Vec::<String>::new(), "{text}");
    }
}

proptest! {
    #[test]
    fn objects_of_any_shape_are_checked(
        kind in "Deployment|CronJob|Secret|Namespace|Rollout|List|Pod|PersistentVolumeClaim",
        key in "(reroll\\.dev/|reloader\\.stakater\\.com/|)[a-z-]{0,12}|reroll\\.dev/restart-on|reroll\\.dev/window",
        value in "\"[ -!#-\\[\\]-~é]{0,20}\"|[0-9]{1,4}|off|\\[a\\]|\\{b: c\\}|null",
        part in "metadata|spec|items|labels|annotations|template",
    ) {
        let group = match kind.as_str() {
            "Deployment" => "apps/v1",
            "CronJob" => "batch/v1",
            "Rollout" => "argoproj.io/v1alpha1",
            _ => "v1",
        };
        let maps = format!("{{\"{key}\": {value}}}");
        for body in [
            format!("metadata: {{annotations: {maps}, labels: {maps}, name: {value}}}\nspec: {{template: {{metadata: {{annotations: {maps}}}, spec: {value}}}, jobTemplate: {maps}}}\n{part}2: x\n"),
            format!("{part}: {value}\n"),
        ] {
            let text = format!("apiVersion: {group}\nkind: {kind}\n{body}");
            if let Ok(read) = manifests::read("f", &text, None) {
                check(&read, &kinds());
            }
        }
    }
}
