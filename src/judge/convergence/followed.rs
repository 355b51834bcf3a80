//! What is known of one source: who has its version, and what was told.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    WorkloadKey,
    brake::{
        converged::{Asked, Older, words},
        later,
    },
    standing::Standing,
    workload::VersionId,
};

/// A version that all users have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// Which.
    pub(super) version: VersionId,
    /// What is asked of pods.
    pub asked: Asked,
    /// Who uses it.
    pub(super) users: Vec<WorkloadKey>,
    /// When the last of them was complete, where all tell.
    pub(super) at: Option<Timestamp>,
}

/// So long after the last restart the Event is there that says what came of it: API servers keep Events for an hour.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(55);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// The same for what has waited for very long.
const LATER_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// The most Events that name the pods of one version.
const MOST_TOLD: u32 = 5;
/// A restart that is older is forgotten.
pub(super) const FORGOTTEN: SignedDuration = SignedDuration::from_hours(72);
/// The pauses between two lists of pods.
pub(super) const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// What is known of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    /// The version that is live, and when it was written.
    pub(super) version: Option<(VersionId, i64)>,
    /// The version of which a user was seen that was not through.
    pub(super) open: Option<VersionId>,
    /// When the last restart for it was made.
    pub(super) restarted: Timestamp,
    /// Since when all users have been complete.
    pub(super) since: Option<Timestamp>,
    /// When it was told that everybody has it.
    pub(super) told: Option<Timestamp>,
    /// When its pods are to be listed.
    pub(super) next: Timestamp,
    pub(super) pause: SignedDuration,
    /// How many older pods the last list showed, and those of them that a person would be told of.
    pub(super) left: usize,
    pub(super) older: BTreeSet<String>,
    /// Those that a person was told of last, and how often one was.
    pub(super) told_older: (BTreeSet<String>, u32),
}

/// What is so of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Everybody has it.
    Converged {
        /// How long after it was written, where that was surely not told before.
        took: Option<SignedDuration>,
    },
    /// Pods may have an older value.
    NotConverged,
}

impl Followed {
    /// Takes in how the users are. Returns what is so where all are complete and that was not told.
    pub(super) fn take(&mut self, standing: Standing, now: Timestamp) -> Option<Complete> {
        let complete = standing.is_complete();
        let Standing {
            version,
            written,
            restarted,
            open,
            users,
            asked,
            at,
        } = standing;
        let complete = complete.then(|| Complete {
            version,
            asked,
            users: users.into_iter().map(|(user, _)| user).collect(),
            at,
        });
        let again = |told: Timestamp, before: i64| {
            // What it was before is live again.
            written > before && restarted.is_some_and(|restarted| restarted > told)
        };
        let same = self.version.is_some_and(|(known, before)| {
            known == version && !self.told.is_some_and(|told| again(told, before))
        });
        if !same {
            *self = Self {
                open: self.open.filter(|open| *open == version),
                version: Some((version, written)),
                ..Self::default()
            };
        }
        self.restarted = restarted.into_iter().fold(self.restarted, Timestamp::max);
        if open {
            self.open = Some(version);
        }
        // Nobody was restarted for it: nobody was behind.
        let complete = complete.filter(|_| self.restarted > Timestamp::UNIX_EPOCH);
        let Some(mut complete) = complete.filter(|_| self.told.is_none()) else {
            self.since = None;
            return None;
        };
        let at = complete.at.map_or(now, |at| at.min(now));
        self.since = self.since.or(Some(at));
        // A label's edit is no write of it.
        complete.asked.written = self.written().min(written);
        Some(complete)
    }

    /// Takes in which pods a list showed. Returns which of them are named, in what words, and what is so.
    pub(super) fn listed(
        &mut self,
        complete: &Complete,
        older: &Older,
        now: Timestamp,
    ) -> Option<(BTreeSet<String>, String, What)> {
        let is_open = self.open == Some(complete.version);
        if older.all == 0 {
            self.told = Some(now);
            let is_known = is_open || now.duration_since(self.restarted) < REMEMBERED;
            let written = Timestamp::from_second(self.written()).unwrap_or(now);
            let after = self.since.unwrap_or(now).duration_since(written);
            let took = is_open.then(|| now.duration_since(written));
            let words = words(&complete.users, after);
            return is_known.then_some((BTreeSet::new(), words, What::Converged { took }));
        }
        if older.of_others {
            // It was so all the time.
            self.open = Some(complete.version);
        }
        if older.all < self.left {
            // They go, and never come back.
            self.pause = SignedDuration::ZERO;
        }
        self.left = older.all;
        self.pauses(now);
        let stays = !older.named.is_empty() && older.named == self.older;
        self.older.clone_from(&older.named);
        let (told, times) = &mut self.told_older;
        if !stays || *told == older.named || *times >= MOST_TOLD {
            return None;
        }
        (*told, *times) = (older.named.clone(), *times + 1);
        Some((
            told.clone(),
            older.words(complete.users.len()),
            What::NotConverged,
        ))
    }

    /// Waits for the next list, longer each time.
    pub(super) fn pauses(&mut self, now: Timestamp) {
        let age = now.duration_since(self.since.unwrap_or(now));
        let longest = LONGEST_PAUSE.max((age / 10).min(LATER_PAUSE));
        self.pause = (self.pause * 2).clamp(PAUSE, longest);
        self.next = later(now, self.pause);
    }

    pub(super) fn written(&self) -> i64 {
        self.version.map_or(0, |(_, written)| written)
    }

    /// Whether it waits for pods to go.
    pub(super) fn waits(&self) -> bool {
        self.since.is_some() && self.told.is_none()
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.waits() && self.next <= now
    }

    pub(super) fn is_of(&self, complete: &Complete) -> bool {
        let version = self.version.map(|(version, _)| version);
        self.waits() && version == Some(complete.version)
    }

    /// Whether there is nothing to tell, now or later.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let is_old = now.duration_since(self.restarted) > FORGOTTEN;
        is_old && !self.waits()
    }
}
