//! Tells when a source makes a workload restart again and again: two writers fight, or a machine rewrites it.
//!
//! What was told is kept in memory only: another process tells it again.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    cluster::sources::last_write,
    judge::live::Live,
    model::{Cause, Digest, SourceKey, WorkloadKey, note::Note, version::key_of},
};

/// So many changes within [`WITHIN`] are told, then twice as many, and so on.
const FEW: usize = 5;
const WITHIN: Duration = Duration::from_hours(1);
/// The most sources that are followed. What is beyond is not told.
const MOST: usize = 10_000;
/// The most times that are kept of one.
const MOST_TIMES: usize = 4096;

/// Sources that made workloads restart within the last hour.
#[derive(Debug, Default)]
pub(super) struct Rewritten(Mutex<BTreeMap<SourceKey, Changes>>);

#[derive(Debug, Default)]
struct Changes {
    times: VecDeque<Instant>,
    last: Option<Digest>,
    told: usize,
}

impl Changes {
    /// Takes in a restart for this version. Returns how many versions it was within the hour, where that is to be told.
    fn take(&mut self, version: Digest, now: Instant) -> Option<usize> {
        if self.last == Some(version) {
            // Another user of the same.
            return None;
        }
        self.last = Some(version);
        self.times.push_back(now);
        while self.times.len() > MOST_TIMES || self.is_old(now) {
            self.times.pop_front();
        }
        let times = self.times.len();
        if times < FEW {
            self.told = 0;
        }
        let due = times >= FEW && times >= self.told.saturating_mul(2);
        due.then(|| {
            self.told = times;
            times
        })
    }

    fn is_old(&self, now: Instant) -> bool {
        let first = self.times.front();
        first.is_some_and(|first| now.saturating_duration_since(*first) > WITHIN)
    }
}

/// The version of a source that a restart is for.
pub(super) struct For<'a> {
    source: SourceKey,
    version: Digest,
    cause: &'a Cause,
}

/// Returns the versions that a restart is for, before it is made: the next ones may be there when it was.
pub(super) fn versions<'a>(live: &Live, key: &WorkloadKey, causes: &'a [Cause]) -> Vec<For<'a>> {
    let index = live.judge.state.index();
    let of = |cause: &'a Cause| {
        let source = key_of(&key.namespace, cause.source.as_ref()?);
        let known = index.source(&source.namespace, &source.source);
        let version = known.version()?.whole;
        Some(For {
            source,
            version,
            cause,
        })
    };
    causes.iter().filter_map(of).collect()
}

impl Rewritten {
    /// Takes in that a workload was restarted for these versions, and tells what is to be told.
    pub(super) async fn restarted(&self, live: &Live, key: &WorkloadKey, versions: Vec<For<'_>>) {
        for For {
            source,
            version,
            cause,
        } in versions
        {
            let Some(times) = self.take(&source, version) else {
                continue;
            };
            let last = last_write(&live.cluster, &source).await.ok().flatten();
            let writer = last.map(|last| last.manager);
            let itself = wrote_it_itself(live, key, &source, version).await;
            let note = Note::Rewritten {
                source: &source.source,
                times,
                keys: &cause.keys,
                writer: writer.as_deref(),
                itself,
            };
            live.judge.teller.say(key, &note);
        }
    }

    fn take(&self, source: &SourceKey, version: Digest) -> Option<usize> {
        let now = Instant::now();
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(source) {
            all.retain(|_, changes| {
                changes
                    .times
                    .back()
                    .is_some_and(|last| last.elapsed() < WITHIN)
            });
        }
        if all.len() >= MOST && !all.contains_key(source) {
            return None;
        }
        all.entry(source.clone()).or_default().take(version, now)
    }
}

/// Whether a workload's own pods wrote this version of a source, as far as this replica reviewed that write.
async fn wrote_it_itself(
    live: &Live,
    key: &WorkloadKey,
    source: &SourceKey,
    version: Digest,
) -> bool {
    let wrote = {
        let writers = live.judge.state.writers();
        writers.account(source, version).map(ToOwned::to_owned)
    };
    let Some(wrote) = wrote else {
        return false;
    };
    let Ok(Some(object)) = live.cluster.workload(key).await else {
        return false;
    };
    let pods = object.data.pointer(key.kind.template);
    let account = pods.and_then(|pods| pods.pointer("/spec/serviceAccountName")?.as_str());
    account.unwrap_or("default") == wrote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_within_an_hour_are_told_and_then_twice_as_many() {
        let key = crate::model::testing::key();
        let start = Instant::now();
        let mut changes = Changes::default();
        let mut told = Vec::new();
        for number in 0..21_u64 {
            let version = key.digest([number.to_be_bytes().as_slice()]);
            let now = start + Duration::from_secs(60 * number);
            for _ in 0..3 {
                told.extend(changes.take(version, now));
            }
        }
        assert_eq!(told, [5, 10, 20]);
        let rare = |number: u64| {
            let version = key.digest([number.to_le_bytes().as_slice()]);
            let now = start + Duration::from_hours(10) + Duration::from_mins(20 * number);
            (version, now)
        };
        let told = (0..10).filter_map(|number| {
            let (version, now) = rare(number);
            changes.take(version, now)
        });
        assert_eq!(told.count(), 0);
    }
}
