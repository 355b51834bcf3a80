//! Which Secrets are to be read now and then, because workloads use them and no watch shows them.

use super::{Index, sources::Stored};
use crate::model::{
    source::{SourceKey, SourceName},
    version::{Version, key_of},
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
    let unshown = used(index, key).filter(|source| is_unshown(index, &key.namespace, source));
    unshown
        .map(|source| key_of(&key.namespace, source))
        .collect()
}

/// Whether a source is to be read: a workload uses it, and the watches do not show enough of it.
pub fn wants_read(index: &Index, key: &SourceKey) -> bool {
    let known = present(index, &key.namespace, &key.source);
    let is_partly_known = known.is_some_and(|version| !version.tells_all());
    index.is_used(key) && (is_partly_known || is_unshown(index, &key.namespace, &key.source))
}

/// Returns the sources that a workload uses and of which only reads show what they are.
pub fn skipped(index: &Index, key: &WorkloadKey) -> Vec<SourceName> {
    let skipped = used(index, key).filter(|source| {
        present(index, &key.namespace, source).is_some_and(|version| version.skipped)
    });
    skipped.cloned().collect()
}

fn used<'a>(index: &'a Index, key: &WorkloadKey) -> impl Iterator<Item = &'a SourceName> {
    let workload = index.workload(key).into_iter();
    workload.flat_map(|workload| workload.uses().keys())
}

fn present<'a>(index: &'a Index, namespace: &str, source: &SourceName) -> Option<&'a Version> {
    index.stored(namespace, source).and_then(Stored::present)
}

fn is_unshown(index: &Index, namespace: &str, source: &SourceName) -> bool {
    let shown = || present(index, namespace, source).is_some_and(|version| !version.skipped);
    let scope = &index.scope;
    scope.conventions().hides(source.kind) && scope.is_synced(source.kind, namespace) && !shown()
}
