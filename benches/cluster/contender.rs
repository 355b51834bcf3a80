//! The contenders that are measured: the benchmark itself (the floor), a binary of reroll, or another reloader.

use std::{
    fmt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use reroll_harness::{Arena, Reroll, RerollBuilder, binary};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{allow::OnlyAllows, bed::Bed};

/// A contender.
#[derive(Clone, Debug)]
pub enum Contender {
    /// The benchmark makes the writes itself.
    Floor,
    /// The plainest controller with a webhook. The webhook only says allowed, and the floor's writes answer each change
    /// that a watch shows. Every controller with a webhook does at least that.
    Plainest,
    /// A binary of this project.
    Reroll(Binary),
    /// Another reloader.
    Peer(Peer),
}

/// A binary of this project.
#[derive(Clone, Debug)]
pub struct Binary {
    /// What reports call it.
    pub name: &'static str,
    /// The path of the binary; by default the one that was built for this run.
    pub path: Option<PathBuf>,
}

/// Another reloader.
#[derive(Clone, Debug)]
pub struct Peer {
    /// How it is started.
    pub command: String,
    /// What workloads are annotated with.
    pub annotation: (String, String),
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::Plainest => "plainest controller",
            Self::Reroll(binary) => binary.name,
            Self::Peer(_) => "peer",
        })
    }
}

/// A contender at work.
pub enum Running {
    Nobody,
    Plainest(OnlyAllows, JoinHandle<()>),
    Reroll(Reroll),
    Peer(Child),
}

/// Megabytes and seconds of a process so far, as the kernel counts.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub rss_mib: f64,
    pub peak_mib: f64,
    pub cpu_seconds: f64,
}

impl Cost {
    /// The cost of a contender without a process: not a number, which no report takes in.
    const NONE: Self = Self {
        rss_mib: f64::NAN,
        peak_mib: f64::NAN,
        cpu_seconds: f64::NAN,
    };
}

impl Binary {
    /// Returns one for this arena, not started yet.
    pub fn builder(&self, arena: &Arena) -> RerollBuilder {
        let builder = arena.reroll().flag("--settle", "0s").flag("--log", "info");
        match &self.path {
            Some(path) => builder.program(path.clone()),
            None => builder,
        }
    }

    /// Returns its path.
    pub fn program(&self) -> PathBuf {
        let built = || binary("reroll").expect("it was built");
        self.path.clone().unwrap_or_else(built)
    }

    /// Ends the benchmarks at once, and says why, if an older release does not know a flag that they use. Otherwise
    /// that release would end, and the benchmark would wait for it.
    pub async fn understands(&self, arena: &Arena) {
        // Flags before --help must be known for it to help.
        let builder = self.builder(arena).flag("--settle-max", "10m");
        let said = builder.switch("--help").end().await;
        let (name, path) = (self.name, &self.path);
        assert!(
            said.ok,
            "{name} ({path:?}) cannot be measured:\n{}",
            said.err
        );
    }
}

impl Contender {
    /// What its workloads are annotated with.
    pub fn annotation(&self) -> (&str, &str) {
        match self {
            Self::Floor | Self::Plainest | Self::Reroll(_) => ("reroll.dev/restart-on", "auto"),
            Self::Peer(peer) => (&peer.annotation.0, &peer.annotation.1),
        }
    }

    /// Starts it for one namespace, as `adjust` says, and waits until it is ready.
    pub async fn start(
        &self,
        bed: &Bed,
        adjust: impl FnOnce(RerollBuilder) -> RerollBuilder,
    ) -> Running {
        let arena = &bed.arena;
        match self {
            Self::Floor => Running::Nobody,
            Self::Plainest => {
                let (listed, known) = oneshot::channel();
                let follow =
                    Arc::clone(&bed.direct).follow(arena.api("Secret"), bed.users.clone(), listed);
                let follows = tokio::spawn(follow);
                let only_allows = OnlyAllows::start(arena).await;
                known.await.expect("it follows");
                Running::Plainest(only_allows, follows)
            }
            Self::Reroll(binary) => Running::Reroll(adjust(binary.builder(arena)).start().await),
            Self::Peer(peer) => {
                let child = Command::new("sh")
                    .args(["-c", &format!("exec {}", peer.command)])
                    .env("KUBECONFIG", arena.cluster.kubeconfig())
                    .env("KUBERNETES_NAMESPACE", &arena.namespace)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("--peer can be started");
                // It does not say when its watches are there.
                tokio::time::sleep(Duration::from_secs(5)).await;
                Running::Peer(child)
            }
        }
    }
}

impl Running {
    /// Whether another program than the benchmark makes the restarts.
    pub fn works(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// Returns what it has cost so far.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Nobody | Self::Plainest(..) => Cost::NONE,
            Self::Reroll(reroll) => cost(reroll.pid()),
            Self::Peer(child) => cost(child.id()),
        }
    }

    /// Ends it.
    pub async fn stop(self) {
        match self {
            Self::Nobody => {}
            Self::Plainest(only_allows, follows) => {
                follows.abort();
                only_allows.stop().await;
            }
            Self::Reroll(reroll) => drop(reroll.stop().await),
            Self::Peer(mut child) => {
                child.kill().expect("it runs");
                child.wait().expect("it ends");
            }
        }
    }
}

/// Returns what a process has cost so far.
pub fn cost(pid: u32) -> Cost {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let mib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    };
    // After the command's name, which may hold spaces: user and system time are fields 14 and 15, in hundredths.
    let stat = read("stat");
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Cost {
        rss_mib: mib("VmRSS:"),
        peak_mib: mib("VmHWM:"),
        cpu_seconds: ticks / 100.0,
    }
}
