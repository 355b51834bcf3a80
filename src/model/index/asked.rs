//! What was asked for later counts.
//!
//! resourceVersions order what one history of etcd wrote. After a restore they do not: objects, or even whole lists,
//! are older than what is known of them, and right. So each entry of the index knows when it was learned, by a clock
//! that counts what the index took in. Each read takes the time when it is sent. etcd's quorum answers a read without
//! a resourceVersion. Such a read cannot show anything older than what was known when it was sent, unless history
//! went back.
//!
//! Invariants:
//! - a read replaces what was known when it was asked for, and not confirmed by a later one, whatever the numbers
//!   are;
//! - between that and what came meanwhile the higher number decides: a list may show what no event after it brings;
//! - an event of a watch never replaces a higher number: it may be late. Numbers of a history that is no more say
//!   nothing, for they are used again.

/// A tick of an index's logical clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// How something becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By an event of a watch.
    Event,
    /// By a complete list that was asked for at this tick. An API server that outlived its etcd may answer it from memory.
    List(Tick),
    /// By the answer to a GET or to a write that was sent at this tick: etcd's own word.
    Answer(Tick),
}

impl By {
    /// Returns when it was asked for; an event was not.
    fn asked(self) -> Option<Tick> {
        match self {
            Self::Event => None,
            Self::List(asked) | Self::Answer(asked) => Some(asked),
        }
    }

    pub(super) fn is_answer(self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

/// When what is known of one object was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// When it came.
    learned: Tick,
    /// It is at least as new as what was there at this tick.
    asked: Tick,
    /// A GET that was sent at this tick showed this very state.
    proved: Option<Tick>,
}

impl Told {
    /// Whether it is at least as new as something that was learned at that tick.
    pub(super) fn is_after(self, learned: Tick) -> bool {
        self.asked >= learned && learned > Tick::default()
    }

    /// Whether it was known when something was asked for, and nothing that was asked for later has confirmed it.
    pub(super) fn was_known(self, asked: Tick) -> bool {
        self.learned.max(self.asked) <= asked
    }

    /// Returns when it came.
    pub(super) fn learned(self) -> Tick {
        self.learned
    }
}

/// Tells when something becomes known, and which of two states counts.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Tick,
    /// The newest read that showed something older than was known when it was asked for.
    sighted: Option<Tick>,
    /// What is not proved since then may be of a history that is no more.
    doubted: Option<Tick>,
    /// What was learned until then is known to be of a history that is no more, unless it was told anew.
    went_back: Tick,
}

/// A state that takes the place of what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weighed {
    pub(super) told: Told,
    /// It is older than what was known when it was asked for.
    pub(super) older: bool,
    /// That is news: no read that was asked for then, or later, has shown it yet of anything.
    pub(super) sighting: bool,
}

impl Clock {
    /// Returns the time for a read that is sent now.
    pub(super) fn now(&self) -> Tick {
        self.now
    }

    /// Whether a state of this number takes the place of one that is known; `None`: it does not. `same`: it is no other
    /// than what is known, as far as can be told; after a restore numbers are used again.
    pub(super) fn weigh(
        &mut self,
        known: Option<(Told, u64)>,
        by: By,
        number: u64,
        same: bool,
    ) -> Option<Weighed> {
        let Some((told, known)) = known else {
            return Some(self.take(Told::default(), false, by));
        };
        let known_then = by.asked().is_some_and(|asked| told.was_known(asked));
        if !known_then && number < known && !self.is_lost(told) {
            return None;
        }
        // A deletion whose number could not be read says nothing.
        let older = number < known && known != u64::MAX;
        let mut taken = self.take(told, same && number == known, by);
        if let (true, Some(asked)) = (older, by.asked()) {
            taken.older = true;
            taken.sighting = told.learned > self.went_back && self.sighted < Some(asked);
            self.sighted = self.sighted.max(Some(asked));
            self.doubted = self.doubted.max(Some(asked));
        }
        Some(taken)
    }

    /// Whether an absence takes the place of what is known to exist in this version; `number`: of the deletion, where an
    /// event tells it.
    pub(super) fn weigh_absence(
        &mut self,
        known: (Told, u64),
        by: By,
        number: u64,
    ) -> Option<Told> {
        let (told, known) = known;
        let takes = match by.asked() {
            Some(asked) => told.was_known(asked),
            None => number >= known || self.is_lost(told),
        };
        takes.then(|| self.take(told, false, by).told)
    }

    fn take(&mut self, before: Told, same: bool, by: By) -> Weighed {
        self.now.0 += 1;
        let asked = by.asked().unwrap_or_default();
        let proved = match by {
            By::Answer(asked) => Some(asked),
            By::Event | By::List(_) => before.proved.filter(|_| same),
        };
        let told = Told {
            learned: if same { before.learned } else { self.now },
            asked: before.asked.max(asked),
            proved,
        };
        Weighed {
            told,
            older: false,
            sighting: false,
        }
    }

    /// Takes in that history went back: whatever is known may be of one that is no more.
    pub(super) fn went_back(&mut self) {
        self.now.0 += 1;
        self.went_back = self.now;
        self.doubted = Some(self.now);
    }

    /// Whether a number was learned in a history that is no more, and nothing that was asked for since has confirmed it.
    pub(super) fn is_lost(&self, told: Told) -> bool {
        self.went_back > Tick::default() && told.learned.max(told.asked) <= self.went_back
    }

    /// Whether this is the first read of something that was asked for after history went back.
    pub(super) fn is_first_since(&self, told: Told, by: By) -> bool {
        told.asked < self.went_back && by.asked() >= Some(self.went_back)
    }

    /// Whether etcd itself has to be asked before anything is written because of this; never, as long as no read has shown
    /// anything older than what was known.
    pub(super) fn doubts(&self, told: Option<Told>) -> bool {
        self.doubted.is_some() && told.and_then(|told| told.proved) < self.doubted
    }

    /// Whether history was ever seen to go back.
    pub(super) fn doubts_any(&self) -> bool {
        self.doubted.is_some()
    }
}
