//! `reroll plan`: whom it names, against who then restarts.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use regex::Regex;
use reroll_harness::{
    Arena, RESTART_ON, WAVE, WINDOW, config_map, env, env_from, env_optional, eventually, secret,
    workload,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Answer, arena, ask, ask_as, ask_until, opted_in, rights::person, sources, web, web_runs,
    write_password,
};
use crate::batch::{RUNS, cron_job, job_spec};

const AUTO: (&str, &str) = (RESTART_ON, "auto");
const SUSPEND: &str = "reroll.dev/suspend";

/// Manifests in a file, one after the other.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(manifests: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A file that begins as JSON is all JSON to kubectl 1.30.
        let documents: Vec<_> = manifests.iter().map(Value::to_string).collect();
        let text = format!("---\n{}", documents.join("\n---\n"));
        std::fs::write(folder.path().join("all.yaml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Applies them, as people do.
    async fn apply(&self, arena: &Arena) {
        arena.kubectl(&["apply", "-f", self.path()]).await.ok();
    }

    async fn plan(&self, arena: &Arena, more: &[&str]) -> Answer {
        let mut answer = ask(arena, &[&["plan", "-f", self.path()], more].concat()).await;
        assert!(!answer.out.contains("canary"), "{}", answer.out);
        answer.out = answer.out.replace(self.path(), "DIR");
        answer
    }
}

fn with_replicas(mut manifest: Value, replicas: usize) -> Value {
    manifest["spec"]["replicas"] = json!(replicas);
    manifest
}

fn image(mut manifest: Value, image: &str) -> Value {
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    manifest
}

fn deployment(name: &str, annotations: &[(&str, &str)], pod: Value) -> Value {
    workload("Deployment", name, annotations, pod)
}

/// Says with which flags reroll runs, as its Deployment does.
async fn install(arena: &Arena, flags: &[&str]) {
    let args = [&["run"], flags].concat();
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "reroll", "labels": { "app.kubernetes.io/component": "controller" } },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "reroll" } },
            "template": {
                "metadata": { "labels": { "app": "reroll" } },
                "spec": { "containers": [{ "name": "reroll", "image": "reroll", "args": args }] },
            },
        },
    });
    let words = ["apply", "--namespace", &arena.own_namespace, "-f", "-"];
    arena.kubectl_with(&words, &manifest.to_string()).await.ok();
}

/// Those who use `password` of Secret `db`, and others; as they are, and as they are to be.
fn before() -> Vec<Value> {
    let in_two_days = reroll::state::system_clock()() + jiff::SignedDuration::from_hours(48);
    let window = in_two_days.strftime("%a 02:00-02:01").to_string();
    let password = || env("db", "password");
    let mut waits_for_two = password();
    waits_for_two["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": "never" } }]);
    vec![
        secret("db", &[("password", "canary-1"), ("other", "canary-2")]),
        config_map("same", &[("a", "b")]),
        with_replicas(deployment("auto", &[AUTO], password()), 2),
        with_replicas(workload("StatefulSet", "whole", &[AUTO], env_from("db")), 1),
        workload("DaemonSet", "node", &[AUTO], password()),
        deployment("plain", &[], password()),
        deployment("other", &[AUTO], env("db", "other")),
        deployment("left-out", &[(RESTART_ON, "configmap/same")], password()),
        with_replicas(deployment("early", &[AUTO, (WAVE, "-1")], password()), 1),
        with_replicas(deployment("late", &[AUTO, (WAVE, "1")], password()), 1),
        deployment("closed", &[AUTO, (WINDOW, &window)], password()),
        deployment("stopped", &[AUTO, (SUSPEND, "INC-42")], password()),
        deployment("missing", &[AUTO], waits_for_two),
        with_replicas(deployment("waits", &[AUTO], env_from("fresh")), 1),
        deployment("optional", &[AUTO], env_optional("fresh", "k")),
        image(deployment("rolls", &[AUTO], password()), "app:1"),
        image(deployment("a-twice", &[AUTO], password()), "app:1"),
        deployment(
            "same",
            &[AUTO],
            json!({ "containers": [{ "envFrom": [{ "configMapRef": { "name": "same" } }] }] }),
        ),
        deployment("joins", &[], password()),
        deployment("leaves", &[AUTO], password()),
        cron_job("cron", &[AUTO], &db_job()),
        cron_job("cron-runs", &RUNS, &db_job()),
    ]
}

fn db_job() -> Value {
    let mut spec = job_spec();
    spec["template"]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["key"] =
        json!("password");
    spec
}

fn after() -> Vec<Value> {
    let password = || env("db", "password");
    let mut same = config_map("same", &[("a", "b")]);
    same["metadata"]["labels"] = json!({ "of": "release" });
    vec![
        image(deployment("a-twice", &[AUTO], password()), "app:2"),
        secret("db", &[("password", "canary-3"), ("other", "canary-2")]),
        same,
        secret("fresh", &[("k", "canary-4")]),
        image(deployment("rolls", &[AUTO], password()), "app:2"),
        deployment("joins", &[AUTO], password()),
        deployment("leaves", &[], password()),
        deployment("new", &[AUTO], password()),
    ]
}

/// Returns the outcome of each workload by kind and name, as a program reads it.
fn outcomes(answer: &Answer, case: usize) -> BTreeMap<(String, String), String> {
    let read: Value = serde_json::from_str(&answer.out).unwrap();
    let lines = read["cases"][case]["workloads"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |line: &Value| {
        let object = &line["workload"];
        (
            (text(&object["kind"]), text(&object["name"])),
            text(&line["outcome"]),
        )
    };
    lines.iter().map(of).collect()
}

async fn jobs(arena: &Arena) -> usize {
    arena
        .api("Job")
        .list(&kube::api::ListParams::default())
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn cli_plan_names_exactly_those_who_then_restart() {
    let arena = arena("cli-plan").await;
    install(&arena, &["--optional-kinds=cronjobs", "--slow-start=on"]).await;
    let reroll = arena
        .reroll()
        .flag("--optional-kinds", "cronjobs")
        .flag("--slow-start", "on");
    let reroll = reroll
        .flag("--soak", "1s")
        .flag("--bake", "1s")
        // What is applied in one go is there before the first restart, however long kubectl takes.
        .flag("--settle", "10s")
        .start()
        .await;
    let (before, after) = (before(), after());
    Files::of(&before).apply(&arena).await;
    let recorder = arena.record().await;
    recorder.hurries(&arena).await;
    for manifest in before
        .iter()
        .filter(|it| it["metadata"]["annotations"][RESTART_ON] == "auto")
    {
        let kind = manifest["kind"].as_str().unwrap();
        if kind != "CronJob" {
            arena
                .adopted(kind, manifest["metadata"]["name"].as_str().unwrap())
                .await;
        }
    }
    ask_until(&arena, &["explain", "deploy/auto"], "complete, 2 of 2 pods").await;
    for name in ["early", "late"] {
        ask_until(
            &arena,
            &["explain", &format!("deploy/{name}")],
            "complete, 1 of 1 pods",
        )
        .await;
    }
    ask_until(&arena, &["explain", "sts/whole"], "complete, 1 of 1 pods").await;
    let files = Files::of(&after);
    let versions = versions(&arena).await;
    let answer = files.plan(&arena, &["-o", "json"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    let planned = outcomes(&answer, 0);
    let people = files.plan(&arena, &[]).await;
    let opens = Regex::new(r"until \d{4}-\d\d-\d\d 02:00 UTC").unwrap();
    let said = people.said(&arena);
    insta::assert_snapshot!("plan_of_manifests", opens.replace(&said, "until TIME"));
    // Nothing came of it.
    recorder.settle(&arena).await;
    for (kind, name) in planned.keys().filter(|(kind, _)| kind != "CronJob") {
        recorder.expect(kind, name, 0);
    }
    assert_eq!(jobs(&arena).await, 0);
    assert_eq!(self::versions(&arena).await, versions);
    // What is then applied.
    files.apply(&arena).await;
    for ((kind, name), outcome) in &planned {
        if kind != "CronJob" && outcome == "restarts" {
            recorder.reaches(kind, name, 1).await;
        }
    }
    recorder.reaches("Deployment", "a-twice", 2).await;
    eventually("a run is made", async || {
        (jobs(&arena).await > 0).then_some(())
    })
    .await;
    recorder.settle(&arena).await;
    for ((kind, name), outcome) in &planned {
        let times = match (outcome.as_str(), name.as_str()) {
            (_, "cron" | "cron-runs") => continue,
            ("restarts", "a-twice") => 2,
            ("restarts" | "rolls", _) => 1,
            _ => 0,
        };
        recorder.expect(kind, name, times);
    }
    let cron_jobs =
        ["cron", "cron-runs"].map(|name| planned[&("CronJob".to_owned(), name.to_owned())].clone());
    assert_eq!(cron_jobs, ["notRestarted", "restarts"]);
    assert_eq!(jobs(&arena).await, 1);
    // Nobody restarted whom it did not name.
    for kind in reroll_harness::KINDS {
        for object in arena
            .api(kind)
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
        {
            let name = object.name_any();
            if name != "sentinel" && !planned.contains_key(&(kind.to_owned(), name.clone())) {
                recorder.expect(kind, &name, 0);
            }
        }
    }
    drop(reroll);
}

/// Returns the resourceVersions of all that a plan tries to apply, the sentinel left out.
async fn versions(arena: &Arena) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for kind in ["Deployment", "Secret", "ConfigMap"] {
        for object in arena
            .api(kind)
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
        {
            if object.name_any() == "sentinel" {
                continue;
            }
            let generation = object.metadata.generation.map(|number| number.to_string());
            let version = generation.or_else(|| object.resource_version()).unwrap();
            versions.insert(format!("{kind} {}", object.name_any()), version);
        }
    }
    versions
}

#[tokio::test]
async fn cli_plan_of_a_source_tells_of_another_value_and_of_another_object() {
    let arena = arena("cli-plan-source").await;
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&opted_in())).await;
    let content = json!({ RESTART_ON: "auto", "reroll.dev/on-recreate": "content" });
    let mut calm = web(&content);
    calm["metadata"]["name"] = json!("held");
    calm["spec"]["replicas"] = json!(1);
    calm["spec"]["selector"]["matchLabels"] = json!({ "app": "held" });
    calm["spec"]["template"]["metadata"]["labels"] = json!({ "app": "held" });
    arena.create(&calm).await;
    ask_until(&arena, &["status"], ": 2 up to date.").await;
    let answer = ask(&arena, &["plan", "secret/db"]).await;
    insta::assert_snapshot!("plan_of_a_source", answer.said(&arena));
    let json = ask(&arena, &["plan", "secret", "db", "-o", "json"]).await;
    assert!(!json.out.contains("canary"), "{}", json.out);
    let of = |name: &str| ("Deployment".to_owned(), name.to_owned());
    let planned = [0, 1].map(|case| outcomes(&json, case));
    // It restarts for another object where the plan says so, and only there.
    let recorder = arena.record().await;
    arena
        .recreate_secret("db", &[("password", "canary-1"), ("other", "canary-2")])
        .await;
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(&arena).await;
    assert_eq!(
        planned[1],
        BTreeMap::from([
            (of("held"), "notRestarted".to_owned()),
            (of("web"), "restarts".to_owned())
        ])
    );
    recorder.expect("Deployment", "held", 0);
    recorder.expect("Deployment", "web", 1);
    // And for another value.
    write_password(&arena, "canary-3").await;
    recorder.reaches("Deployment", "held", 1).await;
    recorder.reaches("Deployment", "web", 2).await;
    assert!(
        planned[0].values().all(|outcome| outcome == "restarts"),
        "{planned:?}"
    );
    let none = ask(&arena, &["plan", "secret/no-such"]).await;
    insta::assert_snapshot!("plan_of_no_source", none.said(&arena));
    let of_a_workload = ask(&arena, &["plan", "deploy/web"]).await;
    insta::assert_snapshot!("plan_of_a_workload", of_a_workload.said(&arena));
    let nothing = ask(&arena, &["plan"]).await;
    assert_eq!(nothing.code, 1, "{}", nothing.err);
    drop(reroll);
}

#[tokio::test]
async fn cli_plan_with_the_rights_of_a_developer_and_of_a_reader() {
    let arena = arena("cli-plan-rights").await;
    let reroll = web_runs(&arena).await;
    let files = Files::of(&[
        secret("db", &[("password", "canary-5")]),
        config_map("cfg", &[("a", "c")]),
    ]);
    for (name, role) in [("developer", "edit"), ("reader", "view")] {
        let config = person(&arena, name, role).await;
        for (question, words) in [
            ("manifests", vec!["plan", "-f", files.path()]),
            ("source", vec!["plan", "secret/db"]),
            ("config_map", vec!["plan", "cm/cfg"]),
        ] {
            let answer = ask_as(&arena, &config, &words).await;
            assert!(!answer.out.contains("canary"), "{}", answer.out);
            insta::assert_snapshot!(format!("plan_{name}_{question}"), answer.said(&arena));
        }
    }
    drop(reroll);
}

#[tokio::test]
async fn cli_plan_says_who_owns_what_it_would_take_over_and_what_stays_the_same() {
    let arena = arena("cli-plan-owned").await;
    let reroll = web_runs(&arena).await;
    // The same data, and other labels.
    let mut same = secret("db", &[("password", "canary-1")]);
    same["metadata"]["labels"] = json!({ "a": "b" });
    let unchanged = Files::of(&[same]).plan(&arena, &[]).await;
    insta::assert_snapshot!("plan_unchanged", unchanged.said(&arena));
    // Another tool applied it server-side.
    let applied = config_map("cfg", &[("a", "z")]).to_string();
    let words = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=helm",
        "-f",
        "-",
    ];
    arena.kubectl_with(&words, &applied).await.ok();
    ask_until(&arena, &["explain", "deploy/web"], "changed ").await;
    let owned = Files::of(&[config_map("cfg", &[("a", "c")])])
        .plan(&arena, &[])
        .await;
    insta::assert_snapshot!("plan_owned_by_another", owned.said(&arena));
    // What is immutable is refused, and stays.
    arena
        .patch("ConfigMap", "cfg", json!({ "immutable": true }))
        .await;
    let refused = Files::of(&[config_map("cfg", &[("a", "c")])])
        .plan(&arena, &[])
        .await;
    insta::assert_snapshot!("plan_refused", refused.said(&arena));
    // Nothing of this is a file, or an object that matters.
    let elsewhere = Files::of(&[
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" } }),
    ]);
    let nothing = elsewhere.plan(&arena, &[]).await;
    insta::assert_snapshot!("plan_of_nothing", nothing.said(&arena));
    let mut new = config_map("cfg", &[("a", "c")]);
    new["metadata"]["namespace"] = json!("no-such-namespace");
    let new = Files::of(&[new]).plan(&arena, &[]).await;
    insta::assert_snapshot!("plan_in_a_new_namespace", new.said(&arena));
    let unreadable = ask(&arena, &["plan", "-f", "/no/such/file.yaml"]).await;
    assert_eq!(unreadable.code, 1, "{}{}", unreadable.out, unreadable.err);
    drop(reroll);
}

#[tokio::test]
async fn cli_plan_names_manifests_that_cannot_be_applied_and_answers_of_the_others() {
    let arena = arena("cli-plan-bad").await;
    let reroll = web_runs(&arena).await;
    let mut list = secret("db", &[]);
    list["stringData"] = json!({ "password": ["canary-9"] });
    let mut count = deployment("web", &[AUTO], env("db", "password"));
    count["spec"]["replicas"] = json!("two");
    let mut image = deployment("web", &[AUTO], env("db", "password"));
    image["metadata"]["name"] = json!("other");
    image["spec"]["selector"]["matchLabels"] = json!({ "app": "something-else" });
    let bad = [
        list,
        count,
        image,
        config_map("../../x y", &[("a", "b")]),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} }),
        config_map("cfg", &[("a", "c")]),
    ];
    let answer = Files::of(&bad).plan(&arena, &[]).await;
    insta::assert_snapshot!("plan_of_bad_manifests", answer.said(&arena));
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.yaml");
    std::fs::write(&empty, "---\n# nothing\n---\nreplicas: 2\n").unwrap();
    let answer = ask(&arena, &["plan", "-f", empty.to_str().unwrap()]).await;
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err),
        (
            1,
            "",
            format!(
                "reroll: nothing was read: no object is in {}: an object has apiVersion and kind\n",
                empty.display()
            )
        )
    );
    drop(reroll);
}
