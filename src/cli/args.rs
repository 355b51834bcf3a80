//! What people type: the commands that ask, and what all of them take.
//!
//! The doc comments of flags are what `--help` prints.

mod asking;
mod doctor;
mod history;
mod migrate;
mod plan;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use self::asking::duration;
pub use self::{
    asking::{Asking, Color, Format},
    doctor::DoctorArgs,
    history::HistoryArgs,
    migrate::MigrateArgs,
    plan::PlanArgs,
};
use super::findings::Finding;

const EXPLAIN: &str = "\
Examples:
  # Why did Deployment web not restart?
  kubectl reroll explain deploy/web -n shop
  # The same for a program
  kubectl reroll explain deployment web -n shop -o json

Exit codes: 0 fine, 1 the command failed, 2 something is pending or to be looked at, 3 it cannot restart.";

const STATUS: &str = "\
Examples:
  # Who still has the old password?
  kubectl reroll status secret/db -n shop
  # Everything in the cluster that is not simply fine
  kubectl reroll status -A
  # Follow a rotation
  kubectl reroll status secret/db -n shop -w

Exit codes: 0 all have it, 1 the command failed, 2 not yet, 3 something is stuck.";

const WAIT: &str = "\
Examples:
  # In a pipeline: revoke the old password when nobody has it any more
  kubectl reroll wait secret/db -n shop --timeout 10m && revoke-the-old-one

Exit codes: 0 everybody has it, 1 the command failed, 2 the time is over, 3 somebody is stuck or stopped.";

const PODS: &str = "\
Examples:
  # Which pods started with an older version of what they use?
  kubectl reroll pods -n shop

Exit codes: 0 none, 1 the command failed, 2 some.";

const HISTORY: &str = "\
Examples:
  # Why did 80 workloads roll?
  kubectl reroll history -n shop --since 1h
  # Restarts and deploys of one
  kubectl reroll history deploy/web -n shop

It knows what ReplicaSets, ControllerRevisions and Events still show. Exit codes: 0 fine, 1 the command failed.";

const DOCTOR: &str = "\
Examples:
  # Is the reroll of this cluster sound?
  kubectl reroll doctor
  # Only what concerns one namespace; for who may not read the others
  kubectl reroll doctor -n shop
  # Before it is installed
  kubectl reroll doctor --pre
  # Whether API servers reach the webhook, by a write that is not persisted
  kubectl reroll doctor -n shop --try

Exit codes: 0 fine, 1 the command failed, 2 there are warnings, 3 there are errors. What may not be read is said, and counts for
neither.";

const LINT: &str = "\
Examples:
  # Everything in a folder, and below it
  kubectl reroll lint -f deploy/
  # What Helm or kustomize makes
  helm template web charts/web | kubectl reroll lint -f - -n shop
  kustomize build overlays/prod | kubectl reroll lint -f -
  # For a program; what a code means stands at its link
  kubectl reroll lint -f deploy/ -o json
  # Without some findings
  kubectl reroll lint -f deploy/ --ignore RR112,RR122

It needs no cluster. Exit codes: 0 nothing but infos, 1 the command failed, 2 there are errors or warnings.";

const PLAN: &str = "\
Examples:
  # What would applying these restart?
  kubectl reroll plan -f deploy/ -n shop
  helm template web charts/web | kubectl reroll plan -f - -n shop
  # What if this one changed, or was deleted and made again?
  kubectl reroll plan secret/db -n shop
  # The names, for a program
  kubectl reroll plan -f deploy/ -o json

It asks the API server to try what is in the manifests (server-side, as `kubectl apply --server-side --dry-run=server`), and
changes nothing. Exit codes: 0, 1 the command failed, 2 a manifest cannot be applied, or an outcome is unknown.";
const MIGRATE: &str = "\
Examples:
  # What Reloader does in this cluster, and what reroll does with the same annotations
  kubectl reroll migrate -A
  # The same of manifests, with the lines to change
  kubectl reroll migrate -f deploy/
  helm template web charts/web | kubectl reroll migrate -f -
  # What each annotation means
  kubectl reroll migrate -n shop -o wide
  # The commands that put reroll's annotations in the place of Reloader's
  kubectl reroll migrate -A -o json | jq -r '.workloads[].advice.command // empty'

It writes nothing. Exit codes: 0 fine, 1 the command failed.";

const SUSPEND: &str = "\
Examples:
  kubectl reroll suspend deploy/web -n shop --reason INC-42
  # All workloads of a namespace
  kubectl reroll suspend namespace/shop --reason 'needs approval'
  # Everything, at once
  kubectl reroll suspend --all --reason INC-42

Exit codes: 0 it is held, 1 the command failed, or a part of it.";

const RESUME: &str = "\
Examples:
  kubectl reroll resume deploy/web -n shop
  kubectl reroll resume --all

Exit codes: 0 nothing of it is suspended any more, 1 the command failed, or a part of it, 2 something still suspends it.";

const RELEASE: &str = "\
Examples:
  # Lets the restart go that waits for its window, a wave, slow start or an approval
  kubectl reroll release deploy/web -n shop
  # Everything in a namespace that waits
  kubectl reroll release --all -n shop
  # Everything in the cluster that waits
  kubectl reroll release --all -A

Exit codes: 0 it is let go, or nothing is due, 1 the command failed, or a part of it, 2 a Namespace or everything is suspended, which holds it still.";

const VERSION: &str = "\
Examples:
  kubectl reroll version
  # Without a cluster
  kubectl reroll version --client

Exit codes: 0 fine, 1 the command failed.";

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Why a workload restarted, or why it did not
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArgs),
    /// Who has the current version of a source, and who waits for what
    #[command(after_help = STATUS)]
    Status(StatusArgs),
    /// Wait until every user of a source runs its current version, and no pod is older
    #[command(after_help = WAIT)]
    Wait(WaitArgs),
    /// Pods that started with older versions than exist now
    #[command(after_help = PODS)]
    Pods(PodsArgs),
    /// What restarted, when, for which change, by whom, and what became of it
    #[command(after_help = HISTORY)]
    History(HistoryArgs),
    /// Whether reroll, and what it needs, is sound
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
    /// What in manifests reroll cannot read, or would not do as it looks
    #[command(after_help = LINT)]
    Lint(LintArgs),
    /// What applying manifests, or another value of a source, would restart
    #[command(after_help = PLAN)]
    Plan(PlanArgs),
    /// From Stakater Reloader: what each workload does there and here, in reroll's words
    #[command(after_help = MIGRATE)]
    Migrate(MigrateArgs),
    /// Hold the restarts of workloads, of a namespace, or all
    #[command(after_help = SUSPEND)]
    Suspend(SuspendArgs),
    /// Let restarts go that `suspend` held
    #[command(after_help = RESUME)]
    Resume(ResumeArgs),
    /// Let a restart go that is due, past what holds it
    #[command(after_help = RELEASE)]
    Release(ReleaseArgs),
    /// The version of this program, and of the reroll that is installed
    #[command(after_help = VERSION)]
    Version(VersionArgs),
}

/// `reroll explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The workload, as kubectl names it: deploy/web, or deployment web
    #[arg(required = true, num_args = 1..=2, value_name = "KIND/NAME")]
    pub(super) object: Vec<String>,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The Secret or ConfigMap [default: whatever is not simply fine]
    #[arg(num_args = 0..=2, value_name = "KIND/NAME")]
    pub(super) object: Vec<String>,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "object")]
    pub(super) all_namespaces: bool,

    /// Go on: answer again whenever something changed, until it is interrupted
    #[arg(short, long)]
    pub(super) watch: bool,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll wait`
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The Secret or ConfigMap
    #[arg(required = true, num_args = 1..=2, value_name = "KIND/NAME")]
    pub(super) object: Vec<String>,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(super) timeout: Duration,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll pods`
#[derive(Debug, Args)]
pub struct PodsArgs {
    /// Only these [the default, and the only choice]
    #[arg(long)]
    pub(super) outdated: bool,

    /// All namespaces
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll lint`
#[derive(Debug, Args)]
pub struct LintArgs {
    /// A file, a folder (all *.yaml, *.yml and *.json in it and below), or - for what comes in; repeatable
    #[arg(short, long, required = true, value_name = "PATH")]
    pub(super) filename: Vec<PathBuf>,

    /// The namespace of manifests that name none [default: they go with any]
    #[arg(short, long, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// Findings to leave out, by their codes, separated by commas
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = Finding::read)]
    pub(super) ignore: Vec<Finding>,

    /// Another kind that reroll restarts, as `reroll run --workload-kind` has it; repeatable
    #[arg(long, value_name = "KIND")]
    pub(super) workload_kind: Vec<String>,

    /// How to print the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Format,

    /// Whether to print in colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

/// What is held, or let go.
#[derive(Debug, Args)]
pub struct Targets {
    /// Workloads or namespaces, as kubectl names them: deploy/web, namespace/shop
    #[arg(value_name = "KIND/NAME")]
    pub(super) objects: Vec<String>,

    /// Everything; with -n, all of that namespace
    #[arg(long, conflicts_with = "objects")]
    pub(super) all: bool,
}

/// `reroll suspend`
#[derive(Debug, Args)]
pub struct SuspendArgs {
    #[command(flatten)]
    pub(super) targets: Targets,

    /// Why; people see it wherever it is said that restarts are held
    #[arg(long, value_name = "TEXT", default_value = "true")]
    pub(super) reason: String,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub(super) targets: Targets,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll release`
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Workloads, as kubectl names them: deploy/web
    #[arg(value_name = "KIND/NAME")]
    pub(super) objects: Vec<String>,

    /// All whose restart is due, of one namespace: that of -n, or of the context
    #[arg(long, conflicts_with = "objects")]
    pub(super) all: bool,

    /// With --all: of all namespaces
    #[arg(short = 'A', long, requires = "all")]
    pub(super) all_namespaces: bool,

    #[command(flatten)]
    pub(super) asking: Asking,
}

/// `reroll version`
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Only this program's; no API server is asked
    #[arg(long)]
    pub(super) client: bool,

    #[command(flatten)]
    pub(super) asking: Asking,
}
