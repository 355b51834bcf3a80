//! Lets restarts go that brakes held, looks at the pods of those that were made, and shows who waits.
//!
//! Pods are listed only of workloads whose restart has no verdict after a while, or that is good and lacks pods: at most
//! ten lists a second, one for a namespace that needs more than that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shown::show;
use crate::{
    cluster::{lease::Leadership, pods},
    judge::{Judge, braking, live::Live},
    model::{
        WorkloadKey,
        brake::look::{Asked, Look},
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
    turns(&docket.brakes.made().to_look_at(&index, now))
}

/// Returns what one second's lists are made for: one workload each, or all of a namespace that has too many. Whoever was not
/// looked at for longest comes first, so a namespace whose restarts fail all the time takes no turn of another.
fn turns(all: &[WorkloadKey]) -> Vec<(String, Vec<WorkloadKey>)> {
    let mut by_namespace: BTreeMap<&str, Vec<&WorkloadKey>> = BTreeMap::new();
    for key in all {
        by_namespace.entry(&key.namespace).or_default().push(key);
    }
    let mut turns = Vec::new();
    for key in all {
        if turns.len() == LISTS {
            break;
        }
        let namespace = key.namespace.as_str();
        // One list shows all of them.
        let crowd = by_namespace.get(namespace).filter(|all| all.len() > LISTS);
        let keys = match crowd {
            Some(all) if all.first() != Some(&key) => continue,
            Some(all) => all.iter().copied().cloned().collect(),
            None => vec![key.clone()],
        };
        turns.push((namespace.to_owned(), keys));
    }
    turns
}

async fn look_at(live: &Live, namespace: &str, keys: &[WorkloadKey]) {
    let own = match keys {
        [key] => pods::of(&live.cluster, key).await,
        _ => Ok(None),
    };
    let pods = match own {
        // Of many; or of one without a selector, whose pods carry the mark all the same.
        Ok(None) => pods::in_namespace(&live.cluster, namespace).await,
        own => own.map(Option::unwrap_or_default),
    };
    // The same for all of them, so that they are due for their next look together.
    let now = live.judge.state.time();
    let failure = match pods {
        Ok(pods) => {
            let shows_none = |key: &&WorkloadKey| take(live, key, &pods, now) == Some(0);
            let without: Vec<_> = keys.iter().filter(shows_none).collect();
            return read_again(live, &without, now).await;
        }
        Err(failure) => failure.as_str(),
    };
    for key in keys {
        tracing::debug!(workload = %key, failure, "cannot list the pods of a restart, trying again");
        live.judge.docket().brakes.could_not_look(key, now);
    }
}

/// Reads workloads that no pod shows to be restarted: their restart may be one that is no more. After a restore of etcd that
/// took no time, no watch tells that. A few at once, and others the next time.
async fn read_again(live: &Live, keys: &[&WorkloadKey], now: Timestamp) {
    let first = usize::try_from(now.as_second()).unwrap_or_default() % keys.len().max(1);
    for key in keys.iter().cycle().skip(first).take(LISTS.min(keys.len())) {
        live.workload(key).await;
    }
}

/// Takes in what the pods of a workload show of its restart. Returns how many carry its mark; `None` where it has none.
fn take(live: &Live, key: &WorkloadKey, pods: &[Pod], now: Timestamp) -> Option<usize> {
    let judge = &live.judge;
    let mut docket = judge.docket();
    let index = judge.state.index();
    let tracked = index.workload(key)?;
    let last = tracked.workload.last.as_ref()?;
    let patience = docket.brakes.made().patience(tracked);
    let opened = &last.opened;
    let look = Look::at(
        pods,
        &Asked {
            new: &tracked.workload.marks.new_pods(),
            soak: patience.needed(opened),
            deadline: docket.brakes.made().ends(key, tracked).unwrap_or(now),
            now,
        },
    );
    let new = look.new;
    tracing::debug!(workload = %key, new, "looked at the pods of a restart");
    docket.brakes.looked(key, &opened.mark, look, now);
    drop(index);
    drop(docket);
    judge.brakes_changed.notify_one();
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    fn keys(namespace: &str, count: usize) -> Vec<WorkloadKey> {
        let key = |number| WorkloadKey {
            kind: &KINDS[0],
            namespace: namespace.to_owned(),
            name: format!("w-{number:02}"),
        };
        (0..count).map(key).collect()
    }

    #[test]
    fn a_second_has_ten_lists_for_those_who_waited_for_longest() {
        let few = keys("few", LISTS);
        let crowd = keys("crowd", LISTS + 1);
        let named = |turns: &[(String, Vec<WorkloadKey>)]| -> Vec<_> {
            let size = |(namespace, keys): &(String, Vec<_>)| (namespace.clone(), keys.len());
            turns.iter().map(size).collect()
        };
        let one = |namespace: &str| (namespace.to_owned(), 1);
        assert_eq!(named(&turns(&few)), vec![one("few"); LISTS]);
        assert_eq!(named(&turns(&crowd)), [("crowd".to_owned(), LISTS + 1)]);
        let later = [few.clone(), crowd.clone()].concat();
        assert_eq!(named(&turns(&later)), vec![one("few"); LISTS]);
        let between = [&few[..4], &crowd, &few[4..]].concat();
        let mut expected = vec![one("few"); LISTS];
        expected.insert(4, ("crowd".to_owned(), LISTS + 1));
        expected.truncate(LISTS);
        assert_eq!(named(&turns(&between)), expected);
        // By name "a" comes first, and was looked at last.
        let last = [keys("z", 2), keys("a", 2)].concat();
        assert_eq!(
            named(&turns(&last)),
            [one("z"), one("z"), one("a"), one("a")]
        );
    }
}
