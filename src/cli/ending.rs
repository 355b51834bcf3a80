//! How a command ends: its exit code, the same for all of them.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// All is well: 0.
    Fine,
    /// The command itself failed: usage, connection, no rights for anything: 1.
    Failed,
    /// Not yet, or something to look at: 2.
    NotYet,
    /// Stuck, refused, failed, or cannot restart: 3.
    Stuck,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Fine => 0,
            Ending::Failed => 1,
            Ending::NotYet => 2,
            Ending::Stuck => 3,
        })
    }
}
