//! What of a workload's annotations cannot be read, in words.

use std::fmt;

use crate::model::{
    annotation::{ON_RECREATE, SLOW_START},
    object::SlowStart,
    recreation::OnRecreate,
    source::SourceName,
    text::{printable, shortened},
};

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
    /// The source that says it; `None` for the workload itself.
    pub source: Option<SourceName>,
}

impl Complaint {
    /// Complains of `reroll.dev/on-recreate` on a source. What stands there is not remembered.
    pub fn of_recreation(source: &SourceName) -> Self {
        Self {
            source: Some(source.clone()),
            ..complaint(ON_RECREATE, "", OnRecreate::WORDS)
        }
    }

    /// Complains of `reroll.dev/slow-start` on a source. What stands there is not remembered.
    pub fn of_slow_start(source: &SourceName) -> Self {
        Self {
            source: Some(source.clone()),
            ..complaint(SLOW_START, "", SlowStart::WORDS)
        }
    }

    /// Complains of `reroll.dev/slow-start` on a Namespace.
    pub fn of_namespace(text: &str) -> Self {
        complaint(SLOW_START, text, SlowStart::WORDS)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            return write!(
                f,
                "{} of {} is not {}",
                self.key,
                source.spoken(),
                self.expected
            );
        }
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
        source: None,
    }
}
