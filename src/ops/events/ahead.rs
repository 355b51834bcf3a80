//! What goes before Events: each of them costs the API server as much as a restart does.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How long nothing goes on in a gap. Changes that follow one another leave shorter ones all the time.
pub(super) const GAP: Duration = Duration::from_millis(100);

/// Something that goes before Events, while this lives.
#[derive(Debug)]
pub struct First(watch::Sender<Ahead>);

/// What goes before Events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// How much of it is going on.
    count: usize,
    /// When that changed last.
    changed: Instant,
}

impl Ahead {
    /// Returns a place to put what goes before Events.
    pub(super) fn none() -> watch::Sender<Self> {
        watch::Sender::new(Self {
            count: 0,
            changed: Instant::now(),
        })
    }

    fn moved(&mut self, by: isize) {
        self.count = self.count.saturating_add_signed(by);
        self.changed = Instant::now();
    }
}

impl First {
    pub(super) fn new(ahead: watch::Sender<Ahead>) -> Self {
        ahead.send_modify(|ahead| ahead.moved(1));
        Self(ahead)
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.0.send_modify(|ahead| ahead.moved(-1));
    }
}

/// Waits until nothing goes on, and nothing has for a while.
pub(super) async fn gap(first: &mut watch::Receiver<Ahead>) {
    loop {
        let ahead = *first.borrow_and_update();
        let over = sleep_until(ahead.changed + GAP);
        tokio::select! {
            () = over, if ahead.count == 0 => return,
            changed = first.changed() => if changed.is_err() { return },
        }
    }
}
