//! `reroll lint`, run as people run it: its exit codes, its whole outputs, and what it reads. There is no cluster.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{fs, path::Path};

use reroll_harness::Offline;
use serde_json::{Value, json};
use tempfile::TempDir;

fn lint(folder: &Path, words: &[&str], stdin: &str) -> Offline {
    Offline::run(folder, &[&["lint"], words].concat(), stdin)
}

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    reroll.dev/restart-on: auto
  annotations:
    reroll.dev/setle: 30s
    reloader.stakater.com/auto: \"true\"
spec:
  template:
    spec:
      containers:
      - name: web
        envFrom:
        - secretRef: {name: database}
";

const WORKER: &str = "# the second document counts
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: database}
  stringData: {password: hunter2}
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    name: worker
    namespace: shop
    annotations:
      reroll.dev/restart-on: secret/databse
";

const SOUND: &str =
    "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"cfg\"}}\n";

/// A folder as people have them.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("deploy/web.yaml", WEB);
    write("deploy/b/c/worker.yml", WORKER);
    write("deploy/b/sound.json", SOUND);
    write(
        "deploy/values.yaml",
        "image: web\nannotations: {reroll.dev/none: x}\n",
    );
    write("deploy/empty.yaml", "---\n# nothing\n---\n");
    write("deploy/README.md", "{{ no manifest }}");
    write("sound/a.json", SOUND);
    folder
}

#[test]
fn people_see_lines_and_programs_read_them() {
    let folder = folder();
    let at = folder.path();
    let table = lint(at, &["-f", "deploy"], "");
    insta::assert_snapshot!("table", table.whole());
    insta::assert_snapshot!(
        "wide",
        lint(at, &["-f", "deploy/", "-o", "wide"], "").whole()
    );
    let json = lint(at, &["-f", "deploy", "-o", "json"], "");
    insta::assert_snapshot!("json", json.whole());
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        report["sums"],
        json!({ "errors": 2, "warnings": 1, "infos": 1 })
    );
    let yaml = lint(at, &["-f", "deploy", "-o", "yaml"], "");
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml.out).unwrap(), report);
    for answer in [&table, &json, &yaml] {
        assert_eq!(answer.code, 2);
        assert!(!answer.out.contains("hunter2") && !answer.out.contains('\u{1b}'));
    }
    let coloured = lint(at, &["-f", "deploy", "--color", "always"], "");
    assert!(coloured.out.contains("\u{1b}["), "{}", coloured.out);
}

#[test]
fn it_ends_with_zero_where_there_are_but_infos() {
    let folder = folder();
    let sound = lint(folder.path(), &["-f", "sound"], "");
    assert_eq!(
        sound.whole(),
        "exit 0\n1 object in 1 file: nothing was found.\n"
    );
    let ignored = [
        "-f",
        "deploy",
        "--ignore",
        "rr101,RR102",
        "--ignore",
        "RR112",
    ];
    let ignored = lint(folder.path(), &ignored, "");
    assert_eq!(ignored.code, 0, "{}", ignored.whole());
    assert!(
        ignored.out.ends_with("4 objects in 5 files: 1 info.\nWhat each code means: https://github.com/reroll-dev/reroll/blob/main/docs/findings.md\n"),
        "{}",
        ignored.out
    );
}

#[test]
fn what_comes_in_is_read_and_may_be_of_helm() {
    let folder = folder();
    let helm = format!(
        "---\n# Source: web/templates/web.yaml\n{WEB}---\n# Source: web/templates/none.yaml\n---\n{SOUND}"
    );
    let answer = lint(
        folder.path(),
        &["-f", "-", "-f", "sound/a.json", "-n", "shop", "-o", "json"],
        &helm,
    );
    assert_eq!(answer.code, 2, "{}", answer.whole());
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(
        (&report["files"], &report["objects"]),
        (&json!(2), &json!(3))
    );
    let first = &report["findings"][0];
    let object = json!({ "kind": "Deployment", "namespace": "shop", "name": "web" });
    assert_eq!(first["object"], object);
    assert_eq!((&first["file"], &first["line"]), (&json!("-"), &json!(8)));
    assert_eq!(first["template"], "web/templates/web.yaml");
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_the_rest_is_checked() {
    let folder = folder();
    let bad = folder.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("a.yaml"), "a: b\nc: [hunter2\n").unwrap();
    fs::write(bad.join("b.yaml"), "kind: {{ .Values.hunter2 }}\n").unwrap();
    fs::write(bad.join("c.json"), [b'\n', 0xff]).unwrap();
    fs::write(bad.join("d.yaml"), WEB).unwrap();
    let answer = lint(
        folder.path(),
        &[
            "-f",
            "bad",
            "-f",
            "missing.yaml",
            "-f",
            "deploy/b/c/../c/none",
        ],
        "",
    );
    insta::assert_snapshot!("unreadable", answer.whole());
    assert!(!answer.whole().contains("hunter2"));
    let json = lint(folder.path(), &["-f", "bad", "-o", "json"], "");
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json.code, 1);
    assert_eq!(
        (
            &report["unreadable"][0]["file"],
            &report["unreadable"][0]["line"]
        ),
        (&json!("bad/a.yaml"), &json!(2))
    );
    fs::create_dir(folder.path().join("none")).unwrap();
    let none = lint(folder.path(), &["-f", "none"], "");
    assert_eq!(none.code, 1);
    assert!(
        none.err
            .contains("cannot read none: there is no file in this folder"),
        "{}",
        none.err
    );
}

#[test]
fn kinds_and_usage() {
    let folder = folder();
    let app = "apiVersion: e.com/v1\nkind: App\nmetadata: {name: a, annotations: {reroll.dev/restart-on: auto, reroll.dev/settle: soon}}\nspec: {pods: {spec: {containers: [{envFrom: [{secretRef: {name: s}}]}]}}}\n";
    let told = |words: &[&str]| lint(folder.path(), words, app);
    let answer = told(&["-f", "-"]);
    assert_eq!(answer.code, 0, "{}", answer.whole());
    let answer = told(&["-f", "-", "--workload-kind", "e.com/v1/App:/spec/pods"]);
    assert!(
        answer.code == 2 && answer.out.contains("RR103"),
        "{}",
        answer.whole()
    );
    for (words, said) in [
        (
            vec!["-f", "-", "--workload-kind", "App"],
            "expected GROUP/VERSION/KIND",
        ),
        (
            vec!["-f", "-", "--ignore", "RR1"],
            "no finding has this code",
        ),
        (vec![], "--filename"),
    ] {
        let answer = told(&words);
        assert!(
            answer.code == 1 && answer.err.contains(said),
            "{}",
            answer.whole()
        );
    }
    let help = told(&["--help"]);
    assert!(
        help.code == 0 && help.out.contains("helm template"),
        "{}",
        help.whole()
    );
}

#[test]
fn where_nothing_is_read_that_is_an_error() {
    let folder = folder();
    for (words, stdin, read) in [
        (&["-f", "-"][..], "", "-"),
        (&["-f", "-"], "# helm made nothing\n---\n", "-"),
        (&["-f", "deploy/empty.yaml"], "", "deploy/empty.yaml"),
    ] {
        let answer = lint(folder.path(), words, stdin);
        assert_eq!(answer.out, "Nothing was checked: 0 objects in 1 file.\n");
        assert_eq!(
            (answer.code, answer.err),
            (
                1,
                format!(
                    "reroll: nothing was read: no object is in {read}: an object has apiVersion and kind\n"
                )
            )
        );
    }
}

#[test]
fn what_can_be_held_or_let_go_is_named_to_who_names_nothing() {
    let folder = folder();
    for (command, all) in [
        ("suspend", "--all -n NAMESPACE"),
        ("resume", "--all -n NAMESPACE"),
        ("release", "--all -A"),
    ] {
        let answer = Offline::run(folder.path(), &[command], "");
        assert_eq!(answer.code, 1, "{command}");
        let named = answer.err.contains(all) && answer.err.contains("deploy/web");
        assert!(named, "{command}: {}", answer.err);
    }
}
