//! What becomes of pods. Counts alone would not tell pods that stayed from pods that were replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    rules::{Entry, judge},
    world::{Opt, Reference, World, Write},
};

/// What a workload was before a template that hangs.
#[derive(Clone, Debug)]
pub struct Hung {
    references: Vec<Reference>,
    observed: BTreeMap<usize, Entry>,
    /// The uids of the pods that run on.
    pods: BTreeSet<String>,
}

/// What must be true of a workload's pods.
#[derive(Clone, Debug)]
pub enum Fate {
    /// These are there still.
    Kept(BTreeSet<String>),
    /// Each is newer than what these sources are.
    Newer(BTreeSet<usize>),
}

impl World {
    /// It got a template of these references whose pods cannot start, and these pods run on.
    pub fn hang(
        &mut self,
        workload: usize,
        references: Vec<Reference>,
        write: Write,
        pods: BTreeSet<String>,
    ) {
        let hung = &mut self.workloads[workload];
        let references = std::mem::replace(&mut hung.references, references);
        let observed = hung.observed.clone().unwrap_or_default();
        hung.hung = Some(Hung {
            references,
            observed,
            pods,
        });
        self.written(workload, write);
    }

    /// The workload got its former template back. If its old pods have what exists now, they stay. If not, all pods are
    /// replaced, in the same rollout.
    pub fn back(&mut self, workload: usize, write: Write) {
        let hung = self.workloads[workload].hung.take().unwrap();
        self.workloads[workload].references = hung.references;
        self.workloads[workload].fate = Some(self.fate(workload, &hung.observed, hung.pods));
        self.written(workload, write);
    }

    /// The workload was deleted without these pods and created again, and adopts them. If they have what exists now,
    /// they stay. If not, the write that creates the workload replaces them all.
    pub fn adopts(&mut self, workload: usize, opt: Opt, pods: BTreeSet<String>) {
        let observed = self.workloads[workload]
            .observed
            .clone()
            .unwrap_or_default();
        self.workloads[workload].fate = Some(self.fate(workload, &observed, pods));
        self.renew(workload, opt);
    }

    /// What becomes of pods that were started with this.
    fn fate(
        &self,
        workload: usize,
        observed: &BTreeMap<usize, Entry>,
        pods: BTreeSet<String>,
    ) -> Fate {
        let mut changed = self.selected(workload);
        changed.retain(|source, usage| {
            let policy = self.policy(workload, *source, usage);
            judge(policy, usage, &observed[source], self.live(*source)).cause
        });
        if changed.is_empty() {
            Fate::Kept(pods)
        } else {
            Fate::Newer(changed.into_keys().collect())
        }
    }

    /// Its template gained a reference, and pods have it.
    pub fn gain(&mut self, workload: usize, reference: Reference, write: Write) {
        self.sources[reference.source].users.push(workload);
        let gaining = &mut self.workloads[workload];
        gaining.references.push(reference);
        // From now on no user applies a manifest that lacks it.
        gaining.saved = None;
        self.written(workload, write);
    }

    /// A key was set after the pods of this workload were made.
    pub fn later(&mut self, source: usize, key: &'static str, value: u32, workload: usize) {
        self.change(source, key, Some(value));
        self.workloads[workload].fate = Some(Fate::Newer([source].into()));
    }
}
