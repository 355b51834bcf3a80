//! For which versions a restart is, and for which of them it needs room.

use std::collections::BTreeMap;

use super::versions::versions;
use crate::model::{
    Index, SourceName, WorkloadKey,
    decide::Restart,
    index::{Tracked, at_once},
    version::key_of,
    workload::{Changed, RestartMeans, VersionId},
};

/// Returns the versions that a restart takes.
pub fn taken(index: &Index, key: &WorkloadKey, restart: &Restart) -> BTreeMap<Changed, VersionId> {
    let version = |source: &SourceName| index.source(&key.namespace, source).version();
    versions(&restart.causes, index.key(), version)
}

/// Returns those for which it needs room. `slow_start`: whether restarts wait for what becomes of others.
pub fn needed(
    index: &Index,
    key: &WorkloadKey,
    tracked: &Tracked,
    restart: &Restart,
    slow_start: bool,
) -> BTreeMap<Changed, VersionId> {
    let runs = matches!(key.kind.means, RestartMeans::Run | RestartMeans::Recreate);
    if !slow_start || runs {
        return BTreeMap::new();
    }
    still_needed(index, key, tracked, taken(index, key, restart))
}

/// Returns those of these versions for which it needs room by what is said of slow start now.
pub fn still_needed(
    index: &Index,
    key: &WorkloadKey,
    tracked: &Tracked,
    mut versions: BTreeMap<Changed, VersionId>,
) -> BTreeMap<Changed, VersionId> {
    let namespace = &key.namespace;
    if !tracked.policy.brakes.slow_start || at_once::namespace(index, namespace) {
        return BTreeMap::new();
    }
    versions.retain(|changed, _| match changed {
        Changed::Source(source) => !at_once::source(index, namespace, source),
        Changed::Namespace => true,
    });
    versions
}

/// Whether it is for a source that nobody else uses: then there is nobody to wait for.
pub fn is_sole(index: &Index, namespace: &str, changed: &Changed) -> bool {
    match changed {
        Changed::Source(source) => index.users(&key_of(namespace, source)).len() <= 1,
        Changed::Namespace => false,
    }
}
