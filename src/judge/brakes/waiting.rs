//! The restarts that wait, and those that were let go.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::reason::Reason;
use crate::model::workload::{Changed, VersionId};

/// A restart that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) versions: BTreeMap<Changed, VersionId>,
    /// Which restart it is, as of [`crate::model::pending::id`].
    pub(super) id: String,
    pub(super) since: Timestamp,
    /// When it was asked for last.
    pub(super) asked: Timestamp,
    pub(super) reason: Reason,
}

/// A restart that was let go, and does not show yet.
#[derive(Clone, Debug)]
pub(super) struct Going {
    pub(super) versions: BTreeMap<Changed, VersionId>,
    pub(super) alone: bool,
    pub(super) since: Timestamp,
}
