//! What is said in vain beside a workload: on what it uses, and on reroll's Lease.

use crate::{
    cli::{lint::live, object::of_metadata, sight::Sight},
    model::{SourceKey, WorkloadKey, workload::Kinds},
};

/// Returns what the sources of a workload, and reroll's Lease, say in vain.
pub(super) fn besides(sight: &Sight, key: &WorkloadKey, kinds: &Kinds) -> Vec<String> {
    let tracked = sight.index.workload(key);
    let is_used = |source: &SourceKey| {
        let uses = tracked.is_some_and(|known| known.uses().contains_key(&source.source));
        uses && source.namespace == key.namespace
    };
    let used = sight.saying().filter(|(source, _)| is_used(source));
    let of_sources = used.flat_map(|(source, object)| {
        live::useless(("", source.source.kind.as_str()), &object, kinds)
    });
    let lease = sight.installation.lease.as_ref();
    let of_lease = lease.map(|lease| {
        let lease = of_metadata(lease.metadata.clone());
        live::useless(live::LEASE, &lease, kinds)
    });
    of_sources.chain(of_lease.into_iter().flatten()).collect()
}
