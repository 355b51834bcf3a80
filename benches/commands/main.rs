//! How long the commands take that ask: about a cluster with 2,000 workloads, on a real control plane, and `lint` of 5,000
//! manifests. `make commands` runs it. Nothing here fails for a number.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for one's own machine"
)]

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reroll_harness::{Arena, binary, each, env, secret, workload};
use serde_json::json;

/// How many workloads there are, each with a Secret of its own.
const WORKLOADS: usize = 2_000;
/// How many manifests `lint` reads.
const MANIFESTS: usize = 5_000;
/// How often each command runs.
const REPEATS: usize = 5;

#[tokio::main]
async fn main() {
    println!("| command | median | slowest |\n|---|---|---|");
    lint();
    let arena = Arena::new("commands").await;
    let all = &arena;
    each(WORKLOADS, 16, async |number| {
        let name = format!("w{number:04}");
        all.create(&secret(&name, &[("k", "1")])).await;
        let mut manifest = workload(
            "Deployment",
            &name,
            &[("reroll.dev/restart-on", "auto")],
            env(&name, "k"),
        );
        manifest["spec"]["replicas"] = json!(0);
        all.create(&manifest).await;
    })
    .await;
    let reroll = arena.reroll().start().await;
    arena.all_adopted("Deployment").await;
    for words in [
        &["status", "-A"][..],
        &["status", "secret/w0042"],
        &["explain", "deploy/w0042"],
        &["pods"],
        &["history"],
        &["plan", "secret/w0042"],
        &["doctor"],
    ] {
        let mut command = Command::new(binary("reroll").unwrap());
        command
            .args(words)
            .arg("--kubeconfig")
            .arg(arena.cluster.kubeconfig())
            .args(["--reroll-namespace", &arena.own_namespace])
            .stdout(Stdio::null());
        if words != ["status", "-A"] {
            command.args(["-n", &arena.namespace]);
        }
        measure(&words.join(" "), &mut command);
    }
    drop(reroll);
}

fn lint() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for number in 0..MANIFESTS {
        let name = format!("w{number:04}");
        let manifest = workload(
            "Deployment",
            &name,
            &[("reroll.dev/restart-on", "auto")],
            env(&name, "k"),
        );
        writeln!(text, "---\n{manifest}").unwrap();
        if number % 50 == 49 {
            std::fs::write(folder.path().join(format!("{name}.yaml")), &text).unwrap();
            text.clear();
        }
    }
    let mut command = Command::new(binary("reroll").unwrap());
    command
        .args(["lint", "-f"])
        .arg(folder.path())
        .stdout(Stdio::null());
    measure(&format!("lint, {MANIFESTS} manifests"), &mut command);
}

/// Runs a command some times, and prints how long it took.
fn measure(name: &str, command: &mut Command) {
    let mut took: Vec<_> = (0..REPEATS).map(|_| once(command)).collect();
    took.sort_unstable();
    let [median, slowest] = [took[REPEATS / 2], took[REPEATS - 1]].map(|it| it.as_secs_f64());
    println!("| {name} | {median:.2} s | {slowest:.2} s |");
}

fn once(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.status().unwrap();
    assert_ne!(status.code(), Some(1), "{command:?} failed");
    began.elapsed()
}
