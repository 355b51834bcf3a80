//! What a first list means for readiness.
//!
//! A kind that may not be listed keeps the replica unready, so that an upgrade which lacks a right stops at its first pod. All
//! else goes on meanwhile: what can be decided without that kind is.

use std::sync::Arc;

use crate::{
    ops::{
        health::{Readiness, ReadyPart},
        watching::Watching,
    },
    watch::{GRANT, Watched},
};

/// The first list of one kind, in every namespace that is watched.
pub(super) struct FirstList {
    pub(super) what: Watched,
    pub(super) part: ReadyPart,
    pub(super) watching: Arc<Watching>,
    /// Whether reroll is not ready without it.
    pub(super) needed: bool,
}

impl FirstList {
    /// Takes in that every list is complete, or was refused. Returns itself where that is not enough to be ready.
    pub(super) fn complete(self) -> Option<Self> {
        if !self.needed || self.watching.listed(self.what.plural()).suffices() {
            self.part.ready();
            return None;
        }
        self.part.waits(GRANT);
        Some(self)
    }

    /// Waits until enough was listed after all.
    pub(super) async fn recover(self, readiness: &Readiness) {
        self.watching.until_listed(self.what.plural()).await;
        self.part.ready();
        if readiness.is_ready() {
            tracing::info!("ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceKind;

    const SECRETS: Watched = Watched::Sources(SourceKind::Secret);

    /// Of each list whether it was complete; returns what `/readyz` says.
    fn said(what: Watched, needed: bool, lists: &[bool]) -> Vec<String> {
        let (readiness, watching) = (Readiness::new(), Arc::<Watching>::default());
        for (number, complete) in lists.iter().enumerate() {
            let namespace = number.to_string();
            watching.begins(what.plural(), Some(&namespace));
            if *complete {
                watching.works(what.plural(), Some(&namespace));
            } else {
                watching.fails(what.plural(), Some(&namespace));
            }
        }
        let part = readiness.part(what.list_name());
        let list = FirstList {
            what,
            part,
            watching,
            needed,
        };
        let waits = list.complete().is_some();
        assert_eq!(waits, !readiness.is_ready());
        readiness.missing()
    }

    #[test]
    fn a_refusal_is_told_and_the_three_exceptions_are_not() {
        let refused = |list| vec![format!("list of {list}: {GRANT}")];
        for (what, needed, lists, expected) in [
            (SECRETS, true, vec![true], vec![]),
            (SECRETS, true, vec![false], refused("secrets")),
            (
                Watched::Namespaces,
                true,
                vec![false],
                refused("namespaces"),
            ),
            // The rights may be such that nobody can list them.
            (Watched::Namespaces, false, vec![false], vec![]),
            // One of several namespaces stops nothing, but all of them do.
            (SECRETS, true, vec![true, false], vec![]),
            (SECRETS, true, vec![false, false], refused("secrets")),
            // A kind that the cluster lacks is not watched at all.
            (SECRETS, true, vec![], vec![]),
        ] {
            assert_eq!(said(what, needed, &lists), expected, "{what:?} {lists:?}");
        }
    }

    #[tokio::test]
    async fn it_recovers_when_the_right_is_there() {
        let (readiness, watching) = (Readiness::new(), Arc::<Watching>::default());
        watching.begins("secrets", None);
        watching.fails("secrets", None);
        let list = FirstList {
            what: SECRETS,
            part: readiness.part("list of secrets"),
            watching: Arc::clone(&watching),
            needed: true,
        };
        let waits = list.complete().unwrap();
        let later = async {
            assert!(!readiness.is_ready());
            watching.works("secrets", None);
        };
        tokio::join!(waits.recover(&readiness), later);
        assert!(readiness.is_ready());
    }
}
