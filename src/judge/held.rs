//! The workloads that no intent can help, and the parts of workloads' annotations that cannot be read.

use std::collections::BTreeMap;

use crate::model::{WorkloadKey, held::Held, policy::Complaint};

/// The workloads that are held and the complaints about annotations; at most one entry of each per workload.
#[derive(Debug, Default)]
pub struct HeldWorkloads {
    held: BTreeMap<WorkloadKey, Held>,
    complaints: BTreeMap<WorkloadKey, Vec<Complaint>>,
    /// What cannot be read of namespaces.
    namespaces: BTreeMap<String, Vec<Complaint>>,
}

impl HeldWorkloads {
    /// Notes why a workload is behind its sources without an intent; `None` if it is not. Returns whether that is news.
    pub fn hold(&mut self, workload: &WorkloadKey, held: Option<Held>) -> bool {
        match held {
            Some(held) => self.held.insert(workload.clone(), held) != Some(held),
            None => self.held.remove(workload).is_some(),
        }
    }

    /// Returns why a workload is behind its sources without an intent.
    pub fn of(&self, workload: &WorkloadKey) -> Option<Held> {
        self.held.get(workload).copied()
    }

    /// Notes which of a workload's annotations cannot be read. Returns whether that is news.
    pub fn complain(&mut self, workload: &WorkloadKey, complaints: &[Complaint]) -> bool {
        if complaints.is_empty() {
            self.complaints.remove(workload);
            return false;
        }
        let before = self.complaints.get(workload).map(Vec::as_slice);
        let news = before != Some(complaints);
        if news {
            self.complaints
                .insert(workload.clone(), complaints.to_vec());
        }
        news
    }

    /// Notes what of a namespace's annotations cannot be read. Returns what of that is news.
    pub fn complain_of(&mut self, namespace: &str, complaints: Vec<Complaint>) -> Vec<Complaint> {
        let before = self.namespaces.remove(namespace).unwrap_or_default();
        let all = complaints.iter();
        let news = all.filter(|complaint| !before.contains(complaint));
        let news = news.cloned().collect();
        if !complaints.is_empty() {
            self.namespaces.insert(namespace.to_owned(), complaints);
        }
        news
    }

    /// Returns what cannot be read of namespaces.
    pub fn namespaces(&self) -> Vec<(String, Complaint)> {
        let all = self.namespaces.iter();
        all.flat_map(|(name, complaints)| {
            let of = complaints.iter();
            of.map(|complaint| (name.clone(), complaint.clone()))
        })
        .collect()
    }

    /// Forgets everything about workloads, so that the next decisions are news again and are told.
    pub fn tell_again(&mut self) {
        self.held.clear();
        self.complaints.clear();
    }

    /// Forgets a workload that is gone.
    pub fn forget(&mut self, workload: &WorkloadKey) {
        self.held.remove(workload);
        self.complaints.remove(workload);
    }

    /// Returns the held workloads with the reason of each.
    pub fn each(&self) -> impl Iterator<Item = (&WorkloadKey, Held)> {
        self.held.iter().map(|(key, held)| (key, *held))
    }
}
