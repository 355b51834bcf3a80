//! A restart that is decided, and what it writes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    judge::{intents::Intent, live::Live},
    model::{
        Cause, Kind, Version, WorkloadKey,
        annotation::{CHANGE_CAUSE, ROLLOUT_OPENED},
        change::Change,
        decide::{Restart, change_cause, joined_with_who, restart_id},
        gate::together::{left_behind, listed},
        held::Held,
        index::{Overlay, together},
        patch,
        source::SourceName,
        text::shortened,
        workload::{KINDS, RestartBy, Workload},
    },
};

/// The most characters of `reroll.dev/last-restart`.
const LAST_RESTART_LENGTH: usize = 1024;

/// A restart that is decided, and what it writes.
pub(super) struct Order<'a> {
    pub(super) intent: &'a Intent,
    pub(super) causes: &'a [Cause],
    /// The causes in words.
    pub(super) told: String,
    /// The workload as it was when the restart was decided.
    pub(super) known: Workload,
    pub(super) mark: String,
    /// Which restart it is, as of `reroll.dev/pending`.
    pub(super) id: String,
    pub(super) last_restart: String,
    /// What belongs together with what has changed, and has not, in words; most often none.
    pub(super) left_behind: String,
    pub(super) patch: patch::Patch,
}

impl<'a> Order<'a> {
    /// Prepares a restart of a known workload. `Err(None)`: the workload is gone.
    pub(super) fn prepare(
        live: &Live,
        intent: &'a Intent,
        restart: &'a Restart,
    ) -> Result<Self, Option<Held>> {
        let Restart { causes, next, .. } = restart;
        let state = &live.judge.state;
        let now = state.time();
        let told = joined_with_who(causes);
        let last_restart = format!("{now:.0}: {told}");
        let last_restart = shortened(&last_restart, LAST_RESTART_LENGTH).into_owned();
        let key = &intent.workload;
        let since = changed(live, key, restart);
        let docket = live.judge.docket();
        let index = state.index();
        let tracked = index.workload(key).ok_or(None)?;
        let known = &tracked.workload;
        let mark = known.restart_by.mark(&next.restarted_for);
        let observed = next.clone().under(&mark, index.key()).print(index.key());
        let id = restart_id(known, restart, tracked.uses(), index.key());
        if !known.has_room(observed.len(), Some(last_restart.len())) {
            return Err(Some(Held::NoRoom));
        }
        let then = match known.restart_by {
            RestartBy::LikeKubectl { .. } => since.unwrap_or(now),
            _ => now,
        };
        let changed = together::changed(tracked, restart);
        let overlay = Overlay::new();
        let groups = together::groups(&index, &key.namespace, tracked, &changed, &overlay);
        let left_behind = listed(left_behind(&groups));
        let opened = docket.brakes.opened(&index, key, restart, &mark, now);
        // Where there is no room for it, who made the changes is left out; then the restart counts for nothing.
        let more = |text: &String| ROLLOUT_OPENED.len() + text.len();
        let fits =
            |text: &String| known.has_room(observed.len(), Some(last_restart.len() + more(text)));
        let opened = opened.and_then(|opened| {
            let texts = [opened.print_with(&changes(causes)), opened.print()];
            texts.into_iter().find(fits)
        });
        let written = opened.as_ref().map_or(0, more);
        let says = tracked.policy.change_cause && says_change_cause(key.kind, known);
        let change_cause = says.then(|| change_cause(causes)).filter(|text| {
            let more = written + CHANGE_CAUSE.len() + text.len();
            known.has_room(observed.len(), Some(last_restart.len() + more))
        });
        let writes = patch::Told {
            last_restart: last_restart.clone(),
            opened,
            change_cause,
        };
        let patch = patch::restart(key.kind, known, &observed, &mark, &writes, then);
        Ok(Self {
            intent,
            causes,
            told,
            known: known.clone(),
            mark,
            id,
            last_restart,
            left_behind,
            patch,
        })
    }
}

/// Returns when the last of the sources was written that a restart is for, as far as they tell.
pub(super) fn changed(live: &Live, key: &WorkloadKey, restart: &Restart) -> Option<Timestamp> {
    let index = live.judge.state.index();
    let sources = restart
        .causes
        .iter()
        .filter_map(|cause| cause.source.as_ref());
    let versions = sources.filter_map(|source| index.source(&key.namespace, source).version());
    let written = versions.map(Version::changed_at);
    Timestamp::from_second(written.max()?).ok()
}

/// Returns who made the changes, as far as that is known.
fn changes(causes: &[Cause]) -> BTreeMap<SourceName, Change> {
    let known = causes
        .iter()
        .filter_map(|cause| Some((cause.source.clone()?, cause.change.clone()?)));
    known.collect()
}

/// Whether a restart of this workload may say in `kubernetes.io/change-cause` what it was for: `kubectl rollout history` knows its
/// kind, and nobody holds the key.
fn says_change_cause(kind: Kind, workload: &Workload) -> bool {
    let known = KINDS.iter().any(|row| row == kind);
    let held = workload.change_cause.as_ref();
    known && held.is_none_or(|held| held.is_free())
}
