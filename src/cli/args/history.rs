//! `reroll history`

use std::time::Duration;

use clap::Args;

use super::asking::{Asking, duration};

/// `reroll history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Workloads, as kubectl names them: their deploys, too [default: restarts of all of the namespace]
    #[arg(num_args = 0.., value_name = "KIND/NAME")]
    pub(in crate::cli) object: Vec<String>,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "object")]
    pub(in crate::cli) all_namespaces: bool,

    /// Only what is not older, such as 30m, 24h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) since: Option<Duration>,

    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
}
