//! The command line for people: why, why not, who, when, stop. Called as `kubectl-reroll`, the same binary is a plugin.
//!
//! It asks the API server with the kubeconfig and the rights of whoever runs it, and listens nowhere. It writes only where
//! its name says so (`gates`). What a person may not read is said in its line, and the rest is answered.
//!
//! It decides nothing by itself: it reads into the same [`Index`](crate::model::Index) as the controller
//! (`sight`), judges by it, and takes reasons and their words from [`crate::model`]. So it cannot say something else than
//! what happens.
//!
//! Invariants:
//! - every call has a deadline, and an error names the API server's address;
//! - no byte of a source's data is printed;
//! - [`Ending`] says the same for every command.
//!
//! Reading order: [`args`] (what people type), [`ending`] and [`error`], `session`, `named` (how objects are named),
//! `installation` (which reroll works there), `sight`, then the commands: `explain`, `status`, `pods`, `history`, `gates`,
//! `plan`, `lint`, which asks nobody, `doctor` ([`findings`] is the table of what those two find), and `migrate`.

pub mod args;
mod doctor;
pub mod ending;
pub mod error;
mod event;
mod explain;
pub mod findings;
mod gates;
mod history;
mod installation;
mod last_restart;
mod lint;
mod migrate;
mod named;
mod object;
mod output;
mod plan;
mod pods;
#[cfg(test)]
mod schema;
mod session;
mod sight;
mod status;
mod version;
mod wait;

use std::{io::Write as _, process::ExitCode};

pub use self::{
    args::Question,
    ending::Ending,
    error::Error,
    installation::{Flags, ReadFlags, Webhook},
};

/// Answers a question of the command line. `read_flags` reads the flags of the reroll that is installed.
pub async fn answer(question: Question, read_flags: ReadFlags) -> ExitCode {
    let ended = match question {
        Question::Explain(args) => explain::explain(args, read_flags).await,
        Question::Status(args) => status::status(args, read_flags).await,
        Question::Pods(args) => pods::pods(args, read_flags).await,
        Question::History(args) => history::history(args, read_flags).await,
        Question::Doctor(args) => Box::pin(doctor::doctor(args, read_flags)).await,
        Question::Lint(args) => lint::lint(&args, read_flags),
        Question::Plan(args) => plan::plan(args, read_flags).await,
        Question::Migrate(args) => migrate::migrate(args, read_flags).await,
        Question::Suspend(args) => gates::suspend(args, read_flags).await,
        Question::Resume(args) => gates::resume(args, read_flags).await,
        Question::Release(args) => gates::release(args, read_flags).await,
        Question::Wait(args) => wait::wait(args, read_flags).await,
        Question::Version(args) => version::version(args, read_flags).await,
    };
    match ended {
        Ok(ending) => ending.into(),
        Err(Error::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Ending::Failed.into()
        }
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "reroll: {error}");
            Ending::Failed.into()
        }
    }
}
