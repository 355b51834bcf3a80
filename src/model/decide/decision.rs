//! What a decision says: what to do, why, and what `observed` becomes.

use super::Cause;
use crate::model::{observed::Observed, source::SourceName};

/// Why no decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undecided {
    /// `observed` was written by a newer release.
    NewerFormat,
    /// `observed` was written under a digest key that this process does not know, and which may be the right one.
    UnknownKey,
    /// A list is not complete yet.
    Unsynced,
    /// A source is known only in an older version than the observed one.
    Behind,
    /// Whether its pods have ever started must be looked up first.
    AskPods,
    /// How old the pods are that use what the template gained must be looked up first.
    AskAges,
    /// The opt-in cannot be read.
    Unreadable,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing can be said yet.
    Undecided(Undecided),
    /// Nothing.
    Keep,
    /// `observed` is brought up to date; nothing restarts.
    Record,
    /// Something required is absent; what changed is restarted for when it is back.
    Wait,
    /// Restart.
    Restart,
}

impl Outcome {
    /// For metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecided(Undecided::NewerFormat) => "undecided_newer_format",
            Self::Undecided(Undecided::UnknownKey) => "undecided_unknown_key",
            Self::Undecided(Undecided::Unsynced) => "undecided_unsynced",
            Self::Undecided(Undecided::Behind) => "undecided_behind",
            Self::Undecided(Undecided::AskPods) => "undecided_ask_pods",
            Self::Undecided(Undecided::AskAges) => "undecided_ask_ages",
            Self::Undecided(Undecided::Unreadable) => "undecided_unreadable",
            Self::Keep => "keep",
            Self::Record => "record",
            Self::Wait => "wait",
            Self::Restart => "restart",
        }
    }
}

/// What follows for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// Why it is restarted, or will be as soon as what is waited for is back.
    pub causes: Vec<Cause>,
    /// What `observed` becomes; `None` where nothing was decided.
    pub next: Option<Observed>,
    /// The sources that are absent, or known only in an older version; or those whose pods must be looked at.
    pub missing: Vec<SourceName>,
}

impl Decision {
    /// No decision.
    pub fn undecided(why: Undecided, missing: Vec<SourceName>) -> Self {
        Self {
            outcome: Outcome::Undecided(why),
            causes: Vec::new(),
            next: None,
            missing,
        }
    }
}
