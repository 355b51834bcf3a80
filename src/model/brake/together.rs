//! What a restart waits for of what belongs together, to who looks once: since when something has changed follows from when it was written,
//! and from `reroll.dev/pending`.

use jiff::Timestamp;

use crate::model::{
    Index, WorkloadKey,
    decide::{Decision, Restart},
    gate::together::{Apart, Member, holds},
    index::{
        Overlay, Tracked,
        together::{changed, groups},
    },
    pending::Pending,
};

/// Whether a restart that is due with these sources as they would be waits for what belongs together.
pub fn would_wait(index: &Index, key: &WorkloadKey, overlay: &Overlay<'_>, now: Timestamp) -> bool {
    let asks = |tracked: &Tracked| tracked.policy.together().is_some();
    if !index.workload(key).is_some_and(asks) {
        return false;
    }
    let Some(Decision::Restart(restart)) = index.assess(key, overlay) else {
        return false;
    };
    // A version that nobody has stored yet was written by nobody.
    let changed_at = |_: Option<Timestamp>| now;
    apart(index, key, &restart, overlay, changed_at, now).is_some()
}

/// Returns what a restart waits for of what belongs together, to who looks once. `changed_at` makes of when a member was written when
/// it changed.
pub fn apart(
    index: &Index,
    key: &WorkloadKey,
    restart: &Restart,
    overlay: &Overlay<'_>,
    changed_at: impl Fn(Option<Timestamp>) -> Timestamp,
    now: Timestamp,
) -> Option<Apart> {
    let tracked = index.workload(key)?;
    let latest = tracked.policy.together()?.latest;
    let changed = changed(tracked, restart);
    let groups = groups(index, &key.namespace, tracked, &changed, overlay);
    let shown = shown(tracked);
    let since = |member: &Member, written: Option<Timestamp>| {
        let at = changed_at(written).min(now);
        shown_since(shown.as_ref(), member).map_or(at, |shown| shown.min(at))
    };
    holds(&groups, since, latest, now)
}

/// Returns what stands on a workload of what is pending, if something is.
pub fn shown(tracked: &Tracked) -> Option<Pending> {
    Pending::of(&tracked.workload).filter(|_| !tracked.is_pending_over())
}

/// Returns since when a member has changed, as far as that stands there.
pub fn shown_since(shown: Option<&Pending>, member: &Member) -> Option<Timestamp> {
    shown?.moved.get(&member.to_string()).copied()
}
