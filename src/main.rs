//! The `reroll` program. Called as `kubectl-reroll`, it is a plugin of kubectl.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use clap::FromArgMatches as _;
use reroll::{
    cli::{self, Ending},
    config::{self, Cli, Command, Given, Settings},
    ops::logging,
    run::{Surroundings, run},
};

/// It gives memory back to the system that somebody made reroll use for a while. glibc keeps it.
///
/// How is set where it is built, in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the binary is called as a plugin.
const PLUGIN: &str = "kubectl-reroll";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut typed = Cli::command_for(env::args_os().nth(1).as_deref());
    if is_plugin() {
        typed = typed.bin_name("kubectl reroll");
    }
    let read = typed.clone().try_get_matches();
    let command = match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(typed) => typed.command,
        Err(error) => {
            let is_help = !error.use_stderr();
            let error = Given::of_process().blame(error);
            let _ = error.print();
            return if is_help {
                Ending::Fine
            } else {
                Ending::Failed
            }
            .into();
        }
    };
    match command {
        Command::Run(args) => ended(Box::pin(start(*args)).await),
        Command::Ask(question) => Box::pin(cli::answer(question, config::installed)).await,
        Command::Completion { shell } => {
            let name = if is_plugin() { PLUGIN } else { "reroll" };
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut typed, name, &mut script);
            match io::stdout().write_all(&script) {
                // Whoever reads has had enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Failed.into(),
                written => ended(written.map_err(Into::into)),
            }
        }
        Command::Man { folder } => ended(manual(typed, &folder)),
    }
}

/// Writes man pages. Those of a plugin are called as people call it.
fn manual(typed: clap::Command, folder: &Path) -> anyhow::Result<()> {
    let name = if is_plugin() { PLUGIN } else { "reroll" };
    let made = std::fs::create_dir_all(folder);
    let written = made.and_then(|()| clap_mangen::generate_to(typed.name(name), folder));
    written.with_context(|| format!("cannot write man pages to {}", folder.display()))
}

fn is_plugin() -> bool {
    let called = env::args_os().next();
    called.is_some_and(|path| {
        Path::new(&path)
            .file_stem()
            .is_some_and(|name| name == PLUGIN)
    })
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // It is told once: in the log, where there is one yet.
            let told = cli::error::once(error.chain().map(ToString::to_string));
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{told}");
            } else {
                eprintln!("reroll: {told}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn start(args: config::RunArgs) -> anyhow::Result<()> {
    let given = Given::of_process();
    let settings = Settings::try_from(args).map_err(|error| anyhow!(given.explain(&error)))?;
    logging::init(&settings.ops.log)?;
    for unknown in given.unknown() {
        tracing::warn!("{unknown}");
    }
    for doubt in &settings.doubts {
        tracing::warn!("{doubt}");
    }
    run(settings, Surroundings::default()).await
}
