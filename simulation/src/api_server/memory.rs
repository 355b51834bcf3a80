//! API servers that outlive their etcd: it is restored beneath them, and they go on with what they had in their memory.
//!
//! They answer lists and watches from it, also those that ask for what is there now: the memory is as new as etcd's
//! revision, and newer. A write under a later revision than the last lost one reaches it. Only a read of one object, and a
//! write, show what is stored. It is over when they are restarted, as is to be done after a restore.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    ApiServer, Snapshot,
    store::{Objects, Store},
};

/// What was stored before history went back.
pub(super) type Lost = Option<Arc<Store>>;

impl ApiServer {
    /// Goes back to a snapshot, and on from its revision, without restarting the API servers: watches go on.
    pub fn restore_beneath(&self, snapshot: &Snapshot) {
        let lost = {
            let mut stored = self.shared.stored.lock();
            let lost = std::mem::replace(&mut stored.0, snapshot.0.clone());
            stored.1 += 1;
            lost
        };
        let before = self.shared.lost.lock().replace(Arc::new(lost));
        if before.is_some() {
            // Whoever restores twice has read by now what is to be done.
            self.restart();
        }
        self.shared.wakes.all();
    }

    /// Restarts the API servers: they know what is stored, and watches end.
    pub fn restart(&self) {
        *self.shared.lost.lock() = None;
        self.shared.sessions.fetch_add(1, Relaxed);
        self.shared.wakes.all();
    }

    /// Whether they go by their memory of what is lost.
    pub fn outlives(&self) -> bool {
        self.shared.lost.lock().is_some()
    }

    /// Returns the revision up to which lists and watches show what was written.
    pub(super) fn shown_until(&self) -> u64 {
        let lost = self.shared.lost.lock().clone();
        self.visible().max(lost.map_or(0, |lost| lost.revision))
    }

    /// Returns the objects of a row as they are in memory where history went back; `None` where it did not.
    pub(super) fn remembered(&self, row: usize) -> Option<(u64, Objects)> {
        let lost = self.shared.lost.lock().clone()?;
        self.with_store(|store| {
            let mut objects = lost.objects(row).clone();
            for (_, change) in store.since(lost.revision)? {
                if change.row != row {
                    continue;
                }
                match &change.after {
                    Some(after) => objects.insert(change.key.clone(), Arc::clone(after)),
                    None => objects.remove(&change.key),
                };
            }
            Some((lost.revision.max(store.revision), objects))
        })
    }
}
