//! What a replica wants to do next, by what it knows: as the restarter and the housekeeper would.

use reroll::model::{
    Decision, Index, SourceName,
    decide::{Doubt, Restart},
    patch,
};
use serde_json::json;

use crate::{
    intern::Json,
    learn::{source_of, workload_key},
    world::{Flight, Source},
};

/// What a replica does next, if it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Nothing,
    Read(Vec<Source>),
    AskStarted(Vec<Source>),
    AskAges(Vec<Source>),
    AskAdopted,
    Write(Flight),
}

/// Returns what a decision waits for.
pub(crate) fn missing(decision: Option<&Decision>) -> Vec<Source> {
    match decision {
        Some(Decision::Wait { missing, .. }) => missing.iter().map(source_of).collect(),
        _ => Vec::new(),
    }
}

/// Returns what the restarter and the housekeeper would do.
pub(crate) fn plan(index: &Index, decision: Option<&Decision>) -> Plan {
    let key = workload_key();
    let sources = |names: &[SourceName]| names.iter().map(source_of).collect();
    if let Some(Decision::Restart(restart)) = decision {
        return Plan::Write(restart_of(index, restart));
    }
    match decision.and_then(Decision::doubt) {
        Some((Doubt::Behind, names)) => return Plan::Read(sources(names)),
        Some((Doubt::AskPods, names)) => return Plan::AskStarted(sources(names)),
        Some((Doubt::AskAges, names)) => return Plan::AskAges(sources(names)),
        Some((Doubt::Unsynced, _)) | None => {}
    }
    if index.is_unexamined(&key) {
        return Plan::AskAdopted;
    }
    let Some(tracked) = index.workload(&key) else {
        return Plan::Nothing;
    };
    let workload = &tracked.workload;
    let patch = match index.unwritten(&key) {
        None => return Plan::Nothing,
        Some(None) => patch::forget(key.kind, workload),
        Some(Some(text)) if tracked.is_pending_over() => patch::settle(key.kind, workload, &text),
        Some(Some(text)) => patch::record(key.kind, workload, &text),
    };
    Plan::Write(Flight {
        patch: Json::of(&json!(patch)),
        restarts: false,
    })
}

fn restart_of(index: &Index, restart: &Restart) -> Flight {
    let key = workload_key();
    let known = &index.workload(&key).unwrap().workload;
    let mark = known.restart_by.mark(&restart.next.restarted_for);
    let observed = restart.next.clone().under(&mark, index.key());
    let observed = observed.print(index.key());
    let then = jiff::Timestamp::UNIX_EPOCH;
    let told = patch::Told {
        last_restart: "restarted".to_owned(),
        ..patch::Told::default()
    };
    let patch = patch::restart(key.kind, known, &observed, &mark, &told, then);
    Flight {
        patch: Json::of(&json!(patch)),
        restarts: true,
    }
}
