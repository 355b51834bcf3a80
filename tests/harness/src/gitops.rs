//! Argo CD and Flux, as far as they write and compare: the program in `tests/gitops` has their libraries.

use std::{path::PathBuf, process::Command};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{Arena, Said, arena::run, cluster::tool_path};

/// A tool, and how it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// `argo` or `flux`.
    pub engine: &'static str,
    /// Of what Argo CD calls it.
    pub mode: &'static str,
    /// Whether what a webhook would change is compared, too.
    pub include_mutation_webhook: bool,
}

/// What a tool did, or found, with one object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Outcome {
    /// `Kind/name`
    pub object: String,
    /// Of a sync, in the tool's own word.
    #[serde(default)]
    pub done: String,
    /// The paths of fields that are not as in Git.
    #[serde(default)]
    pub drift: Vec<String>,
}

/// Objects in Git, and the tool that brings them to a cluster.
pub struct GitOps<'a> {
    arena: &'a Arena,
    /// Where objects are that do not say.
    pub namespace: String,
    engine: &'static str,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Way {
    /// Each way that there is. Three-way takes objects that were applied by the client.
    pub const ALL: [Self; 6] = [
        Self::of("argo", "legacy"),
        Self::of("argo", "three-way"),
        Self::of("argo", "structured"),
        Self::of("argo", "server-side"),
        Self {
            include_mutation_webhook: true,
            ..Self::of("argo", "server-side")
        },
        Self::of("flux", "server-side"),
    ];

    const fn of(engine: &'static str, mode: &'static str) -> Self {
        Self {
            engine,
            mode,
            include_mutation_webhook: false,
        }
    }
}

impl<'a> GitOps<'a> {
    /// `argo` or `flux`, with nothing in Git yet.
    pub fn new(arena: &'a Arena, engine: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            arena,
            namespace: arena.namespace.clone(),
            engine,
            file: folder.path().join("objects.yaml"),
            _folder: folder,
        }
    }

    /// Commits this instead of what is there.
    pub fn commit(&self, objects: &[Value]) {
        let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
        self.commit_text(&texts.join("\n---\n"));
    }

    /// The same of YAML.
    pub fn commit_text(&self, objects: &str) {
        std::fs::write(&self.file, objects).unwrap();
    }

    /// Syncs, with these flags.
    pub async fn sync(&self, flags: &[&str]) -> Vec<Outcome> {
        parsed(&self.run("sync", flags).await)
    }

    /// Compares, as this tool does in this way. Returns what has drifted.
    pub async fn drift(&self, way: Way) -> Vec<Outcome> {
        assert_eq!(way.engine, self.engine);
        let mut flags = vec!["--mode", way.mode];
        if way.include_mutation_webhook {
            flags.push("--include-mutation-webhook");
        }
        let mut all = parsed(&self.run("diff", &flags).await);
        assert!(!all.is_empty(), "nothing was compared");
        all.retain(|outcome| !outcome.drift.is_empty());
        all
    }

    async fn run(&self, verb: &str, flags: &[&str]) -> Said {
        let mut command = Command::new(program().await);
        command
            .env("KUBECONFIG", self.arena.cluster.kubeconfig())
            .arg(verb)
            // Not to prune what another test has, which may be of the whole cluster.
            .args(["--engine", self.engine, "--app", &self.arena.namespace])
            .args(["--namespace", &self.namespace])
            .arg("--file")
            .arg(&self.file)
            .args(flags);
        run(command, "").await.ok()
    }
}

/// The versions of both libraries, by their modules.
pub async fn versions() -> Value {
    let mut command = Command::new(program().await);
    command.arg("versions");
    serde_json::from_str(&run(command, "").await.ok().out).unwrap()
}

fn parsed(said: &Said) -> Vec<Outcome> {
    let outcomes: Option<Vec<Outcome>> = serde_json::from_str(&said.out).unwrap();
    outcomes.unwrap_or_default()
}

/// Built when the first test asks for it, where `up build` has not.
async fn program() -> &'static PathBuf {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let path = async || {
        let path = tokio::task::spawn_blocking(|| tool_path("gitops").unwrap());
        path.await.unwrap()
    };
    PROGRAM.get_or_init(path).await
}
