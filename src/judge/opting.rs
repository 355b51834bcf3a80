//! Says that an opt-in works: once, when it is made or mended.
//!
//! An Event costs as much as a restart, so their number is bounded. Beyond that, and for all that had opted in before reroll
//! was there, only the log tells it.

use tokio::time::Instant;

use super::Judge;
use crate::model::{WorkloadKey, index::opting, note::Note, peer::May, text::shortened_to_bytes};

/// Says for what a workload restarts that has just opted in, where this replica leads.
pub(super) fn tell(judge: &Judge, key: &WorkloadKey) {
    if !judge.is_listed() || !judge.teller.leads() || judge.may(key) != May::Work {
        return;
    }
    let words = opting::words(&judge.state.index(), key);
    let Some(words) = words else {
        return;
    };
    let may = judge.docket().opt_ins.take(Instant::now());
    if may {
        judge.teller.say(key, &Note::OptedIn { words: &words });
    } else {
        let words = shortened_to_bytes(&words, 1024);
        tracing::info!(workload = %key, %words, "a workload is opted in; there were too many to make an Event of each");
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
