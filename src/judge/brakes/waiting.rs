//! The restarts that wait, and those that were let go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::reason::{Gate, Reason};
use crate::model::{
    Index, SourceName, WorkloadKey,
    brake::{
        later,
        needed::{needed, taken},
        together::{shown, shown_since},
    },
    decide::{Restart, restart_id},
    gate::together::{Member, Standing},
    index::{Overlay, Tracked, together, windows},
    workload::{Changed, VersionId},
};

/// So long restarts that are due gather before one is chosen: who goes first is chosen among all of them.
const GATHER: SignedDuration = SignedDuration::from_millis(250);

/// A restart that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The versions for which it needs room.
    pub(super) versions: BTreeMap<Changed, VersionId>,
    /// All that it takes, where an order was asked for.
    pub(super) takes: BTreeMap<Changed, VersionId>,
    /// The sources that it is for, where some belong together.
    pub(super) changed: BTreeSet<SourceName>,
    /// Which of what belongs together has changed, and since when, as far as this process saw it.
    pub(super) moved: BTreeMap<Member, Timestamp>,
    /// Which restart it is, as of [`crate::model::decide::restart_id`].
    pub(super) id: String,
    pub(super) since: Timestamp,
    /// When it was first asked for, for these versions.
    pub(super) first_asked: Timestamp,
    /// When it was asked for last: whoever asks parks it then, and it must not be let go before.
    pub(super) asked: Timestamp,
    pub(super) reason: Reason,
    /// What it waits for of what belongs together, or who of a lower wave stops it, in words; none where nobody does.
    pub(super) by: String,
    /// Whether its own distance holds it, whatever is told of it.
    pub(super) apart: bool,
    /// When it was last to be shown on the workload.
    pub(super) shown: Option<Timestamp>,
    /// Whether people were told which gate holds it.
    pub(super) told: bool,
}

impl Waiting {
    /// Returns what waits of a workload, if it does. What was known of that it takes over. `slow_start`: whether restarts wait for
    /// what becomes of others.
    pub(super) fn of(
        (index, key, tracked): (&Index, &WorkloadKey, &Tracked),
        restart: &Restart,
        waited: Option<&Self>,
        slow_start: bool,
        now: Timestamp,
    ) -> Self {
        let versions = needed(index, key, tracked, restart, slow_start);
        let takes = if windows::has_waves(index, &key.namespace) {
            taken(index, key, restart)
        } else {
            BTreeMap::new()
        };
        let same = waited.filter(|it| it.versions == versions);
        let changed = together::changed(tracked, restart);
        let seen = waited.map(|it| &it.moved);
        let moved = moved((index, key, tracked), &changed, seen, now);
        Self {
            since: waited.map_or(now, |it| it.since),
            first_asked: same.map_or(now, |it| it.first_asked),
            asked: now,
            reason: Reason::SlowStart { next: None },
            by: same.map(|it| it.by.clone()).unwrap_or_default(),
            apart: false,
            id: restart_id(&tracked.workload, restart, tracked.uses(), index.key()),
            shown: waited.and_then(|it| it.shown),
            told: same.is_some_and(|it| it.told),
            versions,
            takes,
            changed,
            moved,
        }
    }

    /// Takes in which gate holds it, if any does.
    pub(super) fn is_gated_by(&mut self, gate: Option<&Gate>) {
        if let Some(gate) = gate {
            self.by.clone_from(&gate.by);
        }
    }

    /// Returns until when others may come that go first.
    pub(super) fn gathers_until(&self) -> Timestamp {
        later(self.asked, GATHER)
    }

    /// Whether it may go sooner by how its workload is now.
    pub(super) fn may_go_by(&self, tracked: &Tracked) -> bool {
        // What it asks for may be another time or order.
        let gated = matches!(
            self.reason,
            Reason::Window(_) | Reason::Together { .. } | Reason::Wave { .. }
        );
        let at_once = !self.versions.is_empty() && !tracked.policy.brakes.slow_start;
        let is_down = tracked.workload.progress.is_down();
        gated || at_once || is_down || tracked.policy.is_released(&self.id)
    }

    /// Takes in what of its own holds it.
    pub(super) fn holds(&mut self, reason: Reason) {
        self.reason = reason;
        self.apart = matches!(reason, Reason::Distance { .. });
    }

    /// Takes in that no gate and no distance of its own holds it.
    pub(super) fn waits_for_others(&mut self) {
        self.apart = false;
        self.by.clear();
        match self.reason {
            Reason::Window(_)
            | Reason::Together { .. }
            | Reason::Wave { .. }
            | Reason::Distance { .. } => {
                self.reason = Reason::SlowStart { next: None };
            }
            Reason::SlowStart { .. } | Reason::Spread { .. } => {}
        }
    }

    /// Returns since when a workload is behind by what is live, where that is by sources: since the first of their versions was
    /// written. Every leader sees the same.
    pub(super) fn written(&self, index: &Index, key: &WorkloadKey) -> Option<Timestamp> {
        let sources = self.versions.keys();
        let written = sources.filter_map(|changed| written(index, &key.namespace, changed));
        Timestamp::from_second(written.min()?).ok()
    }

    /// Returns since when a workload is behind, at the latest. A process that has just started, or whose clock is behind, must not
    /// take that for later than it is; a source that is written again and again must not make it later for ever.
    pub(super) fn behind_since(&self, index: &Index, key: &WorkloadKey) -> Timestamp {
        let written = self.written(index, key);
        written.map_or(self.since, |written| written.min(self.since))
    }
}

/// Returns which of what belongs together has changed, and since when: since it was written, or seen first by this process or by
/// one before it. What is written again and again must not make that later for ever.
pub(super) fn moved(
    (index, key, tracked): (&Index, &WorkloadKey, &Tracked),
    changed: &BTreeSet<SourceName>,
    seen: Option<&BTreeMap<Member, Timestamp>>,
    now: Timestamp,
) -> BTreeMap<Member, Timestamp> {
    let groups = together::groups(index, &key.namespace, tracked, changed, &Overlay::new());
    if groups.is_empty() {
        return BTreeMap::new();
    }
    let shown = shown(tracked);
    let since = |member: &Member, written: Option<Timestamp>| {
        let seen = seen.and_then(|seen| seen.get(member)).copied();
        let shown = shown_since(shown.as_ref(), member);
        let times = [seen, shown, written].into_iter().flatten();
        times.chain([now]).min().unwrap_or(now)
    };
    let moved = groups.into_iter().flatten();
    let moved = moved.filter_map(|(member, standing)| match standing {
        Standing::Moved(written) => Some((member.clone(), since(member, written))),
        Standing::Stays | Standing::Idle(_) => None,
    });
    moved.collect()
}

/// Returns when the live version of a source was written, in unix seconds.
pub(super) fn written(index: &Index, namespace: &str, changed: &Changed) -> Option<i64> {
    match changed {
        Changed::Source(source) => Some(index.source(namespace, source).version()?.changed_at()),
        Changed::Namespace => None,
    }
}

/// A restart that was let go, and does not show yet.
#[derive(Clone, Debug)]
pub(super) struct Going {
    pub(super) versions: BTreeMap<Changed, VersionId>,
    pub(super) takes: BTreeMap<Changed, VersionId>,
    pub(super) alone: bool,
    pub(super) since: Timestamp,
}
