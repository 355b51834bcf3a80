//! How one entry is written as text, and how many bytes that takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, KeyState, KeyStates};
use crate::model::{digest::Digest, source::SourceName};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WireEntry {
    Absent(WireAbsent),
    Seen {
        u: String,
        r: u64,
        d: BTreeMap<String, String>,
    },
    Deleted {
        x: String,
        r: u64,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WireAbsent {
    Waiting,
    Unknown,
}

const WAITING: &str = "w";
const UNKNOWN: &str = "u";

/// How many bytes stand around former entries.
pub(super) const AROUND: usize = ",\"p\":[]".len();
/// How many bytes it takes to say that something is not recorded.
pub(super) const NOTE: usize = ",\"q\":2".len();

impl WireEntry {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Waiting => Self::Absent(WireAbsent::Waiting),
            Entry::Unknown => Self::Absent(WireAbsent::Unknown),
            Entry::Deleted {
                uid,
                resource_version,
            } => Self::Deleted {
                x: uid.clone(),
                r: *resource_version,
            },
            Entry::Seen {
                uid,
                resource_version,
                states,
            } => {
                let print = |state: &KeyState| match state {
                    KeyState::Seen(digest) => digest.to_string(),
                    KeyState::Waiting => WAITING.to_owned(),
                    KeyState::Unknown => UNKNOWN.to_owned(),
                };
                let d = states
                    .iter()
                    .map(|(key, state)| (key.clone(), print(state)))
                    .collect();
                Self::Seen {
                    u: uid.clone(),
                    r: *resource_version,
                    d,
                }
            }
        }
    }

    pub(super) fn into_entry(self) -> Option<Entry> {
        Some(match self {
            Self::Absent(WireAbsent::Waiting) => Entry::Waiting,
            Self::Absent(WireAbsent::Unknown) => Entry::Unknown,
            Self::Deleted { x, r } => Entry::Deleted {
                uid: x,
                resource_version: r,
            },
            Self::Seen { u, r, d } => {
                let state = |text: &str| match text {
                    WAITING => Some(KeyState::Waiting),
                    UNKNOWN => Some(KeyState::Unknown),
                    digest => Digest::parse(digest).map(KeyState::Seen),
                };
                let mut states = KeyStates::with_capacity(d.len());
                for (key, text) in d {
                    states.insert(key, state(&text)?);
                }
                Entry::Seen {
                    uid: u,
                    resource_version: r,
                    states,
                }
            }
        })
    }
}

/// Returns how many bytes a former entry takes.
pub(super) fn length(source: &SourceName, entry: &Entry) -> usize {
    let pair = (source.to_string(), WireEntry::of(entry));
    serde_json::to_string(&pair).unwrap_or_default().len() + ",".len()
}
