//! What `reroll plan` takes.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::asking::Asking;

/// `reroll plan`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["object", "filename"])))]
pub struct PlanArgs {
    /// The Secret or ConfigMap of which is asked what another value of it would restart
    #[arg(num_args = 1..=2, value_name = "KIND/NAME")]
    pub(in crate::cli) object: Vec<String>,

    /// A file, a folder (all *.yaml, *.yml and *.json in it and below), or - for what comes in; repeatable
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) filename: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
}
