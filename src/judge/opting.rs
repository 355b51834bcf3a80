//! Says that an opt-in works: once, when it is made or mended, or the workload is created with it.
//!
//! An Event costs as much as a restart, so their number is bounded. Beyond that, and for all that had opted in before reroll
//! was there, only the log tells it.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::Judge;
use crate::model::{
    WorkloadKey,
    index::opting,
    note::Note,
    peer::May,
    text::shortened_to_bytes,
    workload::{RestartMeans, Workload},
};

/// For so many seconds a workload is new.
const NEW: u64 = 60;

/// Says for what a workload restarts that has just opted in, where this replica leads.
pub(super) fn tell(judge: &Judge, key: &WorkloadKey) {
    if let Some(words) = said_by_log(judge, key) {
        let words = shortened_to_bytes(&words, 1024);
        tracing::info!(workload = %key, %words, "a workload is opted in; there were too many to make an Event of each");
    }
}

/// Says the same of the workloads of a namespace that its label has just opted in. `before`: those that were opted in.
pub(super) fn tell_of_namespace(judge: &Judge, namespace: &str, before: &BTreeSet<WorkloadKey>) {
    let now = opting::who(&judge.state.index(), namespace);
    let untold = now
        .difference(before)
        .filter(|key| said_by_log(judge, key).is_some());
    let workloads = untold.count();
    if workloads > 0 {
        tracing::info!(
            namespace,
            workloads,
            "the label of a namespace opted in so many workloads more than there are Events for"
        );
    }
}

/// Says of the workloads of a namespace that its label opts them in no longer. `before`: those that were opted in.
pub(super) fn tell_of_loss(judge: &Judge, namespace: &str, before: &BTreeSet<WorkloadKey>) {
    let lost: Vec<_> = {
        let index = judge.state.index();
        let lost = before.iter().filter(|key| {
            let now = index.workload(key);
            now.is_some_and(|known| !known.policy.opted_in() && !known.workload.deleting)
        });
        lost.cloned().collect()
    };
    if !judge.is_listed() || !judge.teller.leads() {
        return;
    }
    let untold = lost.iter().filter(|key| {
        if judge.may(key) != May::Work {
            return false;
        }
        let told = judge.docket().opt_ins.take(Instant::now());
        if told {
            judge.teller.say(key, &Note::OptedOut { by_label: true });
        }
        !told
    });
    let workloads = untold.count();
    if workloads > 0 {
        tracing::info!(
            namespace,
            workloads,
            "the label of a namespace opts in so many workloads less than there are Events for"
        );
    }
}

/// Says in the log how many workloads had opted in before reroll saw them first.
pub(super) fn tell_of_all(judge: &Judge) {
    let workloads = opting::to_adopt(&judge.state.index());
    if workloads > 0 {
        tracing::info!(
            workloads,
            "these had opted in before: they are adopted as they are, without an Event for each"
        );
    }
}

/// Whether a workload that nobody knew was created just now, and not by reroll in the place of another.
pub(super) fn is_new(judge: &Judge, key: &WorkloadKey, workload: &Workload) -> bool {
    let again = key.kind.means == RestartMeans::Recreate && workload.last_restart.is_some();
    judge.state.now().abs_diff(workload.created) <= NEW && !again
}

/// Makes the Event. Returns its words where there were too many of them.
fn said_by_log(judge: &Judge, key: &WorkloadKey) -> Option<String> {
    if !judge.is_listed() || !judge.teller.leads() || judge.may(key) != May::Work {
        return None;
    }
    let words = opting::words(&judge.state.index(), key)?;
    if !judge.docket().opt_ins.take(Instant::now()) {
        return Some(words);
    }
    judge.teller.say(key, &Note::OptedIn { words: &words });
    None
}
