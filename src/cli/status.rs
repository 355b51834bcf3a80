//! `reroll status`: who has the current version of a source; or whatever in a namespace, or in the cluster, is not simply
//! fine.

mod shape;

use k8s_openapi::api::core::v1::Pod;

use self::shape::{Overview, Sums, User, Where, overview_table};
pub(super) use self::shape::{SourceStatus, source_table};
use super::{
    args::StatusArgs,
    ending::Ending,
    error::Error,
    explain::sources,
    installation::{Installation, ReadFlags},
    named::{Named, one},
    session::Session,
    sight::{Sight, read},
};
use crate::model::{
    Cause, Decision, SourceKey, SourceName, WorkloadKey,
    brake::converged::Shown,
    held::Held,
    pending::Pending,
    standing::{Standing, Stands, of_workload, standing},
    version::key_of,
};

/// Answers.
pub(super) async fn status(args: StatusArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let within = (!args.all_namespaces).then_some(session.namespace.as_str());
    let mut sight = read::begin(&session, &args.asking, within, read_flags).await?;
    let source = match args.object.as_slice() {
        [] => None,
        words => Some(source_named(words, &sight.installation)?),
    };
    read::all(&mut sight, &session, within).await?;
    match source {
        Some(source) => {
            let key = key_of(&session.namespace, &source);
            let status = of_source(&mut sight, &session, &key).await?;
            let now = sight.now;
            let print = |report: &SourceStatus, _| source_table(report, now);
            session.output.print(&status, print)?;
            Ok(status.ending())
        }
        None => of_all(&mut sight, &session, within),
    }
}

/// Returns the source that was typed.
pub(super) fn source_named(
    words: &[String],
    installation: &Installation,
) -> Result<SourceName, Error> {
    match one(words, &installation.flags.kinds)? {
        Named::Source(source) => Ok(source),
        Named::Workload(kind, name) => Err(Error::Usage(format!(
            "status takes a Secret or ConfigMap; of {} {name} ask: kubectl reroll explain {}/{name}",
            kind.kind, kind.plural
        ))),
        Named::Namespace(name) => Err(Error::Usage(format!(
            "status takes a Secret or ConfigMap; of a namespace ask: kubectl reroll status -n {name}"
        ))),
    }
}

/// Returns who has the current version of a source.
pub(super) async fn of_source(
    sight: &mut Sight,
    session: &Session,
    key: &SourceKey,
) -> Result<SourceStatus, Error> {
    let users = sight.index.users(key);
    let users: Vec<_> = users
        .iter()
        .map(|user| user_of(sight, user, Some(key)))
        .collect();
    let standing = standing(&sight.index, key);
    let mut notes = sight.notes();
    let older = match &standing {
        Some(standing) => older(session, standing, &mut notes).await?,
        None => None,
    };
    let written = sight.written.get(key).cloned().unwrap_or_default();
    let (name, namespace) = (key.source.spoken(), &key.namespace);
    let is_there = sight
        .index
        .source(namespace, &key.source)
        .version()
        .is_some();
    let is_readable = sight.has_read(key.source.kind, namespace);
    if !is_there && is_readable && users.is_empty() {
        return Err(Error::Usage(format!(
            "there is no {name} in {namespace}, and no workload that opted in uses it"
        )));
    }
    let outdated = older.or((!is_there && is_readable).then(Vec::new));
    Ok(SourceStatus::new(
        key, is_there, written, users, outdated, notes,
    ))
}

/// Returns the pods that may have an older value, in words; `None` where they may not be listed. One that is being deleted still
/// runs.
async fn older(
    session: &Session,
    standing: &Standing,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<String>>, Error> {
    let mut older = Vec::new();
    let see = |pod: &Pod| {
        let shown = Shown::of(pod).filter(|shown| shown.is_older(&standing.asked));
        older.extend(shown.map(|shown| shown.spoken()));
    };
    let listed = read::pods_in(session, &session.namespace, notes, see).await?;
    Ok(listed.then_some(older))
}

fn of_all(sight: &mut Sight, session: &Session, within: Option<&str>) -> Result<Ending, Error> {
    let keys = sight.index.workloads(None, within);
    let opted_in = |key: &&WorkloadKey| {
        let tracked = sight.index.workload(key);
        tracked.is_some_and(|known| known.policy.opted_in())
    };
    let keys: Vec<_> = keys.iter().filter(opted_in).cloned().collect();
    let users: Vec<_> = keys.iter().map(|key| user_of(sight, key, None)).collect();
    let overview = Overview::new(within, users, sight.notes());
    let now = sight.now;
    session
        .output
        .print(&overview, |report, wide| overview_table(report, now, wide))?;
    Ok(overview.sums.ending())
}

/// Returns where a workload stands, towards a source or towards all that it uses.
fn user_of(sight: &mut Sight, key: &WorkloadKey, source: Option<&SourceKey>) -> User {
    let (judged, held) = sight.judge(key);
    let tracked = sight.index.workload(key);
    let workload = tracked.map(|known| &known.workload);
    let decision = judged.decision.as_ref();
    let causes = decision.map(Decision::causes).unwrap_or_default();
    let of_it = |cause: &&Cause| {
        source.is_none_or(|key| cause.source.as_ref().is_none_or(|one| *one == key.source))
    };
    let causes: Vec<_> = causes.iter().filter(of_it).cloned().collect();
    let stands = workload.and_then(|workload| Pending::of_due(workload, decision));
    let is_behind = !causes.is_empty();
    // What holds a restart for another source is none of this one's.
    let reason = held.or_else(|| stands.as_ref().map(|stands| stands.reason));
    let reason = reason.filter(|held| is_behind || !held.holds_what_is_due());
    let one = source.map(|key| &key.source);
    let doubts = matches!(decision, Some(Decision::Undecided(_)))
        || !sources::are_known(sight, key, &judged, one);
    let standing = workload.map(of_workload);
    let place = match (reason, standing) {
        (Some(held), _) if held.needs_a_user() || held == Held::Owned => Where::Stuck,
        (Some(held), _) if held.is_after_restart() => Where::Stays,
        (Some(_), _) if is_behind => Where::Held,
        (None, _) if is_behind => Where::Due,
        (None, _) if doubts => Where::Unknown,
        (_, Some(Stands::Complete) | None) => Where::UpToDate,
        (_, Some(Stands::Open | Stands::Short)) => Where::Rolling,
    };
    let by = judged
        .stop
        .as_ref()
        .filter(|_| reason == Some(Held::Suspended));
    let by = by.map(|stop| stop.words(&key.namespace));
    User::new(key, place, workload, reason, &causes, (by, stands))
}

impl Sums {
    fn ending(&self) -> Ending {
        if self.stuck > 0 {
            Ending::Stuck
        } else if self.held + self.due + self.rolling + self.unknown > 0 {
            Ending::NotYet
        } else {
            Ending::Fine
        }
    }
}

impl SourceStatus {
    /// Returns how a command ends that finds this.
    pub(super) fn ending(&self) -> Ending {
        match self.sums.ending() {
            Ending::Fine if self.outdated_pods.is_none_or(|pods| pods > 0) => Ending::NotYet,
            ending => ending,
        }
    }
}
