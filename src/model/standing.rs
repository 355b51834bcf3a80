//! How the users of a source are: whether all have the live version, by what the API server shows of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Decision, Index, SourceKey, SourceName, WorkloadKey,
    brake::{
        converged::{Asked, Owner},
        versions::version_id,
    },
    index::{Overlay, Tracked},
    observed::Entry,
    source::Usage,
    version::Version,
    workload::{Changed, Opened, VersionId, Workload},
};

/// How the users of a source are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version that is live.
    pub version: VersionId,
    /// When it was written, in unix seconds.
    pub written: i64,
    /// When the last restart for it was made, as far as the users show.
    pub restarted: Option<Timestamp>,
    /// Whether a user is not through that cannot have been through before.
    pub open: bool,
    /// How each of them is; not those that are being deleted, or whose owner would revert a restart.
    pub users: Vec<(WorkloadKey, Stands)>,
    /// What is asked of pods.
    pub asked: Asked,
    /// When the last of them was complete, where all tell.
    pub at: Option<Timestamp>,
}

/// How a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It has the version, and all its pods.
    Complete,
    /// It lacks pods, or somebody else rolls it.
    Short,
    /// It is behind, or its restart is not through.
    Open,
}

/// Returns how the users of a source are; `None` where it is gone, or an object was immutable that it took the place of: nothing
/// outside a kubelet shows which of the two a pod has.
pub fn standing(index: &Index, key: &SourceKey) -> Option<Standing> {
    let SourceKey { namespace, source } = key;
    let live = index.source(namespace, source).version()?;
    let version = version_id(index.key(), Some(live));
    let written = live.changed_at();
    let mut asked = Asked {
        source: source.clone(),
        written,
        current: BTreeSet::new(),
        recorded: BTreeSet::new(),
        unnamed: BTreeSet::new(),
        users: BTreeSet::new(),
    };
    let (mut restarted, mut open) = (None, false);
    let (mut users, mut at) = (Vec::new(), Some(Timestamp::MIN));
    for user in index.users(key) {
        if index.has_immutable(&user, source, &live.uid) {
            return None;
        }
        let Some(tracked) = index.workload(&user) else {
            continue;
        };
        let opened = opened_for(tracked, source, version);
        restarted = restarted.max(opened.map(|opened| opened.at));
        let Some(is_behind) = is_behind(index, &user, source) else {
            // It is being deleted, or its owner would revert a restart: its pods tell.
            continue;
        };
        let stands = if is_behind {
            Stands::Open
        } else {
            stands(&tracked.workload, opened)
        };
        open |= stands == Stands::Open;
        if opened.is_some() {
            at = at.and_then(|at| Some(at.max(completed(&tracked.workload)?)));
        }
        let owner: Owner = (user.kind.kind.to_owned(), user.name.clone());
        let workload = &tracked.workload;
        if !is_behind && workload.older_pods().are_gone() {
            let all = if opened.is_some() || is_recorded_before(tracked, source, live) {
                &mut asked.current
            } else {
                &mut asked.recorded
            };
            all.insert(owner.clone());
        }
        if !workload.references.get(source).is_some_and(Usage::is_read) {
            asked.unnamed.insert(owner.clone());
        }
        asked.users.insert(owner);
        users.push((user, stands));
    }
    Some(Standing {
        version,
        written,
        restarted,
        open,
        users,
        asked,
        at: at.filter(|at| *at > Timestamp::MIN),
    })
}

/// Returns what is asked of pods about a source that is gone: whoever had it has what is no more. `None` where no user shows that
/// it ever was.
pub fn asked_of_absent(index: &Index, key: &SourceKey) -> Option<Asked> {
    let mut asked = Asked {
        source: key.source.clone(),
        written: i64::MAX,
        current: BTreeSet::new(),
        recorded: BTreeSet::new(),
        unnamed: BTreeSet::new(),
        users: BTreeSet::new(),
    };
    let mut was_there = false;
    for user in index.users(key) {
        let Some(tracked) = index.workload(&user) else {
            continue;
        };
        let owner: Owner = (user.kind.kind.to_owned(), user.name.clone());
        let entries = tracked.observed().map(|observed| &observed.entries);
        let entry = entries.and_then(|entries| entries.get(&key.source));
        was_there |= matches!(entry, Some(Entry::Seen { .. } | Entry::Deleted { .. }));
        let (workload, lacks) = (
            &tracked.workload,
            !matches!(entry, Some(Entry::Seen { .. })),
        );
        if entry.is_some() && lacks && workload.older_pods().are_gone() {
            asked.current.insert(owner.clone());
        }
        if !workload
            .references
            .get(&key.source)
            .is_some_and(Usage::is_read)
        {
            asked.unnamed.insert(owner.clone());
        }
        asked.users.insert(owner);
    }
    was_there.then_some(asked)
}

impl Standing {
    /// Whether there are users, and all have the version, and all their pods.
    pub fn is_complete(&self) -> bool {
        let is_complete = |(_, stands): &(_, Stands)| *stands == Stands::Complete;
        !self.users.is_empty() && self.users.iter().all(is_complete)
    }
}

/// Whether the last restart of a workload is one of which pods may be left that are older than it, so that nobody can have been told
/// that it has the version.
pub fn is_open(workload: &Workload) -> bool {
    let Some(last) = workload.last.as_ref().filter(|last| last.is_ours) else {
        return false;
    };
    let (opened, progress) = (&last.opened, &workload.progress);
    let seen = workload.observed_generation;
    let older = progress
        .counts
        .is_some_and(|counts| counts.all > counts.updated);
    // A node that joins lacks a pod, whatever there was to tell before.
    opened.is_unseen(seen) || !progress.by_node && older && !progress.is_complete(opened, seen)
}

/// Returns how a workload is, whatever it was restarted for last.
pub fn of_workload(workload: &Workload) -> Stands {
    let last = workload.last.as_ref().filter(|last| last.is_ours);
    stands(workload, last.map(|last| &last.opened))
}

fn stands(workload: &Workload, opened: Option<&Opened>) -> Stands {
    let progress = &workload.progress;
    let is_ours = workload.last.as_ref().is_some_and(|last| last.is_ours);
    let Some(opened) = opened.filter(|_| is_ours) else {
        return if progress.rolls() {
            Stands::Short
        } else {
            Stands::Complete
        };
    };
    let seen = workload.observed_generation;
    let untold = progress.counts.is_none() && !opened.is_unseen(seen);
    if untold || progress.is_complete(opened, seen) {
        Stands::Complete
    } else if is_open(workload) {
        Stands::Open
    } else {
        Stands::Short
    }
}

/// Returns a workload's last restart where that was for this version.
fn opened_for<'a>(
    tracked: &'a Tracked,
    source: &SourceName,
    version: VersionId,
) -> Option<&'a Opened> {
    let opened = &tracked.workload.last.as_ref()?.opened;
    let changed = Changed::Source(source.clone());
    (opened.versions.get(&changed) == Some(&version)).then_some(opened)
}

/// Whether a workload's pods may lack what is live of a source; `None` where nothing is decided for it.
fn is_behind(index: &Index, key: &WorkloadKey, source: &SourceName) -> Option<bool> {
    let decision = index.assess(key, &Overlay::new())?;
    Some(match &decision {
        Decision::Keep(_) | Decision::Record(_) => false,
        Decision::Undecided(_) => true,
        Decision::Wait { causes, .. } => names(causes.iter().map(|it| it.source.as_ref()), source),
        Decision::Restart(restart) => {
            names(restart.causes.iter().map(|it| it.source.as_ref()), source)
        }
    })
}

/// Whether a workload's record is of a version before this one: then this one changed nothing that the workload uses. Of what is
/// recorded at this very version, or for the first time, nobody knows whether pods were there before. What no version numbers,
/// pods show themselves.
fn is_recorded_before(tracked: &Tracked, source: &SourceName, live: &Version) -> bool {
    if !source.kind.is_readable() {
        return true;
    }
    let Some(observed) = tracked.observed() else {
        return false;
    };
    let recorded = match observed.entries.get(source) {
        Some(Entry::Seen {
            uid,
            resource_version,
            ..
        }) => (*uid == live.uid).then_some(*resource_version),
        Some(_) => None,
        None => observed.fold.as_ref().map(|it| it.newest.of(source.kind)),
    };
    recorded.is_some_and(|at| 0 < at && at < live.resource_version)
}

/// Whether one of these is the source, or none that is known.
fn names<'a>(
    mut causes: impl Iterator<Item = Option<&'a SourceName>>,
    source: &SourceName,
) -> bool {
    causes.any(|cause| cause.is_none_or(|cause| cause == source))
}

/// Returns when a workload's rollout was complete, where its kind tells.
fn completed(workload: &Workload) -> Option<Timestamp> {
    Timestamp::from_second(workload.progress.completed_at?).ok()
}
