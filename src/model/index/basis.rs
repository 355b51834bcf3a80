//! What does not change while the process runs.

use crate::model::{digest::DigestKey, policy::Defaults, workload::Kinds};

/// How long a deleted source is remembered, in seconds.
pub const TOMBSTONE_SECONDS: i64 = 3600;

/// What does not change while the process runs.
#[derive(Debug)]
pub(super) struct Basis {
    /// The key that all digests were made with.
    pub(super) key: DigestKey,
    /// The kinds of workloads that are rolled.
    pub(super) kinds: Kinds,
    /// What holds where neither a workload nor its namespace says anything.
    pub(super) defaults: Defaults<'static>,
}
