//! How those stand that belong together by a workload's own words: who of them has changed since its pods started.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Index, Overlay, Tracked};
use crate::model::{
    decide::{Lookup, Restart},
    digest::Digest,
    gate::together::{Idle, Member, Standing},
    observed::{Entry, KeyState, Observed, Reading},
    policy::Policy,
    source::{References, SourceName},
    version::{Version, uses_key},
    workload::WorkloadKey,
};

/// The groups of a workload: each member, and how it stands.
pub type Groups<'a> = Vec<Vec<(&'a Member, Standing)>>;

/// Returns how each member of a workload's groups stands where a restart for these sources is due. `overlay`: sources as they
/// would be.
pub fn groups<'a>(
    index: &Index,
    namespace: &str,
    tracked: &'a Tracked,
    changed: &BTreeSet<SourceName>,
    overlay: &Overlay<'_>,
) -> Groups<'a> {
    let Some(together) = tracked.policy.together() else {
        return Groups::new();
    };
    let standing = |member: &Member| {
        let live = look(index, namespace, &member.source, overlay);
        match idle(member, tracked.uses(), live) {
            Some(idle @ (Idle::NotUsed | Idle::NotRead)) => Standing::Idle(idle),
            _ => standing(tracked, member, live, changed.contains(&member.source)),
        }
    };
    let groups = together.groups.iter();
    groups
        .map(|group| group.iter().map(|it| (it, standing(it))).collect())
        .collect()
}

/// Returns the sources that a restart is for, where the workload has groups: what [`groups`] looks at.
pub fn changed(tracked: &Tracked, restart: &Restart) -> BTreeSet<SourceName> {
    if tracked.policy.together().is_none() {
        return BTreeSet::new();
    }
    let causes = restart.causes.iter();
    causes.filter_map(|cause| cause.source.clone()).collect()
}

/// Returns the members of what a workload asks for that count for nothing, as far as what it uses tells, and what exists as
/// `overlay` has it or as it is known.
pub fn idles<'a>(
    index: &Index,
    namespace: &str,
    (policy, uses): (&'a Policy, &References),
    overlay: &Overlay<'_>,
) -> Vec<(&'a Member, Idle)> {
    let groups = policy.together().map(|together| together.groups.iter());
    let members = groups.into_iter().flatten().flatten();
    let idle = members.filter_map(|member| {
        let live = look(index, namespace, &member.source, overlay);
        Some((member, idle(member, uses, live)?))
    });
    let mut idle: Vec<_> = idle.collect();
    idle.sort_by_key(|(member, _)| *member);
    idle.dedup();
    idle
}

/// Whether pods have what a member names: where it is gone now, it may come back.
pub fn had(index: &Index, key: &WorkloadKey, member: &Member) -> bool {
    let observed = index.workload(key).and_then(Tracked::observed);
    let entry = observed.map(|observed| entry_of(observed, &member.source));
    match (entry, &member.key) {
        (Some(Known::Entry(Entry::Seen { .. } | Entry::Deleted { .. })), None) => true,
        (Some(Known::Entry(Entry::Seen { states, .. })), Some(key)) => {
            matches!(states.get(key), Some(KeyState::Seen(_)))
        }
        (Some(_) | None, _) => false,
    }
}

fn look<'a>(
    index: &'a Index,
    namespace: &str,
    source: &SourceName,
    overlay: &Overlay<'a>,
) -> Lookup<'a> {
    let known = || index.source(namespace, source);
    overlay.get(source).copied().unwrap_or_else(known)
}

/// Returns why a member counts for nothing, as far as what is used and what exists tell.
fn idle(member: &Member, uses: &References, live: Lookup<'_>) -> Option<Idle> {
    let usage = uses.get(&member.source).filter(|usage| usage.is_read());
    let counts = live
        .last()
        .is_none_or(|version| usage.is_none_or(|usage| version.counts_for(usage)));
    let Some(usage) = usage.filter(|_| counts) else {
        return Some(Idle::NotUsed);
    };
    if let Some(key) = &member.key
        && !uses_key(usage, key)
    {
        return Some(Idle::NotRead);
    }
    let lacks = |version: &Version| {
        let key = member.key.as_ref();
        version.tells_all() && key.is_some_and(|key| version.key(key).is_none())
    };
    match live {
        Lookup::Absent { .. } => Some(Idle::Absent),
        Lookup::Present { version, .. } if lacks(version) => Some(Idle::Absent),
        Lookup::Present { .. } | Lookup::Unsynced | Lookup::Unseen => None,
    }
}

/// Returns how a member stands that the workload reads. `changed`: a restart for its source is due.
fn standing(tracked: &Tracked, member: &Member, live: Lookup<'_>, changed: bool) -> Standing {
    // Of a version without any time it is not known.
    let written = live.version().map(Version::changed_at);
    let written = written.filter(|at| *at > 0);
    let moved = Standing::Moved(written.and_then(|at| Timestamp::from_second(at).ok()));
    let entry = match tracked.observed().map(|it| entry_of(it, &member.source)) {
        Some(Known::Entry(entry)) => Some(entry),
        Some(Known::Nothing) => None,
        Some(Known::Folded) | None => return Standing::Idle(Idle::Untold),
    };
    let stays_if = |is_there: bool| {
        if is_there {
            Standing::Stays
        } else {
            Standing::Idle(Idle::Absent)
        }
    };
    let Some(key) = &member.key else {
        let had = matches!(entry, Some(Entry::Seen { .. }));
        return if changed {
            moved
        } else {
            stays_if(had || live.version().is_some())
        };
    };
    let had = match entry {
        Some(Entry::Seen { states, .. }) => states.get(key).copied(),
        Some(Entry::Unknown | Entry::Deleted { .. }) => Some(KeyState::Unknown),
        Some(Entry::Waiting) | None => None,
    };
    let now = live.version().map(|version| digest(tracked, version, key));
    match (had, now.flatten()) {
        (Some(KeyState::Seen(before)), Some(now)) if before == now => Standing::Stays,
        (Some(KeyState::Seen(_) | KeyState::Unknown), Some(_)) => moved,
        // It went. Where nothing is due for that, it may come back.
        (Some(KeyState::Seen(_)), None) if changed => moved,
        (Some(KeyState::Seen(_)), None) => Standing::Stays,
        (Some(KeyState::Unknown), None) => Standing::Idle(Idle::Absent),
        (Some(KeyState::Waiting) | None, now) => stays_if(now.is_some()),
    }
}

/// What was observed of a source.
enum Known<'a> {
    Entry(&'a Entry),
    Folded,
    Nothing,
}

fn entry_of<'a>(observed: &'a Observed, source: &SourceName) -> Known<'a> {
    match observed.entries.get(source) {
        Some(entry) => Known::Entry(entry),
        None if observed.fold.is_some() => Known::Folded,
        None => Known::Nothing,
    }
}

/// Returns the digest of a key, under the digest key that the workload was observed under.
fn digest(tracked: &Tracked, version: &Version, key: &str) -> Option<Digest> {
    match &tracked.memory {
        Some(Reading::Previous(_)) => version.previous.as_ref()?.key(key),
        _ => version.key(key),
    }
}

#[cfg(test)]
mod tests;
