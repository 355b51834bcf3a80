//! Who waits is woken by writes of what it waits for, and of nothing else.

use parking_lot::Mutex;
use tokio::sync::watch::{Receiver, Sender};

use super::{resources::ROWS, store::Store};

/// The channels that wake.
pub(super) struct Wakes {
    /// Of writes of anything.
    all: Sender<()>,
    /// Of writes of each resource.
    rows: Vec<Sender<()>>,
    /// Of writes of any of some resources.
    some: Mutex<Vec<(Vec<usize>, Sender<()>)>>,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self {
            all: Sender::default(),
            rows: ROWS.iter().map(|_| Sender::default()).collect(),
            some: Mutex::default(),
        }
    }

    pub(super) fn of_all(&self) -> Receiver<()> {
        self.all.subscribe()
    }

    pub(super) fn of(&self, row: usize) -> Receiver<()> {
        self.rows[row].subscribe()
    }

    pub(super) fn of_some(&self, rows: &[usize]) -> Receiver<()> {
        let mut some = self.some.lock();
        if let Some((_, wake)) = some.iter().find(|(own, _)| own == rows) {
            return wake.subscribe();
        }
        let wake = Sender::default();
        let receiver = wake.subscribe();
        some.push((rows.to_vec(), wake));
        receiver
    }

    /// Wakes those who wait for what was written after a revision.
    pub(super) fn after(&self, store: &Store, revision: u64) {
        if store.revision == revision {
            return;
        }
        let is_written = |row: usize| store.last_write(row) > revision;
        for (row, wake) in self.rows.iter().enumerate() {
            if is_written(row) {
                wake.send_replace(());
            }
        }
        for (rows, wake) in &*self.some.lock() {
            if rows.iter().any(|row| is_written(*row)) {
                wake.send_replace(());
            }
        }
        self.all.send_replace(());
    }

    /// Wakes everyone: what is seen changed otherwise than by a write.
    pub(super) fn all(&self) {
        let some = self.some.lock();
        let some = some.iter().map(|(_, wake)| wake);
        for wake in self.rows.iter().chain([&self.all]).chain(some) {
            wake.send_replace(());
        }
    }
}
