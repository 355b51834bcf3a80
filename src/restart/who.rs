//! Who changed the sources that a restart is for, as far as that is known.
//!
//! The webhook of this replica saw who wrote a version, or a watch showed which field manager did ([`crate::model::writers`]).
//! Where neither tells, because another replica reviewed it or reroll was away, the metadata of the source are read, once for each
//! version. A restart does not wait long for that, and is made all the same.
//!
//! What was read may be about an older write: the removal of a key leaves no time. So it counts only if it is later than all
//! that the workload's pods have.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use crate::{
    cluster::sources::last_write,
    judge::live::Live,
    model::{
        Cause, CauseKind, SourceKey, Version, WorkloadKey,
        change::Change,
        decide::{Lookup, Restart},
        observed::Entry,
        version::key_of,
        writers::{Print, Who},
    },
};

/// The longest that restarts wait for reads of metadata.
const PATIENCE: Duration = Duration::from_secs(1);

/// Finds out who changed sources; one source at a time is read for it.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<()>);

impl Names {
    /// Returns the restart, with who made the changes that it is for.
    pub(super) async fn named(&self, live: &Live, key: &WorkloadKey, restart: &Restart) -> Restart {
        let mut named = restart.clone();
        if !live.judge.state.setup.conventions.name_writers {
            return named;
        }
        let until = Instant::now() + PATIENCE;
        for cause in &mut named.causes {
            cause.change = self.who(live, key, restart, cause, until).await;
        }
        named
    }

    async fn who(
        &self,
        live: &Live,
        key: &WorkloadKey,
        restart: &Restart,
        cause: &Cause,
        until: Instant,
    ) -> Option<Change> {
        let first = made(live, key, restart, cause)?;
        match first.who {
            Who::Known(change) => return change.is_after(first.after).then_some(change),
            Who::Nobody => return None,
            Who::Ask => {}
        }
        let _alone = timeout_at(until, self.0.lock()).await.ok()?;
        // Another restart may have asked meanwhile.
        let made = made(live, key, restart, cause)?;
        match made.who {
            Who::Known(change) => return change.is_after(made.after).then_some(change),
            Who::Nobody => return None,
            Who::Ask => {}
        }
        let read = timeout_at(until, last_write(&live.cluster, &made.source)).await;
        let last = read.ok().and_then(Result::ok).flatten();
        let last = last.filter(|last| made.print.is_of(&last.uid, last.at));
        // Whatever came of it, it is not asked again.
        let manager = last.as_ref().map(|last| last.manager.as_str());
        let mut writers = live.judge.state.writers();
        writers.show(&made.source, made.print, manager);
        drop(writers);
        let change = last.and_then(|last| Change::by(last.at, None, Some(&last.manager)));
        change.filter(|change| change.is_after(made.after))
    }
}

/// The write that a restart is for.
struct Made {
    source: SourceKey,
    print: Print,
    who: Who,
    /// What the workload's pods have is older: a write before that is another one.
    after: Timestamp,
}

/// Returns the write that a restart is for. `None` where there is none that can be told: the template was rolled back, or
/// something was written since the restart was decided.
fn made(live: &Live, key: &WorkloadKey, restart: &Restart, cause: &Cause) -> Option<Made> {
    let name = cause
        .source
        .as_ref()
        .filter(|source| source.kind.is_readable())?;
    let source = key_of(&key.namespace, name);
    let state = &live.judge.state;
    let (print, after) = {
        let index = state.index();
        let print = match (index.source(&key.namespace, name), cause.kind) {
            (Lookup::Present { version, .. }, _) => {
                let entry = restart.next.entries.get(name)?;
                is_of(entry, version).then(|| Print::of(version))?
            }
            (
                Lookup::Absent {
                    last: Some(last), ..
                },
                CauseKind::Deleted,
            ) => Print::deletion(&last.uid),
            _ => return None,
        };
        let tracked = index.workload(key)?;
        let after = match (cause.kind, &tracked.workload.last) {
            // It is a new object, or known to be newer.
            (CauseKind::Recreated | CauseKind::Created | CauseKind::Outdated, _) => {
                Timestamp::UNIX_EPOCH
            }
            (_, Some(last)) => last.opened.at,
            (_, None) => Timestamp::from_second(tracked.workload.created).ok()?,
        };
        (print, after)
    };
    let who = state.writers().who(&source, &print);
    Some(Made {
        source,
        print,
        who,
        after,
    })
}

/// Whether an entry is about this version.
fn is_of(entry: &Entry, version: &Version) -> bool {
    match entry {
        Entry::Seen {
            uid,
            resource_version,
            ..
        } => *uid == version.uid && *resource_version == version.resource_version,
        Entry::Waiting | Entry::Unknown | Entry::Deleted { .. } => false,
    }
}
