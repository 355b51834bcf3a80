//! The `reroll.dev/observed` annotation: the versions that a workload's pods were last started with.
//!
//! It is the only durable state of reroll. It lives on the workload's own metadata, where writing it rolls nothing and
//! where everybody who may update the workload, or its status, can also overwrite it. So it carries a MAC under the
//! digest key and a sequence number: a forged one is told from ours, and an old one that was put back (`kubectl
//! rollout undo` copies a `ReplicaSet`'s annotations) is told from the newest.
//!
//! Invariants: printing what was read gives the same text; a format that is not known is never rewritten; a new element
//! raises the format, and only where it occurs; the MAC stands last and covers the text before it, in every format; the
//! text is at most [`LIMIT`] bytes, for which entries are folded ([`super::fold`]).

mod fitted;
mod former;
mod wire;

use litemap::LiteMap;

pub use self::former::{Before, FORMER_FORMAT, FORMER_LIMIT, Formers, Note, Templates};
use super::{
    fold::Fold,
    source::{Need, SourceName, Usage},
    version::{Digest, Version, used_keys},
};

/// The format this release writes where nothing asks for a newer one.
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

    /// Whether it says nothing of a key of a source that existed.
    pub(super) fn lacks(&self, key: &str) -> bool {
        matches!(self, Self::Seen { marks, .. } if !marks.contains_key(key))
    }

    /// Whether a fold would lose what it says: what is waited for, was answered by a restart, or is no news while it is
    /// older.
    fn is_apart(&self, source: &SourceName) -> bool {
        if !source.kind.is_readable() {
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
    /// What the template used before, and pods of an older template may have.
    pub formers: Formers,
}

/// What an annotation's text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Written by reroll under the key at hand.
    Genuine(Observed),
    /// Written by reroll under the key before, whose digests can be compared too.
    Previous(Observed),
    /// Written under another key: uids can be compared, digests cannot. Of a format that is not known there are neither.
    OtherKey(Observed),
    /// Written by a newer release, in this format.
    Newer(u64),
    /// Not written by reroll, or damaged.
    Foreign,
}

impl Observed {
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

    /// The same without the former entries that do not count any more.
    pub(super) fn forgetting(&self, subject: &super::decide::Subject) -> Self {
        Self {
            formers: subject.formers_left(self),
            ..self.clone()
        }
    }

    /// The same in the oldest format that can say it; `plain`: the format for what needs no newer one.
    #[must_use]
    pub(super) fn in_format(self, plain: u64) -> Self {
        let format = if self.formers.is_empty() {
            plain
        } else {
            plain.max(FORMER_FORMAT)
        };
        Self { format, ..self }
    }
}

#[cfg(test)]
mod tests;
