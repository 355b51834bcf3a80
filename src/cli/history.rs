//! `reroll history`: what restarted, when, for which change, by whom, and what became of it.
//!
//! It is read off revisions (ReplicaSets and `ControllerRevisions`, of which a workload keeps ten unless it says otherwise), the
//! workloads and Events, which the API server keeps for an hour by default.

mod revisions;
mod shape;
mod told;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use kube::ResourceExt as _;

#[cfg(test)]
pub(super) use self::shape::History as Answer;
use self::{
    revisions::{Revision, Step, What, steps},
    shape::{History, Line, Outcome, table},
    told::Told,
};
use super::{
    args::HistoryArgs,
    ending::Ending,
    error::Error,
    explain::workload_of,
    installation::ReadFlags,
    last_restart::LastRestart,
    named::all,
    session::Session,
    sight::{Sight, failing, read},
};
use crate::model::{WorkloadKey, brake::later, workload::Workload};

/// Answers.
pub(super) async fn history(args: HistoryArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let within = (!args.all_namespaces).then_some(session.namespace.as_str());
    let mut sight = read::begin_without_key(&session, &args.asking, within, read_flags).await?;
    let named = all(&args.object, &sight.installation.flags.kinds)?.into_iter();
    let named = named.map(|named| workload_of("history", named, &session.namespace));
    let named: Vec<_> = named.collect::<Result<_, _>>()?;
    read::all_workloads(&mut sight, &session, within).await?;
    let is_complete = sight.is_complete(&session, within)?;
    if let Some(key) = named.iter().find(|key| sight.index.workload(key).is_none()) {
        let (what, place) = (key.spoken(), &key.namespace);
        let notes = sight.notes().join("; ");
        let notes = if notes.is_empty() {
            notes
        } else {
            format!(" ({notes})")
        };
        return Err(Error::Usage(format!(
            "there is no {what} in {place}{notes}"
        )));
    }
    failing::look(&mut sight, &session, within, None).await?;
    let revisions = all_revisions(&mut sight, &session, within).await?;
    let told = told::read(&mut sight, &session, within).await?;
    let wanted = |key: &WorkloadKey| named.is_empty() || named.contains(key);
    let keys = sight.index.workloads(None, within);
    let mut lines = Vec::new();
    for key in keys.iter().filter(|key| wanted(key)) {
        let own = revisions.get(key).cloned().unwrap_or_default();
        lines.extend(lines_of(&sight, key, own, &told));
    }
    let since = args.since.map(|since| {
        let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
        later(sight.now, -since)
    });
    let mut history = History::new(within, since, lines, sight.notes());
    if named.is_empty() {
        history.keep_restarts();
    }
    let now = sight.now;
    session
        .output
        .print(&history, |report, wide| table(report, now, wide))?;
    Ok(if is_complete {
        Ending::Fine
    } else {
        Ending::NotYet
    })
}

type Revisions = BTreeMap<WorkloadKey, Vec<Revision>>;

async fn all_revisions(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<Revisions, Error> {
    let mut all = Revisions::new();
    let mut take = |sight: &Sight, namespace: String, read: Option<Revision>| {
        let Some(revision) = read else { return };
        let (kind, name) = &revision.owner;
        let kind = sight.index.kinds().iter().find(|it| it.kind == kind);
        if let Some(kind) = kind {
            let key = WorkloadKey {
                kind,
                namespace,
                name: name.clone(),
            };
            all.entry(key).or_default().push(revision);
        }
    };
    let see = |object: ReplicaSet| {
        let namespace = object.namespace().unwrap_or_default();
        take(sight, namespace, Revision::of_replica_set(object));
    };
    let sets = session.each(within, see).await?;
    let see = |object: ControllerRevision| {
        let namespace = object.namespace().unwrap_or_default();
        take(sight, namespace, Revision::of_controller_revision(object));
    };
    let revisions = session.each(within, see).await?;
    sight.note([sets, revisions].into_iter().flatten().collect());
    Ok(all)
}

/// Returns what a workload and its revisions tell.
fn lines_of(sight: &Sight, key: &WorkloadKey, own: Vec<Revision>, told: &Told) -> Vec<Line> {
    let Some(workload) = sight.index.workload(key).map(|known| &known.workload) else {
        return Vec::new();
    };
    let steps = steps(own);
    let last = sight
        .last_restarts
        .get(key)
        .map(|text| LastRestart::read(text));
    // One by time makes no revision, nor does that of a CronJob.
    let is_shown = |at: Timestamp| {
        let apart = |step: &Step| step.at.duration_since(at).abs().as_secs();
        steps
            .iter()
            .any(|step| step.what == What::Restart && apart(step) <= 1)
    };
    let more = last
        .and_then(|last| Some((last.at?, last.causes)))
        .filter(|(at, _)| !is_shown(*at));
    let newest = steps.len().checked_sub(1);
    let mut lines = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let next = steps.get(number + 1).map(|next| next.at);
        let is_last = Some(number) == newest && more.is_none();
        let (outcome, completed_at, trouble) = if is_last {
            outcome(sight, key, workload, step)
        } else {
            former(key, &steps, number, next, told)
        };
        lines.push(Line {
            at: step.at,
            workload: key.into(),
            revision: Some(step.revision),
            what: step.what,
            cause: step.cause.clone(),
            changed: step.changed.clone(),
            outcome,
            completed_at,
            trouble,
        });
    }
    lines.extend(more.map(|(at, cause)| Line {
        at,
        workload: key.into(),
        revision: None,
        what: What::Restart,
        cause,
        changed: BTreeMap::new(),
        outcome: Outcome::Unknown,
        completed_at: None,
        trouble: None,
    }));
    lines
}

type Became = (Outcome, Option<Timestamp>, Option<String>);

/// Returns what became of the newest.
fn outcome(sight: &Sight, key: &WorkloadKey, workload: &Workload, step: &Step) -> Became {
    if let Some(failure) = sight.failures.get(key) {
        return (Outcome::Failed, None, Some(failure.words.clone()));
    }
    let progress = &workload.progress;
    match progress.counts {
        None => (Outcome::Unknown, None, None),
        Some(_) if workload.is_behind() || progress.rolls() => (Outcome::Rolling, None, None),
        Some(_) => {
            let at = progress
                .completed_at
                .and_then(|at| Timestamp::from_second(at).ok());
            let at = at.filter(|at| at.as_second() >= step.at.as_second());
            (Outcome::Complete, at, None)
        }
    }
}

/// Returns what became of one that another followed.
fn former(
    key: &WorkloadKey,
    steps: &[Step],
    number: usize,
    next: Option<Timestamp>,
    told: &Told,
) -> Became {
    let step = &steps[number];
    if let Some(words) = told.failed(key, step.at, next) {
        return (Outcome::Failed, None, Some(words));
    }
    let before = number.checked_sub(1).and_then(|number| steps.get(number));
    let scaled = before.and_then(|before| told.scaled_to_none(key, &before.name, step.at, next));
    match scaled {
        Some(at) => (Outcome::Complete, Some(at), None),
        None => (Outcome::Unknown, None, None),
    }
}
