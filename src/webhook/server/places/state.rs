//! Who holds places, who waits for them, and who gives way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// Who sends so many bytes more gets on, or a sixteenth of what came before, whichever is more.
const STEP: usize = 64 << 10;
/// When to look again, where only somebody who leaves can make room.
const LATER: Duration = Duration::from_mins(1);

/// How many places there are, and for whom.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bounds {
    pub(in super::super) all: usize,
    /// The most that one connection has.
    pub(in super::super) share: usize,
    /// The most that anybody claims.
    pub(in super::super) claim: usize,
    /// For how long it is safe to have got on.
    pub(in super::super) fresh: Duration,
}

/// Who holds places, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) taken: usize,
    pub(super) entered: u64,
    pub(super) holders: BTreeMap<u64, Holder>,
    pub(super) connections: HashMap<u64, Connection>,
    /// How many wait for places.
    pub(super) waiting: usize,
}

#[derive(Debug)]
pub(super) struct Holder {
    pub(super) connection: Option<u64>,
    pub(super) held: usize,
    /// What it will have at most.
    pub(super) claim: usize,
    pub(super) standing: Standing,
    /// How many more it waits for, and what wakes it.
    pub(super) waits: Option<(usize, Arc<Notify>)>,
    /// When it last got on.
    pub(super) since: Instant,
    /// How many bytes came, and how many of them since it last got on.
    came: (usize, usize),
    pub(super) cut: CancellationToken,
}

/// Those of one connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) members: usize,
    pub(super) held: usize,
}

/// What a place is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Standing {
    /// For a client that has had no answer yet. These give way first.
    Unknown,
    /// For a client that has had one.
    Known,
    /// For an answer that reroll owes.
    Owed,
}

/// What came of a look for places.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is room.
    Room,
    /// None before this, or a change.
    Later(Instant),
    /// None, for nobody will leave.
    Stuck,
}

/// Where there is to be room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Anywhere,
    /// In the share of the connection.
    InShare,
}

impl State {
    /// Looks for so many places for who is the next to get any, and takes them. Where there are too few, cuts off who got on
    /// least; one at a time, for that may be enough.
    pub(super) fn look(&mut self, bounds: &Bounds, id: u64, more: usize, now: Instant) -> Found {
        if self.next(bounds) != Some(id) {
            return Found::Later(now + LATER);
        }
        if self.has_room(bounds, id, more, Room::Anywhere) {
            self.give(id, more);
            return Found::Room;
        }
        let (mut slowest, mut all_wait) = (None::<&mut Holder>, true);
        let others = self.holders.iter_mut().filter(|(other, _)| **other != id);
        for (_, holder) in others.filter(|(_, holder)| holder.held > 0) {
            if holder.cut.is_cancelled() {
                return Found::Later(now + LATER);
            }
            if holder.waits.is_some() {
                continue;
            }
            all_wait = false;
            let order = |holder: &Holder| (holder.standing, holder.since);
            let slower = |slowest: &&mut Holder| order(holder) < order(slowest);
            if holder.standing != Standing::Owed && slowest.as_ref().is_none_or(slower) {
                slowest = Some(holder);
            }
        }
        match slowest {
            Some(slowest) if slowest.since + bounds.fresh <= now => {
                slowest.cut.cancel();
                Found::Later(now + LATER)
            }
            Some(slowest) => Found::Later(slowest.since + bounds.fresh),
            None if all_wait => Found::Stuck,
            None => Found::Later(now + LATER),
        }
    }

    pub(super) fn connection_of(&self, id: u64) -> Option<u64> {
        self.holders.get(&id)?.connection
    }

    /// Returns who of those that wait is the next to get places. First come those that have some, and of them whoever claims
    /// the fewest more: it can be done, and leaves what it has to others. Then those whose connection has least.
    pub(super) fn next(&self, bounds: &Bounds) -> Option<u64> {
        let mut waiting: Vec<_> = Vec::with_capacity(self.waiting);
        for (id, holder) in &self.holders {
            if let Some((more, _)) = &holder.waits {
                let own = holder.connection.and_then(|own| self.connections.get(&own));
                let rank = if holder.held > 0 {
                    holder.claim.saturating_sub(holder.held)
                } else {
                    own.map_or(0, |own| own.held)
                };
                waiting.push(((holder.held == 0, rank, *id), *more));
            }
        }
        waiting.sort_unstable();
        let in_share = |(order, more): &(_, usize)| {
            let (_, _, id): (bool, usize, u64) = *order;
            self.has_room(bounds, id, *more, Room::InShare)
                .then_some(id)
        };
        waiting.iter().find_map(in_share)
    }

    pub(super) fn wake_next(&self, bounds: &Bounds) {
        if self.waiting == 0 {
            return;
        }
        let next = self.next(bounds).and_then(|id| self.holders.get(&id));
        if let Some((_, wake)) = next.and_then(|holder| holder.waits.as_ref()) {
            wake.notify_one();
        }
    }

    /// Whether somebody can take so many more, so that all who have places can get what they claim, one after the other.
    pub(super) fn has_room(&self, bounds: &Bounds, id: u64, more: usize, room: Room) -> bool {
        let own = self.connection_of(id);
        let (bound, taken) = match (room, own) {
            (Room::Anywhere, _) => (bounds.all, self.taken),
            (Room::InShare, Some(own)) => {
                let own = self.connections.get(&own);
                (bounds.share, own.map_or(0, |own| own.held))
            }
            // It is alone, and takes no more than a share.
            (Room::InShare, None) => return true,
        };
        let Some(mut free) = bound.checked_sub(taken + more) else {
            return false;
        };
        if free >= bounds.claim {
            return true;
        }
        let counts = |holder: &&Holder| room == Room::Anywhere || holder.connection == own;
        let holders = self.holders.iter().map(|(other, holder)| {
            let more = if *other == id { more } else { 0 };
            (holder, holder.held + more)
        });
        let holders = holders.filter(|(holder, held)| *held > 0 && counts(holder));
        let mut claims: Vec<_> = holders
            .map(|(holder, held)| (holder.claim.saturating_sub(held), held))
            .collect();
        claims.sort_unstable();
        claims.into_iter().all(|(claims, held)| {
            let gets = claims <= free;
            free += held;
            gets
        })
    }

    pub(super) fn give(&mut self, id: u64, more: usize) {
        let Some(holder) = self.holders.get_mut(&id) else {
            return;
        };
        holder.held += more;
        self.taken += more;
        let own = holder.connection;
        if let Some(own) = own.and_then(|own| self.connections.get_mut(&own)) {
            own.held += more;
        }
    }
}

impl Holder {
    pub(super) fn new(connection: Option<u64>, claim: usize, cut: CancellationToken) -> Self {
        Self {
            connection,
            held: 0,
            claim,
            standing: Standing::Unknown,
            waits: None,
            since: Instant::now(),
            came: (0, 0),
            cut,
        }
    }

    pub(super) fn came(&mut self, bytes: usize) {
        self.came.0 += bytes;
        self.came.1 += bytes;
        if self.came.1 >= STEP.max(self.came.0 / 16) {
            self.gets_on();
        }
    }

    pub(super) fn gets_on(&mut self) {
        self.since = Instant::now();
        self.came.1 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        all: 10,
        share: 8,
        claim: 8,
        fresh: Duration::from_secs(1),
    };

    /// Each claims so many, and holds so many.
    fn state(holders: &[(usize, usize)]) -> State {
        let mut state = State::default();
        for (id, (claim, held)) in (0..).zip(holders) {
            let holder = Holder::new(Some(id), *claim, CancellationToken::new());
            state.holders.insert(id, holder);
            state.connections.entry(id).or_default().members += 1;
            state.give(id, *held);
        }
        state
    }

    fn waits(state: &mut State, id: u64, more: usize) {
        state.waiting += 1;
        let holder = state.holders.get_mut(&id).unwrap();
        holder.waits = Some((more, Arc::default()));
    }

    #[test]
    fn nobody_takes_what_others_need_to_be_done() {
        for (holders, more, expected) in [
            (&[(8, 4), (8, 0)][..], 2, true),
            (&[(8, 4), (8, 0)], 3, false),
            (&[(8, 6), (8, 0)], 2, true),
            // The first can be done, and then the other.
            (&[(8, 6), (8, 2)], 1, false),
            (&[(7, 6), (8, 2)], 1, true),
            (&[(8, 4), (8, 4)], 3, false),
        ] {
            let state = state(holders);
            let room = state.has_room(&BOUNDS, 1, more, Room::Anywhere);
            assert_eq!(room, expected, "{holders:?} {more}");
        }
    }

    #[test]
    fn who_can_be_done_is_next_and_then_who_has_least() {
        let mut state = state(&[(8, 1), (8, 3), (4, 0), (4, 0)]);
        assert_eq!(state.next(&BOUNDS), None);
        for (id, next) in [(3, 3), (2, 2), (0, 0), (1, 1)] {
            waits(&mut state, id, 1);
            assert_eq!(state.next(&BOUNDS), Some(next));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_gives_way_and_one_that_is_owed_an_answer_never_does() {
        let mut state = state(&[(4, 4), (4, 3), (4, 3), (4, 0)]);
        let now = Instant::now();
        waits(&mut state, 3, 1);
        let later = |seconds| now + Duration::from_secs(seconds);
        state.holders.get_mut(&0).unwrap().standing = Standing::Owed;
        state.holders.get_mut(&1).unwrap().standing = Standing::Known;
        assert_eq!(state.look(&BOUNDS, 3, 1, now), Found::Later(later(1)));
        let cut = |state: &State| {
            let cut = state
                .holders
                .values()
                .map(|holder| holder.cut.is_cancelled());
            cut.collect::<Vec<_>>()
        };
        assert_eq!(cut(&state), [false; 4]);
        for _ in 0..2 {
            state.look(&BOUNDS, 3, 1, later(1));
            assert_eq!(cut(&state), [false, false, true, false]);
        }
        state.holders.remove(&2);
        state.look(&BOUNDS, 3, 1, later(1));
        assert_eq!(cut(&state), [false, true, false]);
    }
}
