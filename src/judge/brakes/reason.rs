//! Why a restart waits that is due.

use jiff::Timestamp;

use crate::model::held::Held;

/// Why a restart waits that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Others of the same version have no verdict yet, or failed.
    SlowStart {
        /// When the next may go, where failures hold it.
        next: Option<Timestamp>,
    },
    /// Restarts are under way in many namespaces, or failed in some.
    Spread {
        /// Whether so many failed that one goes at a time.
        slowed: bool,
    },
    /// It was restarted a short while ago.
    Distance {
        /// Until when; `None`: until its rollout is through.
        next: Option<Timestamp>,
    },
}

impl Reason {
    /// Returns the same as it is counted.
    pub(super) const fn held(self) -> Held {
        match self {
            Self::SlowStart { .. } => Held::SlowStart,
            Self::Spread { .. } => Held::Spread,
            Self::Distance { .. } => Held::Distance,
        }
    }

    /// Returns the same as it stands on the workload; `None` for what passes by itself as long as nothing fails.
    pub(super) fn shown(self) -> Option<Held> {
        let stays = match self {
            Self::SlowStart { next } | Self::Distance { next } => next.is_some(),
            Self::Spread { slowed } => slowed,
        };
        stays.then_some(self.held())
    }
}
