//! What a decision says: what to do, why, and what `observed` becomes.

use super::Cause;
use crate::model::{observed::Observed, source::SourceName};

/// What follows for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing can be said yet.
    Undecided(Undecided),
    /// Nothing is to be done; this is what `observed` says.
    Keep(Observed),
    /// `observed` becomes this; nothing restarts.
    Record(Observed),
    /// Something is absent. What changed is restarted for when it is back.
    Wait {
        /// What `observed` becomes.
        next: Observed,
        /// Why the workload is restarted as soon as what is absent is back; none where only that is missing.
        causes: Vec<Cause>,
        /// The sources that are absent, or lack a required key.
        missing: Vec<SourceName>,
    },
    /// The workload is restarted.
    Restart(Restart),
}

/// A restart that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// What `observed` becomes.
    pub next: Observed,
    /// Why; at least one.
    pub causes: Vec<Cause>,
    /// Optional sources that are absent: pods start without them.
    pub missing: Vec<SourceName>,
}

/// Why no decision was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// `observed` was written by a newer release.
    NewerFormat,
    /// `observed` was written under a digest key that this process does not know, and which may be the right one.
    UnknownKey,
    /// The opt-in cannot be read.
    Unreadable,
    /// Something must be known first about these sources.
    Doubt(Doubt, Vec<SourceName>),
}

/// What must be known before anything is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A list is not complete yet.
    Unsynced,
    /// A source is known only in an older version than the observed one, and must be read.
    Behind,
    /// Whether the workload's pods have ever started must be looked up.
    AskPods,
    /// How old the pods are that use what the template gained must be looked up.
    AskAges,
}

impl Decision {
    /// Every word for metrics.
    pub const WORDS: [&str; 11] = [
        "undecided_newer_format",
        "undecided_unknown_key",
        "undecided_unreadable",
        "undecided_unsynced",
        "undecided_behind",
        "undecided_ask_pods",
        "undecided_ask_ages",
        "keep",
        "record",
        "wait",
        "restart",
    ];

    /// Returns the same in a word, for metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Undecided(Undecided::NewerFormat) => "undecided_newer_format",
            Self::Undecided(Undecided::UnknownKey) => "undecided_unknown_key",
            Self::Undecided(Undecided::Unreadable) => "undecided_unreadable",
            Self::Undecided(Undecided::Doubt(Doubt::Unsynced, _)) => "undecided_unsynced",
            Self::Undecided(Undecided::Doubt(Doubt::Behind, _)) => "undecided_behind",
            Self::Undecided(Undecided::Doubt(Doubt::AskPods, _)) => "undecided_ask_pods",
            Self::Undecided(Undecided::Doubt(Doubt::AskAges, _)) => "undecided_ask_ages",
            Self::Keep(_) => "keep",
            Self::Record(_) => "record",
            Self::Wait { .. } => "wait",
            Self::Restart(_) => "restart",
        }
    }

    /// Returns why the workload is restarted, or will be as soon as what is absent is back.
    pub fn causes(&self) -> &[Cause] {
        match self {
            Self::Wait { causes, .. } | Self::Restart(Restart { causes, .. }) => causes,
            Self::Undecided(_) | Self::Keep(_) | Self::Record(_) => &[],
        }
    }

    /// Returns what `observed` becomes; `None` where nothing was decided.
    pub fn next(&self) -> Option<&Observed> {
        match self {
            Self::Undecided(_) => None,
            Self::Keep(next)
            | Self::Record(next)
            | Self::Wait { next, .. }
            | Self::Restart(Restart { next, .. }) => Some(next),
        }
    }

    /// Returns what is in doubt, and about which sources.
    pub fn doubt(&self) -> Option<(Doubt, &[SourceName])> {
        match self {
            Self::Undecided(Undecided::Doubt(doubt, sources)) => Some((*doubt, sources)),
            _ => None,
        }
    }

    /// Returns that nothing is decided before this is known of these sources.
    pub(in crate::model) fn doubted(doubt: Doubt, sources: Vec<SourceName>) -> Self {
        Self::Undecided(Undecided::Doubt(doubt, sources))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{
        observed::{Entries, Formers},
        source::KeyLists,
    };

    #[test]
    fn every_word_is_known_beforehand() {
        let next = Observed {
            format: 1,
            key_id: String::new(),
            workload_uid: String::new(),
            created_at: None,
            sequence: 0,
            restarted_for: String::new(),
            entries: Entries::default(),
            fold: None,
            formers: Formers::default(),
            lists: KeyLists::default(),
        };
        let doubts = [
            Doubt::Unsynced,
            Doubt::Behind,
            Doubt::AskPods,
            Doubt::AskAges,
        ];
        let undecided = [
            Undecided::NewerFormat,
            Undecided::UnknownKey,
            Undecided::Unreadable,
        ];
        let decided = [
            Decision::Keep(next.clone()),
            Decision::Record(next.clone()),
            Decision::Wait {
                next: next.clone(),
                causes: Vec::new(),
                missing: Vec::new(),
            },
            Decision::Restart(Restart {
                next,
                causes: Vec::new(),
                missing: Vec::new(),
            }),
        ];
        let all: Vec<_> = undecided
            .map(Decision::Undecided)
            .into_iter()
            .chain(doubts.map(|doubt| Decision::doubted(doubt, Vec::new())))
            .chain(decided)
            .collect();
        let words: BTreeSet<_> = all.iter().map(Decision::as_str).collect();
        assert_eq!(words, Decision::WORDS.into());
    }
}
