//! What of a workload's annotations cannot be read, in words.

use std::fmt;

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
    let mut value: String = value
        .chars()
        .filter(|letter| !letter.is_control())
        .take(33)
        .collect();
    if value.chars().count() > 32 {
        value = value.chars().take(31).chain(['…']).collect();
    }
    Complaint {
        key,
        value,
        expected,
    }
}
