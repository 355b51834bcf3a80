//! `reroll status`: who has the current version of a source; or whatever in a namespace, or in the cluster, is not simply
//! fine.

mod shape;

use std::{io::Write as _, time::Duration};

use console::Term;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::{Instant, sleep};

use self::shape::{Exists, Sums, User, overview_table};
pub(super) use self::shape::{Overview, SourceStatus, Where, source_table};

use super::{
    args::StatusArgs,
    ending::Ending,
    error::Error,
    explain::sources,
    installation::{Installation, ReadFlags},
    named::{Named, one},
    output::Output,
    session::Session,
    sight::{
        Sight, failing,
        gated::{self, gated},
        read,
    },
};
use crate::model::{
    Cause, Decision, SourceKey, SourceName, WorkloadKey,
    brake::{converged::Shown, once::Failure},
    held::Held,
    pending::Pending,
    standing::{Stands, asked_of_absent, of_workload, standing},
    version::key_of,
};

/// The shortest pause between two looks of `--watch`.
const PAUSE: Duration = Duration::from_secs(2);
/// So many times as long as a look took it pauses, at least: who watches a large cluster costs the API server little.
const SHARE: u32 = 4;

/// An answer.
enum Answer {
    Source(SourceStatus),
    All(Overview),
}

/// Answers: once, or again and again.
pub(super) async fn status(args: StatusArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    if args.watch {
        return watch(&session, &args, read_flags).await;
    }
    let (answer, now) = ask(&session, &args, read_flags).await?;
    answer.print(&session.output, now)?;
    Ok(answer.ending())
}

/// Answers whenever something changed, until it is interrupted. A terminal shows the last answer alone.
async fn watch(
    session: &Session,
    args: &StatusArgs,
    read_flags: ReadFlags,
) -> Result<Ending, Error> {
    let screen = Term::stdout();
    let mut last = None;
    loop {
        let began = Instant::now();
        match ask(session, args, read_flags).await {
            Ok((answer, now)) => {
                let told = Some(answer.told()?);
                if screen.is_term() && session.output.is_for_people() {
                    screen.clear_screen()?;
                    answer.print(&session.output, now)?;
                } else if told != last {
                    answer.print(&session.output, now)?;
                }
                last = told;
            }
            Err(error) if error.passes() && last.is_some() => {
                writeln!(anstream::stderr(), "reroll: {error}; it is asked again")?;
            }
            Err(error) => return Err(error),
        }
        sleep(PAUSE.max(began.elapsed() * SHARE)).await;
    }
}

async fn ask(
    session: &Session,
    args: &StatusArgs,
    read_flags: ReadFlags,
) -> Result<(Answer, Timestamp), Error> {
    let within = (!args.all_namespaces).then_some(session.namespace.as_str());
    let mut sight = read::begin(session, &args.asking, within, read_flags).await?;
    let source = match args.object.as_slice() {
        [] => None,
        words => Some(source_named(
            "status",
            words,
            &sight.installation,
            &session.namespace,
        )?),
    };
    read::all(&mut sight, session, within).await?;
    let answer = if let Some(source) = source {
        let key = key_of(&session.namespace, &source);
        Answer::Source(of_source(&mut sight, session, &key).await?)
    } else {
        failing::look(&mut sight, session, within, None).await?;
        let is_complete = sight.is_complete(session, within)?;
        Answer::All(overview(&mut sight, within, is_complete))
    };
    Ok((answer, sight.now))
}

impl Answer {
    fn print(&self, output: &Output, now: Timestamp) -> Result<(), Error> {
        match self {
            Self::Source(status) => output.print(status, |report, _| source_table(report, now)),
            Self::All(overview) => {
                output.print(overview, |report, wide| overview_table(report, now, wide))
            }
        }
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Source(status) => status.ending(),
            Self::All(overview) => overview.ending(),
        }
    }

    /// Returns what it tells, to see whether another tells the same.
    fn told(&self) -> Result<String, Error> {
        let text = match self {
            Self::Source(status) => serde_json::to_string(status),
            Self::All(overview) => serde_json::to_string(overview),
        };
        Ok(text.map_err(std::io::Error::other)?)
    }
}

/// Returns the source that was typed behind a command.
pub(super) fn source_named(
    command: &str,
    words: &[String],
    installation: &Installation,
    namespace: &str,
) -> Result<SourceName, Error> {
    match one(words, &installation.flags.kinds)? {
        Named::Source(source) => Ok(source),
        Named::Workload(kind, name) => Err(Error::Usage(format!(
            "{command} takes a Secret or ConfigMap; of {} {name} ask: kubectl reroll explain {}/{name} -n {namespace}",
            kind.kind, kind.plural
        ))),
        Named::Namespace(name) => Err(Error::Usage(format!(
            "{command} takes a Secret or ConfigMap; of a namespace ask: kubectl reroll status -n {name}"
        ))),
    }
}

/// Returns who has the current version of a source.
pub(super) async fn of_source(
    sight: &mut Sight,
    session: &Session,
    key: &SourceKey,
) -> Result<SourceStatus, Error> {
    let (name, namespace) = (key.source.spoken(), &key.namespace);
    let is_readable = sight.has_read(key.source.kind, namespace);
    let live = sight.index.source(namespace, &key.source);
    let is_there = live.version().is_some();
    let asked = if is_there {
        standing(&sight.index, key).map(|standing| standing.asked)
    } else if is_readable {
        asked_of_absent(&sight.index, key)
    } else {
        None
    };
    // Those that may have an older value. One that is being deleted still runs.
    let mut older: Vec<Shown> = Vec::new();
    let mut see = |pod: &Pod| {
        let is_older = |shown: &Shown| asked.as_ref().is_some_and(|asked| shown.is_older(asked));
        older.extend(Shown::of(pod).filter(is_older));
    };
    let also: Option<&mut (dyn FnMut(&Pod) + Send)> = match asked {
        Some(_) => Some(&mut see),
        None => None,
    };
    let within = Some(session.namespace.as_str());
    let listed = failing::look(sight, session, within, also).await?;
    let is_complete = sight.is_complete(session, within)?;
    let users = sight.index.users(key);
    let users: Vec<_> = users
        .iter()
        .map(|user| user_of(sight, user, Some(key)).with_pods(is_there || !is_readable, &older))
        .collect();
    let notes = sight.notes();
    let written = sight.written(key);
    if !is_there && is_readable && is_complete && users.is_empty() {
        return Err(Error::Usage(format!(
            "there is no {name} in {namespace}, and no workload that opted in uses it"
        )));
    }
    let older = (listed && asked.is_some()).then(|| older.iter().map(Shown::spoken).collect());
    let nobody_had_it = !is_there && is_readable && asked.is_none();
    let outdated = older.or(nobody_had_it.then(Vec::new));
    let exists = match (is_there, is_readable) {
        (true, _) => Exists::Yes,
        (false, true) => Exists::No,
        (false, false) => Exists::Unread,
    };
    Ok(SourceStatus::new(
        key,
        (exists, is_complete),
        written,
        users,
        outdated,
        (sight.warnings(within), notes),
    ))
}

/// Returns where all workloads stand that opted in.
pub(super) fn overview(sight: &mut Sight, within: Option<&str>, complete: bool) -> Overview {
    let keys = sight.index.workloads(None, within);
    let opted_in = |key: &&WorkloadKey| {
        let tracked = sight.index.workload(key);
        tracked.is_some_and(|known| known.policy.opted_in())
    };
    let keys: Vec<_> = keys.iter().filter(opted_in).cloned().collect();
    let users: Vec<_> = keys.iter().map(|key| user_of(sight, key, None)).collect();
    let mut warnings = sight.warnings(within);
    warnings.extend(sight.suspended(within));
    let notes = (warnings, sight.notes());
    Overview::new(within, (users, complete), notes)
}

/// Returns where a workload stands, towards a source or towards all that it uses.
fn user_of(sight: &mut Sight, key: &WorkloadKey, source: Option<&SourceKey>) -> User {
    let (judged, held) = sight.judge(key);
    let gated = gated(sight, key, (&judged, held));
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
    let reason = gated::reason(&judged, held, gated.as_ref(), stands.as_ref());
    let reason = reason.filter(|held| is_behind || !held.holds_what_is_due());
    // Whether a source itself is there stands above its users.
    let lacks = source.is_none() && !judged.absent.is_empty();
    let reason = reason.or_else(|| lacks.then_some(Held::Missing));
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
    let by = by.or_else(|| gated.filter(|_| is_behind).map(|gated| gated.words));
    // One that is held or due may be mended by what comes.
    let failure = sight.failures.get(key).filter(|_| place == Where::Rolling);
    let place = if failure.is_some() {
        Where::Stuck
    } else {
        place
    };
    let by = by.or_else(|| failure.map(Failure::spoken));
    let absent = judged.absent.first().filter(|_| lacks && !is_behind);
    let by = by.or_else(|| absent.map(ToString::to_string));
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

impl Overview {
    fn ending(&self) -> Ending {
        match self.sums.ending() {
            Ending::Fine if !self.complete => Ending::NotYet,
            ending => ending,
        }
    }
}

impl SourceStatus {
    /// Returns how a command ends that finds this.
    pub(super) fn ending(&self) -> Ending {
        match self.sums.ending() {
            // Nobody can have what is not there, and of what may not be read nobody knows.
            Ending::Fine
                if self.outdated_pods.is_none_or(|pods| pods > 0)
                    || !self.exists
                    || !self.complete =>
            {
                Ending::NotYet
            }
            ending => ending,
        }
    }
}

#[cfg(test)]
mod tests;
