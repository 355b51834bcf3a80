//! Which Secrets are to be read now and then, because workloads use them and no watch shows them.

use super::{Index, sources::Stored};
use crate::model::{
    source::{SourceKey, SourceName},
    version::key_of,
    workload::WorkloadKey,
};

/// Returns the sources that workloads use and no watch shows, in their order.
pub fn all(index: &Index) -> Vec<SourceKey> {
    let mut all = Vec::new();
    for (namespace, space) in index.namespaces.within(None) {
        let used = space.edges.used();
        let unshown = used.filter(|source| is_unshown(index, namespace, source));
        all.extend(unshown.map(|source| key_of(namespace, source)));
    }
    all.sort_unstable();
    all
}

/// Returns those that one workload uses.
pub fn of(index: &Index, key: &WorkloadKey) -> Vec<SourceKey> {
    let used = index
        .workload(key)
        .into_iter()
        .flat_map(|it| it.uses().keys());
    let unshown = used.filter(|source| is_unshown(index, &key.namespace, source));
    unshown
        .map(|source| key_of(&key.namespace, source))
        .collect()
}

/// Returns the sources that a workload uses and of which only reads show what they are.
pub fn skipped(index: &Index, key: &WorkloadKey) -> Vec<SourceName> {
    let used = index
        .workload(key)
        .into_iter()
        .flat_map(|it| it.uses().keys());
    let skipped = used.filter(|source| {
        let stored = index.stored(&key.namespace, source);
        stored
            .and_then(Stored::present)
            .is_some_and(|version| version.skipped)
    });
    skipped.cloned().collect()
}

fn is_unshown(index: &Index, namespace: &str, source: &SourceName) -> bool {
    let shown = || {
        let stored = index.stored(namespace, source);
        stored
            .and_then(Stored::present)
            .is_some_and(|version| !version.skipped)
    };
    let scope = &index.scope;
    scope.conventions().hides(source.kind) && scope.is_synced(source.kind, namespace) && !shown()
}
