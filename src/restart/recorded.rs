//! What is recorded in place of a restart: a rollout by others has done what the restart was to do.
//!
//! A tool that writes its whole manifest while the webhook is away (`terraform apply`, `kubectl replace`) takes the mark of the last restart
//! away. That rolls the pods. Where a mark is away, `observed` is in doubt, for pods of a template of before may be back; so reroll
//! restarts, a second rollout. It does not where each pod shows that it was made after the last restart: by the mark that it carries, or by
//! its time. That is later than the revision with that mark, which was made for the restart, and later than the last write of every source
//! (the removal of a key leaves no time, and the revision does). Times are whole seconds, and equal ones are not later.
//!
//! Whatever is in doubt restarts: no pod, a source that is absent or has no time, a template that uses something else than was observed,
//! former entries, a fold, a mark of another kind, no revision with the mark.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    cluster::{Failure, pods, revisions},
    judge::live::Live,
    model::{
        Index, Observed, WorkloadKey,
        annotation::RESTARTED_FOR,
        decide::{CauseKind, Restart},
        observed::Formers,
        patch,
        workload::{RestartBy, Workload},
    },
};

/// Records what pods were started with that others have rolled. An undo starts its pods anew, so no fresh mark is needed.
/// Returns `false` where there is no room; nothing is written then.
///
/// # Errors
/// When the API server refuses, or does not answer in time. Then it may have been written.
pub(super) async fn record(
    live: &Live,
    key: &WorkloadKey,
    known: &Workload,
    restart: &Restart,
) -> Result<bool, Failure> {
    let text = {
        let index = live.judge.state.index();
        let next = restart
            .next
            .clone()
            .under(&known.restarted_for, index.key());
        next.print(index.key())
    };
    if !known.has_room(text.len(), None) {
        return Ok(false);
    }
    live.write(key, &patch::settle(key.kind, known, &text))
        .await?;
    Ok(true)
}

/// Records the template that stands where a restart is for nothing but a mark that is away, and all pods were made after the
/// restart that had set it. Returns whether it did.
///
/// # Errors
/// When the API server refuses, or does not answer in time: another writer may have been first.
pub(super) async fn made_since(
    live: &Live,
    key: &WorkloadKey,
    restart: &Restart,
) -> Result<bool, Failure> {
    let away = away(&live.judge.state.index(), key, restart);
    let Some(Away {
        known,
        mark,
        written,
    }) = away
    else {
        return Ok(false);
    };
    let Some(made) = revisions::made(&live.cluster, key, &mark).await? else {
        return Ok(false);
    };
    let Some(all) = pods::of(&live.cluster, key).await? else {
        return Ok(false);
    };
    if !all_since(&all, &mark, made.max(written)) {
        return Ok(false);
    }
    if !record(live, key, &known, restart).await? {
        return Ok(false);
    }
    tracing::info!(workload = %key, "the mark of a restart is away, and every pod was made after that restart: recorded");
    Ok(true)
}

/// A workload whose mark is away, and of which nothing else is new.
struct Away {
    known: Workload,
    /// The mark that it had.
    mark: String,
    /// When the last of its sources was written, in unix seconds.
    written: i64,
}

fn away(index: &Index, key: &WorkloadKey, restart: &Restart) -> Option<Away> {
    let alone = |kind| kind == CauseKind::RolledBack;
    if restart.causes.is_empty() || !restart.causes.iter().all(|cause| alone(cause.kind)) {
        return None;
    }
    let tracked = index.workload(key)?;
    let (workload, observed) = (&tracked.workload, tracked.observed()?);
    let by_template = matches!(workload.restart_by, RestartBy::Template);
    if !by_template || observed.restarted_for.is_empty() || !is_of_same(observed, &restart.next) {
        return None;
    }
    let mut written = 0;
    for source in tracked.uses().keys() {
        let version = index.source(&key.namespace, source).version()?;
        if !source.kind.is_readable() || version.changed_at() <= 0 {
            return None;
        }
        written = written.max(version.changed_at());
    }
    Some(Away {
        known: workload.clone(),
        mark: observed.restarted_for.clone(),
        written,
    })
}

/// Whether both are of the same sources, and nothing is left of a template that used others.
fn is_of_same(before: &Observed, next: &Observed) -> bool {
    let plain = |one: &Observed| one.fold.is_none() && one.formers == Formers::default();
    let names = |one: &Observed| one.entries.keys().cloned().collect::<Vec<_>>();
    plain(before) && plain(next) && names(before) == names(next)
}

/// Whether there are pods, and each has this mark or was made after this time, in unix seconds. What has ended or goes does not count.
fn all_since(pods: &[Pod], mark: &str, since: i64) -> bool {
    let mut there = pods.iter().filter(|pod| !pods::goes(pod)).peekable();
    let is_later = |pod: &Pod| {
        let made = pod.metadata.creation_timestamp.as_ref();
        made.is_some_and(|made| made.0.as_second() > since)
    };
    let has_mark = |pod: &Pod| {
        let own = pod.annotations().get(RESTARTED_FOR);
        own.is_some_and(|own| own == mark)
    };
    there.peek().is_some() && there.all(|pod| has_mark(pod) || is_later(pod))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(mark: Option<&str>, made: &str, phase: &str) -> Pod {
        let pod = json!({
            "metadata": { "creationTimestamp": made, "annotations": mark.map(|mark| json!({ (RESTARTED_FOR): mark })) },
            "status": { "phase": phase },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn each_pod_has_the_mark_or_is_later() {
        let at = |second: i64| format!("1970-01-01T00:00:{second:02}Z");
        let pods = |all: &[(Option<&str>, i64)]| -> Vec<Pod> {
            all.iter()
                .map(|(mark, made)| pod(*mark, &at(*made), "Running"))
                .collect()
        };
        for (all, expected) in [
            (pods(&[]), false),
            (pods(&[(Some("m"), 10), (None, 11)]), true),
            (pods(&[(Some("m"), 10), (None, 10)]), false),
            (pods(&[(Some("old"), 9)]), false),
            (pods(&[(None, 11), (Some("old"), 12)]), true),
            (
                [pods(&[(None, 11)]), vec![pod(None, &at(1), "Failed")]].concat(),
                true,
            ),
            (vec![pod(None, &at(1), "Failed")], false),
        ] {
            assert_eq!(all_since(&all, "m", 10), expected, "{all:?}");
        }
    }
}
