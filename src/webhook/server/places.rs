//! A bounded number of places, and who gives way when all are taken.
//!
//! A place is a connection, a request in flight, or a byte of a body. Every client that reaches the port can take places, and
//! would keep all of them for as long as it sends a byte now and then. So a count alone bounds what reroll spends, but not
//! what it costs a stranger to keep others out. Here whoever has got on least, for the longest, gives way as soon as others
//! wait: to keep a place takes sending. And one connection has at most its share.
//!
//! Invariants:
//! - of those that wait, one at a time takes places and cuts others off: who can be done soonest with what it has, and then
//!   who has least ([`State::next`]);
//! - nobody is cut off who got on within [`Bounds::fresh`], or whom reroll owes an answer;
//! - nobody takes places where then not all who have some could get what they claim, one after the other. So of those who
//!   send, nobody has to give way;
//! - no more wait than there are places.

mod state;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub(super) use self::state::{Bounds, Standing};
use self::state::{Found, Holder, Room, State};

/// A bounded number of places.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    state: Mutex<State>,
}

/// It was too slow while others waited; or too many wait already.
#[derive(Debug)]
pub(super) struct GaveWay;

/// Some places, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    cut: CancellationToken,
    places: Arc<Places>,
}

/// What came of taking what is free.
enum Free {
    Taken,
    /// So many are to be waited for.
    Wait(usize),
    /// Too many wait.
    Crowd,
}

// === impl Places ===

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
        }
    }

    /// Enters somebody, without places yet, who will take so many at most. `connection`: whose share counts.
    pub(super) fn enter(self: &Arc<Self>, connection: Option<u64>, claim: usize) -> Place {
        let cut = CancellationToken::new();
        let mut state = self.state.lock();
        let id = state.entered;
        state.entered += 1;
        if let Some(connection) = connection {
            state.connections.entry(connection).or_default().members += 1;
        }
        let claim = claim.min(self.bounds.share);
        let holder = Holder::new(connection, claim, cut.clone());
        state.holders.insert(id, holder);
        let places = Arc::clone(self);
        Place { id, cut, places }
    }

    /// Returns how many are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.state.lock().taken
    }

    fn look(&self, id: u64, more: usize) -> Found {
        let mut state = self.state.lock();
        state.look(&self.bounds, id, more, Instant::now())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        state.wake_next(&self.bounds);
        changed
    }
}

// === impl Place ===

impl Place {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Takes so many more, and waits for them. Who has all of a share itself needs no more.
    ///
    /// # Errors
    /// When it gives way to others.
    pub(super) async fn take(&self, more: usize) -> Result<(), GaveWay> {
        let more = match self.take_free(more) {
            Free::Taken => return Ok(()),
            Free::Crowd => return Err(GaveWay),
            Free::Wait(more) => more,
        };
        let waiting = Waiting::begin(self, more);
        loop {
            let until = match self.places.look(self.id, more) {
                Found::Room => return Ok(()),
                Found::Stuck => return Err(GaveWay),
                Found::Later(at) => at,
            };
            tokio::select! {
                () = waiting.wake.notified() => {}
                () = sleep_until(until) => {}
                () = self.cut.cancelled() => return Err(GaveWay),
            }
        }
    }

    /// Takes so many more where they are free, and nobody waits.
    fn take_free(&self, more: usize) -> Free {
        let mut state = self.places.state.lock();
        let bounds = &self.places.bounds;
        let held = state.holders.get(&self.id).map_or(0, |holder| holder.held);
        let more = more.min(bounds.share.saturating_sub(held));
        let free = [Room::InShare, Room::Anywhere];
        if more == 0 {
            Free::Taken
        } else if state.waiting >= bounds.all {
            Free::Crowd
        } else if state.waiting == 0
            && free.map(|room| state.has_room(bounds, self.id, more, room)) == [true, true]
        {
            state.give(self.id, more);
            Free::Taken
        } else {
            Free::Wait(more)
        }
    }

    /// Takes in that so many bytes came.
    pub(super) fn came(&self, bytes: usize) {
        if let Some(holder) = self.places.state.lock().holders.get_mut(&self.id) {
            holder.came(bytes);
        }
    }

    /// Takes in that it got on, and what it is held for now.
    pub(super) fn gets_on(&self, standing: Standing) {
        self.places.change(|state| {
            if let Some(holder) = state.holders.get_mut(&self.id) {
                holder.standing = standing;
                holder.gets_on();
            }
        });
    }

    /// Ends when it is cut off, because others wait.
    pub(super) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether it was cut off.
    pub(super) fn was_cut(&self) -> bool {
        self.cut.is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(|state| {
            let Some(holder) = state.holders.remove(&self.id) else {
                return;
            };
            state.taken -= holder.held;
            let Some(connection) = holder.connection else {
                return;
            };
            if let Some(own) = state.connections.get_mut(&connection) {
                own.held -= holder.held;
                own.members -= 1;
                if own.members == 0 {
                    state.connections.remove(&connection);
                }
            }
        });
    }
}

/// Somebody who waits for places, until it is dropped.
struct Waiting<'a> {
    place: &'a Place,
    wake: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn begin(place: &'a Place, more: usize) -> Self {
        let wake = Arc::new(Notify::new());
        let mut state = place.places.state.lock();
        state.waiting += 1;
        if let Some(holder) = state.holders.get_mut(&place.id) {
            holder.waits = Some((more, Arc::clone(&wake)));
        }
        drop(state);
        Self { place, wake }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.place.places.change(|state| {
            state.waiting -= 1;
            if let Some(holder) = state.holders.get_mut(&self.place.id) {
                holder.waits = None;
                // Its client could not get on meanwhile.
                holder.gets_on();
            }
        });
    }
}
