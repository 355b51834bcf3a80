//! `reroll doctor`: of an installation as the chart makes it, whose leader is a process of the test.

use std::{io::Write as _, time::Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use regex::Regex;
use reroll_harness::{Arena, PATIENCE, Reroll};
use serde_json::{Value, json};

use super::{Answer, arena, ask, ask_as, ask_until, opted_in, rights::person, sources, web};

const DOCTOR: [&str; 1] = ["doctor"];

/// Returns all that was said, without what differs from run to run.
fn said(answer: &Answer, arena: &Arena) -> String {
    let text = answer.said(arena);
    let version = Regex::new(r"Kubernetes v[0-9.]+\S*").unwrap();
    version
        .replace_all(&text, "Kubernetes VERSION")
        .into_owned()
}

/// An installation of the chart. Nothing runs in its pods.
struct Installed<'a> {
    arena: &'a Arena,
    authority: Issuer<'static, KeyPair>,
}

impl<'a> Installed<'a> {
    async fn new(arena: &'a Arena) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let bundle = params.self_signed(&key).unwrap().pem();
        let installed = Self {
            arena,
            authority: Issuer::new(params, key),
        };
        installed.serve(&installed.host()).await;
        installed.install(&bundle).await;
        installed
    }

    fn host(&self) -> String {
        let own = &self.arena.own_namespace;
        format!("{own}.{own}.svc")
    }

    /// Puts a certificate for this name into the Secret.
    async fn serve(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.authority).unwrap().pem();
        self.apply(&[json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": "tls", "namespace": self.arena.own_namespace },
            "stringData": { "tls.crt": leaf, "tls.key": key.serialize_pem() },
        })])
        .await;
    }

    async fn install(&self, bundle: &str) {
        let Arena {
            namespace,
            own_namespace: own,
            ..
        } = self.arena;
        // Names of cluster-scoped objects are this test's own, and API servers call the webhook for its namespace only.
        let values = json!({
            "fullnameOverride": own,
            "namespaceOverride": own,
            "watch": { "namespaces": [namespace] },
            "lease": { "name": "reroll" },
            "digestKey": { "secretName": "reroll-digest-key" },
            "certificates": { "mode": "existingSecret", "existingSecret": { "name": "tls", "caBundle": bundle } },
            "test": { "enabled": false },
            "replicas": 2,
        });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(values.to_string().as_bytes()).unwrap();
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/reroll");
        let values = file.path().to_str().unwrap();
        let template = ["template", own, chart, "--values", values];
        let rendered = self.arena.helm(&template).await.ok().out;
        self.write(&["apply"], &rendered).await;
    }

    async fn apply(&self, objects: &[Value]) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        self.write(&["apply"], &list.to_string()).await;
    }

    /// Objects of both namespaces, and of none.
    async fn write(&self, verb: &[&str], objects: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(objects.as_bytes()).unwrap();
        let file = file.path().to_str().unwrap();
        self.kubectl(&[verb, &["-f", file]].concat()).await;
    }

    async fn kubectl(&self, words: &[&str]) {
        let mut kubectl = self.arena.cluster.kubectl();
        kubectl.args(words);
        let done = tokio::task::spawn_blocking(move || kubectl.output().unwrap());
        let done = done.await.unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    }

    /// Changes an object of reroll's own namespace, or of none.
    async fn patch(&self, object: &str, patch: &Value) {
        let own = &self.arena.own_namespace;
        let patch = patch.to_string();
        let words = [
            "patch", object, "-n", own, "--type", "merge", "--patch", &patch,
        ];
        self.kubectl(&words).await;
    }
}

/// Starts the leader of an installation.
async fn leader(arena: &Arena) -> Reroll {
    arena.reroll().without_webhook().start().await
}

#[tokio::test]
async fn cli_finds_a_sound_installation_sound() {
    let arena = arena("cli-doctor").await;
    sources(&arena).await;
    let reroll = leader(&arena).await;
    let _installed = Installed::new(&arena).await;
    arena.create(&web(&opted_in())).await;
    ask_until(&arena, &["status"], ": 1 up to date.").await;
    ask_until(&arena, &DOCTOR, "has 2 endpoints").await;
    ask_until(&arena, &DOCTOR, "2 of 2 replicas").await;
    let sound = ask(&arena, &DOCTOR).await;
    insta::assert_snapshot!("doctor_sound", said(&sound, &arena));
    let json = ask(&arena, &["doctor", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&read["kind"], &read["pre"]),
        (&json!("Checkup"), &json!(false))
    );
    let checks = read["checks"].as_array().unwrap();
    let states: Vec<_> = checks
        .iter()
        .filter(|check| check["state"] != "ok")
        .collect();
    assert_eq!(
        (states.len(), &states[0]["state"]),
        (1, &json!("notSeen")),
        "{}",
        json.out
    );
    // Who has rights in one namespace only.
    for (name, role) in [("developer", "edit"), ("reader", "view")] {
        let config = person(&arena, name, role).await;
        let answer = ask_as(&arena, &config, &DOCTOR).await;
        insta::assert_snapshot!(format!("doctor_{name}"), said(&answer, &arena));
        let pre = ask_as(&arena, &config, &["doctor", "--pre"]).await;
        insta::assert_snapshot!(format!("doctor_pre_{name}"), said(&pre, &arena));
    }
    let pre = ask(&arena, &["doctor", "--pre"]).await;
    insta::assert_snapshot!("doctor_pre_again", said(&pre, &arena));
    drop(reroll);
}

#[tokio::test]
async fn cli_says_that_nothing_is_installed() {
    let arena = arena("cli-doctor-none").await;
    let none = ask(&arena, &DOCTOR).await;
    insta::assert_snapshot!("doctor_none", said(&none, &arena));
    let mut misspelt = web(&json!({ "reroll.dev/restart-no": "auto" }));
    misspelt["spec"]["replicas"] = json!(0);
    arena.create(&misspelt).await;
    let pre = ask(&arena, &["doctor", "--pre", "-o", "wide"]).await;
    insta::assert_snapshot!("doctor_pre", said(&pre, &arena));
}

#[tokio::test]
async fn cli_finds_what_is_wrong_and_says_what_to_do() {
    let arena = arena("cli-doctor-bad").await;
    sources(&arena).await;
    let reroll = leader(&arena).await;
    let installed = Installed::new(&arena).await;
    arena.create(&web(&opted_in())).await;
    let mut held = named(
        &web(&json!({ "reroll.dev/restart-on": "auto", "reroll.dev/suspend": "INC-42" })),
        "held",
    );
    held["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
    arena.create(&held).await;
    ask_until(&arena, &["status"], ": 2 up to date.").await;
    ask_until(&arena, &DOCTOR, "has 2 endpoints").await;
    // One is held, and one is stuck: it may not roll into the absence of what its pods need.
    arena.delete("Secret", "db").await;
    arena
        .patch("ConfigMap", "cfg", json!({ "data": { "a": "c" } }))
        .await;
    ask_until(&arena, &["status"], "1 held, 1 stuck").await;
    let mut misspelt = named(&web(&json!({ "reroll.dev/restarton": "auto" })), "misspelt");
    misspelt["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("ghcr.io/stakater/reloader:v1.4.5");
    misspelt["spec"]["replicas"] = json!(0);
    arena.create(&misspelt).await;
    // What belongs to the installation.
    let own = arena.own_namespace.as_str();
    let policy = json!([{ "op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail" }])
        .to_string();
    let validating = format!("validatingwebhookconfiguration/{own}");
    installed
        .kubectl(&["patch", &validating, "--type", "json", "--patch", &policy])
        .await;
    installed
        .kubectl(&["delete", &format!("mutatingwebhookconfiguration/{own}")])
        .await;
    installed.serve("elsewhere.svc").await;
    installed
        .kubectl(&["delete", "rolebinding", own, "-n", &arena.namespace])
        .await;
    installed
        .patch(
            &format!("service/{own}"),
            &json!({ "spec": { "selector": { "no": "pod" } } }),
        )
        .await;
    // An upgrade that hangs.
    let upgrade = json!({ "spec": {
        "strategy": { "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 1 } },
        "template": { "spec": {
            "nodeSelector": { "no": "node" },
            "containers": [{ "name": "reroll", "image": "ghcr.io/reroll-dev/reroll:0.2.0" }],
        } },
    } });
    let (deployment, upgrade) = (format!("deployment/{own}"), upgrade.to_string());
    installed
        .kubectl(&["patch", &deployment, "-n", own, "--patch", &upgrade])
        .await;
    let suspended = json!({ "metadata": { "annotations": { "reroll.dev/suspend": "INC-43" } } });
    installed.patch("lease/reroll", &suspended).await;
    let parts = [
        "RR203",
        "0.2.0 (2)",
        "RR208",
        "RR211",
        "RR221",
        "RR223",
        "RR224",
        "RR226",
        "RR232",
        "RR241",
        "RR251",
        "RR252",
        "RR253",
    ];
    let bad = ask_until_all(&arena, &parts).await;
    insta::assert_snapshot!("doctor_bad", said(&bad, &arena));
    // Nobody leads any more.
    reroll.kill();
    installed
        .patch(
            "lease/reroll",
            &json!({
                "metadata": { "annotations": { "reroll.dev/version": "0.0.1" } },
                "spec": { "renewTime": "2026-01-01T00:00:00.000000Z" },
            }),
        )
        .await;
    installed
        .patch(&deployment, &json!({ "spec": { "replicas": 0 } }))
        .await;
    installed.kubectl(&["delete", &validating]).await;
    let dead = ask_until_all(
        &arena,
        &["RR204", "there are none", "RR205", "RR207", "RR221"],
    )
    .await;
    insta::assert_snapshot!("doctor_dead", said(&dead, &arena));
}

/// Waits until it says all of this.
async fn ask_until_all(arena: &Arena, parts: &[&str]) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask(arena, &DOCTOR).await;
        let lacks = parts.iter().find(|part| !answer.out.contains(**part));
        let Some(lacks) = lacks else {
            return answer;
        };
        let is_over = began.elapsed() > PATIENCE;
        assert!(
            !is_over,
            "it never says {lacks}: {}{}",
            answer.out, answer.err
        );
    }
}

fn named(workload: &Value, name: &str) -> Value {
    let mut workload = workload.clone();
    workload["metadata"]["name"] = json!(name);
    workload["spec"]["selector"]["matchLabels"] = json!({ "app": name });
    workload["spec"]["template"]["metadata"]["labels"] = json!({ "app": name });
    workload
}
