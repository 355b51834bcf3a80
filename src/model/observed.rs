//! The `reroll.dev/observed` annotation: the versions that a workload's pods were last started with.
//!
//! It is the only durable state of reroll. It lives on the workload's own metadata, where writing it rolls nothing.
//! All who may update the workload, or its status, can overwrite it. So it carries a MAC under the digest key, which
//! shows a forgery, and a sequence number, which shows an old text that was restored (`kubectl rollout undo` copies a
//! `ReplicaSet`'s annotations).
//!
//! Invariants:
//! - printing what was read writes the same text;
//! - a format that is not known is never rewritten;
//! - a new element raises the format, and only where it occurs;
//! - the MAC stands last and covers the text before it, in every format;
//! - the text has at most [`LIMIT`] bytes, for which entries are folded ([`Fold`]).

mod entry;
mod fitted;
mod fold;
mod former;
mod parts;
mod taken_over;
mod wire;
mod wire_entry;

pub use self::{
    entry::{Entries, Entry, KeyState, KeyStates},
    fold::{Fold, Newest},
    former::{Before, FORMER_LIMIT, Formers, Narrowed, Templates, Unrecorded},
    taken_over::TakenOver,
};
use super::{
    digest::DigestKey,
    format::{FORMAT, FORMER_FORMAT, IMMUTABLE_FORMAT, LISTED_FORMAT, RESTARTED_AT_FORMAT},
    source::{KeyLists, SourceName},
    version::used_keys,
    workload::is_time_mark,
};

/// The most bytes an `observed` annotation has.
pub const LIMIT: usize = 16 * 1024;

/// In the place of the workload's uid: it was not looked up yet which pods it adopted ([`super::adopted`]). An older release
/// takes it for another workload's.
pub const UNEXAMINED: &str = "?";

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
    /// Grows with each write, and is above the workload's `resourceVersion` that the write was decided from. So an old one that
    /// was restored is told from the newest, whoever wrote either.
    pub sequence: u64,
    /// The mark that it belongs to, most often the template's `restarted-for`; empty where there is none.
    pub restarted_for: String,
    /// By source.
    pub entries: Entries,
    /// What did not fit into `entries`, combined.
    pub fold: Option<Fold>,
    /// What the template used before, and pods of an older template may have.
    pub formers: Formers,
    /// Which keys the opt-in took when it was written: by that what the template gained or dropped is told from what the
    /// opt-in did.
    pub lists: KeyLists,
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

    /// Whether it was not looked up yet which pods the workload adopted, so that it says nothing about them.
    pub fn is_unexamined(&self) -> bool {
        self.workload_uid == UNEXAMINED
    }

    /// Returns the same, where it was not looked up yet which pods the workload adopted that was created then, in unix
    /// seconds.
    #[must_use]
    pub fn unexamined(self, created: i64) -> Self {
        Self {
            workload_uid: UNEXAMINED.to_owned(),
            created_at: Some(created),
            ..self
        }
    }

    /// Whether it says of no source what is older than `other` says, and of one what is newer. By resourceVersions: it may
    /// be under another digest key.
    pub fn is_ahead_of(&self, other: &Self) -> bool {
        let mut newer = false;
        for (source, entry) in &self.entries {
            let age = |entry: &Entry| (entry.resource_version(), entry.is_deleted());
            let before = other.entries.get(source).map_or((0, false), age);
            let now = age(entry);
            if now.0 == 0 {
                // It was absent.
                continue;
            }
            if now < before {
                return false;
            }
            newer |= now > before;
        }
        if let (Some(now), Some(before)) = (&self.fold, &other.fold) {
            if now.newest.max(&before.newest) != now.newest {
                return false;
            }
            newer |= now.newest != before.newest;
        }
        newer
    }

    /// Returns the same in the oldest format that can say it; `plain`: the format for what needs no newer one.
    #[must_use]
    pub(super) fn in_format(self, plain: u64) -> Self {
        Self {
            format: plain.max(self.least_format()),
            ..self
        }
    }

    /// Returns the oldest format that can say it.
    fn least_format(&self) -> u64 {
        let formers = self.formers.iter().map(|(_, entry)| entry);
        let mut all = self.entries.values().chain(formers);
        let elements = [
            (!self.formers.is_empty(), FORMER_FORMAT),
            (all.any(Entry::was_immutable), IMMUTABLE_FORMAT),
            (is_time_mark(&self.restarted_for), RESTARTED_AT_FORMAT),
            (!self.lists.is_empty(), LISTED_FORMAT),
        ];
        let there = elements.into_iter().filter(|(is_there, _)| *is_there);
        there.map(|(_, format)| format).fold(FORMAT, u64::max)
    }

    /// Whether the workload's pods may have an immutable object of this source that has another uid than this one.
    pub fn has_immutable(&self, source: &SourceName, uid: &str) -> bool {
        let formers = self.formers.iter().filter(|(former, _)| *former == source);
        let entries = self.entries.get(source).into_iter();
        let mut all = entries.chain(formers.map(|(_, entry)| entry));
        all.any(|entry| entry.was_immutable() && entry.uid().is_some_and(|known| known != uid))
    }

    /// Returns the same, belonging to another mark.
    #[must_use]
    pub fn under(self, mark: &str, key: &DigestKey) -> Self {
        let restarted_for = mark.to_owned();
        Self {
            restarted_for,
            ..self
        }
        .in_format(key.format())
    }

    /// Returns what pods of a template have that came without being recorded: a rollback brought it back while the
    /// webhook was away, and that was not looked up since. Whatever it uses that is neither an entry nor a former one leaves
    /// the note.
    #[must_use]
    pub(in crate::model) fn of_template(&self, formers: &Formers, before: Option<Before>) -> Self {
        let mut now = Self {
            formers: formers.clone(),
            ..self.clone()
        };
        let Some(before) = before else {
            return now;
        };
        for (source, usage) in before.uses {
            if let Some(entry) = formers.regained(source, usage, self.entries.get(source)) {
                now.entries.insert(source.clone(), entry);
            }
            let entry = now.entries.get(source);
            let is_unknown = |key: &str| match entry {
                None => self.fold.is_none(),
                Some(entry) => entry.lacks(key) && !entry.has_whole_of(key, usage),
            };
            let refers = before.refers.get(source);
            let mut used = refers.into_iter().flat_map(used_keys);
            if source.kind.is_readable() && used.any(is_unknown) {
                now.formers = now.formers.noting(Unrecorded::Unseen);
            }
        }
        now.formers = now.formers.without(before.uses);
        now
    }
}

#[cfg(test)]
mod tests;
