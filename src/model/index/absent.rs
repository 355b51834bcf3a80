//! What pods of a workload do not start without, and is known not to be there.

use super::{Index, overlay::without_ignored, tracked::Tracked};
use crate::model::{
    absent::Absent,
    decide::{Decision, Lookup, Undecided},
    observed::Entry,
    source::{Need, SourceName, Usage},
    workload::{JobPhase, WorkloadKey},
};

/// Returns what is absent of what a workload needs, of which this was decided.
pub(super) fn of(index: &Index, key: &WorkloadKey, decision: Option<&Decision>) -> Vec<Absent> {
    let (Some(tracked), Some(decision)) = (index.workload(key), decision) else {
        return Vec::new();
    };
    if matches!(decision, Decision::Undecided(Undecided::Unreadable)) {
        return Vec::new();
    }
    // A Job that is over starts no pod, unless it is to run again.
    let is_over = tracked.workload.phase == JobPhase::Over;
    if is_over && decision.causes().is_empty() {
        return Vec::new();
    }
    let waited_for = match decision {
        Decision::Wait { missing, .. } => missing.as_slice(),
        _ => &[],
    };
    let live = |source: &SourceName| {
        let known = index.look(&key.namespace, source, Some(tracked));
        known.telling(|| tracked.uses().get(source))
    };
    let needed = |usage: &Usage| usage.need == Need::Required || usage.demanded().next().is_some();
    if !tracked.uses().values().any(needed) {
        return Vec::new();
    }
    let uses = without_ignored(tracked.uses(), &live);
    let readable = uses
        .iter()
        .filter(|(source, usage)| source.kind.is_readable() && needed(usage));
    let absent = readable.filter_map(|(source, usage)| {
        let lacks_a_key = match live(source) {
            Lookup::Absent { .. } if usage.need == Need::Required => false,
            Lookup::Present { version, .. } if version.lacks(usage) => {
                // Pods start without a file of a volume: then it counts where it holds what is due.
                let required = |key: &&str| usage.need_of(key) == Need::Required;
                let lacks = |key: &str| version.key(key).is_none();
                let starts = !usage.demanded().filter(required).any(lacks);
                if starts && !waited_for.contains(source) {
                    return None;
                }
                true
            }
            _ => return None,
        };
        Some(Absent {
            source: source.clone(),
            lacks_a_key,
        })
    });
    absent.collect()
}

/// Takes in that something has been absent for so long that nothing is pending any more, where no restart is due. Returns whether
/// something is to be written for it.
pub fn has_lasted(index: &mut Index, key: &WorkloadKey, decision: Option<&Decision>) -> bool {
    let is_due = match decision {
        Some(Decision::Wait { causes, .. }) => !causes.is_empty(),
        _ => true,
    };
    let Some(tracked) = index.namespaces.workload_mut(key).filter(|_| !is_due) else {
        return false;
    };
    tracked.waits_for_nothing();
    tracked.is_pending_over()
}

/// Returns what tells one absence from the next, as a DNS label: whoever sees it finds the same, after a restart of reroll as well.
pub fn print(index: &Index, key: &WorkloadKey, absent: &Absent) -> String {
    let tracked = index.workload(key);
    let observed = tracked.and_then(Tracked::observed);
    let entry = observed.and_then(|observed| observed.entries.get(&absent.source));
    let seen = match entry {
        Some(Entry::Seen { uid, .. } | Entry::Deleted { uid, .. }) => uid,
        Some(Entry::Unknown | Entry::Waiting) | None => "",
    };
    let number = entry.map_or(0, Entry::resource_version).to_string();
    let there = index.source(&key.namespace, &absent.source).version();
    let there = there
        .map_or(0, |version| version.resource_version)
        .to_string();
    let uid = tracked.map_or("", |tracked| &tracked.workload.uid);
    let source = absent.source.to_string();
    let parts = ["absent", key.kind.kind, uid, &source, seen, &number, &there];
    index.key().digest(parts.map(str::as_bytes)).label()
}
