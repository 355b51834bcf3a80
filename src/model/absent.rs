//! What pods of a workload do not start without, and is not there.
//!
//! It is so whether or not a restart is due: pods that run go on, and the next one that starts for any reason does not. What is optional
//! never counts, nor what the opt-in names and the template does not refer to.

use std::fmt;

use super::source::SourceName;

/// A source that pods do not start without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Absent {
    /// Which.
    pub source: SourceName,
    /// It is there, and lacks a key that is required.
    pub lacks_a_key: bool,
}

/// Says what is absent, and what to do.
impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.spoken();
        if self.lacks_a_key {
            write!(
                f,
                "{source} lacks a required key: new pods do not start. Add the key, or remove the reference"
            )
        } else {
            write!(
                f,
                "{source} does not exist: new pods do not start. Create it, or remove the reference"
            )
        }
    }
}
