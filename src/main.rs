//! The `reroll` program.

use std::process::ExitCode;

use clap::Parser;
use reroll::{
    config::{Cli, Command, Settings},
    ops::logging,
    run::{Surroundings, run},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::Run(args) = Cli::parse().command;
    match Box::pin(start(*args)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            eprintln!("reroll: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: reroll::config::RunArgs) -> anyhow::Result<()> {
    let settings = Settings::try_from(args)?;
    logging::init(&settings.ops.log)?;
    run(settings, Surroundings::default()).await
}
