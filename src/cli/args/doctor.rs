//! What `reroll doctor` takes.

use clap::Args;

use super::asking::Asking;

/// `reroll doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Before an installation: whether this cluster can have one, and you may make it
    #[arg(long)]
    pub(in crate::cli) pre: bool,

    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
}
