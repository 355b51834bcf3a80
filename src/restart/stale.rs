//! Names pods that may have the old data of an immutable object after the rollout that was to bring the new.
//!
//! A kubelet reads an immutable object once, and keeps it until no pod of its node names it. Nothing else ends that: not
//! the object's deletion, and no strategy of a rollout. So after such an object was recreated, new pods have the old
//! data on nodes that still had a pod with it, whosever pod that was, and the new data on all others.
//!
//! Nothing outside the kubelet shows it. So reroll lists, right before the restart, which nodes have pods that name the
//! source. When the rollout is over, it names the new pods there, once, but for those of a `StatefulSet` that came when no
//! other was left ([`crate::cluster::holders`]). Nothing is kept of it but in memory: a kubelet that starts again heals
//! unseen, so what is written down would be wrong some day.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::retry::BEAT;
use crate::{
    cluster::{
        holders::{self, Holders, Nodes},
        pods,
    },
    judge::live::Live,
    model::{
        Cause, SourceName, WorkloadKey,
        decide::{CauseKind, Lookup},
        index::Index,
        note::Note,
        workload::Rollout,
    },
};

/// The most workloads whose rollouts are followed, and how long. What is beyond is not told.
const MOST: usize = 1000;
const LONGEST: Duration = Duration::from_hours(1);
/// The most sources of a workload that are told of.
const MOST_SOURCES: usize = 5;

/// Rollouts after which pods may have old data.
#[derive(Debug, Default)]
pub(super) struct Stale(Mutex<BTreeMap<WorkloadKey, Rolling>>);

/// One such rollout.
#[derive(Clone, Debug)]
pub(super) struct Rolling {
    uid: String,
    /// When it began.
    since: Instant,
    /// When its pods are looked at, at the earliest.
    look: Instant,
    /// Which nodes had pods that named the sources.
    had: Nodes,
}

impl Stale {
    /// Notes that a workload rolls, and which nodes had pods with the old objects. A rollout that is not over takes
    /// them over.
    pub(super) fn rolls(&self, live: &Live, key: &WorkloadKey, had: Nodes) {
        let index = live.judge.state.index();
        let Some(known) = index.workload(key).filter(|_| !had.is_empty()) else {
            return;
        };
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(key) {
            return;
        }
        let now = Instant::now();
        let began = Rolling {
            uid: known.workload.uid.clone(),
            since: now,
            look: now,
            had: Nodes::new(),
        };
        let rolling = all.entry(key.clone()).or_insert(began);
        for (source, nodes) in had {
            let known = rolling.had.entry(source).or_default();
            for (node, holders) in nodes {
                // Two rollouts in one: whose turn it was is not known any more.
                let holders = if known.contains_key(&node) {
                    Holders::Any
                } else {
                    holders
                };
                known.insert(node, holders);
            }
        }
    }

    /// Takes a workload whose rollout is over, and forgets those that are gone or take too long.
    pub(super) fn take(&self, live: &Live) -> Option<(WorkloadKey, Rolling)> {
        if self.0.lock().is_empty() {
            return None;
        }
        // The index is locked first, as everywhere here.
        let index = live.judge.state.index();
        let (mut all, now) = (self.0.lock(), Instant::now());
        all.retain(|key, rolling| {
            let known = index.workload(key).map(|known| &known.workload.uid);
            known == Some(&rolling.uid) && rolling.since.elapsed() < LONGEST
        });
        let is_over =
            |(key, rolling): &(&WorkloadKey, &Rolling)| rolling.look <= now && is_over(&index, key);
        let over = all.iter().find(is_over)?.0.clone();
        all.remove_entry(&over)
    }

    /// Names the pods that may have old data.
    pub(super) async fn tell(&self, live: &Live, key: WorkloadKey, rolling: Rolling) {
        let Some(found) = found(live, &key, &rolling.had).await else {
            // Not all have a node yet, or the API server did not answer.
            let look = Instant::now() + BEAT;
            self.0
                .lock()
                .entry(key)
                .or_insert(Rolling { look, ..rolling });
            return;
        };
        for (source, pods) in found.iter().take(MOST_SOURCES) {
            live.judge.teller.say(&key, &Note::Stale { source, pods });
        }
    }
}

/// Returns which of a workload's pods may have the old data of these sources; `None` if it is to be asked again.
async fn found(
    live: &Live,
    key: &WorkloadKey,
    had: &Nodes,
) -> Option<BTreeMap<SourceName, Vec<String>>> {
    let sources: Vec<_> = had.keys().cloned().collect();
    let has = holders::nodes(&live.cluster, key, &sources).await.ok()?;
    let pods = pods::of(&live.cluster, key).await.ok()?;
    holders::stale(&pods.unwrap_or_default(), had, &has)
}

/// Returns which nodes have pods that may keep the old object of a source, before the workload is restarted because that
/// source was recreated. Pods are listed only if an old object was immutable.
pub(super) async fn nodes(live: &Live, key: &WorkloadKey, causes: &[Cause]) -> Nodes {
    let sources = after_immutable(live, key, causes);
    if sources.is_empty() {
        return Nodes::new();
    }
    let nodes = holders::nodes(&live.cluster, key, &sources).await;
    nodes
        .inspect_err(|failure| {
            tracing::warn!(workload = %key, %failure, "cannot list the pods that may get old data of an immutable object");
        })
        .unwrap_or_default()
}

fn after_immutable(live: &Live, key: &WorkloadKey, causes: &[Cause]) -> Vec<SourceName> {
    let index = live.judge.state.index();
    if key.kind.counts.is_none() {
        // Its status does not tell when a rollout is over.
        return Vec::new();
    }
    let is_back = |cause: &&Cause| matches!(cause.kind, CauseKind::Recreated | CauseKind::Created);
    let sources = causes
        .iter()
        .filter(is_back)
        .filter_map(|cause| cause.source.as_ref());
    let was_immutable = |source: &&SourceName| match index.source(&key.namespace, source) {
        Lookup::Present { version, .. } => index.has_immutable(key, source, &version.uid),
        Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => false,
    };
    sources.filter(was_immutable).cloned().collect()
}

/// Whether a workload has no pods of an older template any more, and all of the new one.
fn is_over(index: &Index, key: &WorkloadKey) -> bool {
    index.workload(key).is_some_and(|known| {
        let workload = &known.workload;
        workload.rollout == Rollout::Complete && workload.older_pods().are_gone()
    })
}
