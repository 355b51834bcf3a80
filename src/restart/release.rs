//! Lets restarts go that brakes held, looks at the pods of those that were made, and shows who waits.
//!
//! Pods are listed only of workloads whose restart has no verdict after a while, or that is good and lacks pods: at most
//! ten lists a second, one for a namespace that needs more than that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shown::show;
use crate::{
    cluster::{lease::Leadership, pods},
    judge::{Judge, braking, live::Live},
    model::{
        WorkloadKey,
        brake::{
            later,
            look::{Asked, Look},
        },
    },
};

/// The shortest time between two choices: what changes meanwhile is looked at once.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest time between two choices; clocks may jump.
const BEAT: Duration = Duration::from_secs(5);
/// The most lists of pods in a second.
const LISTS: usize = 10;

/// Lets restarts go while this replica leads, until `stop`.
pub async fn release(judge: Arc<Judge>, mut leadership: Leadership, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let next = leadership
            .leads()
            .then(|| braking::release(&judge))
            .flatten();
        let next = next.map_or(BEAT, |next| until(&judge, next).min(BEAT));
        tokio::select! {
            () = stop.cancelled() => return,
            () = judge.brakes_changed.notified() => {}
            () = leadership.changed() => {}
            () = sleep_until(Instant::now() + next) => {}
        }
        sleep(PAUSE).await;
    }
}

fn until(judge: &Judge, next: Timestamp) -> Duration {
    let left = next.duration_since(judge.state.time());
    Duration::try_from(left).unwrap_or(Duration::ZERO)
}

/// Looks at pods while this replica leads, until `stop`.
pub async fn look(live: Live, leadership: Leadership, stop: CancellationToken) {
    while stop
        .run_until_cancelled(sleep(Duration::from_secs(1)))
        .await
        .is_some()
    {
        if leadership.leads() {
            for (namespace, keys) in worth_a_look(&live) {
                look_at(&live, &namespace, &keys).await;
            }
            show(&live).await;
        }
    }
}

/// Returns whose pods to list now, by namespace.
fn worth_a_look(live: &Live) -> Vec<(String, Vec<WorkloadKey>)> {
    let judge = &live.judge;
    let now = judge.state.time();
    let docket = judge.docket();
    let index = judge.state.index();
    let all = docket.brakes.made().to_look_at(&index, now);
    drop(index);
    drop(docket);
    let mut by_namespace: BTreeMap<String, Vec<WorkloadKey>> = BTreeMap::new();
    for key in all {
        by_namespace
            .entry(key.namespace.clone())
            .or_default()
            .push(key);
    }
    let (mut lists, mut chosen) = (0, Vec::new());
    for (namespace, keys) in by_namespace {
        // One list shows all of them.
        let cost = if keys.len() > LISTS { 1 } else { keys.len() };
        if lists + cost <= LISTS {
            lists += cost;
            chosen.push((namespace, keys));
        } else if lists < LISTS {
            let keys = keys.into_iter().take(LISTS - lists).collect();
            lists = LISTS;
            chosen.push((namespace, keys));
        }
    }
    chosen
}

async fn look_at(live: &Live, namespace: &str, keys: &[WorkloadKey]) {
    if keys.len() > LISTS {
        let Ok(pods) = pods::in_namespace(&live.cluster, namespace).await else {
            return;
        };
        for key in keys {
            take(live, key, &pods);
        }
        return;
    }
    for key in keys {
        match pods::of(&live.cluster, key).await {
            Ok(Some(pods)) => take(live, key, &pods),
            // It has no selector: its pods carry the mark all the same.
            Ok(None) => {
                if let Ok(pods) = pods::in_namespace(&live.cluster, namespace).await {
                    take(live, key, &pods);
                }
            }
            Err(failure) => {
                tracing::debug!(workload = %key, failure = failure.as_str(), "cannot list the pods of a restart, trying again");
            }
        }
    }
}

fn take(live: &Live, key: &WorkloadKey, pods: &[k8s_openapi::api::core::v1::Pod]) {
    let judge = &live.judge;
    let now = judge.state.time();
    let mut docket = judge.docket();
    let index = judge.state.index();
    let Some(tracked) = index.workload(key) else {
        return;
    };
    let Some(last) = &tracked.workload.last else {
        return;
    };
    let patience = docket.brakes.made().patience(tracked);
    let opened = &last.opened;
    let look = Look::at(
        pods,
        &Asked {
            new: &tracked.workload.marks.new_pods(),
            soak: patience.needed(opened),
            deadline: later(opened.at, patience.deadline),
            now,
        },
    );
    docket.brakes.looked(key, &opened.mark, look, now);
    drop(index);
    drop(docket);
    judge.brakes_changed.notify_one();
}
