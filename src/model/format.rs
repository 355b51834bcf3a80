//! The formats of `observed`.

/// The format this release writes where nothing asks for a newer one.
pub const FORMAT: u64 = 1;
/// The format of an `observed` that has former entries. One without is written in the format before, so that an older
/// release still reads it.
pub const FORMER_FORMAT: u64 = 2;
/// The format of an `observed` with an entry that says that the source was immutable.
pub const IMMUTABLE_FORMAT: u64 = 3;
