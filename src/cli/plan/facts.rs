//! What is known beside decisions: what the manifests make of whom, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::{apply::What, sources::Becomes};
use crate::model::{Cause, WorkloadKey, version::key_of};

/// What is known beside decisions.
#[derive(Default)]
pub(super) struct Facts {
    /// What becomes of sources.
    pub(super) sources: Vec<Becomes>,
    /// Where manifests stand, one behind the other.
    pub(super) places: BTreeMap<What, usize>,
    /// The workloads that do not exist yet.
    pub(super) new: BTreeSet<WorkloadKey>,
    /// Those whose template the manifests change.
    pub(super) rolls: BTreeSet<WorkloadKey>,
    /// Those whose restart was due before anything is applied.
    pub(super) due: BTreeSet<WorkloadKey>,
    /// Those that the manifests opt in.
    pub(super) opts_in: BTreeSet<WorkloadKey>,
}

impl Facts {
    /// Whether it is recorded at its own write what its pods start with.
    pub(super) fn begins_anew(&self, key: &WorkloadKey) -> bool {
        [&self.new, &self.rolls, &self.opts_in]
            .iter()
            .any(|all| all.contains(key))
    }

    /// Whether a source is written after a workload.
    pub(super) fn comes_later(&self, key: &WorkloadKey, cause: &Cause) -> bool {
        let place = self.places.get(&What::Workload(key.clone()));
        let source = cause.source.as_ref();
        let source = source.map(|source| What::Source(key_of(&key.namespace, source)));
        let source = source.and_then(|source| self.places.get(&source));
        source > place
    }
}
