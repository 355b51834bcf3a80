//! What `reroll migrate` takes.

use std::path::PathBuf;

use clap::Args;

use super::asking::Asking;

/// `reroll migrate`
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Manifests in place of the cluster: a file, a folder (all *.yaml, *.yml and *.json in it and below), or - for what
    /// comes in; repeatable
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) filename: Vec<PathBuf>,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["filename", "namespace"])]
    pub(in crate::cli) all_namespaces: bool,

    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
}
