//! The restarts that wait, and those that were let go.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::reason::Reason;
use crate::model::{
    Index, WorkloadKey,
    brake::later,
    workload::{Changed, VersionId},
};

/// So long restarts that are due gather before one is chosen: who goes first is chosen among all of them.
const GATHER: SignedDuration = SignedDuration::from_millis(250);

/// A restart that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) versions: BTreeMap<Changed, VersionId>,
    /// Which restart it is, as of [`crate::model::pending::id`].
    pub(super) id: String,
    pub(super) since: Timestamp,
    /// When it was first asked for, for these versions.
    pub(super) first_asked: Timestamp,
    /// When it was asked for last: whoever asks parks it then, and it must not be let go before.
    pub(super) asked: Timestamp,
    pub(super) reason: Reason,
}

impl Waiting {
    /// Returns until when others may come that go first.
    pub(super) fn gathers_until(&self) -> Timestamp {
        later(self.asked, GATHER)
    }

    /// Takes in that its own distance holds it no longer.
    pub(super) fn let_by_distance(&mut self) {
        if let Reason::Distance { .. } = self.reason {
            self.reason = Reason::SlowStart { next: None };
        }
    }

    /// Returns since when a workload is behind by what is live, where that is by sources: since the first of their versions was
    /// written. Every leader sees the same.
    pub(super) fn written(&self, index: &Index, key: &WorkloadKey) -> Option<Timestamp> {
        let sources = self.versions.keys().filter_map(|changed| match changed {
            Changed::Source(source) => index.source(&key.namespace, source).version(),
            Changed::Namespace => None,
        });
        let written = sources.map(|version| version.written).min()?;
        Timestamp::from_second(written).ok()
    }

    /// Returns since when a workload is behind, at the latest. A process that has just started, or whose clock is behind, must not
    /// take that for later than it is; a source that is written again and again must not make it later for ever.
    pub(super) fn behind_since(&self, index: &Index, key: &WorkloadKey) -> Timestamp {
        let written = self.written(index, key);
        written.map_or(self.since, |written| written.min(self.since))
    }
}

/// A restart that was let go, and does not show yet.
#[derive(Clone, Debug)]
pub(super) struct Going {
    pub(super) versions: BTreeMap<Changed, VersionId>,
    pub(super) alone: bool,
    pub(super) since: Timestamp,
}
