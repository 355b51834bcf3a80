//! What must hold. It knows nothing of reroll but its promise, and shares no code with it.
//!
//! The [`Observer`] reads all that was written, write by write: it counts the changes for which each workload may be
//! restarted, and the restarts. [`Cluster::judge`] looks at what pods started with when everybody has come to rest.

mod health;
mod observer;
mod pods;
mod reasons;
mod recorded;
mod template;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

pub(crate) use self::{
    health::holds,
    observer::Observer,
    recorded::{key_id, key_id_of_text},
};
use crate::{
    cluster::Cluster,
    world::{FOREIGN, plan},
};

/// What was wrong on the way, in words.
pub(crate) type Wrongs = Arc<Mutex<Vec<String>>>;

impl Cluster {
    /// Takes note of what is wrong.
    pub(crate) fn wrong(&mut self, what: String) {
        self.say(|| format!("WRONG: {what}"));
        self.wrongs.lock().push(what);
    }

    /// Reads what was written since the last time.
    pub(crate) fn note(&mut self) {
        let (observer, nodes) = (&mut self.observer, &self.nodes);
        let vanished = &mut self.memory.vanished;
        vanished.retain(|workload, (since, _)| {
            let begins_anew = self.reroll.begins_anew(*since);
            if begins_anew {
                observer.may_be_adopted_again(workload);
            }
            !begins_anew
        });
        observer.catch_up(&self.server, &nodes.starts());
        vanished.retain(|workload, (_, left)| observer.is_recorded(workload, left));
        for what in self.observer.take_wrongs() {
            self.wrong(what);
        }
    }

    /// Returns what is wrong.
    pub(crate) fn judge(&mut self) -> Result<(), String> {
        self.note();
        for placed in self.workloads.clone() {
            let Some(live) = self.workload(placed.name) else {
                self.wrong(format!("{} is gone", placed.name));
                continue;
            };
            if live["metadata"]["annotations"][FOREIGN] != placed.name {
                self.wrong(format!(
                    "{} has lost an annotation of its owner",
                    placed.name
                ));
            }
            if template::left_after_opting_out(&live) {
                self.wrong(format!(
                    "{} has opted out, and keeps what reroll wrote",
                    placed.name
                ));
            }
            self.look_at_pods_of(placed.name, &live);
        }
        self.look_at_health();
        let wrongs = self.wrongs.lock();
        if wrongs.is_empty() {
            Ok(())
        } else {
            Err(wrongs.join("; "))
        }
    }

    /// Looks at the pods of all workloads that nothing holds up, where everybody has come to rest for a while.
    pub(crate) fn look_at_pods(&mut self) {
        if self.spares() {
            // What changes while another installation has the namespace may wait until that one is gone.
            return;
        }
        for placed in self.workloads.clone() {
            if let Some(live) = self.workload(placed.name)
                && self.observer.is_done(placed.name)
            {
                self.look_at_pods_of(placed.name, &live);
            }
        }
    }

    fn look_at_pods_of(&mut self, name: &str, live: &Value) {
        let starts = self.nodes.starts();
        let found = pods::wrong(&self.server, live, plan(name), &self.observer, &starts);
        drop(starts);
        for what in found {
            self.wrong(what);
        }
    }
}
