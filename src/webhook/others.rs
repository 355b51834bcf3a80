//! Other installations at admission: their writes pass untouched where they work, and are restored once where we do.

use super::workloads::Write;
use crate::{
    model::{
        DigestKey,
        observed::{Observed, Reading},
        peer::key_id_in,
    },
    state::State,
};

/// Whose an `observed` is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// There is none, or it is of no installation.
    Nobodys,
    Ours,
    /// Under this key.
    Others(String),
}

/// Whether a write is left as it is, because of another installation. `persists`: it is no dry run.
pub(super) fn are_left_to(state: &State, write: &Write, persists: bool) -> bool {
    let key = &state.setup.key;
    let workload = write.workload();
    // What a client without a right to it wrote there is restored as ever.
    let tampered = |text: &str| {
        let index = state.index();
        let known = index.workload(workload);
        known.is_some_and(|known| known.is_tampered_with(text))
    };
    let before = match write.observed_before() {
        Some(text) if tampered(text) => Whose::Ours,
        text => whose(key, text, write.uid()),
    };
    let after = whose(key, write.observed_after(), write.uid());
    state.peers(|peers, now| match (write.by_another(), before, after) {
        (Some(user), Whose::Ours, Whose::Others(by)) => {
            peers.writes_as(workload, &by, user);
            !peers.restores(workload, &by, persists, now)
        }
        (Some(user), _, Whose::Others(by)) => {
            peers.writes_as(workload, &by, user);
            true
        }
        (_, Whose::Others(of), _) => peers.leaves(&workload.namespace, Some(&of), now),
        (_, Whose::Ours | Whose::Nobodys, _) => peers.leaves(&workload.namespace, None, now),
    })
}

fn whose(key: &DigestKey, text: Option<&str>, uid: &str) -> Whose {
    let Some((text, id)) = text.and_then(|text| Some((text, key_id_in(text)?))) else {
        return Whose::Nobodys;
    };
    if key.by_id(&id).is_some() {
        return Whose::Ours;
    }
    // A copy of another workload's manifest, or what is no `observed`, is nobody's.
    match Observed::read(text, key) {
        Reading::OtherKey(observed) if observed.is_of(uid) => Whose::Others(id),
        _ => Whose::Nobodys,
    }
}
