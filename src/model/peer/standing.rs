//! How a namespace stands between us and another installation, and what may be done there.

use std::time::Duration;

use serde::Deserialize;

use crate::model::workload::WorkloadKey;

/// For how long another installation may undo a write of ours to show that it is alive.
pub const UNDONE_WITHIN: Duration = Duration::from_secs(10);

/// How a namespace stands between us and another installation. A namespace without one is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One workload is tried.
    Trial {
        /// The other's key.
        key_id: String,
        /// The workload that is written.
        workload: WorkloadKey,
        /// Since when our `observed` stands there; `None` while it is being written.
        written: Option<Duration>,
        /// The other has replaced ours on another workload meanwhile: it may have tried at the same time. Once is
        /// tolerated.
        struck: bool,
    },
    /// What was under this key is ours to take over.
    Won {
        /// The other's key.
        key_id: String,
    },
    /// The other undoes what we write.
    Theirs {
        /// The other's key.
        key_id: String,
        /// When it is tried again.
        until: Duration,
    },
}

impl Standing {
    /// Whether nothing may be done there.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Trial { written, .. } => written.is_some(),
            Self::Theirs { .. } => true,
            Self::Won { .. } => false,
        }
    }
}

/// What may be done with a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Everything.
    Work,
    /// Nothing but to try it: its `observed` is another's.
    Try,
    /// Nothing.
    Hold,
}

/// How a workload's `observed` changed hands, as a watch or an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hands {
    /// Another's stands where ours did.
    Replaced {
        /// The other's key.
        key_id: String,
    },
    /// Ours stands where another's did.
    Ours {
        /// The other's key.
        key_id: String,
    },
}

/// A namespace that is another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The workload that showed it.
    pub workload: WorkloadKey,
    /// The other's key.
    pub key_id: String,
    /// The user who writes under it, where admission saw that.
    pub user: Option<String>,
}

/// An installation that holds namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its key.
    pub key_id: String,
    /// The user who writes under it; empty where admission did not see that.
    pub user: String,
    /// How many namespaces it holds.
    pub namespaces: usize,
}

/// Returns when time ends a standing.
pub(super) fn ends(standing: &Standing) -> Option<Duration> {
    match standing {
        Standing::Trial { written, .. } => written.map(|at| at + UNDONE_WITHIN),
        Standing::Theirs { until, .. } => Some(*until),
        Standing::Won { .. } => None,
    }
}

/// Returns the id of the digest key that a text says it was made under, whoever wrote it.
pub fn key_id_in(observed: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        k: String,
    }
    let head = serde_json::from_str::<Head>(observed).ok()?;
    Some(head.k).filter(|id| !id.is_empty())
}
