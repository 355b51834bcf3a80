//! Reads all sources of a workload before its restart, where watches may have missed something.
//!
//! After an outage the watches come back one by one. Two sources that changed meanwhile then become known at different
//! times, and would be restarted for one after the other. So what a restart is decided by is read first, once per
//! workload and stall ([`Liveness::doubt`](crate::cluster::liveness::Liveness::doubt)). In normal operation nothing is
//! read, but for what no watch shows.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    cluster::Failure,
    judge::live::Live,
    model::{SourceName, WorkloadKey, index::unshown},
};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaughtUp {
    /// Nothing is known that was not known before: no watch is in doubt, the sources were read already, or the API server
    /// refuses. What is known must do.
    NothingNew,
    /// All sources were read, and none of the workload's has changed.
    Read,
    /// A read showed a change. That change has an intent and a quiet period of its own.
    News,
    /// The API server did not answer.
    NoAnswer,
}

/// When the sources of workloads were last read because watches may have missed something. Those from before the
/// last stall are forgotten, so there is at most one for each workload.
#[derive(Debug, Default)]
pub(super) struct CatchUp(Mutex<HashMap<WorkloadKey, Instant>>);

impl CatchUp {
    /// Reads the sources of a workload that is to be restarted, if watches may have missed something since they were
    /// last read, and tells the judge.
    pub(super) async fn read(&self, live: &Live, key: &WorkloadKey) -> CaughtUp {
        let missed = live.cluster.watches().doubt();
        let sources = if missed.is_some_and(|missed| self.begins(key, missed)) {
            readable(live, key)
        } else {
            unshown::skipped(&live.judge.state.index(), key)
        };
        if sources.is_empty() {
            return CaughtUp::NothingNew;
        }
        tracing::debug!(workload = %key, sources = sources.len(), "watches may have missed something: reading sources");
        let asked = live.judge.tick();
        match live.sources(key, &sources, asked).await {
            Ok(_) if live.judge.docket().intents.waits(key) => CaughtUp::News,
            Ok(_) => CaughtUp::Read,
            Err(failure) if passes(&failure) => CaughtUp::NoAnswer,
            Err(_) => CaughtUp::NothingNew,
        }
    }

    /// Notes that a workload's sources are read now. Returns false if they were since `missed`.
    fn begins(&self, key: &WorkloadKey, missed: Instant) -> bool {
        let mut read = self.0.lock();
        read.retain(|_, at| *at >= missed);
        let first = !read.contains_key(key);
        if first {
            read.insert(key.clone(), Instant::now());
        }
        first
    }
}

/// Whether the next try may get an answer. That try reads nothing more, so that a source that can never be read keeps
/// no workload from its restart.
fn passes(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Timeout | Failure::Overloaded | Failure::Unreachable(_) | Failure::Refused(_)
    )
}

/// Returns the sources of a workload that stand in one object.
fn readable(live: &Live, key: &WorkloadKey) -> Vec<SourceName> {
    let index = live.judge.state.index();
    let known = index.workload(key).into_iter();
    let used = known.flat_map(|known| known.uses().keys());
    used.filter(|source| source.kind.is_readable())
        .cloned()
        .collect()
}
