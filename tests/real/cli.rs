//! The commands that people ask, run as people run them, and their whole outputs compared.

mod doctor;
mod explain;
mod failing;
mod former;
mod gated;
mod gates;
mod getting_started;
mod history;
mod keys;
mod kubeconfigs;
mod migrate;
mod plan;
mod refused;
mod requests;
mod rights;
mod status;
mod unreachable;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use regex::Regex;
use reroll_harness::{Arena, Reroll, binary, cluster::Cluster, eventually};
use serde_json::{Value, json};

/// An arena in a cluster that only these tests share: answers tell what else is there, such as kinds of Argo's, and others that
/// restart workloads.
async fn arena(name: &str) -> Arena {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let start = || CLUSTER.get_or_init(|| Cluster::start().expect("a cluster to test on"));
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    Arena::on(cluster, name).await
}

/// What a command said, and how it ended.
struct Answer {
    out: String,
    err: String,
    code: i32,
}

impl Answer {
    /// Returns the code and all that was said, without what differs from run to run: names, times, and how wide columns are.
    fn said(&self, arena: &Arena) -> String {
        let named = format!("exit {}\n{}{}", self.code, self.out, self.err)
            .replace(&arena.own_namespace, "reroll")
            .replace(&arena.namespace, "shop");
        let pods = Regex::new(r"\b(plain|held|web)-[0-9a-f]+-[0-9a-z]{5}\b").unwrap();
        let named = pods.replace_all(&named, "$1-POD");
        let server = Regex::new(r"https://127.0.0.1:\d+/").unwrap();
        let named = server.replace_all(&named, "https://SERVER/");
        let times = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
        let named = times.replace_all(&named, "TIME");
        let long = Regex::new(r"after \d+[smhd]").unwrap();
        let named = long.replace_all(&named, "after LONG");
        let ages = Regex::new(r"\d+[smhd] ago").unwrap();
        let blanks = Regex::new(r"(\S) {3,}(\S)").unwrap();
        let text = ages.replace_all(&named, "AGE ago");
        blanks.replace_all(&text, "$1   $2").into_owned()
    }
}

/// Makes a command of whoever this kubeconfig is of.
fn command(config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(binary("reroll").unwrap());
    command
        .args(words)
        .arg("--kubeconfig")
        .arg(config)
        .env_remove("KUBECONFIG")
        .env("NO_PROXY", "*")
        .stdin(Stdio::null());
    command
}

/// Runs a command as whoever this kubeconfig is of.
async fn run(config: &Path, words: &[&str]) -> Answer {
    let mut command = command(config, words);
    let is_json = words.windows(2).any(|pair| pair == ["-o", "json"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let answer = Answer {
        out: text(&output.stdout),
        err: text(&output.stderr),
        code: output.status.code().unwrap(),
    };
    if is_json && answer.code != 1 {
        is_as_documented(&answer.out);
    }
    answer
}

/// Checks an answer for programs by the schemas in `docs/schema`: exactly one has its kind.
fn is_as_documented(text: &str) {
    let answer: Value = serde_json::from_str(text).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let files = std::fs::read_dir(folder).unwrap();
    let schemas = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let schemas = schemas.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let kinds = |schema: &Value| schema["properties"]["kind"]["enum"].as_array().cloned();
    let has_kind =
        |schema: &Value| kinds(schema).is_some_and(|kinds| kinds.contains(&answer["kind"]));
    let [schema] = schemas
        .filter(has_kind)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&answer)
        .map(|it| it.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}: {text}");
}

/// Asks as this person about the arena's namespace and the reroll of it.
async fn ask_as(arena: &Arena, config: &Path, words: &[&str]) -> Answer {
    let place = [
        "--namespace",
        &arena.namespace,
        "--reroll-namespace",
        &arena.own_namespace,
    ];
    run(config, &[words, &place].concat()).await
}

/// Asks as the administrator.
async fn ask(arena: &Arena, words: &[&str]) -> Answer {
    ask_as(arena, arena.cluster.kubeconfig(), words).await
}

/// Waits until a command says this.
async fn ask_until(arena: &Arena, words: &[&str], part: &str) -> Answer {
    eventually(&format!("{words:?} says {part}"), async || {
        let answer = ask(arena, words).await;
        answer.out.contains(part).then_some(answer)
    })
    .await
}

/// A Deployment that uses a key of Secret `db`, all of ConfigMap `cfg`, and Secret `tls` where it is there.
fn web(annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "annotations": annotations },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{
                    "name": "app",
                    "image": "app",
                    "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } }],
                    "envFrom": [
                        { "configMapRef": { "name": "cfg" } },
                        { "secretRef": { "name": "tls", "optional": true } },
                    ],
                }] },
            },
        },
    })
}

fn opted_in() -> Value {
    json!({ "reroll.dev/restart-on": "auto" })
}

/// Makes the sources, and waits for as long as the clocks of API servers may differ: a pod that is made sooner may have either
/// value, and is told of.
async fn sources(arena: &Arena) {
    arena
        .secret("db", &[("password", "canary-1"), ("other", "canary-2")])
        .await;
    arena.config_map("cfg", &[("a", "b")]).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
}

/// Starts reroll beside the sources, and waits until it knows `web`, whose pods run.
async fn web_runs(arena: &Arena) -> Reroll {
    sources(arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&opted_in())).await;
    ask_until(arena, &["explain", "deploy/web"], "complete, 2 of 2 pods").await;
    reroll
}

async fn write_password(arena: &Arena, value: &str) {
    let data = json!({ "stringData": { "password": value } });
    arena.patch("Secret", "db", data).await;
}
