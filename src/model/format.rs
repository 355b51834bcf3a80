//! The formats of `observed`.

/// The format this release writes where nothing asks for a newer one.
pub const FORMAT: u64 = 1;
/// The format of an `observed` that has former entries. One without is written in the format before, so that an older
/// release still reads it.
pub const FORMER_FORMAT: u64 = 2;
/// The format of an `observed` with an entry that says that the source was immutable.
pub const IMMUTABLE_FORMAT: u64 = 3;
/// The format of an `observed` that belongs to a mark of `kubectl.kubernetes.io/restartedAt`. An older release would look
/// for that mark in another place, take it for gone, and restart. One release brought both.
pub const RESTARTED_AT_FORMAT: u64 = 3;
/// The format of an `observed` that was recorded while only some keys of sources counted. An older release cannot read such
/// an opt-in either.
pub const LISTED_FORMAT: u64 = 4;
/// The newest format that this release reads.
pub const NEWEST_FORMAT: u64 = 4;
