//! A reroll process.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{Arena, PATIENCE, Said, binary, eventually};

/// How a reroll is to be started.
#[derive(Clone)]
pub struct RerollBuilder {
    flags: Vec<(String, Option<String>)>,
    surroundings: Vec<(String, String)>,
    program: Option<PathBuf>,
    kubeconfig: PathBuf,
    log: PathBuf,
    administrator: Client,
    /// Its webhook has all the time it needs.
    patient: bool,
}

/// A reroll that runs. It is stopped when dropped.
pub struct Reroll {
    child: Child,
    builder: RerollBuilder,
    http: String,
    webhook: Option<String>,
}

impl RerollBuilder {
    /// Returns one for this arena, with flags that make tests quick.
    pub fn new(arena: &Arena) -> Self {
        let directory = std::env::temp_dir().join(format!("reroll-tests-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let builder = Self {
            flags: Vec::new(),
            surroundings: Vec::new(),
            program: None,
            kubeconfig: arena.cluster.kubeconfig().to_owned(),
            log: directory.join(format!("{}.log", arena.namespace)),
            administrator: arena.client.clone(),
            patient: true,
        };
        builder
            .flag("--namespaces", &arena.namespace)
            // As in a pod whose container starts again: the Lease is its own still.
            .flag("--instance", &arena.namespace)
            .flag("--own-namespace", &arena.own_namespace)
            .flag("--webhook-name", &arena.namespace)
            .flag("--webhook-url", "https://127.0.0.1:0")
            .flag("--webhook-listen", "127.0.0.1:0")
            .flag("--http-listen", "127.0.0.1:0")
            .flag("--settle", "100ms")
            .flag("--restart-rate", "0")
            .flag("--adopt-rate", "0")
            .flag("--slow-start", "off")
            .flag("--max-distance", "0s")
            .flag("--log-format", "json")
            .flag("--log", "info,reroll=debug")
    }

    /// Sets a flag, in place of what it was.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.retain(|(known, _)| known != name);
        self.flags.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Leaves a flag out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.flags.retain(|(known, _)| known != name);
        self
    }

    /// Sets a flag without a value.
    #[must_use]
    pub fn switch(mut self, name: &str) -> Self {
        self.flags.retain(|(known, _)| known != name);
        self.flags.push((name.to_owned(), None));
        self
    }

    /// Gives it other surroundings than the product's; `tests/bin/under_test.rs` says which there are.
    #[must_use]
    pub fn surroundings(mut self, name: &str, value: &str) -> Self {
        self.surroundings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another release of it.
    #[must_use]
    pub fn program(mut self, path: PathBuf) -> Self {
        self.program = Some(path);
        self
    }

    /// The binary of the release before the brakes, which a person names: it does not know their flags.
    ///
    /// # Panics
    ///
    /// If `REROLL_BEFORE` does not name it.
    #[must_use]
    pub fn before(self) -> Self {
        let path =
            std::env::var_os("REROLL_BEFORE").expect("REROLL_BEFORE names a binary of reroll");
        let before = self.program(path.into());
        before.without("--slow-start").without("--max-distance")
    }

    /// The product as it is.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.surroundings.clear();
        self
    }

    /// With the time that a review may take as it is, where that is what a test shows. Otherwise the webhook has all the time
    /// it needs ([`Self::start`]): on a busy machine a write could skip a review.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.patient = false;
        self
    }

    /// No admission webhook at all.
    #[must_use]
    pub fn without_webhook(self) -> Self {
        self.without("--webhook-url")
            .without("--webhook-listen")
            .without("--webhook-name")
            .switch("--no-webhook")
    }

    /// Through another way to the API server.
    #[must_use]
    pub fn kubeconfig(mut self, path: PathBuf) -> Self {
        self.kubeconfig = path;
        self
    }

    /// Logs to a file of this name: where more than one runs in an arena.
    #[must_use]
    pub fn log_as(mut self, name: &str) -> Self {
        self.log.set_file_name(format!("{name}.log"));
        self
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> Reroll {
        let webhook = self
            .value("--webhook-url")
            .and(self.value("--webhook-name"));
        let patience = webhook.filter(|_| self.patient).map(ToOwned::to_owned);
        let builder = match &patience {
            Some(_) => self.clone().flag("--get-budget", "8s"),
            None => self.clone(),
        };
        let mut reroll = builder.spawn().await;
        reroll.builder = self;
        reroll.ready().await;
        if let Some(name) = patience {
            reroll.wait_for_reviews(&name).await;
        }
        reroll
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let mut all = self.flags.iter();
        all.find(|(name, _)| name == flag)?.1.as_deref()
    }

    /// Starts it and waits for its end; for a reroll that must refuse to run.
    pub async fn end(self) -> Said {
        let mut command = self.command();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let mut end = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let Ok(output) = tokio::time::timeout(PATIENCE, &mut end).await else {
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
            panic!(
                "it runs: {}",
                String::from_utf8_lossy(&end.await.unwrap().stderr)
            );
        };
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            out: text(&output.stdout),
            err: text(&output.stderr),
            ok: output.status.success(),
        }
    }

    fn command(&self) -> Command {
        let program = match &self.program {
            Some(program) => program.clone(),
            None if self.surroundings.is_empty() => binary("reroll").unwrap(),
            None => binary("reroll-under-test").unwrap(),
        };
        let mut command = Command::new(program);
        command
            .arg("run")
            // Webhooks of tests are on this machine.
            .env("NO_PROXY", "*")
            .envs(self.surroundings.iter().cloned())
            .env_remove("KUBECONFIG")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig);
        for (name, value) in &self.flags {
            command.arg(name).args(value);
        }
        command
    }

    /// Starts it, and waits only until it says where it listens.
    pub async fn spawn(self) -> Reroll {
        let before = std::fs::read_to_string(&self.log).unwrap_or_default().len();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut reroll = Reroll {
            child,
            builder: self,
            http: String::new(),
            webhook: None,
        };
        reroll.http = reroll
            .logged_address(before, "serving health and metrics")
            .await;
        reroll
    }
}

impl Reroll {
    /// Waits until it is ready.
    pub async fn ready(&mut self) {
        eventually(
            &format!("reroll is ready, see {}", self.builder.log.display()),
            async || {
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!("reroll ended with {status}: {}", self.log());
                }
                let (code, _) = self.http("/readyz").await?;
                (code == 200).then_some(())
            },
        )
        .await;
    }

    /// Makes the API server wait for its reviews.
    async fn wait_for_reviews(&self, name: &str) {
        let client = &self.builder.administrator;
        let longer = |count| {
            let line = |number| json!({ "op": "replace", "path": format!("/webhooks/{number}/timeoutSeconds"), "value": 10 });
            let lines = (0..count).map(line).collect();
            Patch::<()>::Json(serde_json::from_value(lines).unwrap())
        };
        let params = PatchParams::default();
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        let count = mutating.get(name).await.unwrap().webhooks.unwrap().len();
        mutating.patch(name, &params, &longer(count)).await.unwrap();
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let count = validating.get(name).await.unwrap().webhooks.unwrap().len();
        validating
            .patch(name, &params, &longer(count))
            .await
            .unwrap();
    }

    /// How it was started, to start it again.
    pub fn builder(&self) -> RerollBuilder {
        self.builder.clone()
    }

    /// Sends SIGTERM and waits for the end. Returns whether it ended well.
    pub async fn stop(mut self) -> bool {
        self.signal("TERM");
        eventually("reroll ends after SIGTERM", async || {
            self.child.try_wait().unwrap()
        })
        .await
        .success()
    }

    /// Waits until it ends by itself. Returns whether it ended well.
    pub async fn ended(&mut self) -> bool {
        eventually("reroll ends", async || self.child.try_wait().unwrap())
            .await
            .success()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name, such as STOP and CONT.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that was logged by it and its predecessors in this arena.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.builder.log).unwrap()
    }

    /// Returns what the log says of watches that failed. Leaves out 429: where everything is slow, an API server that
    /// begins to serve a kind asks for patience for long.
    pub fn failed_watches(&self) -> Vec<String> {
        let failed =
            |line: &&str| line.contains("a watch failed") && !line.contains("\"code\":429");
        self.log()
            .lines()
            .filter(failed)
            .map(str::to_owned)
            .collect()
    }

    /// The port of its webhook.
    pub async fn webhook_address(&mut self) -> String {
        if self.webhook.is_none() {
            self.webhook = Some(self.logged_address(0, "serving admission reviews").await);
        }
        self.webhook.clone().unwrap()
    }

    /// The plain HTTP port, for probes and metrics.
    pub fn http_address(&self) -> &str {
        &self.http
    }

    /// GET from the plain HTTP port: the status and the body.
    pub async fn http(&self, path: &str) -> Option<(u16, String)> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let get = async {
            let mut stream = tokio::net::TcpStream::connect(&self.http).await.ok()?;
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: reroll\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
        };
        tokio::time::timeout(PATIENCE, get).await.ok()?
    }

    /// Returns how much memory it has, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() << 10
    }

    /// The value of a metric with these labels, over all others that it has; 0 where it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, body) = self.http("/metrics").await.unwrap();
        let lines = body.lines().filter_map(|line| line.rsplit_once(' '));
        lines
            .filter(|(found, _)| is_of(found, name))
            .map(|(_, value)| value.parse::<f64>().unwrap())
            // The sum of none is -0.
            .fold(0.0, |all, value| all + value)
    }

    async fn logged_address(&self, from: usize, message: &str) -> String {
        eventually(
            &format!("reroll says where it is {message}: {}", self.log()),
            async || {
                let log = self.log();
                let mut lines = log[from..]
                    .lines()
                    .rev()
                    .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
                lines.find(|line| line["message"] == message)?["address"]
                    .as_str()
                    .map(ToOwned::to_owned)
            },
        )
        .await
    }
}

/// Whether a series, as a scrape shows it, has this name and these labels.
fn is_of(series: &str, wanted: &str) -> bool {
    let parts = |text: &str| {
        let (name, labels) = text.split_once('{').unwrap_or((text, ""));
        let labels = labels.trim_end_matches('}').split("\",");
        let labels = labels.map(|label| label.trim_end_matches('"').to_owned());
        (name.to_owned(), labels.collect::<Vec<_>>())
    };
    let (name, labels) = parts(series);
    let (wanted, all) = parts(wanted);
    name == wanted
        && all
            .iter()
            .all(|label| label.is_empty() || labels.contains(label))
}

impl Drop for Reroll {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal("CONT");
            self.signal("TERM");
            for _ in 0..100 {
                if self.child.try_wait().ok().flatten().is_some() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            eprintln!("the log of reroll: {}", self.builder.log.display());
        }
    }
}
