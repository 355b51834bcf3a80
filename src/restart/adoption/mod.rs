//! What is looked up once for a workload that is being adopted: which of its sources are newer than its pods.

pub(super) mod adopted;

use crate::{
    cluster::{Failure, revisions},
    judge::live::Live,
    model::{
        Cause, CauseKind, SourceName, WorkloadKey,
        decide::{Lookup, Restart, restart_for},
        policy::OnAdopt,
    },
    state::State,
};

/// The sources of a workload that is being adopted that were written after its newest revision was made.
#[derive(Debug, Default)]
pub(super) struct Outdated {
    /// All of them.
    pub(super) sources: Vec<SourceName>,
    /// Those of them whose change reroll missed: it looked after the workload before, and the pods do not have the
    /// version of now.
    pub(super) missed: Vec<SourceName>,
}

/// Finds the outdated sources of a workload that is being adopted; `None` while its newest revision may not be made
/// yet. `found`: the workload had no `observed` when reroll first saw it, so reroll may have looked after it before.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub(super) async fn outdated(
    live: &Live,
    key: &WorkloadKey,
    found: bool,
) -> Result<Option<Outdated>, Failure> {
    let state = &live.judge.state;
    let (past, behind) = revisions::past(&live.cluster, key, &state.setup.key).await?;
    if behind && (found || asks_for_restart(state, key)) {
        return Ok(None);
    }
    let nothing = Some(Outdated::default());
    let Some(revision) = past.newest else {
        return Ok(nothing);
    };
    let index = state.index();
    let Some(tracked) = index.workload(key) else {
        return Ok(nothing);
    };
    // A workload that was created again may take over a revision that is older than the workload. Its adopted pods are
    // examined on their own (`adopted.rs`). The pods that it makes itself are no older than the workload.
    let revision = revision.max(tracked.workload.created);
    let mut outdated = Outdated::default();
    let read = tracked.uses().iter();
    for (source, usage) in read.filter(|(_, usage)| usage.is_read()) {
        let Lookup::Present { version, .. } = index.source(&key.namespace, source) else {
            continue;
        };
        if version.changed_at() <= revision {
            continue;
        }
        if !version.tells(usage) {
            // It is read before anything is decided.
            return Ok(None);
        }
        if found && past.was_ours && !past.has(source, usage, version) {
            outdated.missed.push(source.clone());
        }
        outdated.sources.push(source.clone());
    }
    Ok(Some(outdated))
}

/// Whether a workload asks for a restart if a source is outdated (`on-adopt: restart`).
pub(super) fn asks_for_restart(state: &State, key: &WorkloadKey) -> bool {
    let index = state.index();
    let tracked = index.workload(key);
    tracked.is_some_and(|tracked| tracked.policy.on_adopt == OnAdopt::Restart)
}

/// What follows for outdated sources.
pub(super) enum Behind {
    /// A restart.
    Restart(Box<Restart>),
    /// A restart, when nothing holds it up any more. What is remembered says so.
    Later,
}

/// Returns what follows for outdated sources: for all of them where the workload asks for that, else for those that were
/// missed. `None`: nothing; also if the workload's mark is no longer `mark`, because it was restarted meanwhile.
pub(super) fn restart_outdated(
    state: &State,
    key: &WorkloadKey,
    mark: &str,
    outdated: &Outdated,
) -> Option<Behind> {
    let mut index = state.index_mut();
    let tracked = index.workload(key)?;
    let sources = match tracked.policy.on_adopt {
        OnAdopt::Restart => &outdated.sources,
        OnAdopt::Report => &outdated.missed,
    };
    let stands = tracked.workload.restarted_for == mark && tracked.observed().is_some();
    if !stands || sources.is_empty() {
        return None;
    }
    if index.set_outdated(key, sources) {
        return Some(Behind::Later);
    }
    let tracked = index.workload(key)?;
    let observed = tracked.observed()?;
    let causes = sources
        .iter()
        .map(|source| Cause::plain(CauseKind::Outdated, Some(source)))
        .collect();
    let subject = tracked.subject(key.kind, tracked.uses());
    let restart = restart_for(&subject, observed, causes, index.key());
    Some(Behind::Restart(Box::new(restart)))
}
