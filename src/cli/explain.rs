//! `reroll explain`: whether a workload is opted in, what it uses and has, what is pending, and what holds it.

mod besides;
mod met;
mod shape;
pub(super) mod sources;
mod state;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

#[cfg(test)]
pub(super) use self::shape::Explanation as Answer;
use self::{
    besides::besides,
    shape::{Explanation, OptedIn, PendingLine, Pods, Verdict, table},
    state::State,
};
use super::{
    args::ExplainArgs,
    ending::Ending,
    error::Error,
    installation::{Installation, ReadFlags},
    last_restart::LastRestart,
    lint::live,
    named::{Named, one},
    session::Session,
    sight::{
        Sight, failing,
        gated::{self, Gated, gated},
        read,
    },
};
use crate::model::{
    Decision, Kind, SourceName, WorkloadKey,
    annotation::RESTART_ON,
    brake::{converged::Shown, once::Failure},
    decide::{Lookup, Undecided, joined},
    gate::{
        suspend::{Place, Stop},
        together::{Standing, idles},
    },
    held::Held,
    index::{Judged, Overlay, Tracked, together},
    note::Note,
    pending::Pending,
    policy::{OptedBy, Policy, Selection, Spared, is_left_alone},
    workload::{RestartMeans, Workload, off_by_default, turned_on},
};

/// Answers.
pub(super) async fn explain(args: ExplainArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let namespace = session.namespace.as_str();
    let mut sight = read::begin(&session, &args.asking, Some(namespace), read_flags).await?;
    let key = workload_key("explain", &args.object, &sight.installation, namespace)?;
    let (mut no_effect, kinds) = (Vec::new(), sight.installation.flags.kinds.clone());
    let mut see =
        |of: (&str, &str), object: &_| no_effect.extend(live::useless(of, object, &kinds));
    if !read::one_shown(&mut sight, &session, &key, &mut see).await? {
        let what = key.spoken();
        return Err(Error::Usage(format!("there is no {what} in {namespace}")));
    }
    no_effect.extend(besides(&sight, &key, &kinds));
    gated::read_lower(&mut sight, &session, &key).await?;
    let older = older(&mut sight, &session, &key).await?;
    let mut explanation = explained(&mut sight, &key, &older, no_effect);
    if let Some(due) = explanation
        .pending
        .as_mut()
        .filter(|due| due.reason.is_none())
    {
        let last = explanation.last_restart.as_ref().and_then(|last| last.at);
        let (met, note) = met::read(&session, &key, last).await?;
        explanation.notes.extend(note);
        if let Some(met) = met {
            due.words = met.words;
            due.reason = met.held.map(Held::as_str);
            due.remedy = met.held.and_then(|held| remedy(held, None, &key));
            if met.held.is_some_and(Held::needs_a_user) {
                explanation.verdict = Verdict::CannotRestart;
            }
        }
    }
    let now = sight.now;
    session
        .output
        .print(&explanation, |report, wide| table(report, now, wide))?;
    Ok(explanation.verdict.ending())
}

/// Returns the workload that was typed behind a command.
pub(super) fn workload_key(
    command: &str,
    words: &[String],
    installation: &Installation,
    namespace: &str,
) -> Result<WorkloadKey, Error> {
    let named = one(words, &installation.flags.kinds)?;
    workload_of(command, named, namespace)
}

/// Returns which workload was named, or what tells of what was named instead.
pub(super) fn workload_of(
    command: &str,
    named: Named,
    namespace: &str,
) -> Result<WorkloadKey, Error> {
    match named {
        Named::Workload(kind, name) => Ok(WorkloadKey {
            kind,
            namespace: namespace.to_owned(),
            name,
        }),
        Named::Source(source) => Err(Error::Usage(format!(
            "{command} takes a workload; of {} ask: kubectl reroll status {source} -n {namespace}",
            source.spoken()
        ))),
        Named::Namespace(name) => Err(Error::Usage(format!(
            "{command} takes a workload; of a namespace ask: kubectl reroll status -n {name}"
        ))),
    }
}

/// Looks at the pods of a workload. Returns the sources of which one of them may have what was before the last write, though what is
/// recorded of the workload is what is live.
async fn older(
    sight: &mut Sight,
    session: &Session,
    key: &WorkloadKey,
) -> Result<BTreeSet<SourceName>, Error> {
    let asked = sources::doubted(sight, key);
    let mut older = BTreeSet::new();
    let mut see = |pod: &Pod| {
        let Some(shown) = Shown::of(pod) else { return };
        let owner = shown.owner.as_ref();
        if owner.is_some_and(|(kind, name)| (kind.as_str(), name) == (key.kind.kind, &key.name)) {
            let asked = asked.iter().filter(|asked| shown.is_older(asked));
            older.extend(asked.map(|asked| asked.source.clone()));
        }
    };
    let also: Option<&mut (dyn FnMut(&Pod) + Send)> = if asked.is_empty() {
        None
    } else {
        Some(&mut see)
    };
    failing::look(sight, session, Some(&key.namespace), also).await?;
    Ok(older)
}

/// Explains a workload that was read, of which pods may have what was before of these sources. `useless`: what is written and has no
/// effect, wherever it is meant for.
fn explained(
    sight: &mut Sight,
    key: &WorkloadKey,
    older: &BTreeSet<SourceName>,
    useless: Vec<String>,
) -> Explanation {
    let (judged, held) = sight.judge(key);
    let gated = gated(sight, key, (&judged, held));
    let mut sources = sources::of(sight, key, &judged);
    let works_here =
        sight.installation.flags.work_in(&key.namespace) && sight.index.works_in(&key.namespace);
    let tracked = sight.index.workload(key);
    let policy = tracked.map(|known| &known.policy);
    let defaults = sight.index.defaults_of(&key.namespace);
    let says = tracked.and_then(|known| {
        let asks = &known.workload.asks;
        if is_left_alone(asks) {
            return Some(OptedIn::ignored());
        }
        OptedBy::of(asks, defaults).map(OptedIn::of)
    });
    let is_read = policy.is_some_and(|policy| matches!(policy.selection, Selection::Some(_)));
    let workload = tracked.map(|known| &known.workload);
    let idle = workload.is_some_and(|workload| Policy::is_idle(workload, defaults));
    let (opted_in, says) = if is_read || idle {
        (says, None)
    } else {
        (None, says)
    };
    let state = match workload {
        _ if idle => State::Suspended,
        None => State::Unknown,
        Some(workload) => State::of(workload),
    };
    if state != State::Rolling {
        // Of a rollout older pods are a part, and that is told.
        sources::take_doubts(&mut sources, older);
    }
    let pending = workload.and_then(|workload| pending(key, workload, &judged, (held, gated)));
    let is_held = pending.is_some();
    let complaints = tracked.into_iter().flat_map(|known| &known.complaints);
    let in_vain = tracked.map_or_else(Vec::new, |known| in_vain(sight, key, known));
    let mut explanation = Explanation {
        api_version: super::object::API_VERSION,
        kind: "Explanation",
        workload: key.into(),
        works_here,
        restarts_kind: sight
            .index
            .kinds()
            .find(key.kind.group, key.kind.kind)
            .is_some(),
        opted_in,
        says,
        opt_in: None,
        state,
        pods: workload.and_then(Pods::of),
        sources,
        pending,
        failure: sight.failures.get(key).map(Failure::spoken),
        last_restart: sight
            .last_restarts
            .get(key)
            .map(|text| LastRestart::read(text)),
        complaints: complaints.map(ToString::to_string).collect(),
        no_effect: in_vain.into_iter().chain(useless).collect(),
        warnings: if is_held {
            sight
                .installation
                .nobody_leads(sight.now)
                .into_iter()
                .collect()
        } else {
            sight.warnings_of(key)
        },
        notes: sight.notes(),
        verdict: Verdict::Fine,
    };
    let opts_in = policy.is_some_and(Policy::opted_in);
    if !explanation.restarts_kind {
        let is_off = off_by_default().any(|kind| kind == key.kind);
        explanation.opt_in = is_off.then(|| turned_on(key.kind));
    } else if !opts_in && !idle && works_here {
        explanation.opt_in = workload.and_then(|workload| opt_in(key, workload));
    }
    explanation.verdict = verdict(&explanation, works_here && opts_in, &judged, held);
    let is_wrong = !explanation.complaints.is_empty() || !explanation.no_effect.is_empty();
    if explanation.verdict == Verdict::Fine && is_wrong {
        explanation.verdict = Verdict::Wrong;
    }
    explanation
}

/// Returns what is said of members of groups, and of keys that its opt-in names, that count for nothing.
fn in_vain(sight: &Sight, key: &WorkloadKey, tracked: &Tracked) -> Vec<String> {
    let (nothing, overlay) = (BTreeSet::new(), Overlay::new());
    let groups = together::groups(&sight.index, &key.namespace, tracked, &nothing, &overlay);
    let members = groups.into_iter().flatten();
    let said = members.filter_map(|(member, standing)| match standing {
        Standing::Idle(why) => Some(idles(member, why)),
        Standing::Moved(_) | Standing::Stays => None,
    });
    let said: BTreeSet<_> = said.collect();
    let live = |source: &SourceName| sight.index.source(&key.namespace, source).version();
    let (workload, mut words) = (&tracked.workload, Vec::from_iter(said));
    if let Selection::Some(rules) = &tracked.policy.selection {
        words.extend(rules.named_in_vain(&workload.references, &live));
        if workload.borrows.is_none() {
            let absent = |source: &SourceName| {
                let live = sight.index.source(&key.namespace, source);
                matches!(live, Lookup::Absent { .. })
            };
            let spared = Spared::all(rules, &workload.asks, &workload.references, &absent);
            words.extend(spared.iter().map(Spared::words));
        }
    }
    words
}

fn verdict(
    explanation: &Explanation,
    opted_in: bool,
    judged: &Judged,
    held: Option<Held>,
) -> Verdict {
    let decision = judged.decision.as_ref();
    let doubts = matches!(decision, Some(Decision::Undecided(Undecided::Doubt(..))))
        || !sources::all_known(&explanation.sources);
    let reason = explanation.pending.as_ref().and_then(|line| line.reason);
    match held.or_else(|| reason.and_then(Held::read)) {
        _ if !opted_in => Verdict::CannotRestart,
        Some(held) if held.needs_a_user() || held == Held::Owned => Verdict::CannotRestart,
        Some(_) => Verdict::Pending,
        None if explanation.pending.is_some() => Verdict::Pending,
        None if explanation.failure.is_some() => Verdict::Failed,
        None if sources::lack_one(&explanation.sources) => Verdict::CannotRestart,
        None if doubts => Verdict::Unknown,
        None if explanation.state == State::Complete || explanation.pods.is_none() => Verdict::Fine,
        None => Verdict::Rolling,
    }
}

/// Returns how a workload is opted in that says nothing yet.
fn opt_in(key: &WorkloadKey, workload: &Workload) -> Option<String> {
    let says = workload.asks.contains_key(RESTART_ON);
    let (kind, name, namespace) = (named(key.kind), &key.name, &key.namespace);
    (!says).then(|| format!("kubectl annotate {kind}/{name} -n {namespace} {RESTART_ON}=auto"))
}

/// Returns what is pending, and what holds it.
fn pending(
    key: &WorkloadKey,
    workload: &Workload,
    judged: &Judged,
    (held, gated): (Option<Held>, Option<Gated>),
) -> Option<PendingLine> {
    let decision = judged.decision.as_ref();
    let causes = decision.map(Decision::causes).unwrap_or_default();
    let is_due = matches!(decision, Some(Decision::Restart(_)));
    let stands = Pending::of_due(workload, decision);
    let reason = gated::reason(judged, held, gated.as_ref(), stands.as_ref());
    if reason.is_none() && !is_due {
        return None;
    }
    let told = held.and_then(|held| Note::held(held, judged, key));
    let standing = stands.as_ref().filter(|it| Some(it.reason) == reason);
    let by = gated.map(|gated| gated.words);
    let by = by.or_else(|| standing.map(|stands| stands.by.clone()));
    let words = match (told, reason) {
        (Some(note), _) => note.to_string(),
        (None, Some(reason)) => match by.filter(|by| !by.is_empty()) {
            Some(by) => format!("waits: {by}"),
            None => format!("waits, because {}{}", reason.words(), failed(standing)),
        },
        (None, None) => "is due: it is made after the quiet period, and when slow start, the budget and the pace let it go"
            .to_owned(),
    };
    Some(PendingLine {
        reason: reason.map(Held::as_str),
        causes: joined(causes),
        words,
        since: stands.as_ref().map(|stands| stands.since),
        id: stands.map(|stands| stands.id),
        remedy: reason.and_then(|reason| remedy(reason, judged.stop.as_ref(), key)),
    })
}

/// Returns whose restarts failed, as it stands on a workload.
fn failed(stands: Option<&Pending>) -> String {
    let failed = stands.map(|stands| stands.failed.keys().cloned().collect::<Vec<_>>());
    match failed.filter(|failed| !failed.is_empty()) {
        Some(failed) => format!(": {} failed", failed.join(", ")),
        None => String::new(),
    }
}

/// Returns what a person can type about a reason.
pub(super) fn remedy(held: Held, stop: Option<&Stop>, key: &WorkloadKey) -> Option<String> {
    let (kind, name, namespace) = (named(key.kind), &key.name, &key.namespace);
    match held {
        Held::Suspended => match stop.map(|stop| stop.place) {
            Some(Place::Workload) => Some(format!(
                "kubectl reroll resume {kind}/{name} -n {namespace}"
            )),
            Some(Place::Namespace) => Some(format!("kubectl reroll resume namespace/{namespace}")),
            Some(Place::Lease) => Some("kubectl reroll resume --all".to_owned()),
            // Which one it is the words tell.
            Some(Place::Rollout) | None => None,
        },
        // By kubectl's plugin of Argo.
        Held::Paused if key.kind.means == RestartMeans::RestartAt => Some(format!(
            "kubectl argo rollouts promote {name} -n {namespace}"
        )),
        Held::Paused => Some(format!(
            "kubectl rollout resume {kind}/{name} -n {namespace}"
        )),
        Held::Refused => Some(format!(
            "kubectl rollout restart {kind}/{name} -n {namespace}"
        )),
        held if held.is_braked() => Some(format!(
            "kubectl reroll release {kind}/{name} -n {namespace}"
        )),
        _ => None,
    }
}

/// Returns what kubectl calls a kind.
fn named(kind: Kind) -> &'static str {
    if kind.short_name.is_empty() {
        kind.plural
    } else {
        kind.short_name
    }
}

#[cfg(test)]
mod tests;
