//! Whether a pod template refers to more than reroll follows.

use std::fmt;

use super::{
    bounds::{COUNTED, MAX_KEYS, MAX_SOURCES},
    found::References,
};
use crate::model::source::usage::Usage;

/// Returns how many references there are, where they are more than reroll follows: each takes memory for as long as the
/// workload is there.
pub fn excess(references: &References) -> Option<Excess> {
    let sources = references.len();
    if sources > MAX_SOURCES {
        return Some(Excess::Sources(sources));
    }
    let keys = references.values().map(Usage::size).sum();
    (keys > MAX_KEYS).then_some(Excess::Keys(keys))
}

/// More than reroll follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// So many sources.
    Sources(usize),
    /// So many keys of sources.
    Keys(usize),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sources(number) if *number >= COUNTED => write!(f, "{COUNTED} or more sources"),
            Self::Sources(number) => write!(f, "{number} sources"),
            Self::Keys(number) => write!(f, "{number} keys of sources"),
        }
    }
}
