//! What is shown of those that wait: why, and whose failures hold them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Reason,
    rooms::Counting,
    waiting::{Waiting, moved},
};
use crate::judge::by_namespace::ByNamespace;
use crate::model::{
    Index, WorkloadKey,
    decide::Restart,
    gate::together::Member,
    held::Held,
    index::{together, windows},
    pending::{Failures, Moved, Pending},
};

/// What waits for so long is shown on the workload. What failed is shown at once: where nothing else shows it any more, it counts
/// only by that.
const SHOWN_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// What is shown already is not shown anew before that: what is due may change all the time.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// The same where it does not stand there: it could not be written, or there is no room for it. Others have their turn meanwhile.
const UNWRITTEN: SignedDuration = SignedDuration::from_secs(10);

/// What there is to show of a workload that waits.
#[derive(Debug)]
pub struct ToShow {
    /// Which.
    pub key: WorkloadKey,
    /// Why.
    pub held: Held,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whose failures hold it.
    pub failed: Failures,
    /// What it waits for of what belongs together, or who of a lower wave stops it, in words; none where nobody does.
    pub by: String,
    /// Which of what belongs together has changed, and since when.
    pub moved: Moved,
}

/// Returns those that have waited for so long that a person may have to act on it, or behind a failure, and of whom that is not
/// shown yet; at most so many. `counting` counts the users of a namespace; `acted`: whether what was seen there was acted on, so that
/// who holds whom is known.
pub(super) fn to_show<'a>(
    waiting: &'a ByNamespace<Waiting>,
    counting: impl Fn(&'a str) -> Counting<'a>,
    acted: impl Fn(&str) -> bool,
    index: &Index,
    most: usize,
    now: Timestamp,
) -> Vec<ToShow> {
    let rests = |key: &WorkloadKey, it: &Waiting| {
        let known = index.workload(key);
        let stands = known.is_some_and(|tracked| tracked.workload.pending.is_some());
        let again = if stands { AGAIN } else { UNWRITTEN };
        it.shown
            .is_some_and(|at| now.duration_since(at).abs() < again)
    };
    let long = |key: &WorkloadKey, it: &Waiting| {
        now.duration_since(it.since) >= SHOWN_AFTER || counts_from_now(index, key, it)
    };
    let waiting = waiting.iter().filter(|(key, it)| !rests(key, it));
    let (mut of_namespace, mut of_version) = (BTreeMap::new(), BTreeMap::new());
    let waiting = waiting.filter_map(|(key, it)| {
        let held = it.reason.shown()?;
        let mut failed = Failures::new();
        // Whose failures count when its gate opens stands there as well.
        let names = matches!(
            held,
            Held::SlowStart | Held::Window | Held::Together | Held::Wave
        );
        for (changed, id) in it.versions.iter().filter(|_| names) {
            let namespace = key.namespace.as_str();
            let of_it = of_version.entry((namespace, (changed.clone(), *id)));
            let of_it = of_it.or_insert_with_key(|(_, counted)| {
                let here = of_namespace.entry(namespace);
                here.or_insert_with(|| counting(namespace))
                    .failures(counted)
            });
            failed.extend(of_it.clone());
        }
        let at_once = !failed.is_empty() && acted(&key.namespace);
        if !at_once && !long(key, it) {
            return None;
        }
        let shown = index
            .workload(key)
            .and_then(|tracked| Pending::of(&tracked.workload));
        let moved = as_shown(&it.moved);
        let is_shown = shown.is_some_and(|shown| {
            let same = shown.reason == held && shown.id == it.id && shown.by == it.by;
            let has_all = moved.keys().all(|member| shown.moved.contains_key(member));
            same && has_all && shown.names(&failed)
        });
        (!is_shown).then(|| ToShow {
            key: key.clone(),
            held,
            since: it.since,
            failed,
            by: it.by.clone(),
            moved,
        })
    });
    waiting.take(most).collect()
}

/// Returns which of what belongs together has changed for a restart that people stop, and since when.
pub fn moved_of(index: &Index, key: &WorkloadKey, restart: &Restart, now: Timestamp) -> Moved {
    let Some(tracked) = index.workload(key) else {
        return Moved::new();
    };
    let changed = together::changed(tracked, restart);
    as_shown(&moved((index, key, tracked), &changed, None, now))
}

fn as_shown(moved: &BTreeMap<Member, Timestamp>) -> Moved {
    let shown = moved.iter().map(|(member, at)| (member.to_string(), *at));
    shown.collect()
}

/// Whether it is to be written at once since when a restart waits: it is made so long after that at the latest.
fn counts_from_now(index: &Index, key: &WorkloadKey, waiting: &Waiting) -> bool {
    let Some(tracked) = index.workload(key) else {
        return false;
    };
    let counts = match waiting.reason {
        // The time of what belongs together goes on whatever holds it.
        _ if !waiting.moved.is_empty() => true,
        Reason::Window(_) => {
            let window = windows::of(index, &key.namespace, tracked);
            window.is_some_and(|(_, latest)| latest.is_some())
        }
        Reason::Together { .. } => true,
        Reason::Wave { .. }
        | Reason::SlowStart { .. }
        | Reason::Spread { .. }
        | Reason::Distance { .. } => false,
    };
    counts && tracked.workload.pending.is_none()
}
