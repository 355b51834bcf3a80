//! What `reroll doctor` takes.

use std::time::Duration;

use clap::Args;

use super::asking::{Asking, duration};

/// `reroll doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Before an installation: whether this cluster can have one, and you may make it
    #[arg(long)]
    pub(in crate::cli) pre: bool,

    /// Also try a write in the namespace, which is not persisted: whether API servers ask the webhook
    #[arg(long = "try", conflicts_with = "pre")]
    pub(in crate::cli) tries: bool,

    /// Look again until all is fine, for at most so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) wait: Option<Duration>,

    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
}
