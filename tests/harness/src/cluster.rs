//! A real Kubernetes cluster for as long as a [`Cluster`] lives: an API server, etcd, the controllers, the scheduler
//! and three simulated nodes on which pods start and become ready at once, or two real ones.
//!
//! `tests/cluster/up serve` runs it, and removes it when its standard input is closed. This process holds the other
//! end. So the cluster goes away however this process ends: by a return, a panic, Ctrl-C or `kill -9`.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use kube::{
    client::{ConfigExt as _, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;
use tower::{BoxError, Layer as _, ServiceExt as _, retry::RetryLayer, util::option_layer};

use crate::connections::connections;

/// Runs clusters, and knows where their tools are.
const UP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/up");

/// Runs real nodes, and knows what they take.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/node");

/// Tearing down kills everything and takes a fraction of a second.
const TEAR_DOWN: Duration = Duration::from_secs(30);

/// How long components may take that are started again, where everything is slow.
const START: Duration = Duration::from_mins(6);

/// A running cluster, removed on drop.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Child,
    facts: Facts,
}

/// The line which `up serve` prints when the cluster is ready.
#[derive(Debug, Deserialize)]
struct Facts {
    name: String,
    kubeconfig: PathBuf,
    bin: PathBuf,
    data: PathBuf,
}

impl Cluster {
    /// Starts a cluster of its own (about 4 s) or uses that of `KUBECONFIG`; `tests/cluster/README.md` tells when.
    ///
    /// The first start on a machine builds the binaries, which takes minutes; progress goes to standard error.
    pub fn start() -> Result<Self> {
        Self::serve(&[])
    }

    /// Starts a cluster whose controller-manager makes no more calls than Kubernetes' defaults allow: 20 a second for
    /// each controller, after 30 at once.
    pub fn start_with_default_limits() -> Result<Self> {
        Self::serve(&["default-limits"])
    }

    /// Starts a cluster of its own whose two nodes run containers, instead of simulated ones. Where the machine can do that
    /// not, [`Self::lacks`] says why.
    pub fn start_with_real_nodes() -> Result<Self> {
        Self::serve(&["real-nodes"])
    }

    /// Returns what this machine lacks to run real nodes, in words.
    pub fn lacks() -> Result<Vec<String>> {
        let output = Command::new(NODE)
            .arg("lacks")
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {NODE}"))?;
        let said = String::from_utf8(output.stdout)?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    fn serve(arguments: &[&str]) -> Result<Self> {
        let mut supervisor = Command::new(UP)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal goes to a whole process group; this one outlives us, to clean up.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {UP}"))?;
        let mut line = String::new();
        let stdout = supervisor.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = supervisor.wait()?;
            bail!("no cluster: {UP} ended with {status}; its messages are above");
        }
        let facts =
            serde_json::from_str(&line).with_context(|| format!("{UP} printed {line:?}"))?;
        Ok(Self { supervisor, facts })
    }

    /// The cluster which all tests of this process share, started by the first of them.
    ///
    /// A static is never dropped: the pipe, which closes when the process ends, removes this cluster.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("a cluster to test on"))
    }

    /// The cluster's name, unique on this machine.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// A kubeconfig for the administrator (`system:masters`), gone after the drop.
    pub fn kubeconfig(&self) -> &Path {
        &self.facts.kubeconfig
    }

    /// The path of one of the cluster's binaries: `kubectl`, `helm`, and for a cluster of our own `etcd`,
    /// `kube-apiserver` and so on.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.facts.bin.join(name)
    }

    /// `kubectl`, to be given arguments, talking to this cluster as its administrator.
    pub fn kubectl(&self) -> Command {
        self.command("kubectl")
    }

    /// `helm`, to be given arguments, talking to this cluster as its administrator.
    pub fn helm(&self) -> Command {
        self.command("helm")
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(self.tool(tool));
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// The administrator's client configuration: the API server's URL, its CA, the client certificate and key.
    ///
    /// The API server's certificate is for 127.0.0.1 too, so `cluster_url` may be set to a TCP proxy in front of it.
    pub async fn config(&self) -> kube::Config {
        let kubeconfig =
            Kubeconfig::read_from(self.kubeconfig()).expect("the cluster's kubeconfig");
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a configuration from the cluster's kubeconfig")
    }

    /// A new client of the administrator: a client belongs to the tokio runtime, and so to the test, which made it.
    pub async fn client(&self) -> kube::Client {
        let config = self.config().await;
        let requests = connections::<kube::client::Body>(&config).expect("its certificates");
        let requests = requests.map_err(BoxError::from);
        let credentials = option_layer(config.auth_layer().expect("its credentials"));
        // As kube's own client does: a kind that was defined a moment ago answers 429 until its watch cache is filled.
        let again = RetryLayer::new(RetryPolicy::server_retry());
        let requests = again.layer(credentials.layer(requests));
        let requests = config.base_uri_layer().layer(requests);
        kube::Client::new(requests, config.default_namespace)
    }

    /// Where the API server listens, for a proxy in front of it.
    pub async fn address(&self) -> SocketAddr {
        let url = self.config().await.cluster_url;
        let authority = url.authority().expect("a URL with a host");
        tokio::net::lookup_host((authority.host(), authority.port_u16().unwrap_or(443)))
            .await
            .expect("an address of the API server")
            .next()
            .expect("an address of the API server")
    }

    /// The process id of a component of a cluster of our own: `etcd`, `kube-apiserver`, `kube-controller-manager`,
    /// `kube-scheduler` or `kwok-controller`.
    pub fn component_pid(&self, component: &str) -> Result<u32> {
        let file = self.pid_file(component);
        let pid =
            std::fs::read_to_string(&file).with_context(|| format!("no process of {component}"))?;
        pid.trim()
            .parse()
            .with_context(|| format!("{} has {pid:?}", file.display()))
    }

    /// Kills whoever works on objects by itself: controllers, scheduler and nodes.
    pub fn kill_controllers(&self) -> Result<()> {
        for component in [
            "kube-controller-manager",
            "kube-scheduler",
            "kwok-controller",
        ] {
            self.kill_component(component)?;
        }
        Ok(())
    }

    /// Kills a component as `kill -9` does. It stays down until [`Self::start_components`].
    pub fn kill_component(&self, component: &str) -> Result<()> {
        let pid = self.component_pid(component)?;
        let status = Command::new("sh")
            .args(["-c", &format!("kill -KILL {pid}")])
            .status()?;
        ensure!(status.success(), "cannot kill {component}, process {pid}");
        // It holds its port, which the next one needs, until its last thread is gone: long, where everything is slow.
        let deadline = Instant::now() + TEAR_DOWN;
        while runs(pid) {
            let late = Instant::now() > deadline;
            ensure!(!late, "{component}, process {pid}, outlives its SIGKILL");
            thread::sleep(Duration::from_millis(5));
        }
        // kwokctl must not take the dead process, which may not have been reaped yet, for a running one.
        std::fs::remove_file(self.pid_file(component))?;
        Ok(())
    }

    /// Starts the components which were killed, as they were: with the same data and ports. Returns when the API server
    /// is ready and all of them run. Those that end at their start are started again: a controller-manager does where
    /// the API server is not healthy within ten seconds, and an API server where etcd is late.
    pub fn start_components(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            match self.start_what_is_down() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(error) => eprintln!("cluster {}, started again: {error}", self.name()),
            }
            // kwokctl must not take one that has ended, and has not been reaped yet, for a running one.
            self.forget_what_has_ended()?;
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn start_what_is_down(&self) -> Result<()> {
        let work_dir = self
            .facts
            .data
            .ancestors()
            .nth(2)
            .context("no folder of kwokctl")?;
        let output = self
            .command("kwokctl")
            .env("KWOK_WORKDIR", work_dir)
            .args(["--name", self.name(), "start", "cluster", "--wait", "20s"])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kwokctl: {said}");
        // kwokctl reports success where it has waited in vain, too.
        let ready = self.kubectl().args(["get", "--raw=/readyz"]).output()?;
        ensure!(
            ready.status.success(),
            "the API server is not ready: {}\nkwokctl: {said}",
            String::from_utf8_lossy(&ready.stderr)
        );
        let ended = self.ended()?;
        let last: Vec<String> = ended.iter().map(|name| self.last_lines(name)).collect();
        let last = last.join("\n");
        ensure!(
            ended.is_empty(),
            "these have ended: {ended:?}\nkwokctl: {said}\n{last}"
        );
        Ok(())
    }

    /// The components that were started and have ended since.
    fn ended(&self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        for entry in std::fs::read_dir(self.facts.data.join("pids"))? {
            let file = entry?.path();
            let component = file.file_stem().unwrap_or_default().to_string_lossy();
            if !runs(self.component_pid(&component)?) {
                ended.push(component.into_owned());
            }
        }
        Ok(ended)
    }

    fn forget_what_has_ended(&self) -> Result<()> {
        for component in self.ended()? {
            std::fs::remove_file(self.pid_file(&component))?;
        }
        Ok(())
    }

    /// What a component wrote last, to tell why it ended.
    fn last_lines(&self, component: &str) -> String {
        let log = self.facts.data.join(format!("logs/{component}.log"));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("{component}: {}", lines.join("\n"))
    }

    /// The URL of etcd, of a cluster of our own: plain HTTP, with the JSON gateway (`POST /v3/kv/compaction` and so
    /// on).
    pub fn etcd_url(&self) -> Result<String> {
        let file = self.facts.data.join("kwok.yaml");
        let settings = std::fs::read_to_string(&file).context("not a cluster of our own")?;
        let port = settings
            .lines()
            .find_map(|line| line.trim().strip_prefix("etcdPort: "))
            .with_context(|| format!("no etcdPort in {}", file.display()))?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    /// Restores a backup as the data of etcd, which must not run. `bumped`: revisions and compaction as etcd's
    /// documentation has it for Kubernetes; else etcd counts on from the backup.
    pub fn restore(&self, backup: &Path, bumped: bool) -> Result<()> {
        let tool = tool_path("etcdutl")?;
        let data = self.facts.data.join("etcd");
        std::fs::remove_dir_all(&data)?;
        let mut command = Command::new(tool);
        command
            .args(["snapshot", "restore"])
            .arg(backup)
            .arg("--data-dir")
            .arg(&data)
            .args([
                "--name",
                "node0",
                "--initial-cluster",
                "node0=http://127.0.0.1:2380",
            ])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:2380"]);
        if bumped {
            command.args(["--bump-revision", "1000000", "--mark-compacted"]);
        }
        let output = command.output()?;
        ensure!(
            output.status.success(),
            "etcdutl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// A folder that goes away with the cluster, of our own.
    pub fn folder(&self) -> &Path {
        &self.facts.data
    }

    fn pid_file(&self, component: &str) -> PathBuf {
        self.facts.data.join(format!("pids/{component}.pid"))
    }
}

/// The path of a tool that is not of the cluster. It is built where it is missing.
pub(crate) fn tool_path(name: &str) -> Result<PathBuf> {
    let tool = Command::new(UP)
        .args(["path", name])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(tool.status.success(), "no {name}");
    Ok(String::from_utf8(tool.stdout)?.trim().into())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let deadline = Instant::now() + TEAR_DOWN;
        while matches!(self.supervisor.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!(
                    "cluster {} is still not removed after {TEAR_DOWN:?}",
                    self.name()
                );
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether a process, or one of its threads, still runs. One that is dead but not yet reaped does not.
fn runs(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
        .any(|stat| {
            // The state stands behind the name, which is in brackets and may have brackets of its own.
            let state = stat.rsplit(") ").next().unwrap_or_default();
            !state.starts_with(['Z', 'X'])
        })
}
