//! Namespaces: their defaults, and which of them are selected by their labels.
//!
//! The API server cannot list objects by the labels of their namespaces. So the watches of all namespaces skip objects
//! in those that are not selected, and these cost no memory. A namespace that is selected while reroll runs is listed
//! on its own, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use kube::core::ObjectMeta;

use crate::{
    judge::{Judge, braking::namespace_changed},
    model::{
        annotation::{RESTART_ON, SUSPEND},
        gate::suspend,
        index::windows::Paced,
        policy::Complaint,
    },
};

/// What is known of namespaces besides the index.
pub struct Namespaces {
    judge: Arc<Judge>,
    /// Whether the first list of namespaces is complete.
    listed: watch::Sender<bool>,
    /// The namespaces that are still to be listed on their own.
    unlisted: Mutex<BTreeSet<String>>,
    added: Notify,
}

impl Namespaces {
    /// Makes one that knows of no namespace.
    pub fn new(judge: Arc<Judge>) -> Self {
        Self {
            judge,
            listed: watch::Sender::default(),
            unlisted: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Takes in the labels and annotations that a namespace has.
    pub fn applied(&self, name: &str, meta: &ObjectMeta) {
        let none = BTreeMap::new();
        let labels = meta.labels.as_ref().unwrap_or(&none);
        let conventions = &self.judge.state.setup.conventions;
        if conventions.namespaces.is_some() {
            if conventions.selects_namespace(labels) {
                self.select(name);
            } else {
                self.leave(name);
            }
        }
        let default = labels.get(RESTART_ON).cloned();
        let (paced, complaints) = Paced::read(meta);
        paced.take(&mut self.judge.state.index_mut(), name);
        let works = self.judge.state.index().works_in(name);
        self.complain(name, if works { complaints } else { Vec::new() });
        namespace_changed(&self.judge, name);
        self.judge.namespace_default(name, default);
        let said = meta.annotations.as_ref().and_then(|all| all.get(SUSPEND));
        let said = suspend::read(said.map(String::as_str));
        self.judge.namespace_stop(name, said);
    }

    /// Takes in that a namespace is gone.
    pub fn deleted(&self, name: &str) {
        Paced::default().take(&mut self.judge.state.index_mut(), name);
        self.complain(name, Vec::new());
        namespace_changed(&self.judge, name);
        self.judge.namespace_default(name, None);
        self.judge.namespace_stop(name, None);
        self.leave(name);
    }

    /// Takes in what of a namespace's annotations, or its label, cannot be read, and tells what is news.
    fn complain(&self, name: &str, complaints: Vec<Complaint>) {
        let news = self.judge.docket().held.complain_of(name, complaints);
        for complaint in &news {
            self.judge.teller.of_namespace(name, complaint);
        }
    }

    /// Takes in that a list of namespaces is complete.
    pub fn listed(&self) {
        self.listed.send_replace(true);
    }

    /// Returns the namespaces of which something is known.
    pub fn known(&self) -> BTreeSet<String> {
        self.judge.state.index().known_namespaces()
    }

    /// Waits until it is known which namespaces are selected. Returns at once if there is no selector.
    pub async fn selection_known(&self) {
        if self.judge.state.setup.conventions.namespaces.is_some() {
            let mut listed = self.listed.subscribe();
            // The sender lives as long as `self`.
            let _ = listed.wait_for(|listed| *listed).await;
        }
    }

    /// Waits for a namespace that was selected late, and is to be listed on its own.
    pub async fn next_unlisted(&self) -> String {
        loop {
            let next = self.unlisted.lock().pop_first();
            match next {
                Some(name) => return name,
                None => self.added.notified().await,
            }
        }
    }

    fn select(&self, name: &str) {
        let late = *self.listed.borrow();
        if !self.judge.state.index_mut().select_namespace(name, late) {
            return;
        }
        tracing::debug!(namespace = name, late, "a namespace is selected");
        if late {
            self.unlisted.lock().insert(name.to_owned());
            self.added.notify_one();
        }
    }

    fn leave(&self, name: &str) {
        self.unlisted.lock().remove(name);
        let gone = self.judge.state.index_mut().leave_namespace(name);
        let Some(gone) = gone else {
            return;
        };
        tracing::debug!(
            namespace = name,
            workloads = gone.len(),
            "a namespace is selected no more"
        );
        for workload in &gone {
            self.judge.workload_deleted(workload);
        }
    }
}
