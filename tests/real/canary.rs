//! The data of Secrets is found only in Secrets: not in a log at trace level, an Event, a metric, an answer of the
//! webhook, or an annotation that another controller copies. It is found neither as it is nor in a form that gives it
//! away or lets a guess be checked: base64, hex, plain SHA-256.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
};

use futures::{StreamExt as _, stream};
use k8s_openapi::{ByteString, api::core::v1::Event};
use kube::{Api, api::ListParams};
use reroll::webhook::routes::{SOURCES_PATH, WORKLOADS_PATH};
use reroll_harness::{
    Arena, Https, KINDS, PATIENCE, RESTART_ON, Recorder, eventually,
    generate::review,
    proxy::{Answer, Fault, FaultProxy, Matcher, RequestLine, Rule},
    workload,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// What must not be found, in every form that it could have.
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// A new value that is text.
    fn text(&mut self) -> String {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(20)
            .collect();
        let value = format!("canary{random}");
        self.watch_for(value.as_bytes());
        value
    }

    /// A new value that is none, in base64.
    fn binary(&mut self) -> String {
        let value: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(128..))
            .take(24)
            .collect();
        self.watch_for(&value);
        base64(&value)
    }

    fn watch_for(&mut self, value: &[u8]) {
        let name = String::from_utf8_lossy(value).into_owned();
        for (form, text) in forms(value) {
            self.0.push((format!("{name} as {form}"), text));
        }
    }

    /// What of it is found in a text.
    fn found_in(&self, text: &str) -> Vec<&str> {
        let found = self
            .0
            .iter()
            .filter(|(_, form)| text.contains(form.as_str()));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

/// Every form of a value, long enough to be told from chance.
fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let sum = Sha256::digest(value);
    let list = |comma: &str| {
        let bytes: Vec<_> = value.iter().map(ToString::to_string).collect();
        bytes.join(comma)
    };
    let mut forms = vec![
        ("hex", hex(value)),
        ("capital hex", hex(value).to_uppercase()),
        ("a list", list(", ")),
        ("a compact list", list(",")),
        // reroll cuts its own digests to 12 bytes.
        ("SHA-256 in hex", hex(&sum[..12])),
        ("SHA-256 in capital hex", hex(&sum[..12]).to_uppercase()),
        ("SHA-256 in base64", base64(&sum[..12])),
        ("SHA-256 in URL-safe base64", url_safe(&base64(&sum[..12]))),
    ];
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(("it is", text.to_owned()));
    } else {
        forms.push(("escaped bytes", value.escape_ascii().to_string()));
        forms.push(("lossy text", String::from_utf8_lossy(value).into_owned()));
    }
    // Within a larger value, base64 of it depends on how much stands before it; the rims mix with what is around it.
    for (before, skip) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [&vec![0; before], value].concat();
        let whole = base64(&padded);
        let end = padded.len() / 3 * 4;
        forms.push(("base64", whole[skip..end].to_owned()));
        forms.push(("URL-safe base64", url_safe(&whole[skip..end])));
    }
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn base64(bytes: &[u8]) -> String {
    let text = serde_json::to_value(ByteString(bytes.to_vec())).unwrap();
    text.as_str().unwrap().to_owned()
}

fn url_safe(text: &str) -> String {
    text.replace('+', "-").replace('/', "_")
}

/// The search finds what it is for, also in the middle of something.
#[test]
fn the_search_finds_every_form() {
    let value = b"some-secret-value-\xff\xfe-0123";
    for value in [&value[..18], &value[..]] {
        let mut canaries = Canaries::new();
        canaries.watch_for(value);
        for (form, text) in forms(value) {
            assert!(
                !canaries.found_in(&format!("x{text}y")).is_empty(),
                "{form}"
            );
        }
        let sum = Sha256::digest(value);
        for around in 0..6 {
            let before = "x".repeat(around);
            let within = [before.as_bytes(), value, b"and more"].concat();
            for leak in [base64(&within), hex(&within), base64(&sum), hex(&sum)] {
                assert!(!canaries.found_in(&leak).is_empty(), "{around}: {leak}");
            }
            let twice = base64(base64(&within).as_bytes());
            assert!(canaries.found_in(&twice).is_empty(), "nobody does that");
        }
        assert_eq!(canaries.found_in("some-secret value"), [""; 0]);
    }
}

/// Where a canary could turn up, and what is known to be there: a search that finds that finds a canary too.
struct Place {
    name: &'static str,
    text: String,
    marker: &'static str,
}

async fn places(arena: &Arena, log: String, metrics: String, answers: &[String]) -> Vec<Place> {
    let all = ListParams::default();
    let mut events = String::new();
    for namespace in [
        &arena.namespace,
        &arena.own_namespace,
        &"default".to_owned(),
    ] {
        let api = Api::<Event>::namespaced(arena.client.clone(), namespace);
        events += &serde_json::to_string(&api.list(&all).await.unwrap().items).unwrap();
    }
    let mut places = vec![
        Place {
            name: "the log",
            text: log,
            marker: "secret/",
        },
        Place {
            name: "Events",
            text: events,
            marker: "Secret holder",
        },
        Place {
            name: "metrics",
            text: metrics,
            marker: "reroll_restarts_total{",
        },
        Place {
            name: "answers",
            text: answers.join("\n"),
            marker: "Secret holder",
        },
    ];
    for name in KINDS
        .into_iter()
        .chain(["ReplicaSet", "ControllerRevision"])
    {
        let list = arena.api(name).list(&all).await.unwrap();
        let text = serde_json::to_string(&list.items).unwrap();
        places.push(Place {
            name,
            text,
            marker: "secret/holder",
        });
    }
    places
}

/// Answers to a read of Secrets that quote one.
fn quotes(canaries: &mut Canaries) -> Vec<Answer> {
    let secret = json!({ "metadata": { "name": 5 }, "data": { "text": canaries.binary(), "x": canaries.text() } });
    let list = json!({ "kind": "SecretList", "metadata": {}, "items": [{ "data": [canaries.text()] }, canaries.text()] });
    vec![
        Answer::new(500, secret.clone()),
        Answer::new(500, json!(canaries.text())),
        Answer::new(403, json!(canaries.text())),
        Answer::new(200, secret),
        Answer::new(200, list),
        Answer::new(200, json!(canaries.text())),
        Answer::status(403, "Forbidden", &canaries.text()),
        Answer::status(500, &canaries.text(), "?"),
        Answer::watch_error(500, &canaries.text(), &canaries.text()),
        Answer::watch_error(410, "Expired", &canaries.text()),
    ]
}

/// What is done with canaries, and what was answered.
struct Case {
    arena: Arena,
    proxy: FaultProxy,
    canaries: Canaries,
    answers: Vec<String>,
}

impl Case {
    async fn apply(&mut self, manifest: Value) {
        let (apply, manifest) = (["apply", "--server-side", "-f", "-"], manifest.to_string());
        let said = self.arena.kubectl_with(&apply, &manifest).await.ok();
        self.answers.push(said.err);
    }

    /// A Secret and a ConfigMap with other data.
    async fn write_sources(&mut self) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "holder" },
            "stringData": { "text": self.canaries.text() }, "data": { "binary": self.canaries.binary() },
        });
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "holder" },
            "data": { "text": self.canaries.text() }, "binaryData": { "binary": self.canaries.binary() },
        });
        self.apply(secret).await;
        self.apply(map).await;
    }

    async fn create_users(&self) {
        let pod = json!({
            "containers": [{
                "env": [{ "name": "V", "valueFrom": { "secretKeyRef": { "name": "holder", "key": "text" } } }],
                "envFrom": [{ "configMapRef": { "name": "holder" } }],
                "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
            }],
            "volumes": [{ "name": "v", "secret": { "secretName": "holder" } }],
        });
        for kind in KINDS {
            let opted_in = [(RESTART_ON, "auto")];
            let user = workload(kind, "user", &opted_in, pod.clone());
            self.arena.create(&user).await;
        }
    }

    async fn update_recreate_and_lose_a_key(&mut self, recorder: &Recorder) {
        self.write_sources().await;
        recorder.settle(&self.arena).await;
        let delete = ["delete", "secret", "holder"];
        let said = self.arena.kubectl(&delete).await.ok();
        self.answers.push(said.err);
        self.write_sources().await;
        recorder.settle(&self.arena).await;
        let other = self.canaries.binary();
        let patch = json!({ "data": { "text": null, "other": other } });
        self.arena.patch("Secret", "holder", patch).await;
        recorder.settle(&self.arena).await;
        for kind in KINDS {
            let rollouts = recorder.rollouts(kind, "user");
            assert!(rollouts >= 2, "{kind} has rolled {rollouts} times");
        }
    }

    /// Reads at admission fail, with an answer that quotes a Secret.
    async fn fail_reads(&mut self) {
        for (number, answer) in quotes(&mut self.canaries).into_iter().enumerate() {
            let gets = Matcher::any().method("GET").path_contains("/secrets");
            let rule = Rule::new(gets.watch(false), Fault::Answer(answer));
            let rule = self.proxy.add(rule);
            let image = format!("*=registry.example/app:{number}");
            let set = ["set", "image", "deployment/user", &image];
            let said = self.arena.kubectl(&set).await.ok();
            self.answers.push(said.err);
            self.proxy.remove(rule);
        }
    }

    /// Patches of workloads fail, with an answer that quotes a Secret.
    async fn fail_patches(&mut self) {
        let workloads = |request: &RequestLine| {
            request.method == "PATCH" && request.path.contains("/apis/apps/")
        };
        for answer in [
            Answer::status(422, "Invalid", &self.canaries.text()),
            Answer::status(403, "Forbidden", &self.canaries.text()),
            Answer::new(500, json!(self.canaries.text())),
            Answer::new(200, json!({ "metadata": self.canaries.text() })),
        ] {
            let before = self.proxy.count(workloads);
            let matcher = Matcher::any().when(workloads);
            let rule = self.proxy.add(Rule::new(matcher, Fault::Answer(answer)));
            self.write_sources().await;
            let tried = |proxy: &FaultProxy| proxy.count(workloads) > before;
            self.proxy.wait_until(PATIENCE, tried).await.unwrap();
            self.proxy.remove(rule);
        }
        self.arena.event("user", "RestartFailed").await;
    }

    /// Reviews that no API server sends.
    fn odd_reviews(&mut self) -> Vec<Value> {
        let mut odd = Vec::new();
        let canaries = &mut self.canaries;
        for data in [
            json!({ "text": canaries.binary(), "no-base64": canaries.text() }),
            json!([canaries.text()]),
            json!(canaries.text()),
            json!({ "text": [canaries.text()] }),
        ] {
            for kind in ["Secret", "ConfigMap"] {
                let object = json!({
                    "apiVersion": "v1", "kind": kind, "metadata": { "name": "holder", "uid": "u" },
                    "data": data, "stringData": { "x": canaries.text() },
                });
                for operation in ["CREATE", "UPDATE", "DELETE"] {
                    let mut review = review(operation, &object, &object);
                    review["request"]["namespace"] = json!(self.arena.namespace);
                    odd.push(review);
                }
            }
        }
        for field in ["kind", "operation", "namespace", "userInfo", "options"] {
            let mut review = odd[0].clone();
            review["request"][field] = json!(canaries.text());
            odd.push(review);
        }
        odd
    }

    async fn send_garbage(&mut self, https: &Https) {
        for review in self.odd_reviews() {
            let review = review.to_string();
            for body in [&review, &review[1..], &review[..review.len() - 9]] {
                for path in [SOURCES_PATH, WORKLOADS_PATH] {
                    self.answers.push(https.post(path, body.to_owned()).await.1);
                }
            }
        }
        let path = format!("/{}", self.canaries.text());
        for (path, body) in [(SOURCES_PATH, self.canaries.text()), (&path, String::new())] {
            self.answers.push(https.post(path, body).await.1);
        }
    }
}

#[tokio::test]
async fn no_secret_data_comes_out_anywhere() {
    let arena = Arena::new("canary").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let mut reroll = arena
        .reroll()
        .kubeconfig(proxy.kubeconfig())
        .flag("--log", "trace")
        .start()
        .await;
    let https = Https::to(&mut reroll, &arena).await;
    let mut case = Case {
        arena,
        proxy,
        canaries: Canaries::new(),
        answers: Vec::new(),
    };
    case.write_sources().await;
    case.create_users().await;
    let recorder = case.arena.record().await;
    case.update_recreate_and_lose_a_key(&recorder).await;
    case.fail_reads().await;
    assert!(reroll.log().contains("read no source at admission"));
    case.fail_patches().await;
    case.send_garbage(&https).await;

    // It has survived all that, and works.
    reroll.ready().await;
    recorder.settle(&case.arena).await;
    let metrics = reroll.http("/metrics").await.unwrap().1;
    assert!(reroll.log().contains("\"level\":\"TRACE\""));
    reroll.signal("TERM");
    let log = eventually("it ends", async || {
        let log = reroll.log();
        log.contains("removed the webhook registration")
            .then_some(log)
    })
    .await;
    for place in places(&case.arena, log, metrics, &case.answers).await {
        let Place { name, text, marker } = place;
        assert!(text.contains(marker), "{name}: {text}");
        assert_eq!(case.canaries.found_in(&text), [""; 0], "in {name}");
    }
}

/// A reroll without a webhook, through a proxy.
fn command(arena: &Arena, proxy: &FaultProxy) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reroll"));
    command
        .args([
            "run",
            "--no-webhook",
            "--log",
            "trace",
            "--http-listen",
            "127.0.0.1:0",
        ])
        .args(["--namespaces", &arena.namespace])
        .args(["--own-namespace", &arena.own_namespace])
        .arg("--kubeconfig")
        .arg(proxy.kubeconfig())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The Secret with the digest key cannot be read, and the answer quotes it: reroll ends and says why, without the
/// quote.
#[tokio::test]
async fn an_unreadable_digest_key_is_not_quoted() {
    let arena = Arena::new("canary-key").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let mut canaries = Canaries::new();
    let secret = json!({ "metadata": { "name": 5 }, "data": { "key": canaries.binary() } });
    for answer in [
        Answer::new(500, json!(canaries.text())),
        Answer::status(403, "Forbidden", &canaries.text()),
        Answer::new(200, secret),
        Answer::new(
            200,
            json!({ "metadata": {}, "data": { "key": canaries.binary() } }),
        ),
        Answer::new(200, json!(canaries.text())),
    ] {
        let key = Matcher::any().path_contains("/secrets/reroll-digest-key");
        let rule = proxy.add(Rule::new(key, Fault::Answer(answer)));
        let mut command = command(&arena, &proxy);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = tokio::time::timeout(PATIENCE, output);
        let output = output.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("reroll-digest-key"), "{said}");
        assert_eq!(canaries.found_in(&said), [""; 0], "{said}");
        proxy.remove(rule);
    }
}

/// Lists and watches of Secrets are answered by errors and garbage that quote one.
#[tokio::test]
async fn unreadable_lists_and_watches_are_not_quoted() {
    let arena = Arena::new("canary-watch").await;
    let mut canaries = Canaries::new();
    arena.secret("holder", &[("k", &canaries.text())]).await;
    let answers = quotes(&mut canaries).into_iter();
    // A first list is streamed by the watch, or comes in pages where that is refused, and the watch after them.
    let ways = answers.flat_map(|answer| [(false, answer.clone()), (true, answer)]);
    let logs = ways.map(|(paged, answer)| {
        let arena = &arena;
        async move {
            let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
            let secrets = |watch| {
                let all = Matcher::any().method("GET").watch(watch);
                all.when(|request| request.path.ends_with("/secrets"))
            };
            if paged {
                let refusal = Answer::status(422, "Invalid", "sendInitialEvents is forbidden");
                proxy.add(Rule::new(secrets(true), Fault::Answer(refusal)).times(1));
                proxy.add(Rule::new(secrets(false), Fault::Answer(answer.clone())).times(1));
            }
            let watch = Rule::new(secrets(true), Fault::Answer(answer));
            proxy.add(watch.nth(1 + u64::from(paged)));
            let mut child = tokio::process::Command::from(command(arena, &proxy))
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let (mut log, mut failures) = (String::new(), 0);
            let reading = async {
                // An object that cannot be read is left out of a list, and the watch goes on.
                let unread = "an object cannot be read";
                let expected = 1 + usize::from(paged);
                while failures < expected && !(failures == 1 && log.contains(unread)) {
                    let line = lines.next_line().await.unwrap();
                    let line = line.unwrap_or_else(|| panic!("it ended: {log}"));
                    failures += usize::from(line.contains("a watch failed, trying again"));
                    log += &line;
                }
            };
            let read = tokio::time::timeout(PATIENCE, reading).await;
            assert!(read.is_ok(), "{failures} failures, paged: {paged}: {log}");
            log
        }
    });
    let logs: Vec<String> = stream::iter(logs).buffer_unordered(3).collect().await;
    assert_eq!(logs.len(), 20);
    for log in &logs {
        assert_eq!(canaries.found_in(log), [""; 0], "{log}");
    }
}
