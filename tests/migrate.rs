//! `reroll migrate -f`, run as people run it: its exit codes and its whole outputs. There is no cluster.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{fs, path::Path};

use reroll_harness::Offline;
use serde_json::{Value, json};
use tempfile::TempDir;

fn migrate(folder: &Path, words: &[&str], stdin: &str) -> Offline {
    Offline::run(folder, &[&["migrate"], words].concat(), stdin)
}

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    reloader.stakater.com/auto: \"true\"
    secrets.exclude.reloader.stakater.com/reload: tls
spec:
  template:
    spec:
      containers:
      - name: web
        envFrom:
        - secretRef: {name: database}
        - secretRef: {name: tls}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: shop
  annotations:
    deployment.reloader.stakater.com/pause-period: 5m
    reloader.stakater.com/search: \"true\"
spec:
  template:
    metadata:
      annotations:
        reloader.stakater.com/last-reloaded-from: '{}'
    spec:
      containers:
      - name: web
        env:
        - name: P
          valueFrom: {secretKeyRef: {name: database, key: password}}
---
apiVersion: v1
kind: Secret
metadata:
  name: database
  annotations: {reloader.stakater.com/match: \"true\"}
stringData: {password: hunter2}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: noise
  annotations:
    reloader.stakater.com/ignore: \"true\"
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {reloader.stakater.com/auto: \"true\"}}
";

const OTHERS: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, annotations: {reloader.stakater.com/ignore: \"true\", reloader.stakater.com/auto: \"true\"}}
spec: {template: {spec: {containers: [{name: c, envFrom: [{secretRef: {name: database}}]}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: night
  annotations:
    secret.reloader.stakater.com/reload: database
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, envFrom: [{secretRef: {name: database}}]}]}}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  template:
    metadata:
      annotations:
        configmap.reloader.stakater.com/reload: \"agent-.*\"
    spec:
      containers:
      - name: c
        envFrom: [{configMapRef: {name: agent-1}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: canary
  annotations:
    secret.reloader.stakater.com/reload: database
    reloader.stakater.com/rollout-strategy: restart
spec:
  template:
    spec:
      containers:
      - name: c
        env: [{name: P, valueFrom: {secretKeyRef: {name: database, key: password}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: bad
  annotations:
    secret.reloader.stakater.com/reload: \"app[\"
spec: {template: {spec: {containers: [{name: c}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: silent}
spec: {template: {spec: {containers: [{name: c}]}}}
";

const RELOADER: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: reloader, namespace: tools}
spec:
  template:
    spec:
      containers:
      - name: reloader
        image: ghcr.io/stakater/reloader:v1.4.21
        args:
        - --auto-reload-all=true
        - --auto-annotation=acme.dev/roll
        - --namespaces-to-ignore=kube-system,tools
        - --reload-strategy=annotations
        - --reload-on-delete=true
        - --webhook-url=https://hooks.example/T0KEN
        env:
        - {name: ALERT_ON_RELOAD, value: \"true\"}
        - {name: ALERT_WEBHOOK_URL, value: https://hooks.example/T0KEN}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    acme.dev/roll: \"true\"
    reloader.stakater.com/auto: \"false\"
spec: {template: {spec: {containers: [{name: c, envFrom: [{secretRef: {name: database}}]}]}}}
";

/// A folder with all of these.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let sub = folder.path().join("deploy");
    fs::create_dir(&sub).unwrap();
    for (name, text) in [
        ("web.yaml", WEB),
        ("more.yml", OTHERS),
        ("notes.txt", "no: yaml"),
    ] {
        fs::write(sub.join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_folder_gives_what_is_done_there_and_here_and_the_lines_to_change() {
    let folder = folder();
    let answer = migrate(folder.path(), &["-f", "deploy"], "");
    assert!(!answer.out.contains("hunter2"));
    insta::assert_snapshot!("a_folder", answer.whole());
    let wide = migrate(folder.path(), &["-f", "deploy", "-o", "wide"], "");
    insta::assert_snapshot!("a_folder_wide", wide.whole());
}

#[test]
fn for_programs_it_is_json_and_yaml() {
    let folder = folder();
    let answer = migrate(folder.path(), &["-f", "deploy/web.yaml", "-o", "json"], "");
    assert_eq!(answer.code, 0, "{}", answer.err);
    insta::assert_snapshot!("json", answer.out);
    let yaml = migrate(folder.path(), &["-f", "deploy/web.yaml", "-o", "yaml"], "");
    let read: Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!(read, answer.json());
}

#[test]
fn flags_of_reloader_are_told_in_rerolls_and_count() {
    let folder = TempDir::new().unwrap();
    let answer = migrate(folder.path(), &["-f", "-", "-n", "shop"], RELOADER);
    assert!(!answer.out.contains("T0KEN"));
    insta::assert_snapshot!("with_reloader", answer.whole());
    let answer = migrate(folder.path(), &["-f", "-", "-o", "json"], RELOADER);
    let web = &answer.json()["workloads"][0]["advice"];
    assert_eq!(web["annotations"], json!({"reroll.dev/restart-on": "auto"}));
    assert_eq!(web["remove"], json!(["acme.dev/roll"]));
}

#[test]
fn where_there_is_nothing_of_reloaders_it_says_so() {
    let folder = TempDir::new().unwrap();
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, annotations: {reroll.dev/restart-on: auto}}\n";
    let answer = migrate(folder.path(), &["-f", "-"], text);
    insta::assert_snapshot!("nothing", answer.whole());
}

#[test]
fn what_cannot_be_read_ends_it_with_1_and_the_rest_is_told() {
    let folder = folder();
    fs::write(
        folder.path().join("deploy/bad.yaml"),
        "a: {{ .Values.a }\n  b\n",
    )
    .unwrap();
    let answer = migrate(folder.path(), &["-f", "deploy"], "");
    assert_eq!(answer.code, 1);
    assert!(
        answer.out.contains("Deployment web   deploy/web.yaml:1"),
        "{}",
        answer.out
    );
    insta::assert_snapshot!("unreadable", answer.err);
    let answer = migrate(folder.path(), &["-f", "deploy", "-A"], "");
    assert_eq!(answer.code, 1, "-A and -f are no pair");
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reloader.md");
    fs::read_to_string(page).unwrap()
}

#[test]
fn the_steps_are_those_of_the_page() {
    let folder = TempDir::new().unwrap();
    let report = migrate(folder.path(), &["-f", "-", "-o", "json"], RELOADER).json();
    let steps = report["steps"].as_array().unwrap();
    let told = steps.iter().enumerate();
    let told: Vec<_> = told
        .map(|(at, step)| format!("{}. {}", at + 1, step.as_str().unwrap()))
        .collect();
    assert!(page().contains(&told.join("\n")), "{told:?}");
    let link = report["link"].as_str().unwrap();
    assert!(link.ends_with("docs/reloader.md#the-switch-over"), "{link}");
    assert!(page().contains("\n## The switch-over\n"));
}

/// Each flag of the page is known, and is in reroll what the page says.
#[test]
fn the_flags_are_those_of_the_page() {
    let page = page();
    let (_, flags) = page.split_once("\n## Flags\n").unwrap();
    let (flags, _) = flags.split_once("\n## ").unwrap();
    let folder = TempDir::new().unwrap();
    let mut count = 0;
    for row in flags.lines().filter(|line| line.starts_with("| `--")) {
        let (theirs, ours) = row.trim_start_matches("| ").split_once(" | ").unwrap();
        for flag in theirs.split(", ").map(|flag| flag.trim_matches('`')) {
            let manifest = RELOADER.replace("--auto-reload-all=true", &format!("{flag}=true"));
            let report = migrate(folder.path(), &["-f", "-", "-o", "json"], &manifest).json();
            let all = report["reloader"][0]["flags"].as_array().unwrap();
            let shown = |given: &&Value| {
                given["flag"]
                    .as_str()
                    .unwrap()
                    .starts_with(&format!("{flag}="))
            };
            let given = all.iter().find(shown).unwrap();
            assert_ne!(given["why"], "no flag of Reloader v1.4.21", "{flag}");
            let here = given["here"]
                .as_str()
                .map(|here| here.split('=').next().unwrap());
            let told = ours.split('`').nth(1).filter(|word| word.starts_with("--"));
            let left_out = ours.starts_with("left out") || theirs.contains("--log-");
            let expected =
                (!left_out).then(|| told.map_or(flag, |told| told.split('=').next().unwrap()));
            assert_eq!(here, expected, "{flag}: {given}");
            count += 1;
        }
    }
    assert!(count > 25, "{count} flags");
}
