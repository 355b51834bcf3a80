//! Namespaces that come to be selected by their labels, and that cease to be.
//!
//! Objects cannot be listed by the labels of their namespaces. So what is watched everywhere passes by what is not
//! selected, which costs no memory, and a namespace that is selected while reroll runs is listed by itself, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::Client;
use tokio::sync::{Notify, watch};

use super::{
    Controller,
    kinds::Sought,
    watch::{Then, Watch, Watched},
};
use crate::model::{annotation::RESTART_ON, csi::Part};

/// What is known of the selection.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Whether all namespaces have been listed.
    listed: watch::Sender<bool>,
    /// To be listed by themselves, each once.
    unlisted: Mutex<BTreeSet<String>>,
    added: Notify,
}

impl Selection {
    fn unlisted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Controller {
    /// A namespace has these labels.
    pub fn namespace_applied(&self, name: &str, labels: &BTreeMap<String, String>) {
        if self.conventions.namespaces.is_some() {
            if self.conventions.selects_namespace(labels) {
                self.select(name);
            } else {
                self.leave(name);
            }
        }
        self.namespace_default(name, labels.get(RESTART_ON).cloned());
    }

    /// A namespace is gone.
    pub fn namespace_deleted(&self, name: &str) {
        self.namespace_default(name, None);
        self.leave(name);
    }

    /// A list of namespaces is complete.
    pub fn namespaces_listed(&self) {
        self.selection.listed.send_replace(true);
    }

    /// Waits until it is known which namespaces are selected, where a selector says that.
    pub async fn selection_known(&self) {
        if self.conventions.namespaces.is_some() {
            let mut listed = self.selection.listed.subscribe();
            // The sender lives as long as the controller.
            let _ = listed.wait_for(|listed| *listed).await;
        }
    }

    fn select(&self, name: &str) {
        let late = *self.selection.listed.borrow();
        if !self.state.index_mut().select_namespace(name, late) {
            return;
        }
        tracing::debug!(namespace = name, late, "a namespace is selected");
        if late {
            self.selection.unlisted().insert(name.to_owned());
            self.selection.added.notify_one();
        }
    }

    fn leave(&self, name: &str) {
        self.selection.unlisted().remove(name);
        let Some(gone) = self.state.index_mut().leave_namespace(name) else {
            return;
        };
        tracing::debug!(
            namespace = name,
            workloads = gone.len(),
            "a namespace is selected no more"
        );
        for workload in &gone {
            self.workload_deleted(workload);
        }
    }

    /// Lists namespaces that were selected late, for ever.
    pub async fn list_selected(self: Arc<Self>, client: Client, always: Vec<Watched>) {
        loop {
            let Some(name) = self.selection.unlisted().pop_first() else {
                self.selection.added.notified().await;
                continue;
            };
            let served: BTreeSet<_> = self.served().keys().copied().collect();
            for part in Part::ALL {
                if !served.contains(&Sought::Provided(part)) {
                    self.part_absent(part, Some(&name));
                }
            }
            let served = served.into_iter().map(Sought::watched);
            for what in always.iter().copied().chain(served) {
                let watch = Watch {
                    what,
                    within: Some(name.clone()),
                    // What changes from now on comes by the watch of everything.
                    then: Then::End,
                };
                watch.run(Arc::clone(&self), client.clone()).await;
            }
            tracing::info!(namespace = name, "listed a namespace that is selected now");
        }
    }
}
