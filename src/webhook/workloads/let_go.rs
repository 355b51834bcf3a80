//! `reroll.dev/release: now`: the restart that is due at the time of the write is let past what holds it.
//!
//! What is written is that restart's id, so that it lets no later one go.

use crate::model::{
    Policy, WorkloadKey,
    annotation::RELEASE,
    patch::{self, Patch},
};

/// What stands for the restart that is due at the time of the write.
const NOW: &str = "now";

/// Returns the same patch, which also makes `now` the id of the restart that is due. `due` finds it; where none is, `now` is left out, and that is said.
pub(super) fn let_go(
    policy: &Policy,
    key: &WorkloadKey,
    due: impl FnOnce() -> Option<String>,
    patch: Patch,
    warnings: &mut Vec<String>,
) -> Patch {
    let gates = policy.gates.as_ref();
    let asked = gates.and_then(|gates| gates.release.as_deref());
    if asked != Some(NOW) || !policy.opted_in() {
        return patch;
    }
    let id = due();
    if id.is_none() {
        warnings.push(format!(
            "reroll: no restart of {} is due: {RELEASE} is left out",
            key.spoken()
        ));
    }
    patch::let_go(patch, id.as_deref())
}
