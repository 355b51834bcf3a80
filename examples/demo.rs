//! `make demo`: the main job on a real control plane, as a person at a prompt sees it.
//!
//! Starts a cluster and reroll, deletes and recreates a Secret, and shows the warning, the Event, the rollout and the
//! new pods. Then it stops reroll, changes the Secret meanwhile, starts reroll again and shows that it catches up. Where this
//! machine can run containers, the pods say which password they have; else the nodes are simulated. At the end an Event says that
//! everybody has the new password. Exits with an error if any of that did not happen.
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    fs::File,
    io::{BufRead, BufReader, IsTerminal, Write, stdout},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use reroll_harness::{binary, cluster::Cluster};

/// How long each step may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

const MANIFEST: &str = r"apiVersion: v1
kind: Secret
metadata: { name: db }
stringData: { password: first }
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: { reroll.dev/restart-on: auto }   # this is the opt-in
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: reroll.test/busybox:1   # all that the nodes have
          imagePullPolicy: Never
          command: [sh, -c, 'echo my password is $PASSWORD; trap exit TERM; test $PASSWORD = wrong && exit 1; sleep 2147483647 & wait']
          env: [{ name: PASSWORD, valueFrom: { secretKeyRef: { name: db, key: password } } }]
";

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let lacks = lacks()?;
    let are_real = lacks.is_empty();
    title(&format!(
        "A real control plane: etcd, kube-apiserver, controllers, scheduler, and {}",
        if are_real {
            "two nodes that run containers: kubelet, containerd, runc"
        } else {
            "nodes simulated by kwok"
        }
    ));
    if !are_real {
        let lacks = lacks.join("; ");
        say(&format!(
            "(no container runs, so no pod can say its password: real nodes take {lacks})"
        ));
    }
    let began = Instant::now();
    let cluster = if are_real {
        Cluster::start_with_real_nodes()?
    } else {
        Cluster::start()?
    };
    let shell = Shell {
        cluster: &cluster,
        are_real,
    };
    say(&format!("up after {:.1} s", began.elapsed().as_secs_f64()));
    shell.quiet("kubectl create namespace reroll", "")?;

    title("reroll: watches, and registers its webhooks with this API server");
    let reroll = Reroll::start(&cluster)?;
    shell.run(
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations --no-headers",
    )?;

    title("A Secret, and a Deployment that uses it and opts in");
    say(MANIFEST.trim_end());
    shell.quiet("kubectl apply -f -", MANIFEST)?;
    shell.run("kubectl rollout status deployment web --timeout 60s")?;
    shell.run("kubectl get pods -o wide --no-headers")?;
    shell.password("first")?;
    let first = shell.pods()?;

    title("The Secret is deleted and recreated, with the very same data");
    let deleted = shell.run("kubectl delete secret db")?;
    ensure!(
        deleted.contains("Warning: reroll:"),
        "kubectl showed no warning about the deletion"
    );
    let created = shell.run("kubectl create secret generic db --from-literal=password=first")?;
    ensure!(
        created.contains("restarts Deployment web"),
        "kubectl showed no warning about the restart"
    );
    shell.rolled(&first, 2)?;
    shell.run("kubectl rollout status deployment web --timeout 60s")?;
    shell.events("deployment/web", "Restarted", "Secret db was recreated", 1)?;
    shell.events("secret/db", "Converged", "1 workload runs this version", 1)?;
    shell.run("kubectl get replicasets,pods --no-headers")?;
    let second = shell.pods()?;

    title("reroll is stopped, and the Secret changes while it is down");
    reroll.stop()?;
    shell.quiet("kubectl apply -f -", &MANIFEST.replace("first", "second"))?;
    say("(changed: data.password of Secret db)");
    ensure!(
        shell.pods()? == second,
        "pods rolled although reroll is down"
    );
    shell.password("first")?;

    title("reroll starts again, and finds what it missed");
    let reroll = Reroll::start(&cluster)?;
    shell.rolled(&second, 3)?;
    shell.run("kubectl rollout status deployment web --timeout 60s")?;
    shell.events("deployment/web", "Restarted", "Secret db was updated", 1)?;
    shell.run(
        "kubectl get deployment web -o jsonpath={.metadata.annotations.reroll\\.dev/last-restart}",
    )?;
    shell.run("kubectl get replicasets,pods --no-headers")?;
    shell.password("second")?;
    title("Two changes, two rollouts: one for the recreation, one for the change nobody saw");
    if are_real {
        shell.slow_start()?;
    }
    title("Who has the new password, and since when? Now the old one may be revoked");
    if are_real {
        shell.events("secret/db", "Converged", "2 workloads run this version", 1)?;
    } else {
        shell.events("secret/db", "Converged", "1 workload runs this version", 2)?;
    }
    reroll.stop()
}

/// Why the nodes are simulated, if they are.
fn lacks() -> Result<Vec<String>> {
    match std::env::var_os("KUBECONFIG") {
        Some(_) => Ok(vec![
            "a cluster of their own, not that of KUBECONFIG".to_owned(),
        ]),
        None => Cluster::lacks(),
    }
}

struct Shell<'a> {
    cluster: &'a Cluster,
    are_real: bool,
}

impl Shell<'_> {
    /// Runs a kubectl command line and shows it with all that it says.
    fn run(&self, line: &str) -> Result<String> {
        let (bold, plain) = colours("1");
        println!("{bold}$ {line}{plain}");
        let text = self.quiet(line, "")?;
        say(text.trim_end());
        Ok(text)
    }

    fn quiet(&self, line: &str, input: &str) -> Result<String> {
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let mut command = self.cluster.kubectl();
        command
            .args(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run kubectl")?;
        child
            .stdin
            .take()
            .context("kubectl has no input")?
            .write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let text = [output.stderr, output.stdout]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        ensure!(output.status.success(), "{line}: {text}");
        Ok(text)
    }

    /// A wrong value breaks one of two Deployments, and a right one reaches both.
    fn slow_start(&self) -> Result<()> {
        title("A second Deployment uses the Secret, and somebody writes a wrong password");
        let worker = MANIFEST.split("---").last().unwrap_or_default();
        let worker = worker.replace("web", "worker");
        self.quiet("kubectl apply -f -", &worker)?;
        self.run("kubectl rollout status deployment worker --timeout 60s")?;
        self.run(r#"kubectl patch secret db -p {"stringData":{"password":"wrong"}}"#)?;
        say("(one of the two is restarted, and the other waits until it is known to run)");
        let line = "kubectl events --for secret/db --types Warning --no-headers";
        let began = Instant::now();
        while !self.quiet(line, "")?.contains("RestartsSlowed") {
            ensure!(began.elapsed() < 2 * PATIENCE, "no Event says who waits");
            sleep(Duration::from_millis(200));
        }
        self.run(line)?;
        self.run("kubectl get pods --no-headers")?;

        title("The right password: the broken one first, then the other");
        self.run(r#"kubectl patch secret db -p {"stringData":{"password":"third"}}"#)?;
        for name in ["web", "worker"] {
            let began = Instant::now();
            let line = format!("kubectl logs -l app={name} --prefix");
            while !self
                .quiet(&line, "")
                .is_ok_and(|said| has_only(&said, "third"))
            {
                ensure!(
                    began.elapsed() < 2 * PATIENCE,
                    "{name} does not get the right password"
                );
                sleep(Duration::from_millis(200));
            }
            self.run(&line)?;
        }
        Ok(())
    }

    fn pods(&self) -> Result<Vec<String>> {
        let names = self.quiet(
            "kubectl get pods -l app=web -o jsonpath={.items[*].metadata.name}",
            "",
        )?;
        let mut names: Vec<_> = names.split_whitespace().map(ToOwned::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Waits until all pods are new ones, and checks that this took exactly one rollout.
    fn rolled(&self, before: &[String], revisions: usize) -> Result<()> {
        let began = Instant::now();
        loop {
            let now = self.pods()?;
            if now.len() == before.len() && now.iter().all(|pod| !before.contains(pod)) {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "the pods did not roll");
            sleep(Duration::from_millis(50));
        }
        let sets = self
            .quiet("kubectl get replicasets -l app=web -o name", "")?
            .lines()
            .count();
        ensure!(
            sets == revisions,
            "expected {revisions} revisions by now, found {sets}"
        );
        Ok(())
    }

    /// Shows which password the pods have, as they say themselves, and checks that it is this one.
    fn password(&self, expected: &str) -> Result<()> {
        if !self.are_real {
            return Ok(());
        }
        let line = "kubectl logs -l app=web --prefix";
        let pods = self.pods()?.len();
        let began = Instant::now();
        while self.quiet(line, "")?.lines().count() < pods {
            ensure!(began.elapsed() < PATIENCE, "the pods say nothing");
            sleep(Duration::from_millis(50));
        }
        let said = self.run(line)?;
        let expected = format!("my password is {expected}");
        ensure!(
            said.lines().all(|line| line.ends_with(&expected)),
            "not every pod says \"{expected}\""
        );
        Ok(())
    }

    /// Waits for so many Events on an object that say this, and shows those of this reason.
    fn events(&self, object: &str, reason: &str, text: &str, times: usize) -> Result<()> {
        let line = format!("kubectl events --for {object} --types Normal,Warning --no-headers");
        let began = Instant::now();
        let says = |line: &&str| line.contains(reason) && line.contains(text);
        while self.quiet(&line, "")?.lines().filter(says).count() < times {
            ensure!(began.elapsed() < 2 * PATIENCE, "no Event says \"{text}\"");
            sleep(Duration::from_millis(50));
        }
        let (bold, plain) = colours("1");
        println!("{bold}$ {line} | grep {reason}{plain}");
        let events = self.quiet(&line, "")?;
        events
            .lines()
            .filter(|line| line.contains(reason))
            .for_each(say);
        Ok(())
    }
}

fn has_only(said: &str, password: &str) -> bool {
    let expected = format!("my password is {password}");
    said.lines().count() == 2 && said.lines().all(|line| line.ends_with(&expected))
}

/// A reroll that runs with the cluster's kubeconfig.
struct Reroll(Child);

impl Reroll {
    fn start(cluster: &Cluster) -> Result<Self> {
        let program = binary("reroll")?;
        let log = std::env::temp_dir().join(format!("reroll-demo-{}.log", std::process::id()));
        let arguments = "run --webhook-url https://127.0.0.1:0 --webhook-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --soak 2s --bake 5s";
        let (bold, plain) = colours("1");
        println!("{bold}$ reroll {arguments}{plain}");
        let mut command = Command::new(program);
        command
            .args(arguments.split(' '))
            .args(["--log-format", "json"])
            .env("KUBECONFIG", cluster.kubeconfig());
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start reroll")?;
        let mut reroll = Self(child);
        let began = Instant::now();
        while !ready(&log) {
            if let Some(status) = reroll.0.try_wait()? {
                bail!("reroll ended with {status}, see {}", log.display());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "reroll did not get ready, see {}",
                log.display()
            );
            sleep(Duration::from_millis(20));
        }
        say(&format!("ready after {} ms", began.elapsed().as_millis()));
        Ok(reroll)
    }

    fn stop(mut self) -> Result<()> {
        let (bold, plain) = colours("1");
        println!("{bold}$ kill {}{plain}", self.0.id());
        ensure!(
            Command::new("kill")
                .arg(self.0.id().to_string())
                .status()?
                .success(),
            "cannot stop reroll"
        );
        let status = self.0.wait()?;
        ensure!(status.success(), "reroll ended with {status}");
        Ok(())
    }
}

impl Drop for Reroll {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether reroll has said, in its log, that an API server calls its webhooks and that it has caught up.
fn ready(log: &Path) -> bool {
    let Ok(file) = File::open(log) else {
        return false;
    };
    let lines: Vec<_> = BufReader::new(file).lines().map_while(Result::ok).collect();
    lines
        .iter()
        .any(|line| line.contains("\"message\":\"ready\""))
}

fn title(text: &str) {
    let (colour, plain) = colours("1;36");
    println!("\n{colour}# {text}{plain}");
}

fn say(text: &str) {
    for line in text.lines() {
        println!("  {line}");
    }
}

fn colours(code: &str) -> (String, &'static str) {
    if stdout().is_terminal() {
        (format!("\u{1b}[{code}m"), "\u{1b}[0m")
    } else {
        (String::new(), "")
    }
}
