//! What `observed` becomes, with a restart and without.

use super::{aborted::Serving, folded::Found, view::Subject};
use crate::model::observed::{Entries, Fold, Formers, Observed, Unrecorded};

/// What becomes of the fold if nothing restarts. With a restart its sources have entries as they are then.
pub(super) enum Fate<'u, 'a> {
    /// There is none.
    None,
    /// It stays like this; its sources.
    Stays(Fold, Found<'u, 'a>),
    /// Its sources have entries.
    TakenApart(Found<'u, 'a>),
}

/// What `observed` becomes, one way or the other.
pub(super) struct Next<'u, 'a> {
    /// The entries if nothing restarts, but for those of the fold.
    pub(super) kept: Entries,
    /// The entries with a restart, but for those of the fold.
    pub(super) rolled: Entries,
    pub(super) fold: Fate<'u, 'a>,
    /// The fold holds other sources than before.
    pub(super) refolds: bool,
    /// The template gained something while the webhook was away.
    pub(super) gained: bool,
    /// What becomes of the former entries of an aborted Rollout.
    pub(super) serving: Option<Serving>,
}

impl Next<'_, '_> {
    /// Returns the entries, without those of a fold that stays.
    pub(super) fn take_entries(&mut self, restart: bool) -> Entries {
        match (&self.fold, restart) {
            (Fate::None, true) => std::mem::take(&mut self.rolled),
            (Fate::None | Fate::Stays(..), false) => std::mem::take(&mut self.kept),
            (Fate::Stays(_, found) | Fate::TakenApart(found), true) => {
                let mut entries = found.now();
                entries.extend(std::mem::take(&mut self.rolled));
                entries
            }
            (Fate::TakenApart(found), false) => {
                let mut entries = found.as_if();
                entries.extend(std::mem::take(&mut self.kept));
                entries
            }
        }
    }

    /// Returns what is former afterwards.
    pub(super) fn formers(
        &self,
        subject: &Subject,
        before: Option<&Observed>,
        restart: bool,
    ) -> Formers {
        let Some(before) = before else {
            return Formers::none();
        };
        if subject.pods.older.are_gone() {
            return if restart {
                Formers::none()
            } else {
                subject.formers_left(before)
            };
        }
        let left;
        let still = match &self.serving {
            Some(serving) if restart => &serving.rolled,
            Some(serving) => &serving.kept,
            None if restart => subject.formers(before),
            // A pod of an older template may be there again for a moment. What the opt-in leaves out stays all the same.
            None => {
                left = subject.formers_left(before);
                &left
            }
        };
        let formers = subject.formers_after(before, still, restart);
        if restart || subject.templates.before.is_some() {
            formers
        } else if self.refolds {
            // What a fold lost cannot be told by name.
            formers.noting(Unrecorded::More)
        } else if self.gained {
            // There may have been other templates that reroll did not see.
            formers.noting(Unrecorded::Unseen)
        } else {
            formers
        }
    }
}
