//! What of a workload's annotations cannot be read, in words.

use std::fmt;

use crate::model::text::{printable, shortened};

/// The most characters of a value that a complaint shows.
const LENGTH: usize = 32;

/// A value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The annotation's or label's key.
    pub key: &'static str,
    /// The part that cannot be read, shortened.
    pub value: String,
    /// What can stand there.
    pub expected: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: \"{}\" is not {}",
            self.key, self.value, self.expected
        )
    }
}

pub(super) fn complaint(key: &'static str, value: &str, expected: &'static str) -> Complaint {
    Complaint {
        key,
        value: shortened(&printable(value), LENGTH).into_owned(),
        expected,
    }
}
