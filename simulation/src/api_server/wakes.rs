//! Who waits is woken by writes of what it waits for, and of nothing else.

use tokio::sync::watch::{Receiver, Sender};

use super::{resources::ROWS, store::Store};

/// The channels that wake.
pub(super) struct Wakes {
    /// Of writes of anything.
    all: Sender<()>,
    /// Of writes of each resource.
    rows: Vec<Sender<()>>,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self {
            all: Sender::default(),
            rows: ROWS.iter().map(|_| Sender::default()).collect(),
        }
    }

    pub(super) fn of_all(&self) -> Receiver<()> {
        self.all.subscribe()
    }

    pub(super) fn of(&self, row: usize) -> Receiver<()> {
        self.rows[row].subscribe()
    }

    /// Wakes those who wait for what was written after a revision.
    pub(super) fn after(&self, store: &Store, revision: u64) {
        if store.revision == revision {
            return;
        }
        for (row, wake) in self.rows.iter().enumerate() {
            if store.last_write(row) > revision {
                wake.send_replace(());
            }
        }
        self.all.send_replace(());
    }

    /// Wakes everyone: what is seen changed otherwise than by a write.
    pub(super) fn all(&self) {
        for wake in self.rows.iter().chain([&self.all]) {
            wake.send_replace(());
        }
    }
}
