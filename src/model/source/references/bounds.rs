//! How many references of a pod template there may be.

/// The most sources of a template that reroll follows.
pub const MAX_SOURCES: usize = 1024;
/// The most keys of them, all sources together.
pub const MAX_KEYS: usize = 4096;
/// So many sources are counted. They are kept in order, so to take in each more costs more than the last; and of so many
/// reroll follows none.
pub(super) const COUNTED: usize = 4 * MAX_SOURCES;
