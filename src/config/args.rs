//! What a person types: the command line and the environment variables.
//!
//! The doc comments of flags are what `--help` prints.

pub(super) mod alerts;
pub(super) mod conventions;
pub(super) mod webhook;

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, builder::BoolishValueParser};

use self::{alerts::AlertArgs, conventions::ConventionArgs, webhook::WebhookArgs};
use super::{
    choice::one_of,
    kinds::{DEFAULT_KINDS, KINDS_HELP, KindSpec, parse_optional_kind, parse_workload_kind},
    values::{
        between, parse_duration, parse_log_filter, parse_namespace, parse_object_name,
        parse_one_namespace, parse_rate,
    },
};
use clap_complete::Shell;

use crate::{build::BOTH, cli::Question, model::Kind, ops::logging::LogFormat};

const SLOW_START: &[(bool, &str)] = &[
    (true, "They wait, so that a bad value breaks one workload"),
    (false, "All are restarted at once"),
];

const NAME: &str = "reroll";
const RUN: &str = "run";
const WIDTH: usize = 100;
const ABOUT_RUN: &str = "Run the admission webhook and the restart controller";
const MORE_OF_RUN: &str = "Run the admission webhook and the restart controller\n\nDurations are written as 500ms, 5s, 2m or 1h30m. \
    Every flag has an environment variable, which is shown with it; the flag wins.";

/// Rolls Kubernetes workloads when a Secret or ConfigMap they use changes or is recreated: once, and only then.
#[derive(Debug, Parser)]
#[command(name = NAME, version = BOTH, max_term_width = WIDTH)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `reroll` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The webhook and the controller.
    #[command(name = RUN, about = ABOUT_RUN, long_about = MORE_OF_RUN)]
    Run(Box<RunArgs>),
    /// What people ask.
    #[command(flatten)]
    Ask(Question),
    /// Print a script that completes what is typed
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Write man pages, one of each command
    Man {
        /// The folder; it is made where it is not there
        folder: PathBuf,
    },
}

impl Cli {
    /// Returns what can be typed after this word. After `run` what people ask is left out: nothing of it need be in memory.
    pub fn command_for(first: Option<&OsStr>) -> clap::Command {
        if first.is_none_or(|first| first != RUN) {
            return Self::command();
        }
        let run = RunArgs::augment_args(clap::Command::new(RUN));
        clap::Command::new(NAME)
            .version(BOTH)
            .max_term_width(WIDTH)
            .subcommand(run.about(ABOUT_RUN).long_about(MORE_OF_RUN))
    }
}

/// The flags of `reroll run`.
#[derive(Debug, Parser)]
#[command(name = RUN, max_term_width = WIDTH)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) conventions: ConventionArgs,
    #[command(flatten)]
    pub(super) restarts: RestartArgs,
    #[command(flatten)]
    pub(super) webhook: WebhookArgs,
    #[command(flatten)]
    pub(super) alerts: AlertArgs,
    #[command(flatten)]
    pub(super) ops: OpsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// The kubeconfig file [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, value_name = "FILE", env = "REROLL_KUBECONFIG")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The kubeconfig context [default: the current one]
    #[arg(long, value_name = "NAME", env = "REROLL_CONTEXT")]
    pub(super) context: Option<String>,

    /// The namespaces to work in, separated by commas [default: all]
    #[arg(
        long,
        value_name = "NAMES",
        env = "REROLL_NAMESPACES",
        value_delimiter = ',',
        value_parser = parse_namespace
    )]
    pub(super) namespaces: Vec<String>,

    #[arg(
        long,
        help = "More kinds to restart, separated by commas; empty for none",
        long_help = KINDS_HELP.as_str(),
        value_name = "KINDS",
        env = "REROLL_OPTIONAL_KINDS",
        default_value = DEFAULT_KINDS.as_str(),
        value_delimiter = ',',
        value_parser = parse_optional_kind
    )]
    pub(super) optional_kinds: Vec<Option<Kind>>,

    /// Another kind with a pod template: GROUP/VERSION/KIND[=PLURAL][:POINTER]; repeatable
    #[allow(
        rustdoc::broken_intra_doc_links,
        reason = "no link: it is shown in the help as it stands"
    )]
    ///
    /// POINTER is the JSON pointer to the pod template, if that is not /spec/template. PLURAL is the kind's name in API
    /// paths, if that is unusual. If the cluster has no such kind, reroll keeps looking for it.
    #[arg(
        long,
        value_name = "KIND",
        env = "REROLL_WORKLOAD_KINDS",
        value_delimiter = ',',
        value_parser = parse_workload_kind
    )]
    pub(super) workload_kind: Vec<Option<KindSpec>>,

    /// How often to look for kinds that the cluster did not have before
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_DISCOVERY_INTERVAL",
        default_value = "30s",
        allow_hyphen_values = true,
        value_parser = between("100ms", "24h")
    )]
    pub(super) discovery_interval: Duration,

    /// The namespace that reroll runs in; it holds the Lease and the digest key's Secret
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE", default_value = "reroll", value_parser = parse_one_namespace)]
    pub(super) own_namespace: String,

    /// The Lease that decides which replica restarts
    #[arg(
        long,
        value_name = "NAME",
        env = "REROLL_LEASE_NAME",
        default_value = "reroll",
        value_parser = parse_object_name
    )]
    pub(super) lease_name: String,

    /// How long the Lease is valid without renewal; that long after a crash another replica takes over
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_LEASE_DURATION",
        default_value = "8s",
        allow_hyphen_values = true,
        value_parser = between("2s", "1h")
    )]
    pub(super) lease_duration: Duration,

    /// The Secret with the key for digests of sources; reroll creates it if it is absent
    #[arg(
        long,
        value_name = "NAME",
        env = "REROLL_DIGEST_KEY_SECRET",
        default_value = "reroll-digest-key",
        value_parser = parse_object_name
    )]
    pub(super) digest_key_secret: String,

    /// The timeout of one call to the API server
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_REQUEST_TIMEOUT",
        default_value = "10s",
        allow_hyphen_values = true,
        value_parser = between("100ms", "1h")
    )]
    pub(super) request_timeout: Duration,

    /// The name of this replica in Events and in the Lease [default: host name and process id]
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub(super) instance: Option<String>,

    /// Set by the kubelet and by most shells; the start of the default for `--instance`.
    #[arg(long, hide = true, env = "HOSTNAME", default_value = "reroll")]
    pub(super) hostname: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Restarts")]
pub(super) struct RestartArgs {
    /// The quiet period after a change; changes within it share one restart
    #[arg(long, value_name = "DURATION", env = "REROLL_SETTLE", default_value = "1s", allow_hyphen_values = true, value_parser = between("0s", "24h"))]
    pub(super) settle: Duration,

    /// The longest that further changes can delay a restart
    #[arg(long, value_name = "DURATION", env = "REROLL_SETTLE_MAX", default_value = "10s", allow_hyphen_values = true, value_parser = between("0s", "24h"))]
    pub(super) settle_max: Duration,

    /// The most restarts per second, over all workloads; 0 means no limit
    #[arg(long, value_name = "NUMBER", env = "REROLL_RESTART_RATE", default_value = "20", allow_negative_numbers = true, value_parser = parse_rate)]
    pub(super) restart_rate: f64,

    /// How many restarts may be made at once before the rate applies
    #[arg(
        long,
        value_name = "NUMBER",
        env = "REROLL_RESTART_BURST",
        default_value = "50",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) restart_burst: u32,

    /// How many restarts may be in flight at the same time
    #[arg(
        long,
        value_name = "NUMBER",
        env = "REROLL_RESTART_CONCURRENCY",
        default_value = "16",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub(super) restart_concurrency: u16,

    /// The most adoptions written per second; 0 means as many as the controllers of these kinds keep up with
    #[arg(long, value_name = "NUMBER", env = "REROLL_ADOPT_RATE", default_value = "0", allow_negative_numbers = true, value_parser = parse_rate)]
    pub(super) adopt_rate: f64,

    /// How many workloads may be rolling at the same time, the last of them only in a namespace that has no other; 0 means no
    /// limit
    #[arg(
        long,
        value_name = "N",
        env = "REROLL_ROLLING_LIMIT",
        default_value_t = 0
    )]
    pub(super) rolling_limit: u32,

    /// Whether restarts for one version of a source wait for what became of those before: one goes alone, then twice as many
    /// each time
    #[arg(
        long,
        value_name = "WORD",
        env = "REROLL_SLOW_START",
        default_value = "on",
        value_parser = one_of(SLOW_START, |on| if on { "on" } else { "off" }),
        action = ArgAction::Set
    )]
    pub(super) slow_start: bool,

    /// For how long a new pod has to run before its restart counts as good
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_SOAK",
        default_value = "10s",
        allow_hyphen_values = true,
        value_parser = between("0s", "24h")
    )]
    pub(super) soak: Duration,

    /// The same for a restart that goes alone
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_BAKE",
        default_value = "1m",
        allow_hyphen_values = true,
        value_parser = between("0s", "24h")
    )]
    pub(super) bake: Duration,

    /// When a restart has failed of which no new pod runs; a longer progressDeadlineSeconds of the workload counts
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_ROLLOUT_DEADLINE",
        default_value = "10m",
        allow_hyphen_values = true,
        value_parser = between("1s", "1h")
    )]
    pub(super) rollout_deadline: Duration,

    /// The longest time between two restarts of one workload whose sources keep changing; 0s means none
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_MAX_DISTANCE",
        default_value = "1h",
        allow_hyphen_values = true,
        value_parser = between("0s", "168h")
    )]
    pub(super) max_distance: Duration,

    /// Does nothing any more: --max-distance took its place
    #[arg(long, value_name = "N", env = "REROLL_WORKLOAD_BURST")]
    pub(super) workload_burst: Option<u32>,

    /// Does nothing any more: --max-distance took its place
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_WORKLOAD_INTERVAL",
        value_parser = parse_duration
    )]
    pub(super) workload_interval: Option<Duration>,

    /// How often reroll checks all workloads again
    #[arg(
        long,
        value_name = "DURATION",
        env = "REROLL_SWEEP_INTERVAL",
        default_value = "10m",
        allow_hyphen_values = true,
        value_parser = between("1s", "24h")
    )]
    pub(super) sweep_interval: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Operations")]
pub(super) struct OpsArgs {
    /// The address for /livez, /readyz and /metrics, as plain HTTP
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REROLL_HTTP_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub(super) http_listen: SocketAddr,

    /// How many namespaces metrics name, each in series of its own; 0 means none
    ///
    /// Of restarts the first ones, of what waits those where most waits; all others are one number without a name.
    #[arg(
        long,
        value_name = "N",
        env = "REROLL_METRICS_NAMESPACES",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(..=10_000)
    )]
    pub(super) metrics_namespaces: u32,

    /// Show restarts by the names of Stakater Reloader's metrics, too
    ///
    /// `reloader_reload_executed_total` and `reloader_reload_executed_total_by_namespace`, for dashboards and alerts that are there.
    #[arg(long, env = "REROLL_RELOADER_METRICS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) reloader_metrics: bool,

    /// The format of the log, on stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "REROLL_LOG_FORMAT",
        default_value = "auto",
        value_parser = one_of(&LOG_FORMATS, LogFormat::as_str)
    )]
    pub(super) log_format: LogFormat,

    /// What to log: filter directives such as info or info,reroll=debug
    #[arg(long, value_name = "FILTER", env = "REROLL_LOG", default_value = "info", value_parser = parse_log_filter)]
    pub(super) log: String,

    /// How long to keep serving after readiness is gone, for load balancers that lag
    #[arg(long, value_name = "DURATION", env = "REROLL_DRAIN_DELAY", default_value = "0s", allow_hyphen_values = true, value_parser = between("0s", "1h"))]
    pub(super) drain_delay: Duration,
}

/// `--log-format`
const LOG_FORMATS: [(LogFormat, &str); 3] = [
    (LogFormat::Auto, "`human` on a terminal, else `json`"),
    (LogFormat::Human, "One line for a person"),
    (LogFormat::Json, "One JSON object per line"),
];
