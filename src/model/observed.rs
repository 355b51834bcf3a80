//! The `reroll.dev/observed` annotation: the versions that a workload's pods were last started with.
//!
//! It is the only durable state of reroll. It lives on the workload's own metadata, where writing it rolls nothing and
//! where everybody who may update the workload, or its status, can also overwrite it. So it carries a MAC under the
//! digest key and a sequence number: a forged one is told from ours, and an old one that was put back (`kubectl
//! rollout undo` copies a `ReplicaSet`'s annotations) is told from the newest.
//!
//! Invariants: printing what was read gives the same text; a format newer than [`FORMAT`] is never rewritten; the text
//! is at most [`LIMIT`] bytes, for which entries are folded ([`super::fold`]).

mod fitted;

use std::collections::BTreeMap;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::{
    fold::Fold,
    source::{Need, SourceName, Usage},
    version::{Digest, DigestKey, Version, used_keys},
};

/// The format this release writes.
pub const FORMAT: u64 = 1;
/// The most bytes an `observed` annotation has.
pub const LIMIT: usize = 16 * 1024;

/// In the place of the workload's uid: nobody has looked yet which pods it adopted ([`super::adopted`]). An older release
/// takes it for another workload's.
pub const UNEXAMINED: &str = "?";

/// What is known of a source's keys, by name; `*` is the whole object.
pub type KeyMarks = LiteMap<String, Mark>;
/// What is known of a workload's sources.
pub type Entries = LiteMap<SourceName, Entry>;

/// What is known of one key of a source, or of the whole (`*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its data had this digest.
    Seen(Digest),
    /// Required and absent: the kubelet starts the pods once it appears.
    Waiting,
    /// Absent, and pods may run without it.
    Unknown,
}

/// What is known of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It existed.
    Seen {
        /// `metadata.uid`
        uid: String,
        /// `metadata.resourceVersion`
        resource_version: u64,
        /// By used key; `*` is the whole object.
        marks: KeyMarks,
    },
    /// Required and absent while no pod could start: the kubelet starts them once it appears.
    Waiting,
    /// Absent otherwise.
    Unknown,
    /// Its deletion was answered by a restart.
    Deleted {
        /// The uid it had.
        uid: String,
        /// The resourceVersion it was last seen with.
        resource_version: u64,
    },
}

impl Entry {
    /// The entry for a source that exists. Required keys that it lacks are *waiting*, optional ones *unknown*.
    pub fn of(version: &Version, usage: &Usage) -> Self {
        let marks = used_keys(usage).map(|key| {
            let absent = || match usage.keys.get(key) {
                Some(Need::Required) => Mark::Waiting,
                _ => Mark::Unknown,
            };
            (
                key.to_owned(),
                version.used(key).map_or_else(absent, Mark::Seen),
            )
        });
        Self::Seen {
            uid: version.uid.clone(),
            resource_version: version.resource_version,
            marks: marks.collect(),
        }
    }

    /// Whether a fold would lose what it says: what is waited for, was answered by a restart, or is no news while it is
    /// older.
    fn is_apart(&self, source: &SourceName) -> bool {
        if !source.kind.is_one_object() {
            return true;
        }
        match self {
            Self::Waiting | Self::Deleted { .. } => true,
            Self::Seen { marks, .. } => marks.values().any(|mark| *mark == Mark::Waiting),
            Self::Unknown => false,
        }
    }

    /// The resourceVersion that a live version must not be older than.
    pub fn resource_version(&self) -> u64 {
        match self {
            Self::Seen {
                resource_version, ..
            }
            | Self::Deleted {
                resource_version, ..
            } => *resource_version,
            Self::Waiting | Self::Unknown => 0,
        }
    }
}

/// The annotation's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The format it is written in; what is not changed keeps the format it was read in.
    pub format: u64,
    /// Which digest key the digests were made with.
    pub key_id: String,
    /// `metadata.uid` of the workload; empty at CREATE, where it is not known yet; [`UNEXAMINED`].
    pub workload_uid: String,
    /// When the workload was created, in unix seconds; `None` as soon as `workload_uid` is filled in.
    pub created_at: Option<i64>,
    /// Counts the writes, so that an old one that was put back is told from the newest.
    pub sequence: u64,
    /// The template's `restarted-for` that it belongs to; empty where the template has none.
    pub restarted_for: String,
    /// By source.
    pub entries: Entries,
    /// What did not fit into `entries`, combined.
    pub fold: Option<Fold>,
}

/// What an annotation's text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Written by reroll under the key at hand.
    Genuine(Observed),
    /// Written by reroll under the key before, whose digests can be compared too.
    Previous(Observed),
    /// Written under another key: uids can be compared, digests cannot.
    OtherKey(Observed),
    /// Written by a newer release.
    Newer(u64),
    /// Not written by reroll, or damaged.
    Foreign,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u64,
    k: String,
    r#for: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    n: u64,
    rf: String,
    #[serde(default)]
    s: BTreeMap<String, WireEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<Fold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WireEntry {
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
enum WireAbsent {
    Waiting,
    Unknown,
}

const WAITING: &str = "w";
const UNKNOWN: &str = "u";

impl Observed {
    /// Reads the annotation's text.
    pub fn read(text: &str, key: &DigestKey) -> Reading {
        #[derive(Deserialize)]
        struct Format {
            v: u64,
        }
        match serde_json::from_str::<Format>(text) {
            Ok(Format { v }) if v > key.format() => return Reading::Newer(v),
            // There has been one format so far, so every older one reads like it.
            Ok(Format { v: 1.. }) => {}
            Ok(Format { v: 0 }) | Err(_) => return Reading::Foreign,
        }
        let Ok(mut wire) = serde_json::from_str::<Wire>(text) else {
            return Reading::Foreign;
        };
        // Only what would be printed again exactly so: else a damaged field that has a default would read as absent.
        if wire.text() != text {
            return Reading::Foreign;
        }
        let mac = wire.m.take();
        let made_with = key.by_id(&wire.k);
        if made_with.is_some_and(|key| mac != Some(wire.mac(key))) {
            return Reading::Foreign;
        }
        let current = wire.k == key.id();
        match (Self::from_wire(wire), made_with) {
            (Some(observed), Some(_)) if current => Reading::Genuine(observed),
            (Some(observed), Some(_)) => Reading::Previous(observed),
            (Some(observed), None) => Reading::OtherKey(observed),
            (None, _) => Reading::Foreign,
        }
    }

    /// Whether it can be a workload's own, and not a copy of another's: it was made for its uid, or at a CREATE.
    pub fn is_of(&self, uid: &str) -> bool {
        self.lacks_uid() || self.workload_uid == uid
    }

    /// Whether the workload's uid is to be filled in.
    pub fn lacks_uid(&self) -> bool {
        self.workload_uid.is_empty() || self.is_unexamined()
    }

    /// Whether nobody has looked yet which pods the workload adopted, so that it says nothing about them.
    pub fn is_unexamined(&self) -> bool {
        self.workload_uid == UNEXAMINED
    }

    /// The same, where nobody has looked yet which pods the workload adopted that was created then, in unix seconds.
    #[must_use]
    pub fn unexamined(self, created: i64) -> Self {
        Self {
            workload_uid: UNEXAMINED.to_owned(),
            created_at: Some(created),
            ..self
        }
    }

    /// The annotation's text, under the key whose digests it has.
    pub fn print(&self, key: &DigestKey) -> String {
        let mut wire = self.to_wire();
        wire.m = Some(wire.mac(key.by_id(&self.key_id).unwrap_or(key)));
        wire.text()
    }

    fn to_wire(&self) -> Wire {
        Wire {
            v: self.format,
            k: self.key_id.clone(),
            r#for: self.workload_uid.clone(),
            at: self.created_at,
            n: self.sequence,
            rf: self.restarted_for.clone(),
            s: self
                .entries
                .iter()
                .map(|(name, entry)| (name.to_string(), WireEntry::of(entry)))
                .collect(),
            f: self.fold.clone(),
            m: None,
        }
    }

    fn from_wire(wire: Wire) -> Option<Self> {
        let mut entries = Entries::with_capacity(wire.s.len());
        for (name, entry) in wire.s {
            entries.insert(name.parse().ok()?, entry.into_entry()?);
        }
        Some(Self {
            format: wire.v,
            key_id: wire.k,
            workload_uid: wire.r#for,
            created_at: wire.at,
            sequence: wire.n,
            restarted_for: wire.rf,
            entries,
            fold: wire.f,
        })
    }
}

impl Wire {
    fn text(&self) -> String {
        // Only maps with keys that are no strings cannot be printed, and there are none.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn mac(&self, key: &DigestKey) -> String {
        key.digest([b"observed".as_slice(), self.text().as_bytes()])
            .to_string()
    }
}

impl WireEntry {
    fn of(entry: &Entry) -> Self {
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
                marks,
            } => {
                let print = |mark: &Mark| match mark {
                    Mark::Seen(digest) => digest.to_string(),
                    Mark::Waiting => WAITING.to_owned(),
                    Mark::Unknown => UNKNOWN.to_owned(),
                };
                let d = marks
                    .iter()
                    .map(|(key, mark)| (key.clone(), print(mark)))
                    .collect();
                Self::Seen {
                    u: uid.clone(),
                    r: *resource_version,
                    d,
                }
            }
        }
    }

    fn into_entry(self) -> Option<Entry> {
        Some(match self {
            Self::Absent(WireAbsent::Waiting) => Entry::Waiting,
            Self::Absent(WireAbsent::Unknown) => Entry::Unknown,
            Self::Deleted { x, r } => Entry::Deleted {
                uid: x,
                resource_version: r,
            },
            Self::Seen { u, r, d } => {
                let mark = |text: &str| match text {
                    WAITING => Some(Mark::Waiting),
                    UNKNOWN => Some(Mark::Unknown),
                    digest => Digest::parse(digest).map(Mark::Seen),
                };
                let mut marks = KeyMarks::with_capacity(d.len());
                for (key, text) in d {
                    marks.insert(key, mark(&text)?);
                }
                Entry::Seen {
                    uid: u,
                    resource_version: r,
                    marks,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
