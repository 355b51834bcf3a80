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
        /// 1: it was immutable.
        #[serde(default, skip_serializing_if = "is_zero")]
        i: u8,
    },
    Deleted {
        x: String,
        r: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        i: u8,
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
                immutable,
            } => Self::Deleted {
                x: uid.clone(),
                r: *resource_version,
                i: u8::from(*immutable),
            },
            Entry::Seen {
                uid,
                resource_version,
                states,
                immutable,
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
                    i: u8::from(*immutable),
                }
            }
        }
    }

    pub(super) fn into_entry(self) -> Option<Entry> {
        Some(match self {
            Self::Absent(WireAbsent::Waiting) => Entry::Waiting,
            Self::Absent(WireAbsent::Unknown) => Entry::Unknown,
            Self::Deleted { x, r, i } => Entry::Deleted {
                uid: x,
                resource_version: r,
                immutable: is_one(i)?,
            },
            Self::Seen { u, r, d, i } => {
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
                    immutable: is_one(i)?,
                }
            }
        })
    }
}

/// Whether a number is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
pub(super) fn is_zero(value: &u8) -> bool {
    *value == 0
}

fn is_one(value: u8) -> Option<bool> {
    match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Returns how many bytes a former entry takes.
pub(super) fn length(source: &SourceName, entry: &Entry) -> usize {
    let pair = (source.to_string(), WireEntry::of(entry));
    serde_json::to_string(&pair).unwrap_or_default().len() + ",".len()
}
