//! `helm upgrade` as people do it who keep the values of before, and beside somebody who changes the webhook configurations.

use std::{fs, path::Path, process::Command};

use reroll_harness::Arena;
use serde_json::{Value, json};

use crate::{
    modes::in_namespace,
    release::{CHART, Release, merge},
};

const KINDS: [&str; 2] = [
    "validatingwebhookconfiguration",
    "mutatingwebhookconfiguration",
];
/// Who must not be changed by AKS's admissions enforcer says so.
const LABEL: &str = "admissions.enforcer/disabled";

async fn release(name: &str) -> Release {
    let arena = Arena::new(name).await;
    let mut values = in_namespace(&arena);
    let own = json!({ "certificates": { "mode": "selfManaged" } });
    merge(&mut values, &own);
    Release::new(arena, None, &values).await
}

/// What AKS's admissions enforcer does at every write of a webhook configuration: it keeps it off namespaces of AKS.
async fn enforce(release: &Release) {
    for kind in KINDS {
        let get = ["get", kind, &release.name, "--output=json"];
        let found: Value = serde_json::from_str(&release.kubectl_own(&get).await.ok().out).unwrap();
        if found["metadata"]["labels"][LABEL] == "true" {
            continue;
        }
        let more = json!({ "key": "control-plane", "operator": "NotIn", "values": ["true"] });
        let webhooks = found["webhooks"].as_array().unwrap().iter().enumerate();
        let lines: Vec<_> = webhooks
            .map(|(number, _)| json!({ "op": "add", "path": format!("/webhooks/{number}/namespaceSelector/matchExpressions/-"), "value": more }))
            .collect();
        let patch = json!(lines).to_string();
        let patch = [
            "patch",
            kind,
            &release.name,
            "--type=json",
            "--field-manager=admissionsenforcer",
            "--patch",
            &patch,
        ];
        release.kubectl_own(&patch).await.ok();
    }
}

async fn selects(release: &Release) -> String {
    let mut all = String::new();
    for kind in KINDS {
        let path = "--output=jsonpath={.webhooks[*].namespaceSelector}";
        let get = ["get", kind, &release.name, path];
        all.push_str(&release.kubectl_own(&get).await.ok().out);
    }
    all
}

#[tokio::test]
async fn a_manager_that_adds_to_the_namespace_selector() {
    let release = release("beside-enforcer").await;
    release.install().await;
    let chart = selects(&release).await;
    enforce(&release).await;
    let reuse = ["--reuse-values", "--set", "restarts.settle=2s"];
    let refused = release.try_upgrade(&reuse).await;
    let words = "conflicts with \"admissionsenforcer\"";
    assert!(!refused.ok && refused.err.contains(words), "{refused:?}");

    // As docs/install.md says: the label, and force once.
    let label = r"webhook.labels.admissions\.enforcer/disabled=true";
    let forced = ["--reuse-values", "--set-string", label, "--force-conflicts"];
    release.try_upgrade(&forced).await.ok();
    enforce(&release).await;
    release.try_upgrade(&reuse).await.ok();
    release.rolled_out().await;
    assert_eq!(selects(&release).await, chart);
    assert!(release.arguments().await.contains("--settle=2s"));
}

/// Its values take the place of those of the chart, and have none of the keys that came after.
#[tokio::test]
async fn upgrades_with_the_values_of_a_release_of_before() {
    let release = release("beside-reuse").await;
    let folder = tempfile::tempdir().unwrap();
    let former = folder.path().join("reroll");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(CHART)
        .arg(&former)
        .status();
    assert!(copied.unwrap().success());
    let values = Path::new(CHART).join("../former/0.1.0-values.yaml");
    fs::copy(values, former.join("values.yaml")).unwrap();
    release.install_from(former.to_str().unwrap()).await;
    release.rolled_out().await;
    release.app("app").await;
    release.annotate("app").await;
    let recorder = release.arena.record().await;
    for (flag, settle) in [
        ("--reuse-values", "2s"),
        ("--reset-then-reuse-values", "3s"),
    ] {
        let settle = format!("restarts.settle={settle}");
        release.try_upgrade(&[flag, "--set", &settle]).await.ok();
        release.rolled_out().await;
        release.only_new_pods(2).await;
        let arguments = release.arguments().await;
        assert!(arguments.contains(&settle[9..]), "{arguments}");
        assert!(arguments.contains("--certificates-secret="), "{arguments}");
        release.asked("app").await;
    }
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}
