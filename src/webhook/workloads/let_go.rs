//! `reroll.dev/release`: which restart is let past what holds it.
//!
//! `now` is the one that is due at the time of the write. What is written is that restart's id, so that it lets no later one go.

use crate::{
    model::{
        Policy, WorkloadKey,
        annotation::{NOW, RELEASE},
        patch::{self, Patch},
    },
    webhook::warnings::{Warning, problem},
};

/// Returns the same patch, which also makes `now` the id of the restart that is due at the write which says it first. `due` finds it; where none is, `now` is left
/// out, and that is said. So is that another text than before lets nothing go.
pub(super) fn let_go(
    (before, policy): (Option<&str>, &Policy),
    key: &WorkloadKey,
    due: impl FnOnce() -> Option<String>,
    patch: Patch,
    warnings: &mut Vec<Warning>,
) -> Patch {
    let gates = policy.gates.as_ref();
    let asked = gates.and_then(|gates| gates.release.as_deref());
    let Some(asked) = asked.filter(|_| policy.opted_in()) else {
        return patch;
    };
    let now = asked.eq_ignore_ascii_case(NOW);
    let spoken = key.spoken();
    if before == Some(asked) {
        if !now {
            return patch;
        }
        // Who typed that meant what was due then.
        warnings.push(problem(format!(
            "reroll: say {RELEASE}: {NOW} again: nobody asked reroll when it was written, it let no restart of {spoken} go, and it is left out"
        )));
        return patch::let_go(patch, None);
    }
    let due = due();
    match (&due, now) {
        (None, true) => warnings.push(problem(format!(
            "reroll: no restart of {spoken} is due: {RELEASE} is left out"
        ))),
        (due, false) if due.as_deref() != Some(asked) => warnings.push(problem(format!(
            "reroll: {RELEASE} lets nothing go: no restart of {spoken} with this id is due. {NOW} is the one that is"
        ))),
        _ => {}
    }
    if now {
        patch::let_go(patch, due.as_deref())
    } else {
        patch
    }
}
