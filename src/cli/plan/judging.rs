//! Judges everybody for whom something changes, as the controller does.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    apply::{Notes, What},
    facts::Facts,
    outcome, pace,
    shape::{Case, Line, Supposed},
};
use crate::{
    cli::{error::Error, session::Session, sight::Sight},
    cluster::{Failure, pods},
    model::{
        Decision, WorkloadKey,
        decide::{Doubt, Restart},
        held::Held,
        index::Judged,
        workload::RestartMeans,
    },
};

/// The restarts that are due in a namespace.
#[derive(Default)]
struct Due {
    /// Those that a gate holds.
    gated: Vec<(WorkloadKey, Restart)>,
    /// All others.
    restarts: Vec<(WorkloadKey, Restart)>,
}

/// Judges everybody by what is live, and takes over what needs no restart, as the controller does. Returns whose restart is due.
pub(super) fn due(sight: &mut Sight) -> BTreeSet<WorkloadKey> {
    let all = sight.index.workloads(None, None).into_iter();
    all.filter(|key| matches!(sight.judge(key).0.decision, Some(Decision::Restart(_))))
        .collect()
}

/// Judges everybody for whom something changes.
pub(super) async fn judged(
    sight: &mut Sight,
    session: &Session,
    case: Supposed,
    facts: &Facts,
    notes: &mut Notes,
) -> Result<Case, Error> {
    let mut lines = Vec::new();
    let mut places: BTreeMap<String, Due> = BTreeMap::new();
    for key in concerned(sight, facts) {
        let (judged, held) = settled(sight, session, facts, &key, notes).await?;
        let (line, restart) = outcome::of(sight, facts, &key, (&judged, held));
        if let Some(restart) = restart {
            let here = places.entry(key.namespace.clone()).or_default();
            let all = if line.is_held() {
                &mut here.gated
            } else {
                &mut here.restarts
            };
            all.push((key, restart));
        }
        lines.push(line);
    }
    let slow_start = sight.installation.flags.slow_start;
    let (mut turns, mut behind) = (BTreeMap::new(), BTreeMap::new());
    for Due {
        gated,
        mut restarts,
    } in places.into_values()
    {
        let wait = pace::behind(&sight.index, &gated, &restarts, slow_start, sight.now);
        restarts.retain(|(key, _)| !wait.contains_key(key));
        turns.extend(pace::turns(&sight.index, &restarts, slow_start, sight.now));
        behind.extend(wait);
    }
    let held = |line: Line| match behind.get(&line.key) {
        Some(first) => line.behind(first),
        None => line,
    };
    let lines = lines.into_iter().map(held).collect();
    Ok(Case::new(case, &facts.sources, lines, &turns))
}

/// Returns the workloads for which something changes: those that manifests are of, and those that use, or refer to, a source of
/// which something does.
fn concerned(sight: &Sight, facts: &Facts) -> BTreeSet<WorkloadKey> {
    let matters: Vec<_> = facts.sources.iter().filter(|it| it.matters()).collect();
    let uses = |key: &WorkloadKey| {
        let tracked = sight.index.workload(key)?;
        let refers = |source| {
            tracked.uses().contains_key(source) || tracked.workload.references.contains_key(source)
        };
        let mut here = matters
            .iter()
            .filter(|it| it.key.namespace == key.namespace);
        Some(here.any(|it| refers(&it.key.source)))
    };
    let is_given = |key: &WorkloadKey| facts.places.contains_key(&What::Workload(key.clone()));
    let all = sight.index.workloads(None, None).into_iter();
    all.filter(|key| is_given(key) || uses(key) == Some(true))
        .collect()
}

/// Judges a workload. Whether its pods have ever started is looked up where that decides.
async fn settled(
    sight: &mut Sight,
    session: &Session,
    facts: &Facts,
    key: &WorkloadKey,
    notes: &mut Notes,
) -> Result<(Judged, Option<Held>), Error> {
    let (judged, held) = sight.judge(key);
    let decision = judged.decision.as_ref();
    let Some((Doubt::AskPods, sources)) = decision.and_then(|decision| decision.doubt()) else {
        return Ok((judged, held));
    };
    let never = facts.new.contains(key) || key.kind.means == RestartMeans::Run;
    let started = if never {
        Ok(false)
    } else {
        let pods = pods::of(&session.cluster, key).await;
        pods.map(|pods| pods.is_none_or(|pods| pods::have_started(&pods, sources)))
    };
    match started {
        Ok(started) => {
            sight.index.set_started(key, started);
            Ok(sight.judge(key))
        }
        Err(Failure::Forbidden) => {
            let namespace = &key.namespace;
            notes.unseen.push(format!(
                "no right to list pods in {namespace}: whether those of {} have started is not seen",
                key.spoken()
            ));
            Ok((judged, held))
        }
        Err(why) => Err(session.failed(format!("list pods in {}", key.namespace), why)),
    }
}
